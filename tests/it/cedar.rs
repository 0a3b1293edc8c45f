//! Policies as text, from the request to the decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::axum::body::Body;
use http::{Method, Request, StatusCode};
use portcullis::authz::policy::cedar::{CedarPolicies, Record, Resource, Value};
use portcullis::authz::policy::{SharedPolicy, all_of, any_of, authenticated, hidden, not};
use portcullis::authz::{Authorizer, Refused, Role, RoleModel, Rule};
use portcullis::axum::GateService;
use portcullis::error::{Error, ErrorKind};
use portcullis::gate::Gate;
use portcullis::gate::testing::{Cast, act_as};
use portcullis::principal::AuthMethod;
use portcullis::time::{Clock as _, ManualClock};
use portcullis::{Principal, Subject, TenantId};
use tower::ServiceExt as _;

const SCHEMA: &str = r#"
    entity Role;
    entity User in [Role] {
        tenant: String, subject: String, kind: String, assurance: Long,
        auth_time?: datetime, scopes?: Set<String>, actor?: String
    };
    entity Route;
    entity Folder;
    entity Note in [Folder] { owner: User, readers: Set<User>, size: Long, rating?: decimal, public?: Bool };
    action read, write appliesTo {
        principal: User, resource: Note, context: { method: String, path: String, now: datetime }
    };
    action visit appliesTo { principal: User, resource: Route, context: { path: String, now: datetime } };
    action call appliesTo { principal: User, resource: Route, context: { ip?: ipaddr, method: String } };"#;

const POLICIES: &str = r#"
    @id("owners") permit (principal, action, resource is Note) when { resource.owner == principal };
    @id("readers") permit (principal, action == Action::"read", resource) when { resource.readers.contains(principal) };
    @id("editors") permit (principal in Role::"editor", action in [Action::"read", Action::"write"], resource);
    @id("frozen") forbid (principal, action == Action::"write", resource) when { resource.size * 2 > 1000 };
    @id("users") permit (principal in Role::"user", action == Action::"visit", resource)
        unless { resource == Route::"/closed" };
    @id("late") forbid (principal, action == Action::"visit", resource)
        when { context.now >= datetime("2026-01-01T12:00:00Z") };
    @id("inside") permit (principal, action == Action::"call", resource)
        when { context has ip && context.ip.isInRange(ip("10.0.0.0/8")) };"#;

fn cedar(clock: &ManualClock) -> CedarPolicies {
    CedarPolicies::from_text(POLICIES, SCHEMA, clock.clone()).unwrap()
}

fn roles() -> RoleModel {
    let editor = Role::new("editor").inherits("user").grants("notes:write");
    RoleModel::builder().add(Role::new("user").grants("notes:read")).add(editor).build().unwrap()
}

fn note(owner: &str, size: i64) -> Resource {
    let subject = |name: &str| Subject::parse(name).unwrap();
    let readers = vec![subject("bob")];
    Resource::new().with("owner", subject(owner)).with("readers", readers).with("size", size)
}

/// Notes of tenant `default`, by their number.
async fn load(tenant: TenantId, id: u64) -> Result<Option<Resource>, Error> {
    if tenant != TenantId::default() {
        return Ok(None);
    }
    Ok(match id {
        1 => Some(note("ada", 10)),
        2 => Some(note("ada", i64::MAX)),
        3 => Some(note("ada", 501)),
        4 => Some(Resource::new().with("owner", "ada")),
        6 => Some(note("ada", 10).with("pubic", false)),
        5 => return Err(Error::new(ErrorKind::Unavailable, "the notes cannot be reached")),
        _ => None,
    })
}

fn about_notes(cedar: &CedarPolicies, action: &str) -> portcullis::authz::policy::cedar::CedarQuestion {
    let id = |path: &str| path.rsplit_once('/')?.1.parse::<u64>().ok();
    cedar.question(action).with_resource("Note", move |request| id(request.resource()), load)
}

fn cast() -> Cast {
    Cast::new()
        .add("ada", act_as("default", "ada").with_roles(["user"]))
        .add("bob", act_as("default", "bob"))
        .add("eve", act_as("default", "eve").with_roles(["unheard-of"]))
        .add("editor", act_as("default", "ed").with_roles(["editor"]))
        .add("ada-reads", act_as("default", "ada").with_roles(["editor"]).with_scopes(["notes:read"]))
        .add("ada-none", act_as("default", "ada").with_roles(["editor"]).with_scopes([""; 0]))
        .add("ada-all", act_as("default", "ada").with_roles(["editor"]).with_scopes(["*:*"]))
}

