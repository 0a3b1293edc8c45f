//! Layers that run too early, too late, on the wrong thing, or say too much.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use portcullis::authn::{AuthenticateLayer, BearerScheme};
use portcullis::authz::policy::Decision;
use portcullis::authz::{AccessMap, AuthorizeLayer, Authorizer, Rule};
use portcullis::axum::{Claims, GateRouter};
use portcullis::gate::Gate;
use portcullis::principal::{Principal, Verified};
use portcullis::token::{TokenRefusal, VerifyAccessToken};
use portcullis::{Subject, TenantId};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::layers::{Inner, Late, LatePolicy, Tokens, gate, get, roles, send};

fn late(decision: Decision) -> Rule {
    Rule::policy(LatePolicy(decision))
}

async fn late_gate() -> Gate {
    Gate::builder()
        .with_access_tokens(Tokens)
        .add_scheme(Late)
        .with_roles(roles())
        .with_access_map(
            AccessMap::builder()
                .add(Method::GET, "/", Rule::authenticated())
                .add(Method::GET, "/allow", late(Decision::Allow))
                .add(Method::GET, "/deny", late(Decision::Deny)),
        )
        .build()
        .await
        .unwrap()
}

fn with_late(path: &str, token: &str) -> Request<()> {
    let mut request = get(path, &[]);
    request.headers_mut().insert("x-late", token.parse().unwrap());
    request
}

fn with_principal(principal: Principal) -> Request<()> {
    let mut request = get("/", &[]);
    request.extensions_mut().insert(principal);
    request
}

/// Attack log R5: axum-casbin answered 401 after the inner `Service::call` had run.
#[tokio::test]
async fn nothing_inside_runs_for_a_refused_request() {
    let authenticate = AuthenticateLayer::new(BearerScheme::new(Tokens)).add_scheme(Late);
    let authorize = |rule| AuthorizeLayer::new(rule, &Authorizer::new(roles())).unwrap();
    let gate = late_gate().await;
    let nobody = || with_principal(Principal::anonymous(TenantId::default()));

    let inner = Inner::default();
    for (name, status, answer) in [
        (
            "authenticate",
            401,
            send(&authenticate.layer(inner.clone()), get::<()>("/", &["Bearer forged"])).await,
        ),
        ("authenticate, late", 401, send(&authenticate.layer(inner.clone()), with_late("/", "forged")).await),
        ("authorize", 401, send(&authorize(Rule::authenticated()).layer(inner.clone()), nobody()).await),
        ("authorize, late", 401, send(&authorize(late(Decision::Deny)).layer(inner.clone()), nobody()).await),
        (
            "authorize, nobody there",
            500,
            send(&authorize(Rule::anyone()).layer(inner.clone()), get::<()>("/", &[])).await,
        ),
        ("gate", 401, send(&gate.layer().layer(inner.clone()), get::<()>("/", &[])).await),
        (
            "gate, no rule",
            404,
            send(&gate.layer().layer(inner.clone()), get::<()>("/x", &["Bearer user"])).await,
        ),
        ("gate, late scheme", 401, send(&gate.layer().layer(inner.clone()), with_late("/", "forged")).await),
        (
            "gate, late policy",
            403,
            send(&gate.layer().layer(inner.clone()), get::<()>("/deny", &["Bearer user"])).await,
        ),
        ("gate, both late", 403, send(&gate.layer().layer(inner.clone()), with_late("/deny", "user")).await),
    ] {
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(inner.calls(), 0, "{name}");
    }
}

/// Attack log R7: tower-oauth2-resource-server and axum-security called a clone of the service that was polled ready;
/// over `ConcurrencyLimit` that panics.
#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    // `Inner` panics when it is called unready, and its clones are unready; `ConcurrencyLimit` likewise.
    async fn twice<S>(name: &str, mut service: S, request: impl Fn() -> Request<()>)
    where
        S: Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible>,
    {
        for round in 0..3 {
            let response = service.ready().await.unwrap().call(request()).await.unwrap();
            assert_eq!(response.status(), 200, "{name}, round {round}");
        }
    }
    let limited = || ConcurrencyLimitLayer::new(1).layer(Inner::default());
    let authenticate = AuthenticateLayer::new(BearerScheme::new(Tokens)).add_scheme(Late);
    let authorize = |rule| AuthorizeLayer::new(rule, &Authorizer::new(roles())).unwrap();
    let gate = late_gate().await;
    let bearer = |path: &'static str| move || get::<()>(path, &["Bearer user"]);
    let user = || with_principal(Tokens.verify("user").unwrap().into_inner());

    twice("authenticate", authenticate.layer(limited()), bearer("/")).await;
    twice("authenticate, late", authenticate.layer(limited()), || with_late("/", "user")).await;
    twice("authorize", authorize(Rule::authenticated()).layer(limited()), user).await;
    twice("authorize, late", authorize(late(Decision::Allow)).layer(limited()), user).await;
    twice("gate", gate.layer().layer(limited()), bearer("/")).await;
    twice("gate, late scheme", gate.layer().layer(limited()), || with_late("/", "user")).await;
    twice("gate, late policy", gate.layer().layer(limited()), bearer("/allow")).await;
    twice("gate, both late", gate.layer().layer(limited()), || with_late("/allow", "user")).await;

    // A refusal gives the permit back: the next request is served.
    let mut service = gate.layer().layer(limited());
    let mut call = async |token| {
        let service = ServiceExt::<Request<()>>::ready(&mut service).await.unwrap();
        service.call(get::<()>("/", &[token])).await.unwrap().status()
    };
    for (token, status) in
        [("Bearer forged", 401), ("Bearer user", 200), ("Bearer forged", 401), ("Bearer user", 200)]
    {
        assert_eq!(call(token).await, status);
    }
}

