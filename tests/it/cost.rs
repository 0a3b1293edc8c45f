//! What a request costs, as far as it can be told without a clock. Time and allocations are in `benches/`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use portcullis::account::Accounts;
use portcullis::audit::MemorySink;
use portcullis::authz::{AccessMap, AuthorizeLayer, Authorizer, Role, RoleModel, Rule};
use portcullis::context::ContextLayer;
use portcullis::crypto::{Algorithm, Key, Keyring, StaticKeys};
use portcullis::firewall::{Firewall, FirewallLayer};
use portcullis::gate::Gate;
use portcullis::headers::{SecurityHeaders, SecurityHeadersLayer};
use portcullis::id::{FamilyId, TokenId};
use portcullis::network::Connection;
use portcullis::principal::{AuthMethod, Principal, Verified};
use portcullis::rate_limit::{Quota, RateKey, RateLimit, RateLimitLayer};
use portcullis::store::MemoryStore;
use portcullis::time::{Clock, ManualClock, Timestamp};
use portcullis::token::{AccessTokens, Claims, TokenRefusal, VerifyAccessToken};
use portcullis::{Subject, TenantId};
use secrecy::ExposeSecret as _;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::support::World;

/// No store is asked about an access token, good or bad, and nothing is written about its use. Found out by a store
/// that keeps a trace; the follower of the revocation feed, which polls on its own, is stopped first.
#[tokio::test]
async fn the_bearer_path_makes_no_store_call() {
    let world = World::new().await;
    world.register("ada").await;
    let token = world.sign_in("ada").await.tokens.access_token;
    let rows = AccessMap::builder().add(Method::GET, "/tasks/{id}", Rule::role("user"));
    let builder = Gate::builder().with_accounts(world.accounts.clone());
    let gate = builder.with_access_map(rows).build().await.unwrap();
    let handler = async || "done";
    let router = gate.router().mapped(Method::GET, "/tasks/{id}", handler).finish().unwrap();
    let layer = gate.layer().layer(
        axum::Router::new()
            .route("/tasks/{id}", axum::routing::get(handler))
            .into_service::<axum::body::Body>(),
    );

    gate.shutdown().await;
    let before = world.faults.calls().len();
    assert!(before > 0, "the store keeps a trace");
    for number in 0..100 {
        let (bearer, want) = match number % 3 {
            0 => (token.expose_secret().to_owned(), StatusCode::OK),
            1 => (format!("{}A", token.expose_secret()), StatusCode::UNAUTHORIZED),
            _ => ("forged".to_owned(), StatusCode::UNAUTHORIZED),
        };
        let request = || {
            let request = Request::get("/tasks/42").header("authorization", format!("Bearer {bearer}"));
            request.body(axum::body::Body::empty()).unwrap()
        };
        assert_eq!(router.clone().oneshot(request()).await.unwrap().status(), want, "router, {number}");
        assert_eq!(layer.clone().oneshot(request()).await.unwrap().status(), want, "layer, {number}");
    }
    assert_eq!(world.faults.calls().get(before..), Some(&[][..]));
}

/// A service that costs nothing.
#[derive(Clone)]
struct Free;

impl Service<Request<()>> for Free {
    type Response = Response<bytes::Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(bytes::Bytes::new())))
    }
}

/// Knows one token, and reading it costs nothing.
#[derive(Clone)]
struct OneToken(Principal);

impl VerifyAccessToken for OneToken {
    fn verify(&self, _: &str) -> Result<Verified<Principal>, TokenRefusal> {
        Ok(Verified::vouch(self.0.clone()))
    }
}

/// What a service allocates for one request, built outside, that it lets in.
fn allocations<S, B, A>(service: S, request: Request<B>) -> u64
where
    S: Service<Request<B>, Response = Response<A>, Error = Infallible>,
{
    let (count, response) = measured(service, request);
    assert_eq!(response.status(), 200);
    count
}

/// What a service allocates for one request, and what it answers.
fn measured<S, B, A>(mut service: S, request: Request<B>) -> (u64, Response<A>)
where
    S: Service<Request<B>, Response = Response<A>, Error = Infallible>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut response = None;
    let counted = allocation_counter::measure(|| {
        assert!(service.poll_ready(&mut cx).is_ready());
        let answer = std::pin::pin!(service.call(request)).poll(&mut cx);
        response = Some(answer);
    });
    match response {
        Some(Poll::Ready(Ok(response))) => (counted.count_total, response),
        _ => panic!("it had to wait"),
    }
}