async fn service(cedar: &CedarPolicies) -> GateService {
    let gate = Gate::builder().with_access_tokens(cast()).with_roles(roles()).build().await.unwrap();
    let read = about_notes(cedar, "read").with_permission("notes:read").policy();
    gate.router()
        .route(Method::GET, "/notes/{id}", async || "read", Rule::policy(read))
        .route(
            Method::PUT,
            "/notes/{id}",
            async || "written",
            Rule::policy(about_notes(cedar, "write").policy()),
        )
        .route(Method::GET, "/open", async || "open", Rule::policy(cedar.policy("visit")))
        .route(Method::GET, "/closed", async || "closed", Rule::policy(cedar.policy("visit")))
        .finish()
        .unwrap()
}

async fn ask(service: &GateService, name: &str, method: Method, path: &str) -> StatusCode {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    service.clone().oneshot(cast().ask_as(name, request)).await.unwrap().status()
}

// ASVS 8.2.1, 8.2.2
#[tokio::test]
async fn who_may_do_what_is_what_the_text_says() {
    let service = service(&cedar(&ManualClock::default())).await;
    let (get, put) = (Method::GET, Method::PUT);
    for (name, who, method, path, want) in [
        ("the owner reads", "ada", &get, "/notes/1", 200),
        ("the owner writes", "ada", &put, "/notes/1", 200),
        ("a reader reads", "bob", &get, "/notes/1", 200),
        ("a reader does not write", "bob", &put, "/notes/1", 403),
        ("nobody's friend", "eve", &get, "/notes/1", 403),
        ("a role", "editor", &put, "/notes/1", 200),
        ("a forbid overrides", "ada", &put, "/notes/3", 403),
        ("a forbid overrides a role", "editor", &put, "/notes/3", 403),
        ("and only what it names", "ada", &get, "/notes/3", 200),
        ("a forbid that fails lets nobody in", "ada", &put, "/notes/2", 503),
        ("where it does not apply it does not fail", "ada", &get, "/notes/2", 200),
        ("attributes that do not fit", "editor", &get, "/notes/4", 503),
        ("an attribute that is misspelt", "editor", &get, "/notes/6", 503),
        ("the loader is down", "editor", &get, "/notes/5", 503),
        ("nothing there", "editor", &get, "/notes/9", 403),
        ("not an id", "editor", &get, "/notes/x", 403),
        ("anonymous", "anonymous", &get, "/notes/1", 401),
        ("anonymous, nothing there", "anonymous", &get, "/notes/9", 401),
        ("an inherited role", "editor", &get, "/open", 200),
        ("a role that is not defined", "eve", &get, "/open", 403),
        ("no role", "bob", &get, "/open", 403),
        ("the path", "ada", &get, "/closed", 403),
        ("a scope that covers it", "ada-reads", &get, "/notes/1", 200),
        ("a scope that does not", "ada-none", &get, "/notes/1", 403),
        ("a scope where none is named", "ada-reads", &put, "/notes/1", 403),
        ("every scope", "ada-all", &put, "/notes/1", 200),
        ("a scope on a route", "ada-reads", &get, "/open", 403),
    ] {
        assert_eq!(ask(&service, who, method.clone(), path).await, want, "{name}");
    }
}

async fn check(policy: &SharedPolicy, who: &Principal, action: &str, resource: &str) -> Result<(), Refused> {
    Authorizer::new(roles()).check(who, &Rule::policy(policy.clone()), action, resource).await
}

/// Subjects are unique in a tenant, not among tenants, and a slash in a name moves nobody into another's.
#[tokio::test]
async fn the_same_subject_of_another_tenant_is_somebody_else() {
    let policies = r#"permit (principal == User::"acme/ada", action, resource);
        permit (principal, action == Action::"read", resource == Note::"acme/1");"#;
    let cedar = CedarPolicies::from_text(policies, SCHEMA, ManualClock::default()).unwrap();
    let visit = cedar.policy("visit");
    let everywhere = |_: TenantId, _: u8| std::future::ready(Ok(Some(note("ada", 1))));
    let read = cedar.question("read").with_resource("Note", |_| Some(1_u8), everywhere).policy();
    let owner = CedarPolicies::from_text(POLICIES, SCHEMA, ManualClock::default()).unwrap();
    let owned = about_notes(&owner, "write").policy();
    let refused = Err(Refused::Forbidden);
    for (name, policy, tenant, subject, want) in [
        ("as named", &visit, "acme", "ada", Ok(())),
        ("another tenant", &visit, "other", "ada", refused),
        ("tenant in the subject", &visit, "x", "acme/ada", refused),
        ("subject in the tenant", &visit, "acme/ada", "x", refused),
        ("resource of the tenant", &read, "acme", "bob", Ok(())),
        ("same number elsewhere", &read, "other", "bob", refused),
        ("owner", &owned, "default", "ada", Ok(())),
        ("owner's namesake", &owned, "other", "ada", refused),
    ] {
        assert_eq!(check(policy, &act_as(tenant, subject), "GET", "/notes/1").await, want, "{name}");
    }
}

