//! The generated matrix of what belongs to whom: that it passes where it should, and catches what it is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use http::{Method, Request, StatusCode};
use portcullis::Principal;
use portcullis::authz::policy::assurance;
use portcullis::authz::{Role, RoleModel, RoleModelBuilder, Rule};
use portcullis::axum::{GateRouter, GateService};
use portcullis::gate::Gate;
use portcullis::gate::testing::{Answer, Cast, Matrix, TwoUsers, act_as};
use portcullis::principal::{Assurance, AuthMethod};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// What is wrong with the application.
#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    ReadsAnybodys,
    WritesBeforeItChecks,
    DeletesAnybodys,
    TrustsThePath,
    ChangesAList,
    IsOpen,
    HasANewRoute,
    RefusesEverybody,
}

#[derive(Clone)]
struct App {
    defect: Defect,
    notes: Arc<Mutex<BTreeMap<u32, (String, String)>>>,
}

const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

impl App {
    fn name(who: Option<&Principal>) -> String {
        who.and_then(Principal::subject).map_or("nobody".to_owned(), ToString::to_string)
    }

    fn is_theirs(&self, who: &str, id: u32) -> Result<(), StatusCode> {
        let notes = self.notes.lock().unwrap();
        if notes.get(&id).is_some_and(|(owner, _)| owner == who) { Ok(()) } else { Err(NOT_FOUND) }
    }
}

async fn read(
    State(app): State<App>,
    Path(id): Path<u32>,
    who: Option<Principal>,
) -> Result<String, StatusCode> {
    if app.defect != Defect::ReadsAnybodys {
        app.is_theirs(&App::name(who.as_ref()), id)?;
    }
    app.notes.lock().unwrap().get(&id).map(|(_, text)| text.clone()).ok_or(NOT_FOUND)
}

async fn open(State(app): State<App>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    app.notes.lock().unwrap().get(&id).map(|(_, text)| text.clone()).ok_or(NOT_FOUND)
}

async fn write(
    State(app): State<App>,
    Path(id): Path<u32>,
    who: Principal,
    Json(body): Json<Value>,
) -> Result<(), StatusCode> {
    let owned = app.is_theirs(&App::name(Some(&who)), id);
    if app.defect != Defect::WritesBeforeItChecks {
        owned?;
    }
    if let Some((_, text)) = app.notes.lock().unwrap().get_mut(&id) {
        *text = format!("{body} by {}", App::name(Some(&who)));
    }
    owned
}

async fn delete(
    State(app): State<App>,
    Path(id): Path<u32>,
    who: Principal,
) -> Result<StatusCode, StatusCode> {
    if app.defect != Defect::DeletesAnybodys {
        app.is_theirs(&App::name(Some(&who)), id)?;
    }
    app.notes.lock().unwrap().remove(&id).map(|_| StatusCode::NO_CONTENT).ok_or(NOT_FOUND)
}

/// The same notes, below their owner's name.
async fn nested(
    State(app): State<App>,
    Path((user, id)): Path<(String, u32)>,
    who: Principal,
) -> Result<String, StatusCode> {
    if user != App::name(Some(&who)) {
        return Err(NOT_FOUND);
    }
    if app.defect != Defect::TrustsThePath {
        app.is_theirs(&user, id)?;
    }
    app.notes.lock().unwrap().get(&id).map(|(_, text)| text.clone()).ok_or(NOT_FOUND)
}

/// Anything else that is done to one.
async fn touch(State(app): State<App>, Path(id): Path<u32>, who: Principal) -> Result<(), StatusCode> {
    let who = App::name(Some(&who));
    if app.defect == Defect::ChangesAList {
        app.notes.lock().unwrap().insert(1_000_000 + id, ("ada".to_owned(), format!("made by {who}")));
    }
    if app.defect == Defect::RefusesEverybody { Err(NOT_FOUND) } else { app.is_theirs(&who, id) }
}

async fn list(State(app): State<App>, who: Principal) -> String {
    let notes = app.notes.lock().unwrap();
    let own: Vec<_> = notes.values().filter(|(owner, _)| *owner == App::name(Some(&who))).collect();
    format!("{own:?}")
}

fn cast() -> Cast {
    Cast::new()
        .add("ada", act_as("default", "ada").with_roles(["user"]))
        .add("eve", act_as("default", "eve").with_roles(["user"]))
        .add("root", act_as("default", "root").with_roles(["admin"]))
        .add("outsider", act_as("other", "ada").with_roles(["admin"]))
}

