//! What becomes of an answer, header by header.

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderName, HeaderValue, Request, Response};
use proptest::prelude::*;

use super::*;

#[path = "expected_tests.rs"]
mod expected;

/// What the headers make of an answer with these, to a request with those.
fn answer(
    headers: &SecurityHeaders,
    asked: &[(&'static str, &'static str)],
    said: &[(&'static str, &'static str)],
    secure: bool,
) -> Response<()> {
    let mut request = Request::new(());
    for (name, value) in asked {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    let (mut parts, ()) = request.into_parts();
    let prepared = headers.prepare(&mut parts, secure);
    let mut response = Response::new(());
    for (name, value) in said {
        response.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    headers.apply(&prepared, &mut response);
    response
}

fn lines(response: &Response<()>, name: &str) -> Vec<String> {
    response.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_handlers_own_headers() {
    let default = SecurityHeaders::api().build().unwrap();
    let keeps = SecurityHeader::ALL
        .iter()
        .fold(SecurityHeaders::api(), |headers, header| headers.keep_existing(*header));
    let keeps = keeps.build().unwrap();
    let overrides =
        SecurityHeaders::api().override_existing(SecurityHeader::ContentSecurityPolicy).build().unwrap();
    let allows =
        SecurityHeaders::api().allow_header("Server").allow_header("X-XSS-Protection").build().unwrap();
    let api = "default-src 'none'; frame-ancestors 'none'";
    for (name, headers, header, said, want) in [
        ("frame options", &default, "x-frame-options", vec!["SAMEORIGIN"], vec!["DENY"]),
        ("two lines", &default, "x-frame-options", vec!["SAMEORIGIN", "ALLOWALL"], vec!["DENY"]),
        ("kept", &keeps, "x-frame-options", vec!["SAMEORIGIN"], vec!["SAMEORIGIN"]),
        ("kept, but blank", &keeps, "x-frame-options", vec![" "], vec!["DENY"]),
        ("kept, and absent", &keeps, "x-frame-options", vec![], vec!["DENY"]),
        ("policy of the page", &default, "content-security-policy", vec!["a"], vec!["a"]),
        ("two policies", &default, "content-security-policy", vec!["a", "b"], vec!["a", "b"]),
        ("blank policy", &default, "content-security-policy", vec![""], vec![api]),
        ("policy overridden", &overrides, "content-security-policy", vec!["a", "b"], vec![api]),
        ("server", &default, "server", vec!["nginx/1.2.3"], vec![]),
        ("powered by", &default, "x-powered-by", vec!["us", "them"], vec![]),
        ("filter", &default, "x-xss-protection", vec!["1; mode=block"], vec![]),
        ("filter, kept", &keeps, "x-xss-protection", vec!["1"], vec![]),
        ("server, allowed", &allows, "server", vec!["teapot"], vec!["teapot"]),
        ("filter, allowed", &allows, "x-xss-protection", vec!["1"], vec![]),
        ("not ours", &default, "x-request-id", vec!["7"], vec!["7"]),
        ("cookies", &default, "set-cookie", vec!["a=b", "c=d", "e=f"], vec!["a=b", "c=d", "e=f"]),
        ("something we could set", &default, "x-download-options", vec!["noopen"], vec!["noopen"]),
    ] {
        let said: Vec<_> = said.into_iter().map(|value| (header, value)).collect();
        assert_eq!(lines(&answer(headers, &[], &said, true), header), want, "{name}");
    }
}

/// RFC 6797 section 7.2.
#[test]
fn hsts_is_for_secure_channels() {
    const HSTS: &str = "strict-transport-security";
    let default = SecurityHeaders::api().build().unwrap();
    let without = SecurityHeaders::api().without_hsts().build().unwrap();
    let ours = "max-age=63072000; includeSubDomains";
    for (name, headers, secure, said, want) in [
        ("secure", &default, true, None, vec![ours]),
        ("plain", &default, false, None, vec![]),
        ("secure, the handler's", &default, true, Some("max-age=1"), vec![ours]),
        ("plain, the handler's", &default, false, Some("max-age=1"), vec![]),
        ("left alone", &without, false, Some("max-age=1"), vec!["max-age=1"]),
    ] {
        let said: Vec<_> = said.into_iter().map(|value| (HSTS, value)).collect();
        assert_eq!(lines(&answer(headers, &[], &said, secure), HSTS), want, "{name}");
    }
}

// ASVS 14.3.2
#[test]
fn answers_with_credentials_are_not_stored() {
    let default = SecurityHeaders::api().build().unwrap();
    let keeps = SecurityHeaders::api().keep_existing(SecurityHeader::CacheControl).build().unwrap();
    let without = SecurityHeaders::api().without_credential_caching().build().unwrap();
    let named = SecurityHeaders::api().add_credential_header("X-Signature").build().unwrap();
    let all = "authorization, cookie, x-api-key, origin";
    let public = ("cache-control", "public, max-age=60");
    for (name, headers, asked, said, cache, vary) in [
        ("nobody", &default, vec![], vec![], vec![], vec![]),
        ("nobody, public", &default, vec![], vec![public], vec!["public, max-age=60"], vec![]),
        ("bearer", &default, vec![("authorization", "Bearer a")], vec![], vec!["no-store"], vec![all]),
        ("cookie", &default, vec![("cookie", "a=b")], vec![], vec!["no-store"], vec![all]),
        ("key", &default, vec![("x-api-key", "a")], vec![], vec!["no-store"], vec![all]),
        (
            "named",
            &named,
            vec![("x-signature", "a")],
            vec![],
            vec!["no-store"],
            vec!["authorization, cookie, x-api-key, x-signature, origin"],
        ),
        (
            "bearer, public",
            &default,
            vec![("authorization", "Bearer a")],
            vec![public],
            vec!["no-store"],
            vec![all],
        ),
        (
            "no-store already",
            &default,
            vec![("cookie", "a=b")],
            vec![("cache-control", "Private, NO-STORE")],
            vec!["Private, NO-STORE"],
            vec![all],
        ),
        (
            "vary is merged",
            &default,
            vec![("cookie", "a=b")],
            vec![("vary", "Accept-Encoding , COOKIE")],
            vec!["no-store"],
            vec!["Accept-Encoding , COOKIE, authorization, x-api-key, origin"],
        ),
        (
            "vary in two lines",
            &default,
            vec![("cookie", "a=b")],
            vec![("vary", "Accept"), ("vary", "Accept-Language")],
            vec!["no-store"],
            vec!["Accept, authorization, cookie, x-api-key, origin", "Accept-Language"],
        ),
        ("sets a cookie", &default, vec![], vec![("set-cookie", "a=b"), public], vec!["no-store"], vec![all]),
        (
            "sets a cookie, vary",
            &default,
            vec![],
            vec![("vary", "Origin"), ("set-cookie", "a=b")],
            vec!["no-store"],
            vec!["Origin, authorization, cookie, x-api-key"],
        ),
        ("kept", &keeps, vec![("cookie", "a=b")], vec![public], vec!["public, max-age=60"], vec![all]),
        ("kept, and absent", &keeps, vec![("cookie", "a=b")], vec![], vec!["no-store"], vec![all]),
        ("without", &without, vec![("cookie", "a=b")], vec![public], vec!["public, max-age=60"], vec![]),
    ] {
        let response = answer(headers, &asked, &said, false);
        assert_eq!(lines(&response, "cache-control"), cache, "{name}");
        assert_eq!(lines(&response, "vary"), vary, "{name}");
    }
}

#[test]
fn caches_in_between_are_not_told_otherwise() {
    let headers = SecurityHeaders::api().build().unwrap();
    let said = [("cdn-cache-control", "max-age=60"), ("surrogate-control", "max-age=60")];
    let with_cookie = [("set-cookie", "a=b"), said[0], said[1]];
    for (name, asked, said) in
        [("asked with", vec![("cookie", "a=b")], &said[..]), ("sets", vec![], &with_cookie[..])]
    {
        let response = answer(&headers, &asked, said, false);
        assert!(!response.headers().contains_key("cdn-cache-control"), "{name}");
        assert!(!response.headers().contains_key("surrogate-control"), "{name}");
    }
    assert_eq!(answer(&headers, &[], &said, false).headers()["cdn-cache-control"], "max-age=60");
}

#[test]
fn what_is_the_same_for_everybody_may_be_stored_but_for_cookies() {
    let headers = SecurityHeaders::api().build().unwrap();
    for (sets_cookie, want) in [(false, "public, max-age=60"), (true, "no-store")] {
        let (mut parts, ()) = Request::get("/").header("cookie", "a=b").body(()).unwrap().into_parts();
        let prepared = headers.prepare(&mut parts, false);
        let mut response = Response::new(());
        response.extensions_mut().insert(Cacheable);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        if sets_cookie {
            response.headers_mut().insert("set-cookie", HeaderValue::from_static("a=b"));
        }
        headers.apply(&prepared, &mut response);
        assert_eq!(response.headers()[CACHE_CONTROL], want);
        assert_eq!(response.headers().contains_key(VARY), sets_cookie);
    }
}

#[test]
fn two_layers_share_a_nonce() {
    let headers = SecurityHeaders::html().build().unwrap();
    let (mut parts, ()) = Request::new(()).into_parts();
    let outer = headers.prepare(&mut parts, true);
    let nonce = *parts.extensions.get::<CspNonce>().unwrap();
    let inner = headers.prepare(&mut parts, true);
    let mut response = Response::new(());
    headers.apply(&inner, &mut response);
    headers.apply(&outer, &mut response);
    let policies = lines(&response, "content-security-policy");
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0].matches(nonce.as_str()).count(), 2);
    assert!(SecurityHeaders::api().build().unwrap().prepare(&mut parts, true).nonce().is_none());
}

#[test]
fn contradictions_are_found_when_it_is_built() {
    let endpoints = || ReportingEndpoints::new().add("csp", "/csp");
    for (name, headers, field) in [
        ("csp", SecurityHeaders::api().with_csp(Csp::parse("a b")), "Content-Security-Policy: a"),
        (
            "report only",
            SecurityHeaders::api().with_csp_report_only(Csp::parse("a b")),
            "Content-Security-Policy-Report-Only: a",
        ),
        (
            "reports nowhere",
            SecurityHeaders::api().with_csp_report_only(Csp::html()),
            "Content-Security-Policy-Report-Only",
        ),
        (
            "nothing to sandbox",
            SecurityHeaders::api()
                .with_csp_report_only(Csp::html().with_report_to("csp").add_flag(Directive::Sandbox))
                .with_reporting_endpoints(endpoints()),
            "Content-Security-Policy-Report-Only",
        ),
        (
            "another endpoint",
            SecurityHeaders::html()
                .with_csp(Csp::html().with_report_to("other"))
                .with_reporting_endpoints(endpoints()),
            "Content-Security-Policy",
        ),
        ("no name", SecurityHeaders::api().with_custom("a b", "c"), "header `a b`"),
        ("line break", SecurityHeaders::api().with_custom("x-a", "b\r\nc: d"), "custom header `x-a`"),
        (
            "typed",
            SecurityHeaders::api().with_custom("X-Frame-Options", "DENY"),
            "custom header `x-frame-options`",
        ),
        (
            "framing",
            SecurityHeaders::api().with_custom("Content-Length", "0"),
            "custom header `content-length`",
        ),
        ("cookie", SecurityHeaders::api().with_custom("set-cookie", "a=b"), "custom header `set-cookie`"),
        (
            "cors",
            SecurityHeaders::api().with_custom("Access-Control-Allow-Origin", "*"),
            "custom header `access-control-allow-origin`",
        ),
        (
            "removed",
            SecurityHeaders::api().remove_header("x-a").with_custom("x-a", "b"),
            "custom header `x-a`",
        ),
        ("removed name", SecurityHeaders::api().remove_header("x a"), "header `x a`"),
        ("credential name", SecurityHeaders::api().add_credential_header("x a"), "header `x a`"),
    ] {
        assert_eq!(headers.build().expect_err(name).field(), field, "{name}");
    }
    let headers =
        SecurityHeaders::api().with_custom("X-Robots-Tag", "none").with_custom("x-robots-tag", "noindex");
    let response = answer(&headers.build().unwrap(), &[], &[("x-robots-tag", "all")], true);
    assert_eq!(lines(&response, "x-robots-tag"), ["noindex"]);
}

type Step = (SecurityHeader, fn(SecurityHeadersBuilder) -> SecurityHeadersBuilder);

/// Every call that sets or leaves out one header.
fn steps() -> Vec<(bool, Step)> {
    use SecurityHeader as H;
    let with: Vec<Step> = vec![
        (H::StrictTransportSecurity, |b| b.with_hsts(Hsts::new())),
        (H::ContentSecurityPolicy, |b| b.with_csp(Csp::html())),
        (H::ContentSecurityPolicyReportOnly, |b| {
            b.with_csp_report_only(Csp::html().add(Directive::ReportUri, ["/r"]))
        }),
        (H::ContentTypeOptions, |b| b.with_content_type_options(ContentTypeOptions::NoSniff)),
        (H::FrameOptions, |b| b.with_frame_options(FrameOptions::SameOrigin)),
        (H::ReferrerPolicy, |b| b.with_referrer_policy(ReferrerPolicy::SameOrigin)),
        (H::CrossOriginOpenerPolicy, |b| b.with_opener_policy(OpenerPolicy::SameOriginAllowPopups)),
        (H::CrossOriginEmbedderPolicy, |b| b.with_embedder_policy(EmbedderPolicy::RequireCorp)),
        (H::CrossOriginResourcePolicy, |b| b.with_resource_policy(ResourcePolicy::SameSite)),
        (H::PermissionsPolicy, |b| b.with_permissions_policy(PermissionsPolicy::new())),
        (H::OriginAgentCluster, |b| b.with_origin_agent_cluster(OriginAgentCluster::Requested)),
        (H::DnsPrefetchControl, |b| b.with_dns_prefetch_control(DnsPrefetchControl::Off)),
        (H::PermittedCrossDomainPolicies, |b| b.with_cross_domain_policies(CrossDomainPolicies::None)),
        (H::DownloadOptions, |b| b.with_download_options(DownloadOptions::NoOpen)),
        (H::XssProtection, |b| b.with_xss_protection(XssProtection::Off)),
        (H::ReportingEndpoints, |b| b.with_reporting_endpoints(ReportingEndpoints::new().add("a", "/a"))),
        (H::CacheControl, |b| b.with_credential_caching(CredentialCaching::NoStore)),
    ];
    let without: Vec<Step> = vec![
        (H::StrictTransportSecurity, SecurityHeadersBuilder::without_hsts),
        (H::ContentSecurityPolicy, SecurityHeadersBuilder::without_csp),
        (H::ContentSecurityPolicyReportOnly, SecurityHeadersBuilder::without_csp_report_only),
        (H::ContentTypeOptions, SecurityHeadersBuilder::without_content_type_options),
        (H::FrameOptions, SecurityHeadersBuilder::without_frame_options),
        (H::ReferrerPolicy, SecurityHeadersBuilder::without_referrer_policy),
        (H::CrossOriginOpenerPolicy, SecurityHeadersBuilder::without_opener_policy),
        (H::CrossOriginEmbedderPolicy, SecurityHeadersBuilder::without_embedder_policy),
        (H::CrossOriginResourcePolicy, SecurityHeadersBuilder::without_resource_policy),
        (H::PermissionsPolicy, SecurityHeadersBuilder::without_permissions_policy),
        (H::OriginAgentCluster, SecurityHeadersBuilder::without_origin_agent_cluster),
        (H::DnsPrefetchControl, SecurityHeadersBuilder::without_dns_prefetch_control),
        (H::PermittedCrossDomainPolicies, SecurityHeadersBuilder::without_cross_domain_policies),
        (H::DownloadOptions, SecurityHeadersBuilder::without_download_options),
        (H::XssProtection, SecurityHeadersBuilder::without_xss_protection),
        (H::ReportingEndpoints, SecurityHeadersBuilder::without_reporting_endpoints),
        (H::CacheControl, SecurityHeadersBuilder::without_credential_caching),
    ];
    let all: Vec<_> = with
        .into_iter()
        .map(|step| (true, step))
        .chain(without.into_iter().map(|step| (false, step)))
        .collect();
    assert_eq!(all.len(), 2 * SecurityHeader::ALL.len(), "every header has both");
    all
}

proptest! {
    /// A builder elsewhere sent one header of all it was told to, without a word, when a call came in the wrong place.
    /// Here every sequence of calls leaves exactly the headers whose last call was `with_`, and those of the preset that
    /// no call was about.
    /// Attack log R1: no call takes away what others gave.
    #[test]
    fn every_order_of_calls_gives_the_complete_set(html in any::<bool>(), calls in prop::collection::vec(0..34_usize, 0..40)) {
        let steps = steps();
        let preset = if html { SecurityHeaders::html() } else { SecurityHeaders::api() };
        let mut want: std::collections::BTreeSet<SecurityHeader> = preset.settings.keys().copied().collect();
        prop_assert_eq!(want.len(), if html { 12 } else { 9 });
        let mut builder = preset;
        for call in calls {
            let (is_with, (header, step)) = steps[call];
            builder = step(builder);
            if is_with { want.insert(header); } else { want.remove(&header); }
        }
        let response = answer(&builder.build().unwrap(), &[("cookie", "a=b")], &[], true);
        for header in SecurityHeader::ALL {
            prop_assert_eq!(response.headers().contains_key(header.name()), want.contains(header), "{:?}", header);
        }
    }

    /// No header of a handler makes it panic, and none that is not ours is lost.
    #[test]
    fn nothing_a_handler_says_is_too_much(said in prop::collection::vec(("[a-z-]{1,12}", "[ -~]{0,12}"), 0..40)) {
        let headers = SecurityHeaders::html().build().unwrap();
        let mut response = Response::new(());
        for (name, value) in &said {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let before = response.headers().clone();
        let (mut parts, ()) = Request::new(()).into_parts();
        headers.apply(&headers.prepare(&mut parts, true), &mut response);
        for name in before.keys().filter(|name| *name != "server" && *name != "vary") {
            let (old, new): (Vec<_>, Vec<_>) = (before.get_all(name).iter().collect(), response.headers().get_all(name).iter().collect());
            prop_assert_eq!(old, new, "{}", name);
        }
    }
}

#[test]
fn a_full_table_is_no_panic() {
    let headers = SecurityHeaders::api().build().unwrap();
    let mut response = Response::new(());
    for number in 0..24_576 {
        let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
        response.headers_mut().insert(name, HeaderValue::from_static("a"));
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    let mut setting = response.clone();
    headers.apply(&headers.prepare(&mut parts, true), &mut response);
    assert_eq!(response.headers()["x-frame-options"], "DENY");

    // What comes late finds no room either.
    setting.headers_mut().remove("x-0");
    setting.headers_mut().insert("set-cookie", HeaderValue::from_static("a=b"));
    headers.apply_with(&headers.prepare(&mut parts, true), &mut setting, |lines| {
        lines.add(HeaderName::from_static("x-late"), HeaderValue::from_static("a"));
        lines.vary(&http::header::ORIGIN);
    });
    assert_eq!(setting.headers()["x-frame-options"], "DENY");
}
