//! Pages of other sites that want to read what the user may read. Attack log H4, H1.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use portcullis::authn::{AuthenticateLayer, BearerScheme};
use portcullis::authz::{AuthorizeLayer, Authorizer, Rule};
use portcullis::cors::{Cors, CorsBuilder, CorsLayer};
use portcullis::csrf::{OriginLayer, OriginRule};
use tower::{Layer, service_fn};

use crate::layers::{Inner, Tokens, roles, send};

const APP: &str = "https://app.example";

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    assert!(headers.get_all(name).iter().count() < 2, "{name} is there twice");
    headers.get(name).map(|value| value.to_str().unwrap())
}

// ASVS 3.4.2
#[tokio::test]
async fn only_an_origin_on_the_list_may_read() {
    let list = Cors::builder().allow_origins([APP, "http://localhost:5173"]).build().unwrap();
    let credentials = Cors::builder().allow_origin(APP).allow_credentials().build().unwrap();
    let any = Cors::builder().allow_any_origin().build().unwrap();
    let nothing = Cors::builder().build().unwrap();
    let (app, local) = (Some(APP), Some("http://localhost:5173"));
    let evil = "https://evil.example";
    // What each of the four lets read, and whether credentials may come.
    for (name, origins, want) in [
        ("no origin", &[][..], [None; 4]),
        ("allowed", &[APP], [app, app, Some("*"), None]),
        ("allowed by the list only", &["http://localhost:5173"], [local, None, Some("*"), None]),
        ("null", &["null"], [None, None, Some("*"), None]),
        ("another", &[evil], [None, None, Some("*"), None]),
        ("upper case", &["https://APP.example"], [None, None, Some("*"), None]),
        ("upper-case scheme", &["HTTPS://app.example"], [None, None, Some("*"), None]),
        ("usual port", &["https://app.example:443"], [None, None, Some("*"), None]),
        ("another port", &["https://app.example:8443"], [None, None, Some("*"), None]),
        ("another scheme", &["http://app.example"], [None, None, Some("*"), None]),
        ("suffix", &["https://app.example.evil.example"], [None, None, Some("*"), None]),
        ("prefix", &["https://evilapp.example"], [None, None, Some("*"), None]),
        ("subdomain", &["https://x.app.example"], [None, None, Some("*"), None]),
        ("trailing dot", &["https://app.example."], [None, None, Some("*"), None]),
        ("trailing slash", &["https://app.example/"], [None, None, Some("*"), None]),
        ("user name", &["https://app.example@evil.example"], [None, None, Some("*"), None]),
        ("a list", &["https://app.example, https://evil.example"], [None, None, Some("*"), None]),
        ("twice", &[APP, APP], [None; 4]),
        ("with another", &[APP, evil], [None; 4]),
        ("behind another", &[evil, APP], [None; 4]),
        ("wildcard", &["*"], [None, None, Some("*"), None]),
        ("empty", &[""], [None, None, Some("*"), None]),
    ] {
        for (cors, want) in [&list, &credentials, &any, &nothing].into_iter().zip(want) {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let inner = Inner::default();
                let service = CorsLayer::new(cors.clone()).layer(inner.clone());
                let mut request = Request::builder().method(&method).uri("/");
                for origin in origins {
                    request = request.header("origin", *origin);
                }
                if method == Method::OPTIONS {
                    request = request.header("access-control-request-method", "PUT");
                }
                let answer = send(&service, request.body(()).unwrap()).await;
                let case = format!("{name}, {method}, {cors:?}");
                let allowed = header(&answer.headers, "access-control-allow-origin");
                assert_eq!(allowed, want, "{case}");
                let sends = header(&answer.headers, "access-control-allow-credentials");
                let trusted = std::ptr::eq(cors, &credentials) && want.is_some();
                assert_eq!(sends, trusted.then_some("true"), "{case}");
                let vary = header_list(&answer.headers);
                assert_eq!(vary.contains(&"origin".to_owned()), !std::ptr::eq(cors, &nothing), "{case}");
                // Only a preflight stops here.
                let preflight = method == Method::OPTIONS && !origins.is_empty();
                assert_eq!(inner.calls(), usize::from(!preflight), "{case}");
                assert_eq!(answer.status, if preflight { 204 } else { 200 }, "{case}");
            }
        }
    }
}

