//! The gate: as a layer, and as a router.

use axum::extract::{Path, Request, State};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use portcullis::authz::{AccessMap, AccessMapBuilder, Rule};
use portcullis::axum::{Claims, GateRouter, GateService, Routes};
use portcullis::gate::Gate;
use portcullis::rejection::RejectionCode;
use portcullis::{ConfigError, Principal, TenantId};
use tower::{Layer, Service, ServiceExt};

use crate::layers::{Answer, Inner, Late, LatePolicy, Tokens, gate, get, roles, send};

fn request(method: &str, path: &str, token: Option<&str>) -> Request {
    let mut request = get::<axum::body::Body>(path, token.as_slice());
    *request.method_mut() = method.parse().unwrap();
    request
}

#[tokio::test]
async fn the_layer_goes_by_its_map() {
    let map = AccessMap::builder()
        .add(Method::GET, "/health", Rule::public())
        .add(Method::GET, "/page", Rule::anyone())
        .add(Method::GET, "/me", Rule::authenticated())
        .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
        .add(Method::DELETE, "/tasks/{id}", Rule::role("admin"));
    let inner = Inner::default();
    let service = gate(map).await.layer().layer(inner.clone());
    for (name, method, path, token, status, body) in [
        ("public", "GET", "/health", None, 200, "no principal"),
        ("public, bad token", "GET", "/health", Some("Bearer forged"), 200, "no principal"),
        ("public, good token", "GET", "/health", Some("Bearer user"), 200, "no principal"),
        ("public, HEAD", "HEAD", "/health", None, 200, "no principal"),
        ("anyone", "GET", "/page", None, 200, "anonymous"),
        ("anyone, known", "GET", "/page", Some("Bearer guest"), 200, "u-1"),
        ("anyone, bad token", "GET", "/page", Some("Bearer forged"), 401, "token_invalid"),
        ("unknown", "GET", "/me", None, 401, "unauthenticated"),
        ("known", "GET", "/me", Some("Bearer guest"), 200, "u-1"),
        ("other scheme", "GET", "/me", Some("Basic dTpw"), 401, "scheme_unsupported"),
        ("permission", "GET", "/tasks/1", Some("Bearer user"), 200, "u-1"),
        ("no permission", "GET", "/tasks/1", Some("Bearer guest"), 403, "forbidden"),
        ("role", "DELETE", "/tasks/1", Some("Bearer admin"), 200, "u-1"),
        ("no role", "DELETE", "/tasks/1", Some("Bearer user"), 403, "forbidden"),
        ("scoped", "DELETE", "/tasks/1", Some("Bearer scoped"), 403, "insufficient_scope"),
        ("other method", "PUT", "/tasks/1", Some("Bearer admin"), 405, "method_not_allowed"),
        ("no entry", "GET", "/admin", Some("Bearer admin"), 404, "not_found"),
    ] {
        let answer = send(&service, request(method, path, token)).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(body), "{name}: {}", answer.body);
    }
    assert_eq!(inner.calls(), 9);
    let answer = send(&service, request("PUT", "/tasks/1", None)).await;
    assert_eq!(answer.headers["allow"], "DELETE, GET, HEAD");
    let answer = send(&service, request("GET", "/me", None)).await;
    assert_eq!(answer.challenge(), "Bearer realm=\"test\"");
    let answer = send(&service, request("DELETE", "/tasks/1", Some("Bearer scoped"))).await;
    assert_eq!(answer.challenge(), "Bearer realm=\"test\", error=\"insufficient_scope\", scope=\"*:*\"");
}

#[tokio::test]
async fn what_cannot_be_built() {
    let builder = || Gate::builder().with_roles(roles());
    let tokens = || builder().with_access_tokens(Tokens);
    let twice =
        AccessMap::builder().add(Method::GET, "/", Rule::public()).add(Method::GET, "/", Rule::public());
    let both = builder().with_accounts(crate::support::World::new().await.accounts);
    for (name, builder, want) in [
        ("no way in", builder(), "gate: has no way"),
        ("realm", tokens().with_realm("a\"b"), "realm: cannot stand"),
        ("realm of nothing", builder().add_scheme(Late).with_realm("a"), "realm: is set"),
        ("roles beside those of accounts", both, "roles: are given to a gate whose accounts have their own"),
        ("map", tokens().with_access_map(twice), "GET /: appears twice"),
    ] {
        let error = builder.build().await.unwrap_err().to_string();
        assert!(error.starts_with(want), "{name}: {error}");
    }
}

