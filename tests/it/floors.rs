//! The house rules: imports go down a floor, files stay small, nothing is left half done.
//!
//! A module may import from lower floors only. What may look sideways stands in [`SIDEWAYS`]; the rest meets in
//! types of floor 0. A new module gets a row in [`FLOORS`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Module path (or a name in it) and its floor; the longest prefix counts.
const FLOORS: &[(&str, u8)] = &[
    // Words.
    ("error", 0),
    ("time", 0),
    ("fold", 0),
    ("lasting", 0),
    ("siphash", 0),
    ("secret", 0),
    ("id", 0),
    ("network", 0),
    ("path", 0),
    ("origin", 0),
    ("request_context", 0),
    ("principal", 0),
    ("rejection", 0),
    // Mechanisms.
    ("crypto", 1),
    ("password", 1),
    ("authz", 1),
    ("rate_limit", 1),
    ("otp", 1),
    // Ports.
    ("store", 1),
    ("audit", 1),
    // Services.
    ("crypto::key_file", 2),
    ("crypto::KeyFile", 2),
    ("authz::authorizer", 2),
    ("authz::Authorizer", 2),
    ("authz::Explanation", 2),
    ("authz::role_file", 2),
    ("authz::RoleFile", 2),
    ("rate_limit::decision", 2),
    ("rate_limit::limit", 2),
    ("rate_limit::RateLimit", 2),
    ("rate_limit::builder", 2),
    ("rate_limit::RateLimitBuilder", 2),
    ("password::queue", 2),
    ("password::Passwords", 2),
    ("password::QueueStats", 2),
    ("token", 2),
    ("session", 2),
    ("api_key", 2),
    ("mfa", 2),
    ("passkey", 2),
    ("oauth", 2),
    ("vault", 2),
    ("account", 2),
    // Wire and layers.
    ("wire", 3),
    ("render", 3),
    ("context", 3),
    ("authn", 3),
    ("headers", 3),
    ("cors", 3),
    ("csrf", 3),
    ("validate", 3),
    ("firewall", 3),
    ("gate", 3),
    // Adapters.
    ("authz::policy::cedar", 4),
    ("axum", 4),
    ("backend", 4),
    ("scan", 4),
];

/// Files of these names are layers wherever they stand.
const LAYER_FILES: &[&str] = &["layer", "service", "future"];

/// Who may import whom on its own floor, besides words each other and every module itself. `*` is anybody there.
const SIDEWAYS: &[(&str, &str)] = &[
    // Ports name what mechanisms make.
    ("store", "crypto"),
    ("store", "password"),
    ("store", "authz"),
    ("store", "rate_limit"),
    ("audit", "crypto"),
    // A sink that fails on demand, among the stores that do.
    ("store::fault", "audit"),
    ("account", "authz"),
    ("account", "token"),
    ("account", "session"),
    ("account", "api_key"),
    ("account", "mfa"),
    ("account", "passkey"),
    ("account", "oauth"),
    ("account", "password"),
    ("account", "vault"),
    ("mfa", "token"),
    ("mfa", "session"),
    ("oauth", "token"),
    ("oauth", "session"),
    ("*", "wire"),
    ("*", "render"),
    ("gate", "*"),
];

/// Names re-exported at the root, and where they come from.
const ROOT_NAMES: &[(&str, &str)] = &[
    ("Error", "error"),
    ("ConfigError", "error"),
    ("Subject", "id"),
    ("TenantId", "id"),
    ("RequestId", "id"),
    ("RequestContext", "request_context"),
    ("Principal", "principal"),
    ("Rejection", "rejection"),
    // What the conformance macro expands to; macros live at the root.
    ("__store_conformance", "store"),
    ("__rate_store_conformance", "store"),
];

const MAX_LINES: usize = 500;
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!", "FIXME", "XXX:"];