async fn service(app: &App) -> GateService {
    let roles =
        [Role::new("user").grants("notes:write"), Role::new("admin").inherits("user").grants("users:read")];
    let roles = roles.into_iter().fold(RoleModel::builder(), RoleModelBuilder::add).build().unwrap();
    let gate = Gate::builder().with_access_tokens(cast()).with_roles(roles).build().await.unwrap();
    let rule = || Rule::permission("notes:write");
    let router: GateRouter<App> = gate.router();
    let router = router
        .route(Method::GET, "/notes", list, rule())
        .route(Method::GET, "/notes/{id}", read, rule())
        .route(Method::PUT, "/notes/{id}", write, rule())
        .route(Method::DELETE, "/notes/{id}", delete, rule())
        .route(Method::POST, "/notes/{id}/touch", touch, rule())
        .route(Method::GET, "/users/{user}/notes/{id}", nested, rule())
        .route(
            Method::GET,
            "/users/{user}",
            async |Path(user): Path<String>| user,
            Rule::permission("users:read"),
        )
        .route(Method::GET, "/pages/{*path}", async || "a page", Rule::public());
    let router = match app.defect {
        Defect::IsOpen => router.route(Method::GET, "/open/{id}", open, Rule::public()),
        Defect::HasANewRoute => router.route(Method::PATCH, "/tags/{tag}", async || "", rule()),
        _ => router,
    };
    router.with_state(app.clone()).finish().unwrap()
}

/// A new note of this one, and its path below a prefix.
fn note(app: &App, who: &str, prefix: &str, suffix: &str) -> String {
    let mut notes = app.notes.lock().unwrap();
    let id = u32::try_from(notes.len()).unwrap()
        + 1_000 * u32::from(who == "eve")
        + notes.keys().last().unwrap_or(&0);
    notes.insert(id, (who.to_owned(), format!("what {who} wrote")));
    format!("{prefix}/{id}{suffix}")
}

fn rows(app: &App) -> TwoUsers<'_> {
    let made = move |prefix: &'static str, suffix: &'static str| {
        move |who: String| {
            let path = note(app, &who, prefix, suffix);
            async move { path }
        }
    };
    TwoUsers::new("ada", ["eve", "outsider"])
        .with_resource("/notes/{id}", made("/notes", ""))
        .with_json(Method::PUT, "/notes/{id}", &json!({ "text": "changed" }))
        .with_resource("/notes/{id}/touch", made("/notes", "/touch"))
        .with_resource("/users/{user}/notes/{id}", move |who: String| {
            let path = note(app, &who, &format!("/users/{who}/notes"), "");
            async move { path }
        })
        .with_resource("/users/{user}", async |who: String| format!("/users/{who}"))
        .with_actor(Method::GET, "/users/{user}", "root")
        .shared(Method::GET, "/pages/{*path}")
        .watch("/notes")
}

async fn failures(defect: Defect, more: impl FnOnce(TwoUsers<'_>) -> TwoUsers<'_>) -> Vec<String> {
    let app = App { defect, notes: Arc::default() };
    let service = service(&app).await;
    more(rows(&app)).failures(&service, service.access_map(), &cast()).await
}

/// Attack log B2: Better Auth GHSA-fmh4, GHSA-4vcf and others, where nobody asked whose it was.
// ASVS 8.2.2
#[tokio::test]
async fn it_catches_what_belongs_to_somebody_else() {
    for (defect, want) in [
        (Defect::None, &[][..]),
        (Defect::ReadsAnybodys, &["GET /notes/{id}: `eve` is answered 200 OK at /notes/"]),
        (Defect::WritesBeforeItChecks, &["PUT /notes/{id}: `eve` is answered 404 Not Found at /notes/"]),
        (Defect::DeletesAnybodys, &["DELETE /notes/{id}: `eve` is answered 204 No Content at /notes/"]),
        (
            Defect::TrustsThePath,
            &["GET /users/{user}/notes/{id}: `eve` is answered 200 OK at /users/eve/notes/"],
        ),
        (Defect::ChangesAList, &["POST /notes/{id}/touch: `eve` is answered 404 Not Found at /notes/"]),
        (Defect::IsOpen, &["GET /open/{id}: takes an id, but there is nothing to ask for"]),
        (Defect::RefusesEverybody, &["POST /notes/{id}/touch: `ada` is answered 404 Not Found at"]),
        (Defect::HasANewRoute, &["PATCH /tags/{tag}: takes an id, but there is nothing to ask for"]),
    ] {
        let found = failures(defect, |rows| rows).await;
        assert_eq!(found.len(), want.len(), "{found:#?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{found}");
        }
    }
    // Who sees it is told what was changed, and where.
    let changed = failures(Defect::WritesBeforeItChecks, |rows| rows).await.concat();
    assert!(changed.contains("but changed what is seen at /notes"), "{changed}");
}