#[tokio::test]
async fn require_narrows_and_never_opens() {
    let map = AccessMap::builder()
        .add(Method::GET, "/open", Rule::public())
        .add(Method::GET, "/me", Rule::authenticated())
        .add(Method::GET, "/late", Rule::authenticated());
    let gate = gate(map).await;
    let admin = gate.require(Rule::role("admin")).unwrap();
    let late = gate.require(Rule::policy(LatePolicy(portcullis::authz::policy::Decision::Deny))).unwrap();
    let app = axum::Router::new()
        .route("/open", axum::routing::get(async || "open").layer(admin.clone()))
        .route("/me", axum::routing::get(async || "me").layer(admin))
        .route("/late", axum::routing::get(async || "late").layer(late))
        .layer(gate.layer());
    for (name, path, token, status) in [
        ("narrowed", "/me", Some("Bearer user"), 403),
        ("allowed", "/me", Some("Bearer admin"), 200),
        ("anonymous", "/me", None, 401),
        ("late", "/late", Some("Bearer admin"), 403),
        ("on a public route there is nobody to ask about", "/open", Some("Bearer admin"), 500),
    ] {
        assert_eq!(send(&app, request("GET", path, token)).await.status, status, "{name}");
    }
    assert!(gate.require(Rule::public()).is_err());
    assert!(gate.require(Rule::permission("users:raed")).is_err());
}

#[tokio::test]
async fn another_tenants_principal_meets_404() {
    let gate = Gate::builder()
        .with_access_tokens(Tokens)
        .with_tenant(TenantId::parse("other").unwrap())
        .with_access_map(AccessMap::builder().add(Method::GET, "/", Rule::authenticated()))
        .build()
        .await
        .unwrap();
    let service = gate.layer().layer(Inner::default());
    assert_eq!(send(&service, request("GET", "/", Some("Bearer admin"))).await.status, 404);
    assert_eq!(send(&service, request("GET", "/", Some("Bearer elsewhere"))).await.status, 200);
}

async fn router() -> GateRouter<&'static str> {
    gate(AccessMap::builder()).await.router()
}

