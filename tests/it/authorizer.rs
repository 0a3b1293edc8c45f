//! One decision path: the gate, the authorizer in code, and the trail both leave.

use ::axum::body::Body;
use http::{Method, Request, StatusCode};
use portcullis::Principal;
use portcullis::audit::EventName;
use portcullis::authz::policy::{Decision, policy_fn};
use portcullis::authz::{AccessMap, AuthorizeLayer, Refused, Role, RoleModel, Rule};
use portcullis::axum::{Authorized, GateService, Requirement};
use portcullis::gate::Gate;
use secrecy::ExposeSecret as _;
use tower::ServiceExt as _;

use crate::layers::LatePolicy;
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
    let gate = Gate::builder().with_accounts(world.accounts.clone()).build().await.unwrap();
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
    let world = World::with_roles(roles(&["tasks:read"])).await;
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

/// The gate's layer, `gate.require(..)`, `AuthorizeLayer`, `gate.router()` and `Authorized` each decide the same request: the same
/// answer and the same event, at once or after a wait, and other roles bind in all of them.
// ASVS 16.3.2
#[tokio::test]
async fn every_form_decides_and_records_alike() {
    use ::axum::Router;
    use ::axum::routing::get;
    use http::Response;

    type App = ::axum::routing::RouterIntoService<Body>;

    struct Asks<const LATE: bool>;

    impl<const LATE: bool> Requirement for Asks<LATE> {
        fn rule() -> Rule {
            rule(LATE)
        }
    }

    fn rule(late: bool) -> Rule {
        if late { Rule::policy(LatePolicy(Decision::Deny)) } else { Rule::permission("tasks:delete") }
    }

    async fn forms<const LATE: bool>(world: &World) -> Vec<(&'static str, Gate, App)> {
        let gate = async |map| {
            let builder = Gate::builder().with_accounts(world.accounts.clone());
            builder.with_access_map(map).build().await.unwrap()
        };
        let open = || AccessMap::builder().add(Method::GET, "/a/{id}", Rule::authenticated());
        let handler = async || "in";
        let mut forms = Vec::new();
        let layer = gate(AccessMap::builder().add(Method::GET, "/a/{id}", rule(LATE))).await;
        forms.push((
            "gate.layer()",
            layer.clone(),
            Router::new().route("/a/{id}", get(handler)).layer(layer.layer()),
        ));
        let require = gate(open()).await;
        let narrow = get(handler).layer(require.require(rule(LATE)).unwrap());
        forms.push((
            "gate.require()",
            require.clone(),
            Router::new().route("/a/{id}", narrow).layer(require.layer()),
        ));
        let alone = gate(open()).await;
        let narrow = get(handler).layer(AuthorizeLayer::new(rule(LATE), alone.authorizer()).unwrap());
        forms.push((
            "AuthorizeLayer",
            alone.clone(),
            Router::new().route("/a/{id}", narrow).layer(alone.layer()),
        ));
        let extract = gate(open()).await;
        let taking = get(async |_: Authorized<Asks<LATE>>| "in").with_state(extract.authorizer().clone());
        forms.push((
            "Authorized",
            extract.clone(),
            Router::new().route("/a/{id}", taking).layer(extract.layer()),
        ));
        let router = gate(AccessMap::builder()).await;
        let finished = router.router().route(Method::GET, "/a/{id}", handler, rule(LATE)).finish().unwrap();
        forms.push(("gate.router()", router, Router::new().fallback_service(finished)));
        forms.into_iter().map(|(name, gate, app)| (name, gate, app.into_service())).collect()
    }

    async fn ask(app: &App, token: Option<&str>) -> Response<Body> {
        let mut request = Request::get("/a/canary");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    let world = World::with_roles(roles(&["tasks:read"])).await;
    world.register("ada").await;
    let tokens = world.sign_in("ada").await.tokens;
    let token = Some(tokens.access_token.expose_secret());
    for late in [false, true] {
        let forms = if late { forms::<true>(&world).await } else { forms::<false>(&world).await };
        let mut first = None;
        for (name, gate, app) in forms {
            // The gates have the roles of their accounts in common.
            gate.replace_roles(roles(&["tasks:read"])).unwrap();
            let before = world.audit.events().len();
            assert_eq!(ask(&app, None).await.status(), 401, "{name}, anonymous");
            assert_eq!(world.audit.events().len(), before, "{name}: nobody known was refused");
            let refused = ask(&app, token).await;
            assert_eq!(refused.status(), 403, "{name}, late: {late}");
            let recorded = world.audit.events().split_off(before);
            let rejection = refused.extensions().get::<portcullis::Rejection>().unwrap().clone();
            let [event] = &recorded[..] else { panic!("{name}, late: {late}: {recorded:?}") };
            assert_eq!(event.name(), EventName::AuthzFail, "{name}");
            assert_eq!(event.detail("resource"), Some("/a/{id}"), "{name}: the route, not the path");
            assert!(!format!("{event:?}").contains("canary"), "{name}");
            let (want_event, want_rejection) = first.get_or_insert((event.clone(), rejection.clone()));
            assert_eq!((event, &rejection), (&*want_event, &*want_rejection), "{name}, late: {late}");
            if !late {
                gate.replace_roles(roles(&["tasks:read", "tasks:delete"])).unwrap();
                assert_eq!(ask(&app, token).await.status(), 200, "{name}: other roles bind");
            }
        }
    }
}

/// What a single layer of the gate's asks for has to be possible with other roles too.
#[tokio::test]
async fn roles_have_to_satisfy_what_single_layers_ask_for() {
    let world = World::with_roles(roles(&["tasks:read"])).await;
    let gate = Gate::builder().with_accounts(world.accounts.clone()).build().await.unwrap();
    let nobody_deletes = || RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    gate.replace_roles(nobody_deletes()).unwrap();
    gate.replace_roles(roles(&[])).unwrap();
    let layer = gate.require(Rule::permission("tasks:delete")).unwrap();
    assert_eq!(gate.replace_roles(nobody_deletes()).unwrap_err().field(), "permission `tasks:delete`");
    let refused = gate.authorizer().replace_roles(nobody_deletes(), [layer.rule()]);
    assert!(refused.is_err(), "nor if the authorizer is asked with the rule of the layer");
}

/// The extractor's policy sees what the gate's policy sees of the request.
#[tokio::test]
async fn the_extractor_passes_the_context_on() {
    #[derive(Clone)]
    struct Mark;

    struct Marked;

    impl Requirement for Marked {
        fn rule() -> Rule {
            Rule::policy(policy_fn(|request| match request.context().get::<Mark>() {
                Some(Mark) => Decision::Allow,
                None => Decision::Deny,
            }))
        }
    }

    let world = World::new().await;
    world.register("ada").await;
    let builder = Gate::builder().with_accounts(world.accounts.clone());
    let gate = builder.build().await.unwrap();
    let service = gate
        .router()
        .route(Method::GET, "/", async |_: Authorized<Marked>| "in", Rule::authenticated())
        .with_state(gate.authorizer().clone())
        .finish()
        .unwrap();
    let tokens = world.sign_in("ada").await.tokens;
    for (marked, status) in [(true, 200), (false, 403)] {
        let mut request = Request::get("/")
            .header("authorization", format!("Bearer {}", tokens.access_token.expose_secret()))
            .body(Body::empty())
            .unwrap();
        if marked {
            request.extensions_mut().insert(Mark);
        }
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status, "marked: {marked}");
    }
}

/// Other roles bind from the next request on, for tokens that are out already; roles that no rule could live with are
/// refused, and the old ones stay.
#[tokio::test]
async fn roles_are_replaced_in_one_step_or_not_at_all() {
    let world = World::with_roles(roles(&["tasks:read"])).await;
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
    let other = Role::new("member").grants("tasks:read").grants("tasks:delete");
    let nobody_registers = RoleModel::builder().add(other).build().unwrap();
    let refused = gate.replace_roles(nobody_registers).unwrap_err();
    assert_eq!(refused.field(), "role `user`", "everybody who registers is given it");
    assert_eq!(ask(&service, Method::GET, "/tasks", token).await, StatusCode::FORBIDDEN, "the old ones stay");
}

/// What explains a decision to an operator.
#[tokio::test]
async fn a_decision_can_be_explained() {
    let world = World::with_roles(roles(&["tasks:read"])).await;
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