/// Attack log A5: a check that a second way to the handler misses. Clones, fallbacks, other methods, gRPC.
#[tokio::test]
async fn every_way_to_the_handler_goes_through_the_gate() {
    let map = AccessMap::builder().add(Method::POST, "/pkg.Greeter/Hello", Rule::authenticated());
    let gate = gate(map).await;
    let inner = Inner::default();
    let service = gate.layer().layer(inner.clone());
    let router: GateRouter = gate.router();
    let routed = router.route(Method::GET, "/me", async || "in", Rule::authenticated()).finish().unwrap();
    let app = axum::Router::new()
        .route("/pkg.Greeter/Hello", axum::routing::post(async || "in").fallback(async || "in"))
        .fallback(async || "in")
        .layer(gate.layer());

    let clone_of_a_clone = service.clone().clone();
    for (method, path, status) in [
        ("POST", "/pkg.Greeter/Hello", 401),
        ("GET", "/pkg.Greeter/Hello", 405),
        ("OPTIONS", "/pkg.Greeter/Hello", 405),
        ("POST", "/pkg.Greeter/Other", 404),
        ("POST", "/", 404),
    ] {
        let mut request = get::<()>(path, &[]);
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(send(&service, request.clone()).await.status, status, "{method} {path}");
        assert_eq!(send(&clone_of_a_clone, request.clone()).await.status, status, "clone, {method} {path}");
        let request = request.map(|()| axum::body::Body::empty());
        assert_eq!(send(&app, request).await.status, status, "axum, {method} {path}");
    }
    assert_eq!(inner.calls(), 0);
    for (name, service) in [("service", routed.clone()), ("clone", routed.clone().clone())] {
        for (path, status) in [("/me", 401), ("/other", 404)] {
            assert_eq!(send(&service, get(path, &[])).await.status, status, "{name} {path}");
        }
    }
    // What an error handler outside gets is the refusal.
    let outside = app.layer(axum::middleware::map_response(async |response: axum::response::Response| {
        (response.status(), "handled")
    }));
    let mut request = get::<axum::body::Body>("/pkg.Greeter/Hello", &[]);
    *request.method_mut() = Method::POST;
    let answer = send(&outside, request).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "handled"));
}

/// Attack log A8: Spring CVE-2026-41847, where the handler saw another request than the one that was authorised.
#[tokio::test]
async fn the_handler_sees_exactly_the_request_that_was_authorised() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u32);

    let gate = Gate::builder()
        .with_access_tokens(Tokens)
        .add_scheme(Late)
        .with_roles(roles())
        .with_access_map(AccessMap::builder().add(Method::PUT, "/a/{*rest}", Rule::role("admin")))
        .build()
        .await
        .unwrap();
    let seen: Arc<Mutex<Option<Request<Bytes>>>> = Arc::default();
    let keep = seen.clone();
    let service = gate.layer().layer(service_fn(move |request: Request<Full<Bytes>>| {
        let keep = keep.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            *keep.lock().unwrap() = Some(Request::from_parts(parts, body));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    }));
    for (name, header, value) in [("now", "authorization", "Bearer admin"), ("late", "x-late", "admin")] {
        let request = || {
            Request::put("http://host.example/a/b%20c,d?e=f&g")
                .version(http::Version::HTTP_2)
                .header(header, value)
                .header("x-twice", "1")
                .header("x-twice", "2")
                .extension(Mark(7))
                // A principal that came from outside counts for nothing.
                .extension(Principal::user(TenantId::default(), Subject::parse("forged").unwrap()))
                .body(Full::from("body"))
                .unwrap()
        };
        assert_eq!(send(&service, request()).await.status, 200, "{name}");
        let (got, want) = (seen.lock().unwrap().take().unwrap(), request());
        assert_eq!(
            (got.method(), got.uri(), got.version()),
            (want.method(), want.uri(), want.version()),
            "{name}"
        );
        assert_eq!(got.headers(), want.headers(), "{name}");
        assert_eq!(got.extensions().get::<Mark>(), Some(&Mark(7)), "{name}");
        assert_eq!(got.body(), "body", "{name}");
        let who = got.extensions().get::<Principal>().unwrap();
        assert_eq!(who.subject().unwrap().as_str(), "u-1", "{name}");
    }
}

