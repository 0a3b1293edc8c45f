//! The outer half of the gate: one right order, on every path, in both forms.

mod answers;
mod limits;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::context::TrustedProxies;
use portcullis::cors::Cors;
use portcullis::csrf::OriginRule;
use portcullis::firewall::FirewallRule;
use portcullis::gate::testing::{Cast, act_as};
use portcullis::gate::{Gate, GateBuilder};
use portcullis::network::Connection;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::time::ManualClock;
use portcullis::validate::BodyGuard;
use portcullis::{ConfigError, Principal};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

type App = BoxCloneSyncService<Request, axum::response::Response, Infallible>;

fn cast() -> Cast {
    let user = |name| act_as("default", name).with_roles(["user"]);
    Cast::new().add("ada", user("ada")).add("bob", user("bob"))
}

fn builder(clock: &ManualClock) -> GateBuilder {
    let roles =
        RoleModel::builder().add(Role::new("user").grants("tasks:read")).add(Role::new("admin")).build();
    let map = AccessMap::builder()
        .add(Method::GET, "/open", Rule::public())
        .add(Method::POST, "/open", Rule::public())
        .add(Method::GET, "/tasks/{id}", Rule::role("user"))
        .add(Method::GET, "/admin", Rule::role("admin"))
        .add(Method::GET, "/panic", Rule::public())
        .add(Method::GET, "/cached", Rule::public());
    Gate::builder()
        .with_access_tokens(cast())
        .with_roles(roles.unwrap())
        .with_access_map(map)
        .with_clock(Arc::new(clock.clone()))
}

fn per_minute(count: u32) -> RateLimit {
    RateLimit::builder("address").add_quota(Quota::per_minute(count)).build().unwrap()
}

fn cors() -> Cors {
    Cors::builder()
        .allow_origin("https://app.example")
        .allow_credentials()
        .allow_methods([Method::GET, Method::POST])
        .build()
        .unwrap()
}

/// The same service as `gate.router()` and behind `gate.layer()`.
async fn apps(builder: impl Fn() -> GateBuilder) -> Vec<(&'static str, App)> {
    use axum::routing::get;

    let open = async |request: Request| match request.into_body().collect().await {
        Ok(body) => (StatusCode::OK, format!("{} bytes", body.to_bytes().len())),
        Err(_) => (StatusCode::BAD_REQUEST, "no body".to_owned()),
    };
    let task = async |axum::extract::Path(id): axum::extract::Path<String>, who: Principal| {
        format!("{id} for {}", who.subject().unwrap())
    };
    let panics = async || -> StatusCode { panic!("on purpose") };
    let cached = async || (StatusCode::NOT_MODIFIED, [("etag", "\"1\""), ("server", "handler/1.0")]);
    let gate = builder().build().await.unwrap();
    let routed = gate
        .router()
        .mapped(Method::GET, "/open", open)
        .mapped(Method::POST, "/open", open)
        .mapped(Method::GET, "/tasks/{id}", task)
        .mapped(Method::GET, "/admin", async || "admin")
        .mapped(Method::GET, "/panic", panics)
        .mapped(Method::GET, "/cached", cached)
        .finish()
        .unwrap();
    let plain = axum::Router::new()
        .route("/open", get(open).post(open))
        .route("/tasks/{id}", get(task))
        .route("/admin", get(async || "admin"))
        .route("/panic", get(panics))
        .route("/cached", get(cached));
    let around = tower::Layer::layer(&builder().build().await.unwrap().layer(), plain.clone());
    let inside = plain.layer(builder().build().await.unwrap().layer());
    vec![
        ("router", BoxCloneSyncService::new(routed)),
        ("layer around a router", BoxCloneSyncService::new(around)),
        ("layer of a router", BoxCloneSyncService::new(inside)),
    ]
}

fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Connection::new("192.0.2.7:4711".parse().unwrap()));
    request
}

async fn send(app: &App, request: Request) -> (u16, HeaderMap, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
}

/// Name, method, path, headers, status.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], u16);

const ADA: (&str, &str) = ("authorization", "Bearer ada");
const APP: (&str, &str) = ("origin", "https://app.example");
const EVIL: (&str, &str) = ("origin", "https://evil.example");

