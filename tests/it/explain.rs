//! What a refusal tells, by default and when it is asked to.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use portcullis::authz::policy::{Decision, all_of, any_of, hidden, permission, role};
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::axum::{Authorized, Requirement};
use portcullis::gate::testing::{Cast, act_as};
use portcullis::gate::{Gate, GateBuilder};
use portcullis::render::GrpcStatus;
use tower::{Layer as _, ServiceExt as _};

use crate::layers::LatePolicy;

struct Needs;

impl Requirement for Needs {
    fn rule() -> Rule {
        Rule::permission("canary:write")
    }
}

fn cast() -> Cast {
    let user = || act_as("default", "ada").with_roles(["canary-user"]);
    Cast::new()
        .add("user", user())
        .add(
            "scoped",
            act_as("default", "ada").with_roles(["canary-admin"]).with_scopes(["canary-scope:read"]),
        )
        .add("elsewhere", act_as("other", "ada").with_roles(["canary-admin"]))
}

fn builder(cast: &Cast) -> GateBuilder {
    let roles = RoleModel::builder()
        .add(Role::new("canary-user").grants("canary:read"))
        .add(Role::new("canary-admin").grants("canary:write"));
    Gate::builder().with_access_tokens(cast.clone()).with_roles(roles.build().unwrap())
}

fn rules() -> [(&'static str, Rule); 6] {
    let hides = any_of([role("canary-admin"), permission("canary:write")]);
    let late = std::sync::Arc::new(LatePolicy(Decision::Deny));
    [
        ("/role", Rule::role("canary-admin")),
        ("/permission", Rule::permission("canary:write")),
        ("/policy", Rule::policy(all_of([role("canary-admin"), permission("canary:write")]))),
        ("/hidden", Rule::policy(hidden(hides))),
        ("/late", Rule::policy(all_of([role("canary-user"), late]))),
        ("/unlimited", Rule::unlimited()),
    ]
}

/// The same rules in each form.
async fn forms(cast: &Cast, change: fn(GateBuilder) -> GateBuilder) -> Vec<(&'static str, Router)> {
    let open = || {
        let add =
            |map: portcullis::authz::AccessMapBuilder, path: &str| map.add(Method::GET, path, Rule::anyone());
        rules().iter().map(|(path, _)| *path).chain(["/extractor"]).fold(AccessMap::builder(), add)
    };
    let closed =
        rules().into_iter().fold(AccessMap::builder(), |map, (path, rule)| map.add(Method::GET, path, rule));
    let layer = change(builder(cast).with_access_map(closed)).build().await.unwrap();
    let require = change(builder(cast).with_access_map(open())).build().await.unwrap();
    let router = change(builder(cast)).build().await.unwrap();
    let handler = async || "in";
    let plain = rules().iter().fold(Router::new(), |app, (path, _)| app.route(path, get(handler)));
    let narrowed = rules().into_iter().fold(Router::new(), |app, (path, rule)| {
        app.route(path, get(handler).layer(require.require(rule).unwrap()))
    });
    let extractor = get(async |_: Authorized<Needs>| "in").with_state(require.authorizer().clone());
    let finished = rules()
        .into_iter()
        .fold(router.router(), |router, (path, rule)| router.route(Method::GET, path, handler, rule));
    vec![
        ("gate.layer()", plain.layer(layer.layer())),
        ("gate.require()", narrowed.route("/extractor", extractor).layer(require.layer())),
        ("gate.router()", Router::new().fallback_service(finished.finish().unwrap())),
    ]
}

async fn ask(cast: &Cast, app: &Router, name: &str, path: &str) -> (u16, String, serde_json::Value) {
    let request = cast.ask_as(name, Request::get(path).body(Body::empty()).unwrap());
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), format!("{:?}", parts.headers), serde_json::from_slice(&body).unwrap_or_default())
}

const PATHS: [&str; 8] =
    ["/role", "/permission", "/policy", "/hidden", "/late", "/unlimited", "/extractor", "/nothing"];