/// A row that proves nothing is a failure too.
#[tokio::test]
async fn it_does_not_take_the_testers_word() {
    async fn nowhere(_: String) -> String {
        "/pages/a".to_owned()
    }
    type More = fn(TwoUsers<'_>) -> TwoUsers<'_>;
    let rows: [(&str, More, &str); 6] = [
        (
            "a body that nobody may send",
            |rows| rows.with_body(Method::PUT, "/notes/{id}", "text/plain", "x"),
            "PUT /notes/{id}: `eve` is answered 415 Unsupported Media Type at",
        ),
        (
            "not only this one may",
            |rows| rows.with_actor(Method::DELETE, "/notes/{id}", "root"),
            "DELETE /notes/{id}: `ada` is answered 204 No Content at",
        ),
        (
            "no such method",
            |rows| rows.with_json(Method::POST, "/notes/{id}", &json!(1)),
            "POST /notes/{id}: there is no such route",
        ),
        (
            "no such shared route",
            |rows| rows.shared(Method::GET, "/none/{id}"),
            "GET /none/{id}: there is no such route",
        ),
        (
            "no such pattern",
            |rows| rows.with_resource("/none/{id}", nowhere),
            "/none/{id}: there is no such route",
        ),
        (
            "no such actor's route",
            |rows| rows.with_actor(Method::GET, "/none/{id}", "root"),
            "GET /none/{id}: there is no such route",
        ),
    ];
    for (name, more, want) in rows {
        let found = failures(Defect::None, more).await;
        assert!(found.len() == 1 && found[0].starts_with(want), "{name}: {found:#?}");
    }
    let app = App { defect: Defect::None, notes: Arc::default() };
    let service = service(&app).await;
    let map = service.access_map();
    let asked = |rows: TwoUsers<'static>| {
        let service = service.clone();
        async move { rows.failures::<_, Body, _>(&service, service.access_map(), &cast()).await }
    };
    let lost = asked(TwoUsers::new("ada", ["eve", "outsider"]).with_resource("/notes/{id}", nowhere)).await;
    assert!(
        lost.contains(
            &"GET /notes/{id}: `with_resource` made /pages/a, which is a path of another route or none"
                .to_owned()
        )
    );
    let absent = async |_| "/notes/7777".to_owned();
    let absent = asked(TwoUsers::new("ada", ["eve", "outsider"]).with_resource("/notes/{id}", absent)).await;
    assert!(absent[0].contains("so a change would not be seen"), "{absent:#?}");
    // Each route that takes an id is named.
    let all = asked(TwoUsers::new("ada", ["eve", "outsider"])).await;
    assert_eq!(all.len(), map.iter().filter(|(_, pattern, _)| pattern.contains('{')).count());

    for (name, others) in
        [("no neighbour", vec!["outsider"]), ("no outsider", vec!["eve"]), ("unknown", vec!["eve", "max"])]
    {
        let asked = asked(TwoUsers::new("ada", others));
        assert!(panics(async move { drop(asked.await) }).await, "{name}");
    }
    let failing = async move {
        let rows = TwoUsers::new("ada", ["eve", "outsider"]);
        rows.assert::<_, Body, _>(&service, service.access_map(), &cast()).await;
    };
    assert!(panics(failing).await);
}

async fn panics(future: impl Future<Output = ()> + 'static) -> bool {
    let local = tokio::task::LocalSet::new();
    let done = local.run_until(async { tokio::task::spawn_local(future).await }).await;
    done.is_err_and(|cause| cause.is_panic())
}

/// One line for each kind of principal: roles, scopes, factors, tenant.
#[tokio::test]
async fn acting_as_anybody() {
    let cast = Cast::new()
        .add("user", act_as("default", "ada").with_roles(["user"]))
        .add("narrow", act_as("default", "ada").with_roles(["user"]).with_scopes(["tasks:read"]))
        .add("wide", act_as("default", "ada").with_roles(["user"]).with_scopes(["notes:*"]))
        .add("strong", act_as("default", "ada").with_auth_methods([AuthMethod::Password, AuthMethod::Otp]))
        .add("elsewhere", act_as("other", "ada").with_roles(["user"]));
    let roles = RoleModel::builder().add(Role::new("user").grants("notes:write")).build().unwrap();
    let gate = Gate::builder().with_access_tokens(cast.clone()).with_roles(roles).build().await.unwrap();
    let service = gate
        .router()
        .route(Method::GET, "/notes", async || "notes", Rule::permission("notes:write"))
        .route(Method::GET, "/keys", async || "keys", Rule::policy(assurance(Assurance::Aal2)))
        .finish()
        .unwrap();
    let matrix = Matrix::of(&gate, service.access_map(), &cast).await;
    assert_eq!(
        matrix,
        "             anonymous  user  narrow  wide  strong  elsewhere
         GET  /notes  401        in    403     in    403     404
         GET  /keys   401        401   401     401   in      404"
    );
    for path in ["/notes", "/keys"] {
        for name in ["anonymous", "user", "narrow", "wide", "strong", "elsewhere"] {
            let request = cast.ask_as(name, Request::get(path).body(Body::empty()).unwrap());
            let response = service.clone().oneshot(request).await.unwrap();
            let want = match matrix.answer(name, &Method::GET, path) {
                Answer::In => 200,
                Answer::Refused(why) => why.code().status(),
                _ => 404,
            };
            assert_eq!(response.status(), want, "{name} {path}");
            let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
            assert_eq!(
                body.starts_with(path.trim_start_matches('/').as_bytes()),
                want == 200,
                "{name} {path}"
            );
        }
    }
}
