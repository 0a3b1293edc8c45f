//! Security headers on every path of a service: what each answer carries, as text to read.
//!
//! `headers/*.txt` show both presets over http and https. `PORTCULLIS_WRITE_FIXTURES=1 cargo test --test it headers::`
//! writes them anew.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use portcullis::headers::{
    Cacheable, CspNonce, SecurityHeaders, SecurityHeadersBuilder, SecurityHeadersLayer,
};
use portcullis::rejection::{Rejection, RejectionCode};
use portcullis::render::GrpcStatus;
use portcullis::time::Timestamp;
use portcullis::{RequestContext, RequestId};
use tower::{Layer as _, Service, ServiceExt as _};

/// A way to an answer: a request, and what is to come of it.
type Row = (&'static str, Method, &'static str, &'static [(&'static str, &'static str)], u16);

const PATHS: &[Row] = &[
    ("the handler answers", Method::GET, "/page", &[], 200),
    ("HEAD", Method::HEAD, "/page", &[], 200),
    ("nothing new", Method::GET, "/page", &[("if-none-match", "\"1\"")], 304),
    ("somewhere else", Method::GET, "/moved", &[], 303),
    ("nobody knows who", Method::GET, "/refused/401", &[], 401),
    ("somebody may not", Method::GET, "/refused/403", &[], 403),
    ("no route", Method::GET, "/nothing", &[], 404),
    ("no such method", Method::DELETE, "/page", &[], 405),
    ("too large", Method::POST, "/upload", &[("content-length", "99")], 413),
    ("too often", Method::GET, "/refused/429", &[], 429),
    ("an error", Method::GET, "/refused/500", &[], 500),
    ("the handler panics", Method::GET, "/panic", &[], 500),
    ("the service panics when called", Method::GET, "/panic-in-call", &[], 500),
    ("a body that streams", Method::GET, "/stream", &[], 200),
    ("preflight", Method::OPTIONS, "/page", &[("access-control-request-method", "PUT")], 204),
    ("an inner layer answers", Method::GET, "/page", &[("x-maintenance", "1")], 503),
    ("with a bearer token", Method::GET, "/page", &[("authorization", "Bearer a")], 200),
    ("with a cookie", Method::GET, "/page", &[("cookie", "a=b")], 200),
    ("with a cookie, the same for everybody", Method::GET, "/logo", &[("cookie", "a=b")], 200),
    ("a cookie is set", Method::GET, "/cookie", &[], 200),
    ("the handler has its own", Method::GET, "/own", &[], 200),
];

fn router() -> Router {
    Router::new()
        .route("/page", get(page))
        .route("/moved", get(async || axum::response::Redirect::to("/page")))
        .route("/refused/{status}", get(refused))
        .route("/upload", post(async |body: Bytes| body).layer(DefaultBodyLimit::max(8)))
        .route("/panic", get(panics))
        .route("/stream", get(async || Body::new(Chunks(3))))
        .route("/logo", get(async || (axum::Extension(Cacheable), [("cache-control", "max-age=60")], "logo")))
        .route(
            "/cookie",
            get(async || [("set-cookie", "a=b"), ("cache-control", "public"), ("vary", "Accept")]),
        )
        .route("/own", get(own))
        .layer(middleware::from_fn(inner))
}

async fn page(headers: HeaderMap) -> Response {
    if headers.contains_key("if-none-match") {
        return (StatusCode::NOT_MODIFIED, [("etag", "\"1\"")]).into_response();
    }
    ([("etag", "\"1\"")], "page").into_response()
}

async fn refused(axum::extract::Path(status): axum::extract::Path<u16>) -> Rejection {
    let codes = [
        RejectionCode::Unauthenticated,
        RejectionCode::Forbidden,
        RejectionCode::RateLimited,
        RejectionCode::Internal,
    ];
    let rejection = Rejection::new(codes.into_iter().find(|code| code.status() == status).unwrap());
    if status == 429 { rejection.with_retry_after(std::time::Duration::from_secs(7)) } else { rejection }
}

async fn panics() {
    panic!("canary")
}

async fn own() -> impl IntoResponse {
    let names = [
        ("content-security-policy", "default-src 'self'"),
        ("strict-transport-security", "max-age=1"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "unsafe-url"),
        ("x-xss-protection", "1; mode=block"),
        ("server", "teapot/1.2.3"),
        ("x-powered-by", "steam 4.5.6"),
        ("x-request-id", "7"),
    ];
    (names, "own")
}

/// What an application puts around its router: it answers preflights, and everything while it is being repaired.
async fn inner(request: Request<Body>, next: Next) -> Response {
    if request.headers().contains_key("x-maintenance") {
        return Rejection::new(RejectionCode::Unavailable).into_response();
    }
    if request.headers().contains_key("access-control-request-method") {
        return (StatusCode::NO_CONTENT, [("access-control-allow-methods", "PUT"), ("vary", "Origin")])
            .into_response();
    }
    next.run(request).await
}

/// A body without a length.
struct Chunks(u8);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        Poll::Ready(left.map(|left| {
            self.0 = left;
            Ok(Frame::data(Bytes::from_static(b"chunk ")))
        }))
    }
}

/// Panics before there is a future.
#[derive(Clone)]
struct PanicsInCall(Router);

impl Service<Request<Body>> for PanicsInCall {
    type Response = Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert_ne!(request.uri().path(), "/panic-in-call", "canary");
        self.0.call(request)
    }
}

fn context(secure: bool) -> RequestContext {
    RequestContext::new(RequestId::parse("7f3c").unwrap(), Timestamp::from_secs(1_767_225_600))
        .with_secure(secure)
}