/// A7: every answer carries the headers of the preset, its request's name and what is left of the limit, whoever gave it.
#[tokio::test]
async fn every_answer_carries_the_headers() {
    let clock = ManualClock::default();
    let big = ("content-length", "2000000");
    let preflight = ("access-control-request-method", "GET");
    for (form, app) in apps(|| builder(&clock).with_cors(cors()).add_rate_limit(per_minute(14))).await {
        let rows: [Row<'_>; 14] = [
            ("served", "GET", "/open", &[], 200),
            ("not modified", "GET", "/cached", &[], 304),
            ("unknown", "GET", "/tasks/1", &[], 401),
            ("a bad credential", "GET", "/tasks/1", &[("authorization", "Bearer eve")], 401),
            ("known", "GET", "/tasks/1", &[ADA], 200),
            ("not allowed", "GET", "/admin", &[ADA], 403),
            ("not there", "GET", "/nothing", &[], 404),
            ("another method", "PUT", "/open", &[], 405),
            ("a panic", "GET", "/panic", &[], 500),
            ("no one meaning", "GET", "/open/..%2fadmin", &[], 400),
            ("another site's form", "POST", "/open", &[EVIL], 403),
            ("a preflight", "OPTIONS", "/tasks/1", &[APP, preflight], 204),
            ("a preflight of a stranger", "OPTIONS", "/tasks/1", &[EVIL, preflight], 204),
            ("HEAD", "HEAD", "/open", &[], 200),
        ];
        for (name, method, path, headers, want) in rows {
            let (status, answer, body) = send(&app, ask(method, path, headers)).await;
            assert_eq!(status, want, "{form}, {name}: {body}");
            for (header, value) in [
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(answer[header], value, "{form}, {name}");
            }
            assert!(
                !answer.contains_key("server") && !answer.contains_key("strict-transport-security"),
                "{name}"
            );
            assert_eq!(answer.get_all("x-request-id").iter().count(), 1, "{form}, {name}");
            assert!(!body.contains("on purpose"), "{form}, {name}");
            // The firewall and preflights come before the limit.
            let limited = !matches!(name, "no one meaning" | "a preflight" | "a preflight of a stranger");
            assert_eq!(answer.contains_key("ratelimit"), limited, "{form}, {name}");
            let trusted = headers.contains(&APP);
            assert_eq!(answer.contains_key("access-control-allow-origin"), trusted, "{form}, {name}");
        }
        if form == "router" {
            let (status, answer, _) = send(&app, ask("POST", "/open", &[big])).await;
            assert_eq!(
                (status, &answer["x-frame-options"] == "DENY"),
                (413, true),
                "{form}: a body too large"
            );
        }
        for used in 0.. {
            let (status, answer, body) = send(&app, ask("GET", "/tasks/1", &[ADA, APP])).await;
            assert!(used < 14, "{form}: never limited");
            if status == 429 {
                assert!(body.contains("rate_limited"), "{form}");
                assert!(answer["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1, "{form}");
                assert_eq!(answer["x-frame-options"], "DENY", "{form}");
                assert_eq!(
                    answer["access-control-allow-origin"], "https://app.example",
                    "{form}: so that the page can read it"
                );
                break;
            }
        }
    }
}

/// 60 a minute are 60 a minute, for an address, a household's /64, and whoever writes `X-Forwarded-For` himself (R2, R3, G5).
#[tokio::test]
async fn a_client_is_one_client_however_it_spells_its_address() {
    let clock = ManualClock::default();
    let proxies = || TrustedProxies::x_forwarded_for(["10.0.0.0/8"]).unwrap();
    type From = fn(u32) -> (String, Option<String>);
    let rows: [(&str, From, usize); 6] = [
        ("one address", |_| ("192.0.2.7:1".into(), None), 60),
        ("many ports", |n| (format!("192.0.2.8:{}", n + 1), None), 60),
        ("one /64", |n| (format!("[2001:db8:0:1::{n:x}]:1"), None), 60),
        ("a header of its own", |n| ("192.0.2.9:1".into(), Some(format!("198.51.100.{n}"))), 60),
        (
            "what it wrote before a proxy",
            |n| ("10.0.0.1:1".into(), Some(format!("198.51.100.{n}, 192.0.2.10"))),
            60,
        ),
        ("many clients of a proxy", |n| ("10.0.0.1:1".into(), Some(format!("203.0.113.{n}"))), 70),
    ];
    for (form, app) in
        apps(|| builder(&clock).with_trusted_proxies(proxies()).add_rate_limit(per_minute(60))).await
    {
        for (name, from, want) in rows {
            let mut passed = 0;
            for n in 0..70 {
                let (peer, forwarded) = from(n);
                let mut request = ask("GET", "/open", &[]);
                request.extensions_mut().insert(Connection::new(peer.parse().unwrap()));
                if let Some(forwarded) = forwarded {
                    request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
                }
                passed += usize::from(send(&app, request).await.0 == 200);
            }
            assert_eq!(passed, want, "{form}, {name}");
        }
    }
}

/// Whoever reads the path reads the same bytes.
#[tokio::test]
async fn the_path_has_one_spelling_before_anything_matches() {
    let clock = ManualClock::default();
    for (form, app) in apps(|| builder(&clock)).await {
        let (status, _, body) = send(&app, ask("GET", "/tasks/%61bc", &[ADA])).await;
        // Inside axum's own router it is too late to rewrite, so there it is refused.
        let inside = form == "layer of a router";
        let want = if inside { (400, false) } else { (200, true) };
        assert_eq!((status, body.contains("abc for ada")), want, "{form}: {body}");
        let (status, ..) = send(&app, ask("GET", "/%61dmin", &[ADA])).await;
        assert_eq!(status, if inside { 400 } else { 403 }, "{form}");
    }
}

/// H8: sign-in too; and origins that CORS lets act as the user may.
#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let clock = ManualClock::default();
    for (form, app) in apps(|| builder(&clock).with_cors(cors())).await {
        for (name, headers, want) in [
            ("no browser", &[][..], 200),
            ("cross-site", &[("sec-fetch-site", "cross-site")], 403),
            ("another origin", &[EVIL], 403),
            ("no origin", &[("origin", "null")], 403),
            ("with a token of its own", &[EVIL, ADA], 200),
            ("trusted by CORS", &[APP, ("sec-fetch-site", "cross-site")], 200),
            ("a cookie from nowhere", &[("cookie", "a=b")], 403),
        ] {
            let (status, answer, body) = send(&app, ask("POST", "/open", headers)).await;
            assert_eq!(status, want, "{form}, {name}: {body}");
            assert_eq!(body.contains("cross_origin"), want == 403, "{form}, {name}");
            assert!(
                answer[header::VARY].to_str().unwrap().to_lowercase().contains("origin"),
                "{form}, {name}"
            );
        }
    }
}

/// H5: a body without a length is counted while it is read.
#[tokio::test]
async fn a_body_is_counted_while_it_is_read() {
    let clock = ManualClock::default();
    let apps = apps(|| builder(&clock).with_body_guard(BodyGuard::new().with_max_bytes(10))).await;
    let (_, app) = &apps[0];
    for (bytes, want) in [(10, 200), (11, 413)] {
        let mut request = ask("POST", "/open", &[]);
        *request.body_mut() = Body::new(Pieces(bytes));
        let (status, answer, _) = send(app, request).await;
        assert_eq!(status, want, "{bytes}");
        assert_eq!(answer["x-frame-options"], "DENY", "{bytes}");
    }
}

/// So many bytes, one at a time, of which nobody knows how many there are.
struct Pieces(usize);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(http_body::Frame::data(Bytes::from_static(b"x")))))
    }
}

