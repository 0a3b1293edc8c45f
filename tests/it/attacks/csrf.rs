//! Requests that a browser sends because another site's page wants it. Attack log H8.

use http::{HeaderName, HeaderValue, Method, Request, request};
use portcullis::csrf::CrossOrigin::{self, Null, Origin, Site, Unknown};
use portcullis::csrf::{OriginLayer, OriginRule, OriginRuleBuilder};
use portcullis::rejection::RejectionCode;
use portcullis::render::GrpcStatus;
use portcullis::time::{Clock, SystemClock};
use portcullis::{RequestContext, RequestId};
use proptest::prelude::*;
use tower::Layer;

use crate::layers::{Inner, send};

type Headers = &'static [(&'static str, &'static str)];

fn parts(method: &str, uri: &str, headers: Headers) -> request::Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

fn rule() -> OriginRule {
    OriginRule::builder()
        .with_public_origin("https://example.com")
        .allow_origin("https://trusted.example")
        .add_credential_header(HeaderName::from_static("x-api-key"))
        .build()
        .unwrap()
}

const TRUSTED: (&str, &str) = ("origin", "https://trusted.example");
const EVIL: (&str, &str) = ("origin", "https://attacker.example");
const OWN: (&str, &str) = ("origin", "https://example.com");
const COOKIE: (&str, &str) = ("cookie", "sid=1");
const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");

// ASVS 3.5.1
#[test]
fn the_rule() {
    let rule = rule();
    let rows: &[(&str, Headers, Result<(), CrossOrigin>)] = &[
        ("nothing at all", &[], Ok(())),
        ("only a cookie", &[COOKIE], Err(Unknown)),
        // Sec-Fetch-Site decides where it is there.
        ("same origin", &[("sec-fetch-site", "same-origin"), COOKIE], Ok(())),
        ("the user", &[("sec-fetch-site", "none"), COOKIE], Ok(())),
        ("same site", &[("sec-fetch-site", "same-site")], Err(Site)),
        ("cross site", &[CROSS], Err(Site)),
        ("cross site, own origin", &[CROSS, OWN], Err(Site)),
        ("same origin, no-referrer", &[("sec-fetch-site", "same-origin"), ("origin", "null")], Ok(())),
        ("cross site, null", &[CROSS, ("origin", "null")], Err(Site)),
        ("cross site, trusted", &[CROSS, TRUSTED, COOKIE], Ok(())),
        ("same site, trusted", &[("sec-fetch-site", "same-site"), TRUSTED], Ok(())),
        ("cross site, attacker", &[CROSS, EVIL], Err(Site)),
        ("cross site, two origins", &[CROSS, TRUSTED, EVIL], Err(Site)),
        ("unknown word", &[("sec-fetch-site", "same-planet")], Err(Site)),
        ("upper case", &[("sec-fetch-site", "Same-Origin")], Err(Site)),
        ("two words", &[("sec-fetch-site", "same-origin, none")], Err(Site)),
        ("twice", &[("sec-fetch-site", "same-origin"), CROSS], Err(Site)),
        ("twice the same", &[("sec-fetch-site", "none"), ("sec-fetch-site", "none")], Err(Site)),
        // Origin decides where it isn't.
        ("own", &[OWN, COOKIE], Ok(())),
        ("trusted", &[TRUSTED, COOKIE], Ok(())),
        ("attacker", &[EVIL], Err(Origin)),
        ("null", &[("origin", "null")], Err(Null)),
        ("null with a cookie", &[("origin", "null"), COOKIE], Err(Null)),
        ("own, by http", &[("origin", "http://example.com")], Err(Origin)),
        ("own, another port", &[("origin", "https://example.com:8443")], Err(Origin)),
        ("own, as no browser writes it", &[("origin", "https://example.com:443")], Err(Origin)),
        ("suffix", &[("origin", "https://example.com.attacker.example")], Err(Origin)),
        ("two origins", &[OWN, EVIL], Err(Origin)),
        ("own twice", &[OWN, OWN], Err(Origin)),
        // With a public origin, what the request is addressed to proves nothing.
        ("Host", &[("host", "attacker.example"), EVIL], Err(Origin)),
        // Credentials that a page must have put there itself.
        ("bearer", &[("authorization", "Bearer t"), CROSS, EVIL, COOKIE], Ok(())),
        ("bearer, null", &[("authorization", "bearer t"), ("origin", "null")], Ok(())),
        ("API key", &[("x-api-key", "k"), CROSS, EVIL], Ok(())),
        ("another header", &[("x-requested-with", "k"), CROSS, EVIL], Err(Site)),
        // Credentials that browsers remember and send by themselves.
        ("basic", &[("authorization", "Basic dTpw"), CROSS], Err(Site)),
        ("basic, other case", &[("authorization", "bASIC dTpw"), EVIL], Err(Origin)),
        ("digest", &[("authorization", "Digest username=a"), CROSS], Err(Site)),
        ("negotiate", &[("authorization", "Negotiate YII="), CROSS], Err(Site)),
        ("ntlm", &[("authorization", "NTLM TlR="), CROSS], Err(Site)),
        (
            "basic beside bearer",
            &[("authorization", "Bearer t"), ("authorization", "Basic d"), CROSS],
            Err(Site),
        ),
        ("basic from a program", &[("authorization", "Basic dTpw")], Ok(())),
    ];
    for (name, headers, want) in rows {
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PURGE", "get"] {
            assert_eq!(rule.decide(&parts(method, "/", headers)), *want, "{name}, {method}");
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert_eq!(rule.decide(&parts(method, "/", headers)), Ok(()), "{name}, {method}");
        }
    }
}