/// The answer on one path: status and headers, sorted, with the nonce of the request by name.
async fn ask(headers: &SecurityHeaders, row: &Row, secure: bool) -> (u16, BTreeSet<String>) {
    let (name, method, path, asked, want) = row;
    let service = SecurityHeadersLayer::new(headers.clone()).layer(PanicsInCall(router()));
    let mut request = Request::builder().method(method.clone()).uri(*path).extension(context(secure));
    for (name, value) in *asked {
        request = request.header(*name, *value);
    }
    let body = if *method == Method::POST { "x".repeat(99) } else { String::new() };
    let response = service.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), *want, "{name}");
    let (parts, body) = response.into_parts();
    let lines = parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let lines = lines.map(|line| without_nonce(&line)).collect();
    let body = body.collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("canary"), "{name}");
    (parts.status.as_u16(), lines)
}

fn without_nonce(line: &str) -> String {
    let mut parts = line.split("'nonce-");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("'nonce-NONCE");
        text.push_str(&part[22..]);
    }
    text
}

/// All paths as text: first what every answer carries, then what else each has.
async fn print(builder: &SecurityHeadersBuilder, secure: bool) -> String {
    let headers = builder.build().unwrap();
    let mut answers = Vec::new();
    for row in PATHS {
        answers.push((row, ask(&headers, row, secure).await));
    }
    for ((name, ..), (_, lines)) in &answers {
        let names: Vec<_> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
        // ASVS 3.4.1, 3.4.4, 3.4.6
        for wanted in headers.values().map(|(name, _)| name.as_str()) {
            let times = names.iter().filter(|name| **name == wanted).count();
            assert_eq!(
                times,
                usize::from(secure || wanted != "strict-transport-security"),
                "{wanted}: {name}"
            );
        }
        // ASVS 13.4.6
        assert!(
            !names.iter().any(|name| ["server", "x-powered-by", "x-xss-protection"].contains(name)),
            "{name}"
        );
    }
    let sets = answers.iter().filter(|((name, ..), _)| *name != "the handler has its own");
    let common = sets.map(|(_, (_, lines))| lines.clone()).reduce(|all, lines| &all & &lines).unwrap();
    let mut text = "== every answer\n".to_owned();
    common.iter().for_each(|line| writeln!(text, "{line}").unwrap());
    for ((name, method, path, asked, _), (status, lines)) in &answers {
        write!(text, "\n== {name}\n{method} {path}").unwrap();
        asked.iter().for_each(|(name, value)| write!(text, ", {name}: {value}").unwrap());
        writeln!(text, "\n{status}").unwrap();
        lines.difference(&common).for_each(|line| writeln!(text, "{line}").unwrap());
    }
    text
}

async fn golden(file: &str, builder: &SecurityHeadersBuilder, secure: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/headers").join(file);
    let printed = print(builder, secure).await;
    if std::env::var_os("PORTCULLIS_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    assert_eq!(printed, std::fs::read_to_string(&path).unwrap(), "{file}, printed:\n{printed}");
}

// ASVS 3.4.1, 3.4.3, 14.3.2, 16.5.4
#[tokio::test]
async fn every_answer_carries_the_headers() {
    golden("api_https.txt", &SecurityHeaders::api(), true).await;
    golden("api_http.txt", &SecurityHeaders::api(), false).await;
    golden("html_https.txt", &SecurityHeaders::html(), true).await;
    golden("html_http.txt", &SecurityHeaders::html(), false).await;
}

/// Without a context there is the scheme; without that, no HSTS. Nothing else changes, and nothing fails.
#[tokio::test]
async fn a_layer_alone_goes_by_the_scheme() {
    let layer = SecurityHeadersLayer::new(SecurityHeaders::api().build().unwrap());
    for (name, uri, known, want) in [
        ("https", "https://api.example/page", None, true),
        ("http", "http://api.example/page", None, false),
        ("a path", "/page", None, false),
        ("the context knows better", "https://api.example/page", Some(false), false),
        ("the context knows", "/page", Some(true), true),
    ] {
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        known.map(|secure| request.extensions_mut().insert(context(secure)));
        let response = layer.layer(router()).oneshot(request).await.unwrap();
        assert_eq!(response.headers().contains_key("strict-transport-security"), want, "{name}");
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{name}");
    }
}

/// The answer to a panic looks as the others of the service do, and outer layers see why.
#[tokio::test]
async fn a_panic_is_rendered_as_chosen() {
    let layer = SecurityHeadersLayer::new(SecurityHeaders::api().build().unwrap()).with_renderer(GrpcStatus);
    let request = Request::get("/panic").body(Body::empty()).unwrap();
    let response: Response = layer.layer(router()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "13");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.extensions().get::<Rejection>().unwrap().code(), RejectionCode::Internal);
}

// ASVS 3.4.3
#[tokio::test]
async fn a_handler_gets_the_nonce_of_its_answer() {
    let page = async |nonce: CspNonce| format!("<script nonce=\"{nonce}\">");
    let router = Router::new().route("/", get(page));
    let layer = SecurityHeadersLayer::new(SecurityHeaders::html().build().unwrap());
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let (parts, body) = layer.layer(router.clone()).oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let nonce = body.split('"').nth(1).unwrap().to_owned();
        let policy = parts.headers["content-security-policy"].to_str().unwrap();
        assert_eq!(policy.matches(&format!("'nonce-{nonce}'")).count(), 2, "{policy}");
        assert!(seen.insert(nonce), "twice the same");
    }
    // Where no layer makes one, the handler is not run with something else.
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 500);
}