#[test]
fn imports_go_down() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        complaints.extend(upward_imports(&file, &text));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_are_small_and_finished() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            complaints.push(format!("src/{file}: {lines} lines; what is the second idea in it?"));
        }
        for (number, line) in text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(*word)) {
                complaints.push(format!("src/{file}:{}: `{word}`", number + 1));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lib = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![forbid(unsafe_code)]"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn the_scanner_bites() {
    for (name, file, text, want) in [
        ("down", "account/mod.rs", "use crate::store::UserStore;", 0),
        ("words among themselves", "secret.rs", "use crate::error::Error;", 0),
        ("itself", "crypto/seal.rs", "use crate::crypto::keyring::Keyring;", 0),
        ("up", "store/user.rs", "use crate::token::Claims;", 1),
        ("up from the words", "id.rs", "\nuse crate::{error::Error, store::{UserStore, memory}};", 2),
        ("over lines", "crypto/mod.rs", "use crate::{\n    error::Error,\n    gate::Gate,\n};", 1),
        ("without `use`", "crypto/mod.rs", "fn f() { crate::account::now() }", 1),
        ("sideways", "crypto/mod.rs", "use crate::password::PasswordHash;", 1),
        ("sideways as listed", "store/user.rs", "use crate::password::PasswordHash;", 0),
        ("the port names, the service is above", "store/user.rs", "use crate::password::Passwords;", 1),
        ("one layer another", "authn/layer.rs", "use crate::authz::layer::AuthorizeLayer;", 1),
        ("re-exported layer", "authn/mod.rs", "use crate::authz::AuthorizeLayer;", 1),
        ("layer its own model", "authz/layer.rs", "use crate::authz::AccessMap;", 0),
        ("model its layer", "authz/policy.rs", "use crate::authz::layer::AuthorizeLayer;", 1),
        ("module file mounting its layer", "authz/mod.rs", "pub use layer::AuthorizeLayer;", 0),
        ("layer to wire", "authn/layer.rs", "use crate::wire::refuse;", 0),
        ("gate to layers", "gate/service.rs", "use crate::{authn::Bearer, authz::layer::AuthorizeLayer};", 0),
        ("up through super", "crypto/seal/mod.rs", "use super::super::gate::Gate;", 1),
        ("up through super in a file", "crypto/seal.rs", "use super::super::gate::Gate;", 1),
        ("super within", "crypto/seal.rs", "use super::keyring::Keyring;", 0),
        ("adapters", "axum/mod.rs", "use crate::backend::SqliteStore;", 1),
        ("root name", "crypto/mod.rs", "use crate::Error;", 0),
        ("whole root", "crypto/mod.rs", "use crate::*;", 1),
        ("unknown module", "crypto/mod.rs", "use crate::utils::helper;", 1),
        ("comment", "crypto/mod.rs", "/// See [`x`](crate::gate::Gate).\n// use crate::gate;", 0),
        ("string", "crypto/mod.rs", "const S: &str = \"crate::gate\";", 0),
        (
            "tests",
            "crypto/mod.rs",
            "#[cfg(test)]\nmod tests {\n fn f() { if x { '}'; crate::gate::f() } }\n}",
            0,
        ),
        ("after tests", "id.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::gate::Gate;", 1),
        ("test file", "crypto/tests.rs", "use crate::gate::Gate;", 0),
        ("visibility", "crypto/mod.rs", "pub(in crate::crypto) fn f() {} pub(crate) fn g() {}", 0),
        ("macro", "crypto/mod.rs", "macro_rules! m { () => { $crate::gate::f() } }", 1),
    ] {
        let found = upward_imports(file, text);
        assert_eq!(found.len(), want, "{name}: {found:?}");
        assert!(found.iter().all(|complaint| complaint.starts_with(&format!("src/{file}:"))), "{name}");
    }
    let line = upward_imports("id.rs", "\n\nuse crate::{\n    gate::Gate,\n};");
    assert_eq!(line, ["src/id.rs:3: `id` (floor 0) must not import `gate::Gate` (floor 3)"]);
}

/// Every file below `src/`, by its path in there.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 20, "the walk found only {} files", found.len());
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        (name, std::fs::read_to_string(&path).unwrap())
    };
    found.into_iter().map(read).collect()
}

fn upward_imports(file: &str, text: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap();
    let mut module: Vec<&str> = stem.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    if module == ["lib"] || module.last() == Some(&"tests") {
        return Vec::new();
    }
    let here = module.join("::");
    let Some(floor) = floor_of(&here) else {
        return vec![format!("src/{file}:1: `{here}` has no floor; give it a row")];
    };
    let code = without_tests(&without_comments_and_strings(text));
    let complaint = |(line, target): (usize, String)| {
        let head = format!("src/{file}:{line}: `{here}` (floor {floor}) must not import `{target}`");
        match floor_of(&target) {
            Some(other) if allowed(&here, floor, &target, other) => None,
            Some(other) => Some(format!("{head} (floor {other})")),
            None => Some(format!("{head}, which has no floor")),
        }
    };
    let found: BTreeSet<_> = imports(&code, &module).into_iter().collect();
    found.into_iter().filter_map(complaint).collect()
}

