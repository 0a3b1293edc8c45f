//! One decision path: the gate, the authorizer in code, and the trail both leave.

use ::axum::body::Body;
use http::{Method, Request, StatusCode};
use portcullis::Principal;
use portcullis::audit::EventName;
use portcullis::authz::{Refused, Role, RoleModel, Rule};
use portcullis::axum::{Authorized, GateService, Requirement};
use portcullis::gate::Gate;
use secrecy::ExposeSecret as _;
use tower::ServiceExt as _;

use crate::support::World;

fn roles(user: &[&str]) -> RoleModel {
    let user = user.iter().fold(Role::new("user"), |role, grant| role.grants(*grant));
    let admin = Role::new("admin").inherits("user").grants("tasks:delete").grants("tasks:read");
    RoleModel::builder().add(user).add(admin).build().unwrap()
}

struct DeleteTasks;

impl Requirement for DeleteTasks {
    fn rule() -> Rule {
        Rule::permission("tasks:delete")
    }
}

async fn gate(world: &World) -> (Gate, GateService) {
    let builder = Gate::builder().with_accounts(world.accounts.clone()).with_roles(roles(&["tasks:read"]));
    let gate = builder.build().await.unwrap();
    let service = gate
        .router()
        .route(Method::GET, "/tasks", async |_: Principal| "read", Rule::permission("tasks:read"))
        .route(Method::DELETE, "/tasks/{id}", async || "deleted", Rule::permission("tasks:delete"))
        .route(Method::POST, "/purge", async |_: Authorized<DeleteTasks>| "purged", Rule::authenticated())
        .with_state(gate.authorizer().clone())
        .finish()
        .unwrap();
    (gate, service)
}

async fn ask(service: &GateService, method: Method, path: &str, token: Option<&str>) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
}

/// Somebody known who is refused leaves an event; somebody anonymous, and somebody let in, do not.
// ASVS 16.3.2
#[tokio::test]
async fn a_refusal_is_recorded_wherever_it_is_decided() {
    let world = World::new().await;
    let (gate, service) = gate(&world).await;
    let user = world.register("ada").await;
    let tokens = world.sign_in("ada").await.tokens;
    let token = Some(tokens.access_token.expose_secret());
    let refusals = || {
        let events = world.audit.events();
        events.into_iter().filter(|event| event.name() == EventName::AuthzFail).collect::<Vec<_>>()
    };

    assert_eq!(ask(&service, Method::GET, "/tasks", token).await, StatusCode::OK);
    assert_eq!(ask(&service, Method::DELETE, "/tasks/1", None).await, StatusCode::UNAUTHORIZED);
    assert!(refusals().is_empty());

    assert_eq!(ask(&service, Method::DELETE, "/tasks/canary", token).await, StatusCode::FORBIDDEN);
    assert!(!format!("{:?}", world.audit.events()).contains("canary"), "what a client sent is not recorded");
    let principal = Principal::user(world.tenant(), user.id.clone())
        .with_roles(["user"])
        .with_family(tokens.family.clone());
    let delete = Rule::permission("tasks:delete");
    let checked = gate.authorizer().check(&principal, &delete, "DELETE", "/tasks/{id}").await;
    assert_eq!(checked, Err(Refused::Forbidden));

    assert_eq!(ask(&service, Method::POST, "/purge", token).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&service, Method::POST, "/purge", None).await, StatusCode::UNAUTHORIZED);
    let by_extractor = refusals().pop().unwrap();
    assert_eq!(by_extractor.detail("rule"), Some("permission tasks:delete"));
    assert_eq!(by_extractor.detail("resource"), Some("/purge"));

    let recorded = refusals();
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded[0], recorded[1], "one event, whichever form asked");
    assert_eq!(recorded[0].subject(), Some(&user.id));
    for (key, value) in [
        ("rule", "permission tasks:delete"),
        ("reason", "forbidden"),
        ("action", "DELETE"),
        // The route, not the path: that is the client's text.
        ("resource", "/tasks/{id}"),
    ] {
        assert_eq!(recorded[0].detail(key), Some(value));
    }
}

/// Other roles bind from the next request on, for tokens that are out already; roles that no rule could live with are
/// refused, and the old ones stay.
#[tokio::test]
async fn roles_are_replaced_in_one_step_or_not_at_all() {
    let world = World::new().await;
    let (gate, service) = gate(&world).await;
    world.register("ada").await;
    let tokens = world.sign_in("ada").await.tokens;
    let token = Some(tokens.access_token.expose_secret());
    assert_eq!(ask(&service, Method::DELETE, "/tasks/1", token).await, StatusCode::FORBIDDEN);

    gate.replace_roles(roles(&["tasks:read", "tasks:delete"])).unwrap();
    assert_eq!(ask(&service, Method::DELETE, "/tasks/1", token).await, StatusCode::OK);
    assert_eq!(ask(&service, Method::POST, "/purge", token).await, StatusCode::OK);
    gate.replace_roles(roles(&[])).unwrap();
    assert_eq!(ask(&service, Method::GET, "/tasks", token).await, StatusCode::FORBIDDEN);

    let nobody_deletes = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    let refused = gate.replace_roles(nobody_deletes).unwrap_err();
    assert_eq!(refused.field(), "permission `tasks:delete`");
    assert_eq!(ask(&service, Method::GET, "/tasks", token).await, StatusCode::FORBIDDEN, "the old ones stay");
}

/// What explains a decision to an operator.
#[tokio::test]
async fn a_decision_can_be_explained() {
    let world = World::new().await;
    let (gate, _) = gate(&world).await;
    let subject = portcullis::Subject::parse("ada").unwrap();
    let user = Principal::user(world.tenant(), subject).with_roles(["user"]);
    let (read, delete) = (Rule::permission("tasks:read"), Rule::permission("tasks:delete"));
    let anonymous = Principal::anonymous(world.tenant());
    let narrow = user.clone().with_scopes(["notes:*"]);
    for (principal, rule, want) in [
        (&user, &read, "allowed: `permission tasks:read` is satisfied; held: role user"),
        (
            &user,
            &delete,
            "refused: `permission tasks:delete` is not satisfied; held: role user; needed: one of the roles admin",
        ),
        (&narrow, &read, "refused: the token is limited to notes:*; needed: scope tasks:read"),
        (&anonymous, &read, "refused: nobody has proved who they are; `permission tasks:read` asks for it"),
    ] {
        assert_eq!(gate.authorizer().explain(principal, rule, "GET", "/tasks").await.to_string(), want);
    }
}