fn header_list(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("vary").iter().map(|value| value.to_str().unwrap().to_ascii_lowercase());
    values.flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_before_anybody_asks_who_you_are() {
    let cors = Cors::builder()
        .allow_origin(APP)
        .allow_credentials()
        .allow_methods([Method::PUT])
        .allow_headers([http::header::AUTHORIZATION])
        .build()
        .unwrap();
    let rule = OriginRule::builder().allow_origins(cors.credentialed_origins().cloned()).build().unwrap();
    let inner = Inner::default();
    let service = CorsLayer::new(cors).layer(
        OriginLayer::new(rule).layer(
            AuthenticateLayer::new(BearerScheme::new(Tokens)).layer(
                AuthorizeLayer::new(Rule::permission("tasks:read"), &Authorizer::new(roles()))
                    .unwrap()
                    .layer(inner.clone()),
            ),
        ),
    );
    let preflight = ("access-control-request-method", "PUT");
    let (bearer, forged) = (("authorization", "Bearer user"), ("authorization", "Bearer forged"));
    for (name, method, headers, status, calls) in [
        ("preflight", "OPTIONS", &[("origin", APP), preflight][..], 204, 0),
        ("preflight with a bad credential", "OPTIONS", &[("origin", APP), preflight, forged], 204, 0),
        ("plain OPTIONS", "OPTIONS", &[("origin", APP)], 401, 0),
        ("anonymous", "GET", &[("origin", APP)], 401, 0),
        ("bad credential", "PUT", &[("origin", APP), forged], 401, 0),
        ("may not", "PUT", &[("origin", APP), ("authorization", "Bearer guest")], 403, 0),
        ("may", "PUT", &[("origin", APP), bearer], 200, 1),
        ("twice", "GET", &[("origin", APP), bearer, bearer], 401, 0),
    ] {
        let before = inner.calls();
        let mut request = Request::builder().method(method).uri("/");
        for (header, value) in headers {
            request = request.header(*header, *value);
        }
        let answer = send(&service, request.body(()).unwrap()).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(inner.calls() - before, calls, "{name}");
        assert_eq!(header(&answer.headers, "access-control-allow-origin"), Some(APP), "{name}");
        assert_eq!(header(&answer.headers, "access-control-allow-credentials"), Some("true"), "{name}");
        assert!(header_list(&answer.headers).contains(&"origin".to_owned()), "{name}");
    }
    // An origin that isn't allowed hears nothing, of the preflight as of the refusal behind it.
    for method in ["OPTIONS", "GET"] {
        let request = Request::builder().method(method).header("origin", "https://evil.example");
        let answer = send(&service, request.header(preflight.0, preflight.1).body(()).unwrap()).await;
        let told = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(told.count(), 0, "{method}: {:?}", answer.headers);
    }
}

/// Attack log H1, and a handler that reflects whatever it gets.
#[tokio::test]
async fn what_the_handler_says_is_merged_or_replaced() {
    let cors = Cors::builder().allow_origin(APP).build().unwrap();
    let handler = async |request: Request<()>| {
        let mut response = Response::new(Full::<Bytes>::default());
        let headers = response.headers_mut();
        headers.insert("vary", HeaderValue::from_static("Accept-Encoding"));
        headers.append("vary", HeaderValue::from_static("cookie , Authorization"));
        if let Some(origin) = request.headers().get("origin") {
            headers.insert("access-control-allow-origin", origin.clone());
            headers.insert("access-control-allow-credentials", HeaderValue::from_static("true"));
        }
        Ok::<_, Infallible>(response)
    };
    let service = CorsLayer::new(cors).layer(service_fn(handler));
    for (origin, want) in
        [(None, None), (Some(APP), Some(APP)), (Some("null"), None), (Some("https://evil.example"), None)]
    {
        let mut request = Request::get("/");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = send(&service, request.body(()).unwrap()).await;
        assert_eq!(header(&answer.headers, "access-control-allow-origin"), want, "{origin:?}");
        assert_eq!(header(&answer.headers, "access-control-allow-credentials"), None, "{origin:?}");
        assert_eq!(header_list(&answer.headers), ["accept-encoding", "cookie", "authorization", "origin"]);
    }
}

#[test]
fn what_contradicts_itself_is_not_built() {
    type Build = fn(CorsBuilder) -> CorsBuilder;
    let star = || HeaderName::from_static("*");
    assert_eq!(star(), "*");
    let rows: &[(&str, Build, Result<(), &str>)] = &[
        ("nothing", |cors| cors, Ok(())),
        ("one", |cors| cors.allow_origin(APP), Ok(())),
        ("credentials", |cors| cors.allow_origin(APP).allow_credentials(), Ok(())),
        ("any", CorsBuilder::allow_any_origin, Ok(())),
        ("http without credentials", |cors| cors.allow_origin("http://app.example"), Ok(())),
        (
            "http on purpose",
            |cors| {
                cors.allow_origin("http://localhost:5173").allow_credentials().danger_allow_insecure_origins()
            },
            Ok(()),
        ),
        ("any, credentials", |cors| cors.allow_any_origin().allow_credentials(), Err("with credentials")),
        (
            "any, credentials, on purpose",
            |cors| cors.allow_any_origin().allow_credentials().danger_allow_insecure_origins(),
            Err("with credentials"),
        ),
        ("any and a list", |cors| cors.allow_any_origin().allow_origin(APP), Err("and a list")),
        ("credentials for nobody", CorsBuilder::allow_credentials, Err("no origin is")),
        (
            "http with credentials",
            |cors| cors.allow_origin("http://app.example").allow_credentials(),
            Err("anybody on the way"),
        ),
        (
            "localhost with credentials",
            |cors| cors.allow_origin("http://localhost:5173").allow_credentials(),
            Err("anybody on the way"),
        ),
        ("null", |cors| cors.allow_origin("null"), Err("is `null`")),
        ("wildcard", |cors| cors.allow_origin("*"), Err("wildcard")),
        ("subdomains", |cors| cors.allow_origin("https://*.app.example"), Err("wildcard")),
        ("path", |cors| cors.allow_origin("https://app.example/"), Err("path")),
        ("twice", |cors| cors.allow_origins([APP, APP]), Err("twice")),
        (
            "twice, spelled otherwise",
            |cors| cors.allow_origins([APP, "HTTPS://App.example:443"]),
            Err("twice"),
        ),
        (
            "any header",
            |cors| cors.allow_origin(APP).allow_headers([HeaderName::from_static("*")]),
            Err("wildcard"),
        ),
        (
            "any exposed header, credentials",
            |cors| cors.allow_origin(APP).allow_credentials().expose_headers([HeaderName::from_static("*")]),
            Err("wildcard"),
        ),
        (
            "any method",
            |cors| cors.allow_origin(APP).allow_methods([Method::from_bytes(b"*").unwrap()]),
            Err("upper case"),
        ),
        (
            "method in lower case",
            |cors| cors.allow_origin(APP).allow_methods([Method::from_bytes(b"patch").unwrap()]),
            Err("upper case"),
        ),
    ];
    for (name, with, want) in rows {
        let got = with(Cors::builder()).build();
        match (got, want) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}