fn allowed(here: &str, floor: u8, target: &str, other: u8) -> bool {
    let (from, to) = (module_of(here), module_of(target));
    let listed =
        |&(who, whom): &(&str, &str)| (who == "*" || is_below(here, who)) && (whom == "*" || whom == to);

    other < floor
        || (other == floor && (from == to || floor == 0))
        || (other == floor && SIDEWAYS.iter().any(listed))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"))
}

/// The top-level module of a path; a name at the root counts as its module's.
fn module_of(path: &str) -> &str {
    let first = first(path);
    ROOT_NAMES.iter().find(|(name, _)| *name == first).map_or(first, |(_, module)| module)
}

fn first(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn floor_of(path: &str) -> Option<u8> {
    let root_name = ROOT_NAMES.iter().any(|(name, _)| *name == first(path));
    let path = if root_name { module_of(path) } else { path };
    let is_layer =
        path.split("::").skip(1).any(|part| LAYER_FILES.contains(&part) || part.ends_with("Layer"));
    let row =
        FLOORS.iter().filter(|(prefix, _)| is_below(path, prefix)).max_by_key(|(prefix, _)| prefix.len())?;
    Some(if is_layer { row.1.max(3) } else { row.1 })
}

/// Every path that starts at the crate's root, with its line; `super` is resolved.
fn imports(code: &str, module: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for keyword in ["crate::", "super::"] {
        for (at, _) in code.match_indices(keyword) {
            let before = code[..at].trim_end();
            let inside_a_path = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if inside_a_path || before.ends_with("(in") {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut rest = &code[at..];
            let mut base: Vec<&str> = Vec::new();
            if keyword == "super::" {
                let ups = std::iter::from_fn(|| rest.strip_prefix("super::").map(|left| rest = left)).count();
                base = module[..module.len().saturating_sub(ups)].to_vec();
            } else {
                rest = &rest[keyword.len()..];
            }
            let mut paths = Vec::new();
            use_tree(rest, &base.join("::"), &mut paths);
            found.extend(paths.into_iter().map(|path| (line, path)));
        }
    }
    found
}

/// Flattens `a::{b, c::{d, e}}`; returns what is left of the text.
fn use_tree<'a>(mut text: &'a str, base: &str, found: &mut Vec<String>) -> &'a str {
    let mut path = base.to_owned();
    loop {
        text = text.trim_start();
        if let Some(inner) = text.strip_prefix('{') {
            text = inner.trim_start();
            while !text.is_empty() && !text.starts_with('}') {
                let left = use_tree(text, &path, found);
                // Whatever stands between here and the next comma - `as x`, a stray mark - is of no interest.
                let next = left.find([',', '}']).unwrap_or(left.len());
                text = left[next..].trim_start_matches(',').trim_start();
            }
            return text.strip_prefix('}').unwrap_or(text);
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
        let name = &text[..end];
        if name != "self" {
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(name);
        }
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(left) if !left.starts_with('<') => text = left,
            _ => {
                found.push(path);
                return text;
            }
        }
    }
}

/// Blanks comments and literals, keeping the lines.
fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    while at < chars.len() {
        let from = at;
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            at += 2;
            while at < chars.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if chars[at] == 'r'
            && (starts(at + 1, "\"") || starts(at + 1, "#\"") || starts(at + 1, "##\""))
        {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            let close = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < chars.len() && !starts(at, &close) {
                at += 1;
            }
            at += close.len();
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if starts(at, "'\\") || (chars[at] == '\'' && chars.get(at + 2) == Some(&'\'')) {
            at += if starts(at, "'\\") { 3 } else { 2 };
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        let blanked = &chars[from..at.min(chars.len())];
        out.extend(blanked.iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
    }
    out
}

/// Blanks each item behind `#[cfg(test)]`, keeping the lines.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut depth = 0_usize;
        let mut end = rest.len();
        for (i, c) in rest.char_indices().skip(MARK.len()) {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(c, '}' | ';') {
                end = i + 1;
                break;
            }
        }
        out.extend(rest[..end].chars().filter(|&c| c == '\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