/// What is taken out by name is out, and what the firewall refuses says to outer layers by which rule.
#[tokio::test]
async fn parts_that_are_taken_out() {
    let clock = ManualClock::default();
    let refused = |app: &App| app.clone().oneshot(ask("GET", "/open//", &[]));
    for (form, app) in apps(|| builder(&clock)).await {
        let response = refused(&app).await.unwrap();
        assert_eq!(
            response.extensions().get::<FirewallRule>().map(|rule| rule.as_str()),
            Some("empty_segment"),
            "{form}"
        );
    }
    for (form, app) in apps(|| {
        builder(&clock).danger_without_firewall().danger_without_headers().danger_without_origin_rule()
    })
    .await
    {
        let response = refused(&app).await.unwrap();
        assert_eq!(response.status(), 404, "{form}");
        assert!(!response.headers().contains_key("x-frame-options"), "{form}");
        assert_eq!(send(&app, ask("POST", "/open", &[EVIL])).await.0, 200, "{form}");
    }
}

/// All contradictions are told at once.
#[tokio::test]
async fn parts_that_contradict_each_other() {
    let clock = ManualClock::default();
    let refused: ConfigError = builder(&clock)
        .with_cors(cors())
        .with_origin_rule(OriginRule::builder().build().unwrap())
        .add_rate_limit(per_minute(1))
        .add_rate_limit(per_minute(2))
        .with_realm("a \"realm\"")
        .with_access_map(
            AccessMap::builder()
                .add(Method::GET, "/a", Rule::role("no such role"))
                .add(Method::GET, "a", Rule::public())
                .add(Method::GET, "/{x}", Rule::public())
                .add(Method::GET, "/{y}", Rule::public()),
        )
        .build()
        .await
        .unwrap_err();
    let told = refused.to_string();
    for want in [
        "realm: cannot stand in a header",
        "GET /a: its rule cannot be satisfied",
        "GET a: ",
        "GET /{y}: matches the same paths as `/{x}`",
        "rate limit `address`: is there twice",
        "https://app.example",
    ] {
        assert_eq!(told.lines().filter(|line| line.contains(want)).count(), 1, "{want}: {told}");
    }
    assert_eq!((told.lines().count(), refused.others().len()), (6, 5), "{told}");

    let refused = Cors::builder()
        .allow_origins(["https://app.example/", "http://app.example", "http://two.example"])
        .allow_credentials()
        .allow_methods([Method::from_bytes(b"patch").unwrap()])
        .build()
        .unwrap_err();
    assert_eq!(refused.others().len(), 3, "{refused}");
}
