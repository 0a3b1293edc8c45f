//! What stands in a source list, and what must not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::directive::{Directive, Takes};

/// One value of a directive: a keyword of its own, or text that [`Csp::build`](super::Csp::build) checks.
///
/// ```
/// use portcullis::headers::{Csp, Directive, Source};
///
/// let csp = Csp::new()
///     .add(Directive::DefaultSrc, [Source::this_origin()])
///     .add(Directive::ImgSrc, ["'self'", "https://img.example", "data:"]);
/// assert_eq!(csp.build()?.to_string(), "default-src 'self'; img-src 'self' https://img.example data:");
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(Repr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Repr {
    Nonce,
    Text(String),
}

impl Source {
    /// `'none'`: nothing. It stands alone.
    #[must_use]
    pub fn none() -> Self {
        "'none'".into()
    }

    /// `'self'`: the origin of the page.
    #[must_use]
    pub fn this_origin() -> Self {
        "'self'".into()
    }

    /// The nonce of the request: elements that carry it are let in. A fresh one for every request.
    #[must_use]
    pub fn nonce() -> Self {
        Self(Repr::Nonce)
    }

    /// `'strict-dynamic'`: what a trusted script loads is trusted, and hosts in the list no longer count.
    #[must_use]
    pub fn strict_dynamic() -> Self {
        "'strict-dynamic'".into()
    }

    /// The inline script or style with this SHA-256 digest of its text.
    #[must_use]
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self(Repr::Text(format!("'sha256-{}'", STANDARD.encode(digest))))
    }
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.to_owned()))
    }
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        Self(Repr::Text(text))
    }
}

/// What weakens a policy, in [`Csp::danger_allow`](super::Csp::danger_allow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsafe {
    /// `'unsafe-inline'`: an injected script runs. Browsers pass over it beside a nonce or hash.
    Inline,
    /// `'unsafe-eval'`: text becomes code.
    Eval,
    /// `'wasm-unsafe-eval'`: bytes become WebAssembly.
    WasmEval,
    /// `'unsafe-hashes'`: hashes hold for event handlers and styles in attributes.
    Hashes,
    /// `data:`: whoever can write an address writes the code.
    Data,
    /// `blob:`: objects that scripts made.
    Blob,
    /// `https:`: any host.
    Https,
    /// `*`: any host over any channel.
    Anywhere,
}

impl Unsafe {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "'unsafe-inline'",
            Self::Eval => "'unsafe-eval'",
            Self::WasmEval => "'wasm-unsafe-eval'",
            Self::Hashes => "'unsafe-hashes'",
            Self::Data => "data:",
            Self::Blob => "blob:",
            Self::Https => "https:",
            Self::Anywhere => "*",
        }
    }
}

/// A checked value: text, or the place of the nonce.
#[derive(Debug)]
pub(super) enum Part {
    Nonce,
    Text(String),
}

/// What is wrong with a value, and what to write instead.
pub(super) struct Flaw {
    pub(super) problem: String,
    pub(super) cure: &'static str,
}

impl Flaw {
    pub(super) fn new(problem: impl Into<String>, cure: &'static str) -> Self {
        Self { problem: problem.into(), cure }
    }
}

const KEYWORDS: &[&str] = &["'none'", "'self'", "'strict-dynamic'", "'report-sample'"];
const UNSAFE: &[&str] = &["'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'", "'unsafe-hashes'"];
const SANDBOX: &[&str] = &[
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];

/// Checks one value of a directive.
pub(super) fn check(directive: Directive, source: &Source) -> Result<Part, Flaw> {
    let text = match &source.0 {
        Repr::Nonce if directive.takes_nonce() => return Ok(Part::Nonce),
        Repr::Nonce => {
            return Err(Flaw::new("a nonce means nothing here", "put it into `script-src` or `style-src`"));
        }
        Repr::Text(text) => text.as_str(),
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',') {
        return Err(Flaw::new(
            format!(
                "`{}` is empty or has white space, `;`, `,` or other than visible ASCII in it",
                text.escape_debug()
            ),
            "give values one by one, hosts in punycode, other characters percent-encoded",
        ));
    }
    let checked = match directive.takes() {
        Takes::Sources | Takes::Code => source_expression(directive, text),
        Takes::Ancestors => match text {
            "'none'" | "'self'" => Ok(()),
            _ if text.starts_with('\'') => Err(Flaw::new(
                format!("`{text}` means nothing here"),
                "use `'none'`, `'self'`, a scheme or a host",
            )),
            _ => source_expression(directive, text),
        },
        Takes::Sandbox if SANDBOX.contains(&text) => Ok(()),
        Takes::Sandbox => {
            Err(Flaw::new(format!("`{text}` is nothing a sandbox allows"), "use `allow-forms` and the like"))
        }
        Takes::Endpoint if is_key(text) => Ok(()),
        Takes::Endpoint => Err(Flaw::new(
            format!("`{text}` is no name of an endpoint"),
            "use lower case letters, digits, `_` and `-`",
        )),
        Takes::Uris if text.starts_with('/') || text.starts_with("https://") => Ok(()),
        Takes::Uris => Err(Flaw::new(
            format!("`{text}` is not an address to report to"),
            "use a path or an `https://` address",
        )),
        Takes::Sinks if text == "'script'" => Ok(()),
        Takes::Sinks => Err(Flaw::new(format!("`{text}` is no sink"), "write `'script'`, with its quotes")),
        Takes::Policies => trusted_types(text),
        Takes::Nothing => Err(Flaw::new(format!("takes no value, and has `{text}`"), "use `add_flag`")),
    };
    checked.map(|()| Part::Text(text.to_owned()))
}