/// Attack log A4, as far as the principal goes: one that is already there is replaced, or removed.
#[tokio::test]
async fn a_principal_from_outside_counts_for_nothing() {
    let map = AccessMap::builder()
        .add(Method::GET, "/", Rule::anyone())
        .add(Method::GET, "/open", Rule::public())
        .add(Method::GET, "/me", Rule::authenticated());
    let gate = gate(map).await.layer().layer(Inner::default());
    let alone = AuthenticateLayer::new(BearerScheme::new(Tokens)).layer(Inner::default());
    let forged = |path: &str| {
        let mut request = with_principal(Tokens.verify("admin").unwrap().into_inner());
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    assert_eq!(send(&gate, forged("/")).await.body, "anonymous");
    assert_eq!(send(&gate, forged("/open")).await.body, "no principal");
    assert_eq!(send(&gate, forged("/me")).await.status, 401);
    assert_eq!(send(&alone, forged("/")).await.body, "anonymous");
}

/// Attack log H3: a security input that appears twice is refused, whichever of the two would have been good: by the
/// firewall of the gate, and by authentication where there is none.
// ASVS 15.3.7
#[tokio::test]
async fn duplicate_authorization_is_refused() {
    let map = AccessMap::builder().add(Method::GET, "/", Rule::anyone());
    let behind_the_gate = gate(map).await.layer().layer(Inner::default());
    let service = AuthenticateLayer::new(BearerScheme::new(Tokens)).layer(Inner::default());
    for values in [
        &["Bearer user", "Bearer user"][..],
        &["Bearer user", "Bearer forged"],
        &["Bearer forged", "Bearer user"],
        &["Bearer user", "Basic dTpw"],
        &["Basic dTpw", "Bearer user"],
        &["", "Bearer user"],
    ] {
        let answer = send(&service, get::<()>("/", values)).await;
        assert_eq!(answer.status, 401, "{values:?}");
        assert!(answer.body.contains("credential_ambiguous"), "{values:?}: {}", answer.body);
        let answer = send(&behind_the_gate, get::<()>("/", values)).await;
        assert_eq!(answer.status, 400, "{values:?}");
    }
    let listed = send(&service, get::<()>("/", &["Bearer user, Bearer user"])).await;
    assert!(listed.status == 401 && listed.body.contains("token_invalid"), "{}", listed.body);
}

/// Says yes to one token, whose principal is full of canaries.
struct Canaries;

impl VerifyAccessToken for Canaries {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        match token {
            "canary-token" => Ok(Verified::vouch(
                Principal::user(TenantId::default(), Subject::parse("canary-subject").unwrap())
                    .with_roles(["user", "canary-role"])
                    .with_scopes(["tasks:read", "canary-scope"])
                    .with_claims_json("{\"plan\":\"canary-claim\"}".into()),
            )),
            _ => Err(TokenRefusal::Invalid),
        }
    }
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Attack log R8: axum-login logged the whole user, password hash included, at DEBUG.
// ASVS 16.2.5
#[tokio::test]
async fn nothing_of_who_or_what_was_presented_is_logged() {
    use tracing_subscriber::fmt::format::FmtSpan;

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    // With a single dispatcher, tracing caches "nobody listens" for whatever another test's thread logs first.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its type matters")]
    struct Other {
        plan: u32,
    }
    let gate = Gate::builder().with_access_tokens(Canaries).with_roles(roles()).build().await.unwrap();
    let router: GateRouter = gate.router();
    let service = router
        .route(Method::GET, "/tasks/{id}", async || "", Rule::permission("tasks:read"))
        .route(Method::GET, "/users", async || "", Rule::permission("users:delete"))
        .route(Method::GET, "/scope", async || "", Rule::permission("tasks:write"))
        .route(Method::GET, "/claims", async |_: Claims<Other>| "", Rule::authenticated())
        .route(Method::GET, "/public", async |_: Principal| "", Rule::public())
        .finish()
        .unwrap();
    let unmapped =
        axum::Router::new().route("/forgotten", axum::routing::get(async || "")).layer(gate.layer());
    let alone = AuthorizeLayer::new(Rule::authenticated(), &Authorizer::new(roles()))
        .unwrap()
        .layer(Inner::default());
    let mut bodies = String::new();
    for path in [
        "/tasks/canary-id",
        "/users",
        "/scope",
        "/claims",
        "/public",
        "/canary-path",
        "/tasks/1?q=canary-query",
    ] {
        for values in [&["Bearer canary-token"][..], &["Bearer canary-forged"], &["Canary canary-basic"], &[]]
        {
            let answer = send(&service, get(path, values)).await;
            bodies += &format!("{} {:?}", answer.body, answer.headers);
        }
        send(&unmapped, get::<axum::body::Body>("/forgotten", &["Bearer canary-token"])).await;
        send(&alone, get::<()>("/", &["Bearer canary-token"])).await;
    }
    let text = log.text();
    // What the log is for is there.
    for expected in
        ["a route has no rule", "add `AuthenticateLayer`", "do not fit the type", "asks for a principal"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.to_lowercase().contains("canary-"), "{text}");
    assert!(!bodies.to_lowercase().contains("canary"), "{bodies}");
    assert_eq!(text.matches("a route has no rule").count(), 1, "a forgotten route is reported once");
}