/// A request that is let in waits for nothing. A single layer costs no allocation, the whole gate seven: one for the name
/// of the request, two for the place of what is known of it, its context and its principal in there, and two for the
/// headers of the response, those of the handler included. A limit by address adds one, for what the client is told of it;
/// one by principal three more, for where the inner half notes what it said.
#[tokio::test]
async fn letting_a_request_in_allocates_next_to_nothing() {
    let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["user"]);
    let rule = || Rule::permission("tasks:read");
    let gate = Gate::builder()
        .with_access_tokens(OneToken(ada.clone()))
        .with_roles(roles.clone())
        .with_access_map(AccessMap::builder().add(Method::GET, "/tasks/{id}", rule()))
        .build()
        .await
        .unwrap();
    let request = || Request::get("/tasks/42").header("authorization", "Bearer a").body(()).unwrap();
    let known = || {
        let mut request = request();
        request.extensions_mut().insert(ada.clone());
        request
    };

    assert_eq!(allocations(Free, request()), 0, "the bare service");
    let layer = AuthorizeLayer::new(rule(), &Authorizer::new(roles.clone())).unwrap();
    assert_eq!(allocations(layer.layer(Free), known()), 0, "AuthorizeLayer");
    let require = gate.require(rule()).unwrap();
    assert_eq!(allocations(require.layer(Free), known()), 0, "gate.require()");
    let whole = allocations(gate.layer().layer(Free), request());
    assert!(whole <= 7, "gate.layer(): {whole}");
    let both = allocations(gate.layer().layer(require.layer(Free)), request());
    assert_eq!(both, whole, "gate.require() behind gate.layer()");
    let limit = |name: &str, key| {
        let limit = RateLimit::builder(name).with_key(key).add_quota(Quota::per_minute(1_000_000));
        limit.build().unwrap()
    };
    for (name, key, most) in [("address", RateKey::address(), 1), ("principal", RateKey::principal(), 4)] {
        let gate = Gate::builder()
            .with_access_tokens(OneToken(ada.clone()))
            .with_roles(roles.clone())
            .with_access_map(AccessMap::builder().add(Method::GET, "/tasks/{id}", rule()));
        let gate = gate.add_rate_limit(limit(name, key)).build().await.unwrap();
        let service = gate.layer().layer(Free);
        allocations(service.clone(), request());
        let more = allocations(service, request()) - whole;
        assert!(more <= most, "a limit by {name} adds {more}");
    }

    let firewall = FirewallLayer::new(Firewall::builder().add_host("api.example").build().unwrap());
    let for_host = || {
        let mut request = request();
        request.headers_mut().insert("host", http::HeaderValue::from_static("api.example"));
        request
    };
    assert_eq!(allocations(firewall.layer(Free), for_host()), 0, "FirewallLayer");
    // The name of the request in the response, a box among the extensions, the headers of the response.
    let context = ContextLayer::default();
    let from_somewhere = || {
        let mut request = for_host();
        request.extensions_mut().insert(Connection::new("192.0.2.7:4711".parse().unwrap()));
        request
    };
    let alone = allocations(context.layer(Free), from_somewhere());
    assert!(alone <= 4, "ContextLayer: {alone}");
}