async fn service() -> GateService {
    let probes = Routes::new().route(Method::GET, "/live", async || "live", Rule::public());
    router()
        .await
        .route(Method::GET, "/state", async |State(state): State<&'static str>| state, Rule::public())
        .with_state("given")
        .route(Method::GET, "/tasks/{id}", async |Path(id): Path<String>| id, Rule::permission("tasks:read"))
        .route(Method::POST, "/tasks/{id}", async |body: String| body, Rule::role("admin"))
        .route(
            Method::GET,
            "/me",
            async |who: Principal| who.subject().unwrap().to_string(),
            Rule::authenticated(),
        )
        .route(
            Method::GET,
            "/maybe",
            async |who: Option<Principal>| who.map_or("nobody", |_| "somebody"),
            Rule::anyone(),
        )
        .route(Method::GET, "/wrong", async |_: Option<Principal>| "never", Rule::public())
        .route(Method::GET, "/strict", async |_: Principal| "never", Rule::anyone())
        .route(
            Method::GET,
            "/late",
            async |_: Principal| "late",
            Rule::policy(LatePolicy(portcullis::authz::policy::Decision::Allow)),
        )
        .route(Method::GET, "/panic", async || -> &'static str { panic!("canary") }, Rule::public())
        .add_routes_at("/health", probes)
        .finish()
        .unwrap()
}

#[tokio::test]
async fn the_router_keeps_route_handler_and_rule_together() {
    let service = service().await;
    for (name, method, path, token, status, body) in [
        ("public", "GET", "/health/live", None, 200, "live"),
        ("state", "GET", "/state", Some("Bearer forged"), 200, "given"),
        ("permission", "GET", "/tasks/4%2032", Some("Bearer user"), 200, "4 32"),
        ("HEAD goes by GET", "HEAD", "/tasks/42", Some("Bearer user"), 200, ""),
        ("HEAD is refused by GET's rule", "HEAD", "/tasks/42", Some("Bearer guest"), 403, ""),
        ("refused", "GET", "/tasks/42", None, 401, "unauthenticated"),
        ("role", "POST", "/tasks/42", Some("Bearer user"), 403, "forbidden"),
        ("principal", "GET", "/me", Some("Bearer user"), 200, "u-1"),
        ("optional, nobody", "GET", "/maybe", None, 200, "nobody"),
        ("optional, somebody", "GET", "/maybe", Some("Bearer user"), 200, "somebody"),
        ("a principal on a public route", "GET", "/wrong", Some("Bearer user"), 500, "internal_error"),
        ("a principal where anyone may come", "GET", "/strict", None, 401, "unauthenticated"),
        ("late policy", "GET", "/late", Some("Bearer user"), 200, "late"),
        ("late policy, nobody", "GET", "/late", Some("Bearer forged"), 401, "token_invalid"),
        ("no route", "GET", "/nothing", Some("Bearer admin"), 404, "not_found"),
        ("no method", "DELETE", "/tasks/42", Some("Bearer admin"), 405, "method_not_allowed"),
        ("unknown method", "FETCH", "/tasks/42", Some("Bearer admin"), 405, "method_not_allowed"),
        ("preflight without CORS", "OPTIONS", "/tasks/42", None, 405, "method_not_allowed"),
        ("CONNECT", "CONNECT", "example.org:443", Some("Bearer admin"), 405, "method_not_allowed"),
        ("panic", "GET", "/panic", None, 500, "internal_error"),
    ] {
        let answer = send(&service, request(method, path, token)).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(body) && !answer.body.contains("canary"), "{name}: {}", answer.body);
        if status >= 400 {
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{name}");
            assert_eq!(answer.code.map(RejectionCode::status), Some(status), "{name}");
        }
    }
    let answer = send(&service, request("DELETE", "/tasks/42", None)).await;
    assert_eq!(answer.headers.get_all("allow").iter().collect::<Vec<_>>(), ["GET, HEAD, POST"]);
    let table = service.access_map().to_string();
    assert!(table.contains("POST  /tasks/{id}   role admin\n"), "{table}");
}

#[tokio::test]
async fn a_router_that_axum_would_panic_on_is_an_error() {
    async fn finish(rows: &[(&str, &str)]) -> Result<GateService, ConfigError> {
        let mut router: GateRouter = gate(AccessMap::builder()).await.router();
        for (method, path) in rows {
            router = router.route(method.parse().unwrap(), *path, async || "", Rule::public());
        }
        router.finish()
    }
    for (name, rows) in [
        ("twice", &[("GET", "/a"), ("GET", "/a")][..]),
        ("overlap", &[("GET", "/{a}"), ("GET", "/{b}")]),
        ("overlap of methods", &[("GET", "/{a}"), ("POST", "/{b}")]),
        ("catch-alls", &[("GET", "/{*a}"), ("GET", "/{*b}")]),
        ("empty", &[("GET", "")]),
        ("no slash", &[("GET", "a")]),
        ("old style", &[("GET", "/:a")]),
        ("old wildcard", &[("GET", "/*a")]),
        ("brace", &[("GET", "/{a")]),
        ("suffix", &[("GET", "/{a}b")]),
        ("inner catch-all", &[("GET", "/{*a}/b")]),
        ("method", &[("FETCH", "/a")]),
    ] {
        assert!(finish(rows).await.is_err(), "{name}");
    }
    let fine = [
        ("GET", "/a"),
        ("HEAD", "/a"),
        ("GET", "/a/"),
        ("GET", "/{*rest}"),
        ("CONNECT", "/a"),
        ("GET", "/a/{b}"),
    ];
    assert!(finish(&fine).await.is_ok());
}

/// Rules in one table, routes beside it: both must tell the same story, and a mistake is named whole.
// ASVS 8.1.1
#[tokio::test]
async fn routes_by_the_table() {
    let table = || {
        AccessMap::builder()
            .add(Method::GET, "/health", Rule::public())
            .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
            .add(Method::DELETE, "/tasks/{id}", Rule::role("admin"))
    };
    let handler = async || "in";
    let routes =
        || Routes::new().mapped(Method::DELETE, "/{id}", handler).mapped(Method::GET, "/{id}", handler);
    let base = async |map| -> GateRouter { gate(map).await.router() };
    let service = base(table())
        .await
        .add_routes_at("/tasks", routes())
        .mapped(Method::GET, "/health", handler)
        .route(Method::GET, "/own", handler, Rule::role("admin"))
        .finish()
        .unwrap();
    for (method, path, token, status) in [
        ("GET", "/health", None, 200),
        ("GET", "/tasks/1", None, 401),
        ("GET", "/tasks/1", Some("Bearer user"), 200),
        ("HEAD", "/tasks/1", Some("Bearer guest"), 403),
        ("DELETE", "/tasks/1", Some("Bearer user"), 403),
        ("DELETE", "/tasks/1", Some("Bearer admin"), 200),
        ("GET", "/own", Some("Bearer user"), 403),
        ("PUT", "/tasks/1", Some("Bearer admin"), 405),
    ] {
        assert_eq!(send(&service, request(method, path, token)).await.status, status, "{method} {path}");
    }
    let printed = service.access_map().to_string();
    assert!(printed.contains("DELETE  /tasks/{id}  role admin\n"), "{printed}");
    assert_eq!(printed.lines().count(), 4);

    type Add = fn(GateRouter) -> GateRouter;
    let head = || table().add(Method::HEAD, "/health", Rule::role("admin"));
    let wrong: [(&str, AccessMapBuilder, Add, &str); 9] = [
        ("no entry", table(), |all| all.mapped(Method::GET, "/new", async || ""), "`GET /new` has no entry"),
        (
            "no entry for the method",
            table(),
            |all| all.mapped(Method::PUT, "/health", async || ""),
            "`PUT /health` has no entry",
        ),
        (
            "no map at all",
            AccessMap::builder(),
            |all| all,
            "`DELETE /tasks/{id}` has no entry, `GET /health` has no entry, `GET /tasks/{id}` has no entry",
        ),
        (
            "no route",
            table().add(Method::GET, "/forgotten", Rule::public()),
            |all| all,
            "`GET /forgotten` has no route",
        ),
        (
            "no route for the method",
            table().add(Method::PUT, "/health", Rule::public()),
            |all| all,
            "`PUT /health` has no route",
        ),
        // The handler of GET would answer HEAD, under the rule of GET.
        ("no route for HEAD", head(), |all| all, "`HEAD /health` has no route"),
        (
            "another name",
            table(),
            |all| all.mapped(Method::PUT, "/tasks/{task}", async || ""),
            "`PUT /tasks/{task}` has no entry",
        ),
        (
            "two rules",
            table().add(Method::GET, "/own", Rule::public()),
            |all| all,
            "`GET /own` has a rule of its own and an entry",
        ),
        (
            "all at once, in order",
            table().add(Method::GET, "/y", Rule::public()).add(Method::GET, "/own", Rule::public()).add(
                Method::GET,
                "/b",
                Rule::public(),
            ),
            |all| all.mapped(Method::GET, "/z", async || "").mapped(Method::GET, "/a", async || ""),
            "`GET /a` has no entry, `GET /b` has no route, `GET /own` has a rule of its own and an entry, `GET /y` has no route, `GET /z` has no entry",
        ),
    ];
    for (name, map, add, want) in wrong {
        let all = base(map).await.add_routes_at("/tasks", routes()).mapped(Method::GET, "/health", handler);
        let error = add(all.route(Method::GET, "/own", handler, Rule::public())).finish().unwrap_err();
        let want = format!("access map: does not fit the routes: {want}");
        assert_eq!(error.to_string().split("; ").next(), Some(&*want), "{name}");
    }
    // With a route for it, HEAD has its own rule; without an entry, GET's.
    let with_head =
        base(head()).await.add_routes_at("/tasks", routes()).mapped(Method::GET, "/health", handler);
    let service = with_head.mapped(Method::HEAD, "/health", handler).finish().unwrap();
    assert_eq!(send(&service, request("HEAD", "/health", None)).await.status, 401);
    assert_eq!(send(&service, request("GET", "/health", None)).await.status, 200);
    let head_of_get =
        base(table()).await.add_routes_at("/tasks", routes()).mapped(Method::GET, "/health", handler);
    let service = head_of_get.mapped(Method::HEAD, "/tasks/{id}", handler).finish().unwrap();
    assert_eq!(send(&service, request("HEAD", "/tasks/1", Some("Bearer guest"))).await.status, 403);

    // A map for another service, which a layer guards: no route here is mapped, so none is missed.
    let beside = base(table()).await.route(Method::GET, "/own", handler, Rule::public()).finish();
    assert!(beside.is_ok());
    assert!(Routes::<()>::new().mapped(Method::GET, "/a", handler).access_map(&roles()).is_err());
}

proptest::proptest! {
    /// What the map accepts, axum accepts too: finishing is an error or a service, never a panic.
    #[test]
    fn finishing_never_panics(paths in proptest::collection::vec("(/|[a-c]|\\{|\\}|\\*|:|\\.|%[0-9A-F]{2}|\\{[ab]\\}|\\{\\*a\\}|\u{e4}){0,8}", 0..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut router: GateRouter = gate(AccessMap::builder()).await.router();
            for path in paths {
                router = router.route(Method::GET, path, async || "", Rule::public());
            }
            let _ = router.finish();
        });
    }
}