/// A key of a structured field (RFC 9651 section 3.1.2).
pub(crate) fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '*')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b))
}

fn trusted_types(text: &str) -> Result<(), Flaw> {
    match text {
        "*" | "'none'" | "'allow-duplicates'" => Ok(()),
        "none" | "allow-duplicates" => {
            Err(Flaw::new(format!("`{text}` is a keyword without its quotes"), "write it in single quotes"))
        }
        _ if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&b)) => Ok(()),
        _ => Err(Flaw::new(format!("`{text}` is no name of a policy"), "use letters, digits and `-#=_/@.%`")),
    }
}

fn source_expression(directive: Directive, text: &str) -> Result<(), Flaw> {
    let lower = text.to_ascii_lowercase();
    let quoted = format!("'{lower}'");
    if KEYWORDS.contains(&lower.as_str()) {
        let is_dynamic = lower == "'strict-dynamic'";
        return if is_dynamic && !(directive.takes_nonce() && directive.takes() == Takes::Code) {
            Err(Flaw::new("`'strict-dynamic'` means nothing here", "put it into `script-src`"))
        } else {
            Ok(())
        };
    }
    if UNSAFE.contains(&lower.as_str()) {
        return Err(Flaw::new(
            format!("`{text}` weakens the policy"),
            "use a nonce or a hash, or `danger_allow`",
        ));
    }
    if KEYWORDS.contains(&quoted.as_str()) || UNSAFE.contains(&quoted.as_str()) {
        return Err(Flaw::new(
            format!("`{text}` is a keyword without its quotes"),
            "write it in single quotes",
        ));
    }
    let bare = lower.trim_matches('\'');
    if bare.starts_with("nonce-") {
        return Err(Flaw::new("a nonce that is always the same protects nobody", "use `Source::nonce`"));
    }
    if ["sha256-", "sha384-", "sha512-"].iter().any(|name| bare.starts_with(name)) {
        return hash(directive, text);
    }
    if text.contains('\'') {
        return Err(Flaw::new(format!("`{text}` is no keyword"), "see the list of sources in CSP Level 3"));
    }
    let is_wide = lower == "*" || lower.ends_with(':') || lower.contains("//*") || lower == "*.*";
    if directive.takes() == Takes::Code && is_wide {
        return Err(Flaw::new(
            format!("`{text}` lets code in from anywhere"),
            "name the hosts, or use `danger_allow`",
        ));
    }
    match text.strip_suffix(':') {
        Some(scheme) => self::scheme(scheme),
        None if text == "*" => Ok(()),
        None => host_source(text),
    }
}

fn hash(directive: Directive, text: &str) -> Result<(), Flaw> {
    let flaw = || {
        Flaw::new(format!("`{text}` is no digest"), "write `'sha256-<digest in base64>'`, with the quotes")
    };
    if !directive.takes_nonce() && !matches!(directive, Directive::ScriptSrcAttr | Directive::StyleSrcAttr) {
        return Err(Flaw::new("a hash means nothing here", "put it into `script-src` or `style-src`"));
    }
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).ok_or_else(flaw)?;
    let (name, digest) = inner.split_once('-').ok_or_else(flaw)?;
    let length = match name.to_ascii_lowercase().as_str() {
        "sha256" => 32,
        "sha384" => 48,
        "sha512" => 64,
        _ => return Err(flaw()),
    };
    let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(digest).ok())
        .ok_or_else(flaw)?;
    if decoded.len() == length { Ok(()) } else { Err(flaw()) }
}

fn scheme(text: &str) -> Result<(), Flaw> {
    let is_scheme = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    match text.to_ascii_lowercase().as_str() {
        "javascript" | "vbscript" => {
            Err(Flaw::new(format!("`{text}:` is code in an address"), "leave it out"))
        }
        // `localhost:` has lost its port.
        _ if !is_scheme || text == "localhost" => {
            Err(Flaw::new(format!("`{text}:` is no scheme"), "write `https:` or the like"))
        }
        _ => Ok(()),
    }
}

/// `host-source` of CSP Level 3 section 2.3.1: `[scheme://]host[:port][/path]`.
fn host_source(text: &str) -> Result<(), Flaw> {
    let flaw = || {
        Flaw::new(
            format!("`{text}` is no host"),
            "write `https://name.example`, `*.name.example` or `name.example:8443`",
        )
    };
    let rest = match text.split_once("://") {
        Some((before, rest)) => {
            scheme(before)?;
            rest
        }
        None => text,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.contains(['?', '#']) {
        return Err(Flaw::new(
            format!("`{text}` has a query or fragment, which is never compared"),
            "leave it out",
        ));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let has_port = port.is_none_or(|port| port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0));
    let named = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_host = host == "*" || (named.len() <= 253 && named.split('.').all(is_label));
    if is_host && has_port { Ok(()) } else { Err(flaw()) }
}
