//! What Mozilla's HTTP Observatory would say: its published rules, as far as they are about headers.
//!
//! Source: "HTTP Observatory Scoring Methodology" (Mozilla Developer Network) and the analyzer that goes with it. A scan
//! starts at 100; penalties are taken off, and if 90 are left, bonuses are added. 100 and more is A+. Cookies and
//! scripts (Subresource Integrity) are taken as absent, a redirect from HTTP as present, the domain as not preloaded;
//! none of them changes the score. (Newer editions give more for a policy on resources; the older score is the lower.)

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderValue, Request, Response};
use portcullis::headers::{Csp, Directive, SecurityHeaders, SecurityHeadersBuilder, Unsafe};

/// The score of an answer over TLS.
fn score(headers: &HeaderMap) -> i32 {
    let modifiers = [
        csp(headers),
        cors(headers),
        hsts(headers),
        referrer(headers),
        sniffing(headers),
        framing(headers),
        corp(headers),
    ];
    let score = 100 + modifiers.iter().filter(|modifier| **modifier < 0).sum::<i32>();
    let bonus: i32 = modifiers.iter().filter(|modifier| **modifier > 0).sum();
    if score >= 90 { score + bonus } else { score.max(0) }
}

fn grade(score: i32) -> &'static str {
    match score {
        100.. => "A+",
        90.. => "A",
        85.. => "A-",
        80.. => "B+",
        70.. => "B",
        65.. => "B-",
        60.. => "C+",
        50.. => "C",
        45.. => "C-",
        40.. => "D+",
        30.. => "D",
        25.. => "D-",
        _ => "F",
    }
}

type Directives = BTreeMap<String, BTreeSet<String>>;

const BROAD: [&str; 8] =
    ["ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"];

/// The policy; `None` for one that can't be read.
fn policy(headers: &HeaderMap) -> Option<Directives> {
    let mut directives = Directives::new();
    for value in headers.get_all("content-security-policy") {
        for part in value.to_str().ok()?.split([';', ',']) {
            let mut words = part.split_ascii_whitespace();
            let Some(name) = words.next() else { continue };
            let sources: BTreeSet<_> = words.map(ToOwned::to_owned).collect();
            if directives.insert(name.to_ascii_lowercase(), sources).is_some() {
                return None;
            }
        }
    }
    Some(directives)
}