#[tokio::test]
async fn it_combines_like_any_policy() {
    let cedar = cedar(&ManualClock::default());
    let (write, read) = (about_notes(&cedar, "write").policy(), about_notes(&cedar, "read").policy());
    let (ada, eve) = (act_as("default", "ada"), act_as("default", "eve"));
    let limited = ada.clone().with_scopes(["notes:read"]);
    let nobody = Principal::anonymous(TenantId::default());
    for (name, policy, who, note, want) in [
        ("hidden", hidden(write.clone()), &eve, 1, Err(Refused::NotFound)),
        ("any of", any_of([write.clone(), read.clone()]), &ada, 3, Ok(())),
        ("all of", all_of([write.clone(), read.clone()]), &ada, 3, Err(Refused::Forbidden)),
        ("an outage among all", all_of([authenticated(), write.clone()]), &ada, 2, Err(Refused::Unavailable)),
        ("not forbidden", not(write.clone()), &ada, 3, Ok(())),
        ("no opinion negated", not(write.clone()), &eve, 1, Err(Refused::Forbidden)),
        ("an outage negated", not(write.clone()), &ada, 2, Err(Refused::Unavailable)),
        ("a limited token gains nothing", not(write.clone()), &limited, 3, Err(Refused::Forbidden)),
        ("nor does nobody", not(write.clone()), &nobody, 3, Err(Refused::Unauthenticated)),
    ] {
        assert_eq!(check(&policy, who, "PUT", &format!("/notes/{note}")).await, want, "{name}");
    }
}

#[tokio::test]
async fn a_policy_knows_who_asks_and_when_and_what_the_application_adds() {
    let clock = ManualClock::default();
    let everything = r#"permit (principal, action == Action::"visit", resource == Route::"/all") when {
        principal.tenant == "acme" && principal.subject == "ada" && principal.kind == "user" && principal.assurance == 2
        && principal has auth_time && context.now.durationSince(principal.auth_time) == duration("90s")
        && principal has scopes && principal.scopes == ["*:*", "x"] && principal has actor && principal.actor == "root"
        && context.path == "/all" && context.now == datetime("2026-01-01T00:00:00Z") };
        permit (principal, action == Action::"visit", resource == Route::"/bare") when {
        principal.kind == "service" && principal.assurance == 0
        && !(principal has auth_time || principal has scopes || principal has actor) };"#;
    let all = CedarPolicies::from_text(everything, SCHEMA, clock.clone()).unwrap().policy("visit");
    let sub = Subject::parse("root").unwrap();
    let ada = act_as("acme", "ada")
        .with_auth_methods([AuthMethod::Password, AuthMethod::Otp])
        .with_auth_time(clock.now() - Duration::from_secs(90))
        .with_scopes(["x", "*:*"])
        .with_actor(portcullis::principal::Actor { sub });
    assert_eq!(check(&all, &ada, "GET", "/all").await, Ok(()));
    let service = Principal::service(TenantId::default(), Subject::parse("ada").unwrap());
    assert_eq!(check(&all, &service, "GET", "/bare").await, Ok(()));
    assert_eq!(check(&all, &ada, "GET", "/bare").await, Err(Refused::Forbidden));

    let cedar = cedar(&clock);
    let (visit, user) = (cedar.policy("visit"), act_as("default", "ada").with_roles(["user"]));
    assert_eq!(check(&visit, &user, "GET", "/open").await, Ok(()));
    clock.advance(Duration::from_secs(12 * 60 * 60));
    assert_eq!(check(&visit, &user, "GET", "/open").await, Err(Refused::Forbidden), "it is late");

    let call = |value: Option<Value>| {
        let record = value.map_or_else(Record::new, |value| Record::new().with("ip", value));
        cedar.question("call").with_context(move |_| record.clone()).policy()
    };
    let address = |text: &str| Some(Value::Address(text.parse().unwrap()));
    for (name, value, want) in [
        ("inside", address("10.1.2.3"), Ok(())),
        ("outside", address("192.0.2.1"), Err(Refused::Forbidden)),
        ("IPv6", address("::1"), Err(Refused::Forbidden)),
        ("absent", None, Err(Refused::Forbidden)),
        ("another type", Some(Value::from("10.1.2.3")), Err(Refused::Unavailable)),
    ] {
        assert_eq!(check(&call(value), &user, "GET", "/").await, want, "{name}");
    }
    let undeclared = cedar.question("call").with_context(|_| Record::new().with("ipp", 1_i64)).policy();
    assert_eq!(check(&undeclared, &user, "GET", "/").await, Err(Refused::Unavailable));
    let forged = cedar.question("call").with_context(|_| Record::new().with("method", "GET")).policy();
    let forged_by =
        r#"permit (principal, action == Action::"call", resource) when { context.method == "GET" };"#;
    cedar.replace_text(forged_by, SCHEMA).unwrap();
    assert_eq!(check(&forged, &user, "PUT", "/").await, Err(Refused::Forbidden), "the method is ours");
}

