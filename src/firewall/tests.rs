use std::num::NonZeroUsize;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Uri};

use super::*;

type Opened = fn(FirewallBuilder) -> FirewallBuilder;
/// Method, target, headers.
type Asked<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

pub(super) fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

pub(super) fn at_most(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// Attack log A1, A3, A6, H3: each rule refuses by default, and lets through when it alone is relaxed.
// ASVS 1.1.1, 4.1.4, 15.3.7
#[test]
fn every_rule_refuses_until_it_is_relaxed() {
    use FirewallRule::*;
    let long_path = format!("/{}", "a".repeat(4096));
    let long_query = format!("/?{}", "a".repeat(8193));
    let long_value = "a".repeat(16 * 1024 + 1);
    let long = [("x-a", &*long_value)];
    let many: Vec<_> = (0..101).map(|_| ("x-many", "a")).collect();
    let get = |uri: &'static str| ("GET", uri, &[][..]);
    let rows: Vec<(FirewallRule, Asked<'_>, Option<Opened>)> = vec![
        (HeaderCount, ("GET", "/", &many), Some(|b| b.with_max_headers(at_most(101)))),
        (HeaderLength, ("GET", "/", &long), Some(|b| b.with_max_header_bytes(at_most(20_000)))),
        (
            DuplicateHeader,
            ("GET", "/", &[("authorization", "a"), ("authorization", "a")]),
            Some(|b| b.allow_duplicate_headers()),
        ),
        (
            DuplicateHeader,
            ("GET", "/", &[("authorization", "a"), ("authorization", "b")]),
            Some(|b| b.allow_several(AUTHORIZATION)),
        ),
        (
            DuplicateHeader,
            ("GET", "/", &[("content-length", "1"), ("content-length", "1")]),
            Some(|b| b.allow_duplicate_headers()),
        ),
        (
            DuplicateHeader,
            ("GET", "/", &[("content-type", "a/b"), ("content-type", "c/d")]),
            Some(|b| b.allow_duplicate_headers()),
        ),
        (
            DuplicateHeader,
            ("GET", "/", &[("x-api-key", "a"), ("x-api-key", "b")]),
            Some(|b| b.allow_duplicate_headers()),
        ),
        (
            DuplicateHeader,
            ("GET", "/", &[("origin", "https://a"), ("origin", "https://b")]),
            Some(|b| b.allow_duplicate_headers()),
        ),
        // Of two hosts there is never one to go by.
        (DuplicateHeader, ("GET", "/", &[("host", "a"), ("host", "a")]), None),
        (HeaderTwin, ("GET", "/", &[("x_forwarded_for", "a")]), Some(|b| b.allow_header_twins())),
        (HeaderTwin, ("GET", "/", &[("x-forwarded_user", "a")]), Some(|b| b.allow_header_twins())),
        (HeaderTwin, ("GET", "/", &[("content_length", "1")]), Some(|b| b.allow_header_twins())),
        (HeaderTwin, ("GET", "/", &[("transfer_encoding", "chunked")]), Some(|b| b.allow_header_twins())),
        (HeaderTwin, ("GET", "/", &[("x_middleware_subrequest", "a")]), Some(|b| b.allow_header_twins())),
        (
            HeaderTwin,
            ("GET", "/", &[("x-own-name", "a"), ("x-own_name", "b")]),
            Some(|b| b.allow_header_twins()),
        ),
        (
            HeaderTwin,
            ("GET", "/", &[("x_own-name", "a"), ("x-own_name", "b")]),
            Some(|b| b.allow_header_twins()),
        ),
        (
            LengthAndEncoding,
            ("POST", "/", &[("content-length", "1"), ("transfer-encoding", "chunked")]),
            Some(|b| b.allow_length_and_encoding()),
        ),
        (Method, ("TRACE", "/", &[]), Some(|b| b.add_method(http::Method::TRACE))),
        (Method, ("TRACK", "/", &[]), Some(|b| b.add_method("TRACK".parse().unwrap()))),
        (Method, ("CONNECT", "example.com:443", &[]), Some(|b| b.add_method(http::Method::CONNECT))),
        (Method, ("get", "/", &[]), Some(|b| b.with_methods(["get".parse().unwrap()]))),
        (Method, ("PROPFIND", "/", &[]), Some(|b| b.add_method("PROPFIND".parse().unwrap()))),
        (TargetForm, get("*"), None),
        (TargetForm, get("example.com:443"), None),
        (TargetForm, ("OPTIONS", "example.com", &[]), None),
        (PathLength, ("GET", &long_path, &[]), Some(|b| b.with_max_path_bytes(at_most(4097)))),
        (QueryLength, ("GET", &long_query, &[]), Some(|b| b.with_max_query_bytes(at_most(8193)))),
        (MalformedEscape, get("/%"), None),
        (MalformedEscape, get("/%4"), None),
        (MalformedEscape, get("/%zz"), None),
        (MalformedEscape, get("/%u002e"), None),
        (InvalidUtf8, get("/%c0%ae%c0%ae/"), Some(|b| b.allow_invalid_utf8())),
        (InvalidUtf8, get("/%ff"), Some(|b| b.allow_invalid_utf8())),
        (InvalidUtf8, get("/%ed%a0%80"), Some(|b| b.allow_invalid_utf8())),
        (NonAscii, get("/\u{e4}"), Some(|b| b.allow_non_ascii())),
        (NonAscii, get("/\u{ff0f}"), Some(|b| b.allow_non_ascii())),
        (NonAscii, get("/?a=\u{e4}"), Some(|b| b.allow_non_ascii())),
        (EncodedSlash, get("/a%2fb"), Some(|b| b.allow_encoded_slash())),
        (EncodedSlash, get("/a%2Fb"), Some(|b| b.allow_encoded_slash())),
        (EncodedSlash, get("/%2f/a"), Some(|b| b.allow_encoded_slash())),
        (Backslash, get("/a%5cb"), Some(|b| b.allow_backslash())),
        (Backslash, get("/a\\b"), Some(|b| b.allow_backslash())),
        (Semicolon, get("/a;b"), Some(|b| b.allow_semicolon())),
        (Semicolon, get("/a;jsessionid=1/b"), Some(|b| b.allow_semicolon())),
        (Semicolon, get("/a%3bb"), Some(|b| b.allow_semicolon())),
        (EncodedPercent, get("/a%252eb"), Some(|b| b.allow_encoded_percent())),
        (EncodedPercent, get("/a%25"), Some(|b| b.allow_encoded_percent())),
        (EncodedPeriod, get("/a%2eb"), Some(|b| b.allow_encoded_period())),
        (EncodedPeriod, get("/a%2Eb"), Some(|b| b.allow_encoded_period())),
        (EncodedNull, get("/a%00"), Some(|b| b.allow_encoded_null())),
        (EncodedNull, get("/?a=%00"), Some(|b| b.allow_encoded_null())),
        (EncodedControl, get("/a%0a"), Some(|b| b.allow_encoded_control())),
        (EncodedControl, get("/a%0D%0Ab"), Some(|b| b.allow_encoded_control())),
        (EncodedControl, get("/a%09"), Some(|b| b.allow_encoded_control())),
        (EncodedControl, get("/a%7f"), Some(|b| b.allow_encoded_control())),
        (EncodedControl, get("/a%c2%9b"), Some(|b| b.allow_encoded_control())),
        (EncodedLineSeparator, get("/a%e2%80%a8"), Some(|b| b.allow_encoded_line_separator())),
        (EncodedLineSeparator, get("/a%E2%80%A9"), Some(|b| b.allow_encoded_line_separator())),
        (EncodedLineSeparator, get("/a%C2%85"), Some(|b| b.allow_encoded_line_separator())),
        (EmptySegment, get("//"), Some(|b| b.allow_empty_segments())),
        (EmptySegment, get("//a"), Some(|b| b.allow_empty_segments())),
        (EmptySegment, get("/a//b"), Some(|b| b.allow_empty_segments())),
        (EmptySegment, get("/a//"), Some(|b| b.allow_empty_segments())),
        (DotSegment, get("/a/./b"), Some(|b| b.allow_dot_segments())),
        (DotSegment, get("/a/../b"), Some(|b| b.allow_dot_segments())),
        (DotSegment, get("/a/.."), Some(|b| b.allow_dot_segments())),
        (DotSegment, get("/."), Some(|b| b.allow_dot_segments())),
        (QueryEscape, get("/?a=10%"), Some(|b| b.allow_query_escape())),
        (QueryEscape, get("/?a=%u0041"), Some(|b| b.allow_query_escape())),
        (DuplicateParameter, get("/?token=a&token=b"), Some(|b| b.allow_duplicate_parameters())),
        (DuplicateParameter, get("/?token=a&x=y&token=a"), Some(|b| b.with_single_parameters(["state"]))),
        (DuplicateParameter, get("/?state=a&stat%65=b"), Some(|b| b.allow_duplicate_parameters())),
        (DuplicateParameter, get("/?code=a;code=b"), Some(|b| b.allow_duplicate_parameters())),
        (DuplicateParameter, get("/?Code=a&code=b"), Some(|b| b.allow_duplicate_parameters())),
        (
            DuplicateParameter,
            get("/?redirect_uri&redirect_uri[]=b"),
            Some(|b| b.allow_duplicate_parameters()),
        ),
        (
            DuplicateParameter,
            get("/?access_token%5B0%5D=b&access_token"),
            Some(|b| b.allow_duplicate_parameters()),
        ),
        (MethodParameter, get("/?_method=DELETE"), Some(|b| b.allow_method_parameter())),
        (MethodParameter, get("/?a&%5FMethod=DELETE"), Some(|b| b.allow_method_parameter())),
        (HostSyntax, ("GET", "/", &[("host", "a/b")]), None),
        (HostSyntax, ("GET", "/", &[("host", "a@b")]), None),
        (HostSyntax, ("GET", "/", &[("host", "a, b")]), None),
        (HostSyntax, ("GET", "/", &[("host", "a:")]), None),
        (HostSyntax, ("GET", "/", &[("host", "a:80x")]), None),
        (HostSyntax, ("GET", "/", &[("host", "a:65536")]), None),
        (HostSyntax, ("GET", "/", &[("host", ":80")]), None),
        (HostSyntax, ("GET", "/", &[("host", "::1")]), None),
        (HostSyntax, ("GET", "/", &[("host", "[::1")]), None),
        (HostSyntax, ("GET", "/", &[("host", "[::1]80")]), None),
        (HostSyntax, ("GET", "/", &[("host", "[a]")]), None),
        (HostSyntax, ("GET", "/", &[("host", "\u{e4}.example")]), None),
        (HostSyntax, ("GET", "http://user@a.example/", &[]), None),
        (
            HostMismatch,
            ("GET", "http://a.example/", &[("host", "b.example")]),
            Some(|b| b.allow_host_mismatch()),
        ),
        (
            HostMismatch,
            ("GET", "http://a.example/", &[("host", "a.example:81")]),
            Some(|b| b.allow_host_mismatch()),
        ),
    ];
    let strict = Firewall::new();
    let mut seen = vec![Host];
    for (rule, (method, uri, headers), opened) in rows {
        let name = format!("{rule}: {method} {uri:.40} {:?}", headers.first());
        assert_eq!(strict.check(&mut parts(method, uri, headers)), Err(rule), "{name}");
        assert_eq!(strict.rejection(rule).code(), rule.code());
        assert_eq!(strict.rejection(rule).allow().is_some(), rule == Method);
        if let Some(opened) = opened {
            let relaxed = opened(Firewall::builder()).build().unwrap();
            assert_eq!(relaxed.check(&mut parts(method, uri, headers)), Ok(()), "{name}, relaxed");
        }
        seen.push(rule);
    }
    for rule in FirewallRule::ALL {
        assert!(seen.contains(rule), "{rule} has no row");
    }
}

/// What the rules are not about.
#[test]
fn ordinary_requests_pass_as_they_are() {
    let firewall = Firewall::new();
    for (method, uri, headers) in [
        ("GET", "/", &[][..]),
        ("HEAD", "/a/b.json", &[("host", "api.example:8080"), ("accept", "a"), ("accept", "b")]),
        ("GET", "/a%20b/%C3%A4%3A", &[("host", "[::1]:8080"), ("cookie", "a=b"), ("cookie", "c=d")]),
        ("GET", "/.well-known/x", &[("x_own_name", "a"), ("x-other", "b")]),
        ("POST", "/a?q=a%0Ab&q=c&q[]=d&tokens=1&token=2&x=%E2%80%A8&u=//..;", &[("content-length", "1")]),
        ("OPTIONS", "*", &[("host", "")]),
        ("DELETE", "http://api.example/a", &[("host", "API.example:80")]),
        ("PATCH", "https://api.example:443/a", &[("host", "api.example")]),
        ("PUT", "/users/@me/a+b,c=d!e$f&g'h(i)j*k:l~m", &[]),
    ] {
        let mut parts = parts(method, uri, headers);
        let before = (parts.uri.clone(), parts.headers.clone());
        assert_eq!(firewall.check(&mut parts), Ok(()), "{method} {uri}");
        assert_eq!((parts.uri, parts.headers), before, "{method} {uri}");
    }
}

#[test]
fn the_path_is_rewritten_and_nothing_else() {
    for (uri, want) in [
        ("/%61dmin", "/admin"),
        ("/%61?%61=%c3&b=/./", "/a?%61=%c3&b=/./"),
        ("http://api.example:80/%7e?a", "http://api.example:80/~?a"),
        ("/a%c3%a4", "/a%C3%A4"),
        ("/a|b", "/a%7Cb"),
    ] {
        let mut parts = parts("GET", uri, &[]);
        assert_eq!(Firewall::new().check(&mut parts), Ok(()), "{uri}");
        assert_eq!(parts.uri, want.parse::<Uri>().unwrap());
        assert_eq!(parts.uri.to_string(), want);
    }
    // Escapes that don't fit into a URI any more.
    let relaxed = Firewall::builder().allow_non_ascii().with_max_path_bytes(at_most(60_000)).build().unwrap();
    let long = format!("/{}", "\u{e4}".repeat(20_000));
    assert_eq!(relaxed.check(&mut parts("GET", &long, &[])), Err(FirewallRule::PathLength));
}

#[test]
fn hosts() {
    let build = |hosts: &[&str]| hosts.iter().fold(Firewall::builder(), |b, host| b.add_host(*host)).build();
    let firewall = build(&["api.example", "dev.example:8080", "[2001:DB8::1]", "192.0.2.7"]).unwrap();
    let (ok, other) = (Ok(()), Err(FirewallRule::Host));
    for (name, uri, host, want) in [
        ("listed", "/", Some("api.example"), ok),
        ("in capitals", "/", Some("API.Example"), ok),
        ("with the port of https", "/", Some("api.example:443"), ok),
        ("with the port of http", "/", Some("api.example:80"), ok),
        ("with another port", "/", Some("api.example:8080"), other),
        ("with its port", "/", Some("dev.example:8080"), ok),
        ("without its port", "/", Some("dev.example"), other),
        ("IPv6", "/", Some("[2001:db8::1]"), ok),
        ("IPv4", "/", Some("192.0.2.7:80"), ok),
        ("below", "/", Some("a.api.example"), other),
        ("ends alike", "/", Some("evilapi.example"), other),
        ("begins alike", "/", Some("api.example.evil.example"), other),
        ("a dot more", "/", Some("api.example."), other),
        ("none", "/", None, other),
        ("empty", "/", Some(""), other),
        ("in the URI", "http://api.example/", None, ok),
        ("another in the URI", "http://evil.example/", None, other),
        ("in both", "http://api.example/", Some("api.example"), ok),
        ("another in both", "http://evil.example/", Some("evil.example"), other),
        ("another in one", "http://evil.example/", Some("api.example"), Err(FirewallRule::HostMismatch)),
    ] {
        let header: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
        assert_eq!(firewall.check(&mut parts("GET", uri, &header)), want, "{name}");
    }
    // Where they may differ, both have to be listed.
    let lax = Firewall::builder()
        .add_host("a.example")
        .add_host("b.example")
        .allow_host_mismatch()
        .build()
        .unwrap();
    for (uri, host, want) in [
        ("http://a.example/", "b.example", ok),
        ("http://a.example/", "c.example", other),
        ("http://c.example/", "a.example", other),
    ] {
        assert_eq!(lax.check(&mut parts("GET", uri, &[("host", host)])), want, "{uri} {host}");
    }
    assert_eq!(FirewallRule::Host.code().status(), 421);
    for bad in ["", "https://api.example", "api.example/", "*.example", "a b", "[::1", "api.example:"] {
        let error = build(&[bad]).unwrap_err().to_string();
        assert!(error.contains("is not a host"), "{bad}: {error}");
    }
}

#[test]
fn what_cannot_be_built() {
    let parameters = (0..65).map(|number| format!("p{number}"));
    for (builder, want) in [
        (Firewall::builder().with_methods([]), "methods: are none"),
        (
            Firewall::builder().with_single_parameters(parameters),
            "parameters that may not be repeated: are more",
        ),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

#[test]
fn a_host_line_in_the_list_of_single_headers_is_not_all_there_is() {
    let lax = Firewall::builder().allow_several(HOST).allow_duplicate_headers().build().unwrap();
    let mut twice = parts("GET", "/", &[("host", "a"), ("host", "b")]);
    assert_eq!(lax.check(&mut twice), Err(FirewallRule::DuplicateHeader));
}