fn csp(headers: &HeaderMap) -> i32 {
    let Some(policy) = policy(headers) else { return -25 };
    if policy.is_empty() {
        return -25;
    }
    let everything = BTreeSet::from(["*".to_owned()]);
    let sources =
        |name: &str| policy.get(name).or_else(|| policy.get("default-src")).unwrap_or(&everything).clone();
    let (mut script, mut style, object) =
        (sources("script-src"), sources("style-src"), sources("object-src"));
    let has_nonce = |list: &BTreeSet<String>| {
        list.iter().any(|source| {
            ["'nonce-", "'sha256-", "'sha384-", "'sha512-"].iter().any(|s| source.starts_with(s))
        })
    };
    for list in [&mut script, &mut style] {
        if has_nonce(list) {
            list.remove("'unsafe-inline'");
        }
    }
    if script.contains("'strict-dynamic'") {
        if !has_nonce(&script) {
            return -25;
        }
        script.retain(|source| source != "'self'" && !BROAD.iter().any(|broad| source.starts_with(broad)));
    }
    let is_broad = |source: &String| BROAD.contains(&source.as_str());
    let is_inline = |source: &String| source == "'unsafe-inline'" || source == "data:";
    let is_insecure = |source: &String| source.starts_with("http:") || source.starts_with("ftp:");
    let passive = |name: &str| ["img-src", "media-src"].contains(&name);
    let mut active = policy
        .iter()
        .filter(|(name, _)| !passive(name) && *name != "script-src")
        .flat_map(|(_, list)| list)
        .chain(&script);
    let from_anywhere =
        script.iter().any(|source| is_broad(source) || is_inline(source)) || object.iter().any(is_broad);
    let has_eval = script.contains("'unsafe-eval'") || style.contains("'unsafe-eval'");
    let insecure_pictures = || sources("img-src").iter().chain(&sources("media-src")).any(is_insecure);
    if from_anywhere || active.any(is_insecure) {
        -20
    } else if has_eval || insecure_pictures() {
        -10
    } else if style.iter().any(|source| is_broad(source) || is_inline(source)) {
        0
    } else if policy.get("default-src") == Some(&BTreeSet::from(["'none'".to_owned()])) {
        10
    } else {
        5
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable").trim())
}

fn cors(headers: &HeaderMap) -> i32 {
    let is_open = text(headers, "access-control-allow-origin") == Some("*")
        && text(headers, "access-control-allow-credentials") == Some("true");
    if is_open { -50 } else { 0 }
}

fn hsts(headers: &HeaderMap) -> i32 {
    let Some(value) = text(headers, "strict-transport-security") else { return -20 };
    let max_age = value.split(';').find_map(|part| part.trim().strip_prefix("max-age="));
    match max_age.and_then(|secs| secs.parse::<u64>().ok()) {
        None => -20,
        Some(0..15_768_000) => -10,
        Some(_) => 0,
    }
}

fn referrer(headers: &HeaderMap) -> i32 {
    match text(headers, "referrer-policy") {
        Some("no-referrer" | "same-origin" | "strict-origin" | "strict-origin-when-cross-origin") => 5,
        Some("no-referrer-when-downgrade") | None => 0,
        Some(_) => -5,
    }
}

fn sniffing(headers: &HeaderMap) -> i32 {
    if text(headers, "x-content-type-options") == Some("nosniff") { 0 } else { -5 }
}

fn framing(headers: &HeaderMap) -> i32 {
    let policy = policy(headers).unwrap_or_default();
    let by_policy =
        policy.get("frame-ancestors").is_some_and(|list| !list.iter().any(|s| BROAD.contains(&s.as_str())));
    match text(headers, "x-frame-options") {
        _ if by_policy => 5,
        Some("DENY" | "SAMEORIGIN") => 0,
        _ => -20,
    }
}

fn corp(headers: &HeaderMap) -> i32 {
    match text(headers, "cross-origin-resource-policy") {
        None | Some("same-origin" | "same-site") => 0,
        Some(_) => -20,
    }
}

fn answer(headers: &SecurityHeadersBuilder, secure: bool) -> HeaderMap {
    let headers = headers.build().unwrap();
    let (mut parts, ()) = Request::new(()).into_parts();
    let prepared = headers.prepare(&mut parts, secure);
    let mut response = Response::new(());
    headers.apply(&prepared, &mut response);
    response.headers().clone()
}

#[test]
fn the_presets_are_graded_a_plus() {
    let html = score(&answer(&SecurityHeaders::html(), true));
    assert_eq!((html, grade(html)), (115, "A+"));
    let api = score(&answer(&SecurityHeaders::api(), true));
    assert_eq!((api, grade(api)), (120, "A+"));
}

/// The grading bites: what is taken away or weakened costs what the rules say.
#[test]
fn what_is_missing_is_graded_lower() {
    let html = SecurityHeaders::html;
    for (name, headers, secure, want) in [
        ("no HSTS", html().without_hsts(), true, (80, "B+")),
        ("plain HTTP", html(), false, (80, "B+")),
        ("no policy, but X-Frame-Options", html().without_csp(), true, (75, "B")),
        (
            "no policy for frames",
            html().with_csp(Csp::html().without(Directive::FrameAncestors)),
            true,
            (110, "A+"),
        ),
        ("embedded by anybody", html().without_csp().without_frame_options(), true, (55, "C")),
        (
            "inline scripts",
            html().with_csp(Csp::new().danger_allow(Directive::DefaultSrc, Unsafe::Inline)),
            true,
            (80, "B+"),
        ),
        (
            "eval",
            html().with_csp(Csp::html().danger_allow(Directive::ScriptSrc, Unsafe::Eval)),
            true,
            (100, "A+"),
        ),
        (
            "pictures over plain HTTP",
            html().with_csp(Csp::html().with(Directive::ImgSrc, ["http:"])),
            true,
            (100, "A+"),
        ),
        ("sniffing", html().without_content_type_options(), true, (110, "A+")),
        ("no referrer policy", html().without_referrer_policy(), true, (110, "A+")),
    ] {
        let score = score(&answer(&headers, secure));
        assert_eq!((score, grade(score)), want, "{name}");
    }
    assert_eq!(grade(score(&HeaderMap::new())), "D");
    let mut twice = answer(&html(), true);
    twice.insert(
        "content-security-policy",
        HeaderValue::from_static("default-src 'none'; default-src 'self'"),
    );
    assert_eq!(csp(&twice), -25);
}