/// Rows of the tests of Go's `http.CrossOriginProtection` and of tower-http's `csrf`, whose service is `example.com` by
/// `Host` and trusts `https://trusted.example`. `theirs` is what they answer; where ours differs, a reason stands beside it.
#[test]
fn as_go_and_tower_http_decide() {
    let rule = OriginRule::builder().allow_origin("https://trusted.example").build().unwrap();
    let (ok, refused) = (true, false);
    // By Sec-Fetch-Site and Origin; `Host: example.com`.
    for (name, method, site, origin, theirs, why_not) in [
        ("same-origin allowed", "POST", Some("same-origin"), None, ok, None),
        ("none allowed", "POST", Some("none"), None, ok, None),
        ("cross-site blocked", "POST", Some("cross-site"), None, refused, None),
        ("same-site blocked", "POST", Some("same-site"), None, refused, None),
        ("no header with no origin", "POST", None, None, ok, None),
        ("no header with matching origin", "POST", None, Some("https://example.com"), ok, None),
        ("no header with mismatched origin", "POST", None, Some("https://attacker.example"), refused, None),
        ("no header with null origin", "POST", None, Some("null"), refused, None),
        ("GET allowed", "GET", Some("cross-site"), None, ok, None),
        ("HEAD allowed", "HEAD", Some("cross-site"), None, ok, None),
        ("OPTIONS allowed", "OPTIONS", Some("cross-site"), None, ok, None),
        ("PUT blocked", "PUT", Some("cross-site"), None, refused, None),
        ("undecodable origin", "POST", None, Some("\u{ff}\u{fe}"), refused, None),
        ("undecodable sec-fetch-site", "POST", Some("\u{ff}\u{fe}"), None, refused, None),
        ("empty sec-fetch-site", "POST", Some(""), None, ok, Some("no browser sends it empty")),
        ("empty origin", "POST", None, Some(""), ok, Some("no browser sends it empty")),
        ("trusted origin without sec-fetch-site", "POST", None, Some("https://trusted.example"), ok, None),
        (
            "trusted origin with cross-site",
            "POST",
            Some("cross-site"),
            Some("https://trusted.example"),
            ok,
            None,
        ),
        ("untrusted without sec-fetch-site", "POST", None, Some("https://attacker.example"), refused, None),
        (
            "untrusted with cross-site",
            "POST",
            Some("cross-site"),
            Some("https://attacker.example"),
            refused,
            None,
        ),
    ] {
        let mut request = Request::builder().method(method).uri("/").header("host", "example.com");
        for (header, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(header, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        let got = rule.decide(&request.body(()).unwrap().into_parts().0).is_ok();
        assert_eq!(got != theirs, why_not.is_some(), "{name}: {why_not:?}");
    }
    // By what the request is addressed to; no Sec-Fetch-Site.
    let full = "https://example.com/path";
    let no_browser = Some("a browser leaves the usual port out of Origin, so nothing else is one");
    let same = Some("the usual port, written or not, is the same origin; proxies add it to Host");
    for (name, uri, host, origin, theirs, why_not) in [
        ("default port", "/", Some("example.com"), "https://example.com", ok, None),
        ("same other port", "/", Some("example.com:8443"), "https://example.com:8443", ok, None),
        ("explicit default port", "/", Some("example.com:443"), "https://example.com:443", ok, no_browser),
        ("mismatched ports", "/", Some("example.com:8443"), "https://example.com:8444", refused, None),
        (
            "origin explicit, host implicit",
            "/",
            Some("example.com"),
            "https://example.com:443",
            refused,
            None,
        ),
        (
            "host explicit, origin implicit",
            "/",
            Some("example.com:443"),
            "https://example.com",
            refused,
            same,
        ),
        ("host implicit, origin other", "/", Some("example.com"), "https://example.com:8443", refused, None),
        ("no host, uri implicit, origin other", full, None, "https://example.com:8443", refused, None),
        ("malformed host", "/path", Some("not a valid authority"), "https://example.com", refused, None),
        ("target wins over host", full, Some("other.example"), "https://example.com", ok, None),
        ("host matches, target doesn't", full, Some("other.example"), "https://other.example", refused, None),
        ("no host, target matches", full, None, "https://example.com", ok, None),
        ("no host, target doesn't", "https://other.example/path", None, "https://example.com", refused, None),
        ("no host, no target", "/path", None, "https://example.com", refused, None),
        ("origin without scheme", "/", Some("example.com:8443"), "example.com:8443", refused, None),
        ("origin of another scheme", "/", Some("example.com:8443"), "ftp://example.com:8443", refused, None),
    ] {
        let mut request = Request::post(uri).header("origin", origin);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let got = rule.decide(&request.body(()).unwrap().into_parts().0).is_ok();
        assert_eq!(got != theirs, why_not.is_some(), "{name}: {why_not:?}");
    }
    // What can be trusted.
    for (name, origin, theirs) in [
        ("valid", "https://example.com", ok),
        ("with port", "https://example.com:8080", ok),
        ("http", "http://example.com", ok),
        ("missing scheme", "example.com", refused),
        ("missing host", "https://", refused),
        ("trailing slash", "https://example.com/", refused),
        ("path", "https://example.com/path", refused),
        ("query", "https://example.com?query=value", refused),
        ("fragment", "https://example.com#fragment", refused),
        ("space", "https://ex ample.com", refused),
        ("empty", "", refused),
        ("null", "null", refused),
        ("file", "file://host/path", refused),
        ("mail", "mailto:x@y.example", refused),
    ] {
        // They take `http` as it is; here it has to be said.
        let builder = || OriginRule::builder().allow_origin(origin);
        assert_eq!(builder().danger_allow_insecure_origins().build().is_ok(), theirs, "{name}");
        assert_eq!(builder().build().is_ok(), theirs && !origin.starts_with("http:"), "{name}");
    }
}

/// Behind TLS, a page of our own name that came without TLS may be anybody's.
#[test]
fn a_service_behind_tls_does_not_trust_its_name_without() {
    let rule = OriginRule::builder().build().unwrap();
    for (name, secure, origin, want) in [
        ("https page", Some(true), "https://example.com", Ok(())),
        ("http page", Some(true), "http://example.com", Err(Origin)),
        ("not known to be secure", Some(false), "http://example.com", Ok(())),
        ("TLS ended in front of us", Some(false), "https://example.com", Ok(())),
        ("no context", None, "http://example.com", Ok(())),
    ] {
        let mut request = Request::post("/").header("host", "example.com").header("origin", origin);
        if let Some(secure) = secure {
            let context = RequestContext::new(RequestId::parse("1").unwrap(), SystemClock::new().now());
            request = request.extension(context.with_secure(secure));
        }
        assert_eq!(rule.decide(&request.body(()).unwrap().into_parts().0), want, "{name}");
    }
    let two = Request::post("/").header("host", "example.com").header("host", "evil.example");
    let two = two.header("origin", "https://example.com").body(()).unwrap().into_parts().0;
    assert_eq!(rule.decide(&two), Err(Origin), "two hosts are none");
}

/// There is no cookie yet that could protect a sign-in: a form on another site must not sign its visitor in as the
/// attacker.
#[tokio::test]
async fn another_site_cannot_sign_its_visitors_in() {
    let inner = Inner::default();
    let service = OriginLayer::new(rule()).layer(inner.clone());
    let form = |headers: &[(&str, &str)]| {
        let mut request =
            Request::post("/sign-in").header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    };
    for (name, headers) in [
        ("a form", &[CROSS, EVIL][..]),
        ("a form without an origin", &[CROSS]),
        ("a form of a sandboxed frame", &[CROSS, ("origin", "null")]),
        ("a form of a sibling", &[("sec-fetch-site", "same-site"), ("origin", "https://blog.example.com")]),
        ("a form, old browser", &[EVIL]),
        ("a form of a sandboxed frame, old browser", &[("origin", "null")]),
    ] {
        let answer = send(&service, form(headers)).await;
        assert_eq!(answer.status, 403, "{name}");
        assert_eq!(answer.code, Some(RejectionCode::CrossOrigin), "{name}");
        assert!(answer.body.contains("\"code\":\"cross_origin\""), "{name}: {}", answer.body);
    }
    assert_eq!(inner.calls(), 0);
    for headers in [&[("sec-fetch-site", "same-origin"), OWN][..], &[OWN], &[]] {
        assert_eq!(send(&service, form(headers)).await.status, 200, "{headers:?}");
    }
    let grpc = OriginLayer::new(rule()).with_renderer(GrpcStatus).layer(inner);
    assert_eq!(send(&grpc, form(&[CROSS])).await.headers["grpc-status"], "7");
}

#[test]
fn a_rule_that_would_trust_too_much_is_not_built() {
    let header = |name: &'static str| {
        OriginRule::builder().add_credential_header(HeaderName::from_static(name)).build().is_ok()
    };
    for name in ["x-api-key", "x-auth-token", "api-key"] {
        assert!(header(name), "{name}");
    }
    for name in [
        "authorization",
        "cookie",
        "content-type",
        "accept",
        "accept-language",
        "range",
        "referer",
        "user-agent",
        "origin",
        "host",
        "sec-fetch-site",
        "sec-ch-ua",
        "proxy-authorization",
        "if-none-match",
        "x-forwarded-for",
    ] {
        assert!(!header(name), "{name}");
    }
    let refused = |builder: OriginRuleBuilder| builder.build().unwrap_err().to_string();
    let twice = OriginRule::builder().allow_origin("https://a.example").allow_origin("https://A.example");
    assert!(refused(twice).contains("twice"));
    assert!(refused(OriginRule::builder().allow_origin("http://a.example")).contains("anybody on the way"));
    // Development: a service may be at `http` itself.
    assert!(OriginRule::builder().with_public_origin("http://127.0.0.1:8012").build().is_ok());
}

proptest! {
    /// No request that names an attacker, by either header, changes anything without an explicit credential.
    #[test]
    fn an_attacker_never_passes(
        method in prop::sample::select(vec!["POST", "PUT", "DELETE", "X"]),
        site in prop::option::of(prop::sample::select(vec!["cross-site", "same-site", "", "x", "SAME-ORIGIN"])),
        origin in "(https?://)?[a-z.:@/]{0,12}(example\\.com|trusted\\.example)?[a-z.:@/ ]{0,12}",
        host in prop::option::of("[a-z.:@]{0,12}(example\\.com)?"),
    ) {
        prop_assume!(!["https://example.com", "https://trusted.example"].contains(&&*origin));
        let mut request = Request::builder().method(method).uri("/").header("origin", origin);
        for (name, value) in [("sec-fetch-site", site.map(str::to_owned)), ("host", host)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        prop_assert!(rule().decide(&request.body(()).unwrap().into_parts().0).is_err());
    }

    #[test]
    fn no_request_panics(
        headers in prop::collection::vec(
            (
                prop::sample::select(vec!["origin", "host", "sec-fetch-site", "authorization", "cookie"]),
                prop::collection::vec(any::<u8>(), 0..20),
            ),
            0..5,
        ),
    ) {
        let mut request = Request::post("/").body(()).unwrap();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(name, value);
            }
        }
        let parts = request.into_parts().0;
        let _ = (rule().decide(&parts), OriginRule::default().decide(&parts));
        prop_assert_eq!(parts.method, Method::POST);
    }
}