#[tokio::test]
async fn claims_are_read_into_a_type_of_the_application() {
    #[derive(serde::Deserialize)]
    struct Plan {
        plan: String,
    }
    let app =
        axum::Router::new().route("/", axum::routing::get(async |Claims(Plan { plan }): Claims<Plan>| plan));
    let user = || Principal::user(TenantId::default(), portcullis::Subject::parse("u").unwrap());
    for (name, principal, status) in [
        ("fits", Some(user().with_claims_json("{\"plan\":\"gold\"}".into())), 200),
        ("does not fit", Some(user().with_claims_json("{\"plan\":1}".into())), 401),
        ("no claims", Some(user()), 403),
        ("anonymous", Some(Principal::anonymous(TenantId::default())), 401),
        ("no layer", None, 500),
    ] {
        let mut request = request("GET", "/", None);
        principal.map(|principal| request.extensions_mut().insert(principal));
        assert_eq!(send(&app, request).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn the_finished_router_is_served_over_a_socket() {
    let service = service().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, service.into_make_service()).await });
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<axum::body::Body>();
    for (path, token, status) in [
        ("/health/live", None, 200),
        ("/me", None, 401),
        ("/panic", None, 500),
        ("/me", Some("Bearer user"), 200),
        ("/me", Some("Bearer revoked"), 401),
    ] {
        let mut call = get::<axum::body::Body>(path, token.as_slice());
        *call.uri_mut() = format!("http://{address}{path}").parse().unwrap();
        let response = client.request(call).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
    }
    server.abort();
}