/// The gate's own router, over the router of axum that it is made of, with the same handler and an answer of the same
/// status. Neither its bodies nor its guards are boxed once more: five for the name of the request, its context, its
/// principal and the headers of the answer, which is all that [the whole gate](letting_a_request_in_allocates_next_to_nothing)
/// costs where there is a place for what is known of the request. A refusal takes the memory of the request.
#[tokio::test]
async fn the_gates_router_allocates_little_more_than_the_bare_one() {
    let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["user"]);
    let handler = async || "done";
    let refuses = async || {
        let names = ["content-type", "cache-control", "www-authenticate"];
        let mut response = Response::new(axum::body::Body::from("{}"));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        for name in names.map(http::HeaderName::from_static) {
            response.headers_mut().insert(name, http::HeaderValue::from_static("value"));
        }
        response
    };
    let bare = axum::Router::new()
        .route("/tasks/{id}", axum::routing::get(handler))
        .route("/refused/{id}", axum::routing::get(refuses));
    let gate = Gate::builder().with_access_tokens(OneToken(ada)).with_roles(roles).build().await.unwrap();
    let rule = Rule::permission("tasks:read");
    let gate = gate.router().route(Method::GET, "/tasks/{id}", handler, rule).finish().unwrap();
    let request = |path: &str, headers: &[(&'static str, &'static str)]| {
        let mut request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(Connection::new("192.0.2.7:4711".parse().unwrap()));
        for (name, value) in headers {
            request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        request
    };
    let known = [("authorization", "Bearer a")];
    let nobody = [("accept", "*/*")];
    let mut over = Vec::new();
    for (name, status, path, headers, most) in
        [("let in", 200, "/tasks/42", &known, 5), ("nobody", 401, "/refused/42", &nobody, 3)]
    {
        // What is made once is not counted.
        measured(gate.clone(), request("/tasks/42", headers));
        measured(bare.clone(), request(path, headers));
        let (whole, response) = measured(gate.clone(), request("/tasks/42", headers));
        assert_eq!(response.status(), status, "{name}");
        let (least, response) = measured(bare.clone(), request(path, headers));
        assert_eq!(response.status(), status, "{name}");
        if whole > least + most {
            over.push((name, whole, least));
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

/// An allocation counted and an answer.
type Ask<'a> = &'a dyn Fn() -> (u64, Response<bytes::Bytes>);

/// Turning somebody away costs no allocation that an answer with as many headers would not: its memory is that of the
/// request, the texts are there before, and only the rejection for layers further out is new. The first refusal of a kind
/// is not counted.
#[tokio::test]
async fn a_refusal_allocates_no_more_than_a_bare_answer() {
    let names = ["content-type", "cache-control", "retry-after", "ratelimit-policy", "ratelimit"];
    let bare = tower::service_fn(move |_: Request<()>| {
        let mut response = Response::new(bytes::Bytes::from_static(b"{}"));
        for name in names.map(http::HeaderName::from_static) {
            response.headers_mut().insert(name, http::HeaderValue::from_static("value"));
        }
        ready(Ok::<_, Infallible>(response))
    });
    let request = |path: &'static str| {
        let mut request = Request::get(path).header("cookie", "canary").body(()).unwrap();
        request.extensions_mut().insert(Connection::new("192.0.2.7:4711".parse().unwrap()));
        request
    };
    let least = allocations(bare, request("/"));
    assert_eq!(least, 2, "a header map");

    let limit = |count| RateLimit::builder("api").add_quota(Quota::per_minute(count)).build().unwrap();
    let limited = RateLimitLayer::new(limit(1)).layer(Free);
    allocations(limited.clone(), request("/"));
    let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
    let rule = || Rule::permission("tasks:read");
    let guarded = AuthorizeLayer::new(rule(), &Authorizer::new(roles.clone())).unwrap().layer(Free);
    let by = |who: &Principal| {
        let mut request = request("/");
        request.extensions_mut().insert(who.clone());
        request
    };
    let nobody = Principal::anonymous(TenantId::default());
    // In the whole gate the name of the request and the security headers come on top.
    let gate = async |count| {
        let map =
            AccessMap::builder().add(Method::GET, "/tasks", rule()).add(Method::GET, "/", Rule::public());
        let gate = Gate::builder().with_access_tokens(OneToken(ada.clone())).with_roles(roles.clone());
        let gate = gate.with_access_map(map).add_rate_limit(limit(count)).build().await.unwrap();
        gate.layer().layer(Free)
    };
    let (open, closed) = (gate(1_000_000).await, gate(1).await);
    allocations(closed.clone(), request("/"));
    let rows: [(&str, u16, u64, Ask<'_>); 6] = [
        ("too often", 429, least - 1, &|| measured(limited.clone(), request("/"))),
        ("nobody", 401, least - 1, &|| measured(guarded.clone(), by(&nobody))),
        ("not allowed", 403, least - 1, &|| measured(guarded.clone(), by(&ada))),
        ("gate, too often", 429, 6, &|| measured(closed.clone(), request("/"))),
        ("gate, nobody", 401, 7, &|| measured(open.clone(), request("/tasks"))),
        ("gate, nothing there", 404, 6, &|| measured(open.clone(), request("/nothing"))),
    ];
    let mut over = Vec::new();
    for (name, status, most, ask) in rows {
        ask();
        let (count, response) = ask();
        assert_eq!(response.status(), status, "{name}");
        if count > most {
            over.push((name, count));
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

/// From the text of a token to a principal: the principal and its claims. A token that comes again costs nothing. Making one
/// takes the memory of its text, and reading it into claims that of the text, the roles and the methods.
#[tokio::test]
async fn verifying_a_token_allocates_next_to_nothing() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let clock = Arc::new(ManualClock::default());
        let accounts = Accounts::builder()
            .with_store(Arc::new(MemoryStore::new()))
            .with_keys(Arc::new(StaticKeys::danger_new(
                Keyring::new(Key::generate(algorithm).unwrap()).unwrap(),
            )))
            .with_audit(Arc::new(MemorySink::default()))
            .with_issuer("https://id.example")
            .with_audience("https://api.example")
            .with_clock(clock.clone())
            .build()
            .await
            .unwrap();
        let tokens = accounts.tokens();
        tokens.revocations().shutdown().await;
        let access = AccessTokens::new(tokens.clone(), TenantId::default());
        let now = clock.now();
        let claims = || {
            Claims::new(
                Subject::mint().unwrap(),
                TokenId::mint().unwrap(),
                now,
                now + Duration::from_secs(600),
            )
            .with_family(FamilyId::mint().unwrap())
            .with_roles(["user", "editor"])
            .with_scopes(["tasks:read", "tasks:write"])
            .with_auth_time(now)
            .with_auth_methods([AuthMethod::Password, AuthMethod::Otp])
        };
        let mint = || tokens.codec().encode(&claims()).unwrap();
        // What is made once in the life of a thread.
        access.verify(mint().expose_secret()).unwrap();
        let token = mint();
        let counted = || {
            let mut principal = None;
            let counted = allocation_counter::measure(|| {
                principal = access.verify(token.expose_secret()).ok();
            });
            assert_eq!(principal.unwrap().roles().collect::<Vec<_>>(), ["user", "editor"]);
            counted.count_total
        };
        let (first, again) = (counted(), counted());
        assert!(first <= 2, "{algorithm}, first: {first}");
        assert_eq!(again, 0, "{algorithm}, again");
        let claims = claims();
        let made = allocation_counter::measure(|| drop(tokens.codec().encode(&claims).unwrap()));
        // AWS-LC puts its signatures on the heap.
        let most = if algorithm == Algorithm::Hs256 { 1 } else { 2 };
        assert!(made.count_total <= most, "{algorithm}, made: {}", made.count_total);
        let read =
            allocation_counter::measure(|| drop(tokens.codec().decode(token.expose_secret(), now).unwrap()));
        assert!(read.count_total <= 8, "{algorithm}, read: {}", read.count_total);
    }
}

/// Headers are cloned from a template, into which those of the handler move.
#[test]
fn security_headers_allocate_next_to_nothing() {
    let asked =
        |name: &'static str| Request::get("https://a.example/").header(name, "Bearer a").body(()).unwrap();
    let inserts_one = tower::service_fn(|_: Request<()>| {
        let mut response = Response::new(bytes::Bytes::new());
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        ready(Ok::<_, Infallible>(response))
    });
    let bare = allocations(inserts_one, asked("accept"));
    for (name, headers, want) in [
        ("api", SecurityHeaders::api(), 2),
        ("html: the nonce, its extension, the policy", SecurityHeaders::html(), 6),
    ] {
        let layer = SecurityHeadersLayer::new(headers.build().unwrap());
        for header in ["accept", "authorization"] {
            let whole = allocations(layer.layer(inserts_one), asked(header));
            assert!(whole <= bare + want, "{name}, {header}: {whole}, bare {bare}");
        }
    }
}

/// Counts how often it is asked for the time of day.
#[derive(Debug, Default)]
struct Counting {
    clock: ManualClock,
    read: AtomicUsize,
}

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// Limits, expiry and whatever else goes by the time of day share one reading of it.
#[tokio::test]
async fn a_request_reads_the_time_of_day_once() {
    let clock = Arc::new(Counting::default());
    let accounts = Accounts::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_keys(Arc::new(StaticKeys::generate().unwrap()))
        .with_audit(Arc::new(MemorySink::default()))
        .with_issuer("https://id.example")
        .with_audience("https://api.example")
        .with_clock(clock.clone())
        .build()
        .await
        .unwrap();
    let now = clock.now();
    let ada = Subject::parse("ada").unwrap();
    let claims = Claims::new(ada, TokenId::mint().unwrap(), now, now + Duration::from_secs(600));
    let claims = claims.with_family(FamilyId::mint().unwrap());
    let token = accounts.tokens().codec().encode(&claims).unwrap();
    let limit = |name: &str| RateLimit::builder(name.to_owned()).add_quota(Quota::per_minute(3));
    let gate = Gate::builder()
        .with_accounts(accounts)
        .with_access_map(AccessMap::builder().add(Method::GET, "/", Rule::authenticated()))
        .add_rate_limit(limit("address").build().unwrap())
        .add_rate_limit(limit("who").with_key(RateKey::principal()).build().unwrap());
    let gate = gate.build().await.unwrap();
    let service = gate.layer().layer(Free);
    gate.shutdown().await;

    let good = format!("Bearer {}", token.expose_secret());
    for (name, bearer, want) in [
        ("a new token", good.as_str(), 200),
        ("the same again", &good, 200),
        ("no good one", "Bearer a.b.c", 401),
        ("too often", &good, 429),
    ] {
        let mut request = Request::get("/").header("authorization", bearer).body(()).unwrap();
        request.extensions_mut().insert(Connection::new("192.0.2.7:4711".parse().unwrap()));
        let before = clock.read.load(Ordering::Relaxed);
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), want, "{name}");
        assert_eq!(clock.read.load(Ordering::Relaxed) - before, 1, "{name}");
    }
}