/// How rights are arranged is nobody's business: no refusal names a role, a permission or a rule. The one exception is the
/// scope that a limited token lacks, which RFC 6750 section 3.1 puts into the challenge.
// ASVS 16.5.1
#[tokio::test]
async fn a_refusal_explains_nothing() {
    let cast = cast();
    let mut refused = 0;
    for (form, app) in forms(&cast, |gate| gate).await {
        for name in ["anonymous", "user", "scoped", "elsewhere"] {
            for path in PATHS {
                let (status, headers, body) = ask(&cast, &app, name, path).await;
                if status == 200 {
                    continue;
                }
                refused += 1;
                let headers = headers.replace(r#"scope=\"canary:write\""#, "");
                assert!(!body.to_string().contains("canary"), "{form}: {name} {path}: {body}");
                assert!(body.get("explanation").is_none(), "{form}: {name} {path}: {body}");
                assert!(!headers.contains("canary"), "{form}: {name} {path}: {headers}");
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

#[tokio::test]
async fn asked_to_it_explains() {
    let cast = cast();
    let role = "refused: `role canary-admin` is not satisfied; held: role canary-user";
    for (form, app) in forms(&cast, GateBuilder::danger_explain_refusals).await {
        for (name, path, status, want) in [
            ("user", "/role", 403, role),
            (
                "anonymous",
                "/role",
                401,
                "refused: nobody has proved who they are; `role canary-admin` asks for it",
            ),
            (
                "user",
                "/permission",
                403,
                "refused: `permission canary:write` is not satisfied; held: role canary-user; needed: one of the roles canary-admin",
            ),
            (
                "scoped",
                "/permission",
                403,
                "refused: the token is limited to canary-scope:read; needed: scope canary:write",
            ),
            ("user", "/policy", 403, "all of: denies\n  role canary-admin: denies"),
            ("user", "/hidden", 404, "role canary-admin: denies"),
            ("user", "/late", 403, "policy: has to ask"),
            ("anonymous", "/unlimited", 401, "`unlimited` asks for it"),
            ("user", "/extractor", 403, "`permission canary:write` is not satisfied"),
        ] {
            if path == "/extractor" && form != "gate.require()" {
                continue;
            }
            let (got, _, body) = ask(&cast, &app, name, path).await;
            assert_eq!(got, status, "{form}: {name} {path}");
            let explanation = body["explanation"].as_str().unwrap_or_default();
            assert!(explanation.contains(want), "{form}: {name} {path}: {body}");
        }
    }
    let (_, app) = forms(&cast, GateBuilder::danger_explain_refusals).await.swap_remove(0);
    let (status, _, body) = ask(&cast, &app, "user", "/nothing").await;
    assert_eq!(
        (status, &body["explanation"]),
        (404, &"refused: there is no rule for this in the access map".into())
    );
}

/// Other renderers may show it; whoever turns it on is told in the log what that means.
#[tokio::test]
async fn it_is_loud_about_it() {
    use crate::attacks::Log;

    let log = Log::default();
    let cast = cast();
    let map = || AccessMap::builder().add(Method::GET, "/role", Rule::role("canary-admin"));
    let build = async |explains: bool| {
        let builder = builder(&cast).with_access_map(map());
        if explains { builder.danger_explain_refusals() } else { builder }.build().await.unwrap()
    };
    let gate = {
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        // With a single dispatcher, tracing caches "nobody listens" for whatever another test's thread logs first.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(subscriber);
        build(false).await;
        assert_eq!(log.text(), "");
        build(true).await
    };
    assert!(log.text().contains("WARN") && log.text().contains("danger_explain_refusals"), "{}", log.text());

    let inner = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
    });
    let service = gate.layer().with_renderer(GrpcStatus).layer(inner);
    let request = cast.ask_as("user", Request::get("/role").body(Body::empty()).unwrap());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "7");
    let message = response.headers()["grpc-message"].to_str().unwrap();
    assert!(message.starts_with("This is not allowed: refused: `role canary-admin`"), "{message}");
}