#[tokio::test]
async fn a_renderer_of_ones_own_on_the_router() {
    let router: GateRouter = gate(AccessMap::builder()).await.router();
    let service = router
        .route(Method::GET, "/me", async || "", Rule::authenticated())
        .with_renderer(|rejection: &portcullis::Rejection| {
            let mut response = http::Response::new(axum::body::Body::from("own"));
            *response.status_mut() = StatusCode::from_u16(rejection.status()).unwrap();
            response
        })
        .finish()
        .unwrap();
    for (method, path, status) in [("GET", "/me", 401), ("GET", "/x", 404), ("PUT", "/me", 405)] {
        let Answer { status: got, body, headers, .. } = send(&service, request(method, path, None)).await;
        assert_eq!((got.as_u16(), body.as_str()), (status, "own"), "{method} {path}");
        assert_eq!(
            headers.contains_key("allow"),
            status == 405,
            "axum adds `Allow` where the renderer does not"
        );
    }
}

/// The service can be used wherever a tower service can.
#[tokio::test]
async fn a_finished_router_below_another_keeps_its_rules() {
    let app = axum::Router::new().nest_service("/api", service().await);
    for (path, token, status) in [
        ("/api/me", None, 401),
        ("/api/me", Some("Bearer user"), 200),
        ("/api/none", None, 404),
        ("/me", None, 404),
    ] {
        assert_eq!(send(&app, request("GET", path, token)).await.status, status, "{path}");
    }
    let mut ready = service().await;
    let answer = ready.ready().await.unwrap().call(request("PUT", "/me", None)).await.unwrap();
    assert_eq!(answer.status(), 405);
    let _: &HeaderMap = answer.headers();
}