#[tokio::test]
async fn resources_lie_in_others_and_hold_any_value() {
    let policies = r#"permit (principal, action, resource in Folder::"acme/f") when
        { resource has rating && resource.rating.greaterThan(decimal("3.5")) };"#;
    let cedar = CedarPolicies::from_text(policies, SCHEMA, ManualClock::default()).unwrap();
    let rated = |rating: &str, folder: &'static str| {
        let resource = Resource::new()
            .with("owner", Subject::parse("x").unwrap())
            .with("size", 1_i64)
            .with("readers", Value::Set(Vec::new()))
            .with("rating", Value::Decimal(rating.to_owned()))
            .within("Folder", folder);
        let load = move |_: TenantId, _: u8| std::future::ready(Ok(Some(resource.clone())));
        cedar.question("read").with_resource("Note", |_| Some(1_u8), load).policy()
    };
    for (name, policy, tenant, want) in [
        ("in it", rated("4.0", "f"), "acme", Ok(())),
        ("rated lower", rated("3.5", "f"), "acme", Err(Refused::Forbidden)),
        ("in another", rated("4.0", "g"), "acme", Err(Refused::Forbidden)),
        ("in its namesake", rated("4.0", "f"), "other", Err(Refused::Forbidden)),
        ("no number", rated("4", "f"), "acme", Err(Refused::Unavailable)),
    ] {
        assert_eq!(check(&policy, &act_as(tenant, "ada"), "GET", "/").await, want, "{name}");
    }
}

#[tokio::test]
async fn a_bad_text_leaves_the_old_one_in_force_and_says_why() {
    let cedar = cedar(&ManualClock::default());
    let service = service(&cedar).await;
    let none_may = r#"@id("none") permit (principal == User::"default/nobody", action, resource);"#;
    let without_write = SCHEMA.replace("action read, write", "action read");
    let banned = SCHEMA.replace("actor?: String", "actor?: String, banned?: Bool");
    for (name, policies, schema, want) in [
        ("syntax", "permit (", SCHEMA, "line 1: "),
        (
            "does not fit",
            "permit (principal, action, resource) when { principal.x };",
            SCHEMA,
            "for policy `policy0`",
        ),
        ("permits nothing", "", SCHEMA, "permit nothing"),
        ("schema", none_may, "entity", "cedar schema"),
        ("an action in use is gone", none_may, &without_write, "cedar action `write`: is not in the schema"),
        ("what nothing supplies", none_may, &banned, "declares `banned` of `User`"),
    ] {
        let error = cedar.clone().replace_text(policies, schema).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
        assert_eq!(ask(&service, "ada", Method::PUT, "/notes/1").await, 200, "{name}");
    }
    cedar.clone().replace_text(none_may, SCHEMA).unwrap();
    assert_eq!(ask(&service, "ada", Method::PUT, "/notes/1").await, 403, "clones share");

    // A question that nobody asks any more is in nobody's way.
    let other = self::cedar(&ManualClock::default());
    drop(other.policy("visit"));
    other
        .replace_text(
            "permit (principal, action, resource);",
            "entity User; action a appliesTo { principal: User, resource: User };",
        )
        .unwrap();
}

#[test]
fn files_are_read_again_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let (policies, schema) = (folder.path().join("p.cedar"), folder.path().join("s.cedarschema"));
    std::fs::write(&policies, POLICIES).unwrap();
    std::fs::write(&schema, SCHEMA).unwrap();
    let cedar = CedarPolicies::from_files(&policies, &schema, ManualClock::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (visit, bob) = (cedar.policy("visit"), act_as("default", "bob"));
    let ask = || runtime.block_on(check(&visit, &bob, "GET", "/open"));
    assert_eq!(ask(), Err(Refused::Forbidden));
    std::fs::write(&policies, "permit (principal, action, resource);").unwrap();
    assert_eq!(ask(), Err(Refused::Forbidden), "not before it is told");
    cedar.reload().unwrap();
    assert_eq!(ask(), Ok(()));
    std::fs::write(&policies, "permit").unwrap();
    assert!(cedar.reload().is_err());
    std::fs::remove_file(&policies).unwrap();
    assert!(cedar.reload().unwrap_err().to_string().contains("p.cedar"));
    assert_eq!(ask(), Ok(()), "the old ones stay");
}

/// Two sets of policies, each over a schema of its own: what one is told, the other cannot be asked about.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_during_reloads_see_the_old_or_the_new() {
    let text = |attribute: &str, value: &str, other: &str| {
        let policies = format!(
            r#"permit (principal, action, resource) when {{ principal.{attribute} == "{value}" }};
            permit (principal == User::"default/{other}", action, resource);"#
        );
        let user = format!("entity User {{ {attribute}: String }}; entity Route;");
        (policies, format!("{user} action visit appliesTo {{ principal: User, resource: Route }};"))
    };
    let texts = [text("tenant", "default", "x"), text("subject", "ada", "y")];
    let cedar = CedarPolicies::from_text(&texts[0].0, &texts[0].1, ManualClock::default()).unwrap();
    let visit = cedar.policy("visit");
    let running = Arc::new(AtomicBool::new(true));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (visit, running) = (visit.clone(), running.clone());
        asking.spawn(async move {
            let (ada, bob) = (act_as("default", "ada"), act_as("default", "bob"));
            let (mut old, mut new) = (0, 0);
            while running.load(Ordering::SeqCst) {
                assert_eq!(check(&visit, &ada, "GET", "/").await, Ok(()), "both let ada in");
                match check(&visit, &bob, "GET", "/").await {
                    Ok(()) => old += 1,
                    Err(Refused::Forbidden) => new += 1,
                    Err(why) => panic!("a mixture answers {why:?}"),
                }
                tokio::task::yield_now().await;
            }
            (old, new)
        });
    }
    for (policies, schema) in texts.iter().cycle().skip(1).take(101) {
        cedar.replace_text(policies, schema).unwrap();
        tokio::task::yield_now().await;
    }
    running.store(false, Ordering::SeqCst);
    let (old, new): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
    let (old, new): (u64, u64) = (old.iter().sum(), new.iter().sum());
    assert!(old > 0 && new > 0, "{old} by the old, {new} by the new");
}

#[tokio::test]
async fn an_explanation_names_the_policies() {
    let cedar = cedar(&ManualClock::default());
    let authorizer = Authorizer::new(roles());
    let explain = async |who: &Principal, path: &str| {
        let rule = Rule::policy(any_of([cedar.policy("visit")]));
        authorizer.explain(who, &rule, "GET", path).await.policy.unwrap().to_string()
    };
    let user = act_as("default", "ada").with_roles(["user"]);
    assert_eq!(
        explain(&user, "/open").await,
        "any of: allows\n  cedar visit: allows\n    policy `users`: allows\n"
    );
    assert_eq!(explain(&user, "/closed").await, "any of: abstains\n  cedar visit: abstains\n");
    let anonymous = Principal::anonymous(TenantId::default());
    assert_eq!(explain(&anonymous, "/open").await, "any of: denies\n  cedar visit: denies\n");
    let rule = Rule::policy(about_notes(&cedar, "write").with_permission("notes:write").policy());
    assert_eq!(rule.to_string(), "cedar write of Note within notes:write");
    let why = authorizer.explain(&user, &rule, "PUT", "/notes/3").await;
    assert_eq!(why.policy.unwrap().to_string(), "cedar write of Note within notes:write: has to ask\n");
}
