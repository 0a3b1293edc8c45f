//! What belongs to somebody, through the whole gate: by path, by row, and where a sign-in has to be fresh.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, Request};
use portcullis::authz::policy::rows::{self, Row, RowRule, Value, field};
use portcullis::authz::policy::{SharedPolicy, all_of, assurance, fresh_within, hidden, owner_or};
use portcullis::authz::{AccessRequest, Role, RoleModel, Rule};
use portcullis::axum::{GateService, Routes};
use portcullis::error::{Error, ErrorKind};
use portcullis::gate::Gate;
use portcullis::principal::{Assurance, AuthMethod, Principal, Verified};
use portcullis::rejection::RejectionCode;
use portcullis::time::{ManualClock, Timestamp};
use portcullis::token::{TokenRefusal, VerifyAccessToken};
use portcullis::{Rejection, Subject, TenantId};

use crate::layers::{Answer, send};

const HOUR: Duration = Duration::from_secs(60 * 60);
const NOTES: [Note; 3] =
    [Note { id: 7, owner: Some("ada") }, Note { id: 8, owner: Some("bob") }, Note { id: 10, owner: None }];

#[derive(Clone, Copy)]
struct Note {
    id: u64,
    owner: Option<&'static str>,
}

impl Row for Note {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        (field == "owner").then(|| self.owner.into())
    }
}

/// Tokens that name who holds them, when and how they signed in, and what limits them: `ada`, `ada.old`, `ada.password`,
/// `ada.tasks`.
struct Tokens(Timestamp);

impl VerifyAccessToken for Tokens {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        let (name, how) = token.split_once('.').unwrap_or((token, ""));
        let tenant = TenantId::default();
        let subject = Subject::parse(name).map_err(|_| TokenRefusal::Invalid)?;
        let principal = match how {
            "key" => return Ok(Verified::vouch(Principal::api_key(tenant, subject))),
            _ => Principal::user(tenant, subject),
        };
        let principal = principal.with_roles(if name == "mod" { &["moderator"][..] } else { &[] }.to_vec());
        let principal = match how {
            "tasks" => principal.with_scopes(["tasks:read"]),
            "notes" => principal.with_scopes(["notes:moderate"]),
            _ => principal,
        };
        let methods = if how == "password" { vec![] } else { vec![AuthMethod::Otp] };
        let principal = principal.with_auth_methods([vec![AuthMethod::Password], methods].concat());
        Ok(Verified::vouch(principal.with_auth_time(if how == "old" { self.0 } else { self.0 + HOUR })))
    }
}

/// What the loader was asked for, and how often the handlers were reached.
#[derive(Clone, Default)]
struct Seen {
    loads: Arc<Mutex<Vec<u64>>>,
    handled: Arc<AtomicUsize>,
}

impl Seen {
    fn load(&self, note: u64) -> Result<Option<Note>, Error> {
        self.loads.lock().unwrap().push(note);
        match note {
            500 => Err(Error::new(ErrorKind::Unavailable, "the notes cannot be reached")),
            _ => Ok(NOTES.into_iter().find(|known| known.id == note)),
        }
    }
}

async fn handler(State(seen): State<Seen>, id: Result<Path<u64>, PathRejection>) -> Response {
    seen.handled.fetch_add(1, Ordering::SeqCst);
    match id {
        Ok(Path(id)) if NOTES.iter().any(|note| note.id == id) => format!("note {id}").into_response(),
        _ => Rejection::new(RejectionCode::NotFound).into_response(),
    }
}

fn roles() -> RoleModel {
    RoleModel::builder().add(Role::new("moderator").grants("notes:moderate")).build().unwrap()
}

fn by_path(seen: &Seen) -> SharedPolicy {
    let seen = seen.clone();
    hidden(owner_or("notes:moderate", move |_: TenantId, note: u64| {
        let found = seen.load(note);
        async move { Ok(found?.and_then(|note| Subject::parse(note.owner?).ok())) }
    }))
}

fn row_rule() -> RowRule {
    let test = rows::owner_or(field("owner"), "notes:moderate");
    RowRule::of_tenant(TenantId::default(), test, &roles()).unwrap()
}

fn by_row(seen: &Seen) -> SharedPolicy {
    let seen = seen.clone();
    row_rule().policy(move |_: TenantId, note: u64| {
        let found = seen.load(note);
        async move { found }
    })
}

async fn service() -> (GateService, Seen) {
    let (seen, clock) = (Seen::default(), ManualClock::default());
    let start = portcullis::time::Clock::now(&clock);
    clock.advance(HOUR);
    let fresh = || fresh_within(Duration::from_secs(300), clock.clone());
    let sure = || assurance(Assurance::Aal2);
    let builder = Gate::builder().with_access_tokens(Tokens(start)).with_roles(roles()).with_realm("test");
    let list = async |who: Principal| {
        let (rule, roles) = (row_rule(), roles());
        let seen = rule.visible_to(&AccessRequest::new(&who, &roles, "list", "notes")).unwrap();
        let ids = NOTES.iter().filter(|note| seen.allows(*note)).map(|note| note.id.to_string());
        ids.collect::<Vec<_>>().join(" ")
    };
    let router = builder.build().await.unwrap().router();
    let service = router
        .route(Method::GET, "/rows", list, Rule::authenticated())
        .add_routes(
            Routes::new()
                .route(Method::GET, "/paths/{id}", handler, Rule::policy(by_path(&seen)))
                .route(
                    Method::DELETE,
                    "/paths/{id}",
                    handler,
                    Rule::policy(all_of([by_path(&seen), fresh(), sure()])),
                )
                .route(Method::GET, "/rows/{id}", handler, Rule::policy(by_row(&seen)))
                .route(
                    Method::DELETE,
                    "/rows/{id}",
                    handler,
                    Rule::policy(all_of([fresh(), sure(), by_row(&seen)])),
                )
                .with_state(seen.clone()),
        )
        .finish()
        .unwrap();
    (service, seen)
}

async fn ask(service: &GateService, method: &str, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    send(service, request.body(Body::empty()).unwrap()).await
}

/// B2 and, for what a sign-in has to be, B5: who gets to somebody's note, and what everybody else is told.
// ASVS 8.2.2, 8.3.1
#[tokio::test]
async fn whose_it_is_decides_and_others_learn_nothing() {
    let (service, seen) = service().await;
    let step_up = "Bearer realm=\"test\", error=\"insufficient_user_authentication\"";
    let (old, weak) = (format!("{step_up}, max_age=\"300\""), format!("{step_up}, acr_values=\"aal2\""));
    let (old, weak) = (old.as_str(), weak.as_str());
    let (anonymous, bad) = ("Bearer realm=\"test\"", "Bearer realm=\"test\", error=\"invalid_token\"");
    for (name, method, id, token, status, code, challenge, loads) in [
        ("owner", "GET", "7", Some("ada"), 200, "note 7", "", &[7][..]),
        ("owner, encoded", "GET", "%37", Some("ada"), 200, "note 7", "", &[7]),
        ("owner, zeros", "GET", "007", Some("ada"), 200, "note 7", "", &[7]),
        ("owner, HEAD", "HEAD", "7", Some("ada"), 200, "", "", &[7]),
        ("owner, query", "GET", "7?id=8&owner=ada", Some("ada"), 200, "note 7", "", &[7]),
        ("owner, a covering scope", "GET", "7", Some("ada.notes"), 200, "note 7", "", &[7]),
        ("owner, another scope", "GET", "7", Some("ada.tasks"), 404, "not_found", "", &[]),
        ("owner's program", "GET", "7", Some("ada.key"), 200, "note 7", "", &[7]),
        ("other", "GET", "8", Some("ada"), 404, "not_found", "", &[8]),
        ("other, encoded", "GET", "%38", Some("ada"), 404, "not_found", "", &[8]),
        ("nobody's", "GET", "10", Some("ada"), 404, "not_found", "", &[10]),
        ("missing", "GET", "9", Some("ada"), 404, "not_found", "", &[9]),
        ("letter", "GET", "x", Some("ada"), 404, "not_found", "", &[]),
        ("twice encoded", "GET", "%2537", Some("ada"), 400, "malformed_request", "", &[]),
        ("bad escape", "GET", "7%zz", Some("ada"), 400, "malformed_request", "", &[]),
        ("half an escape", "GET", "7%", Some("ada"), 400, "malformed_request", "", &[]),
        ("not UTF-8", "GET", "%ff", Some("ada"), 400, "malformed_request", "", &[]),
        ("NUL", "GET", "7%00", Some("ada"), 400, "malformed_request", "", &[]),
        ("slash", "GET", "8%2F7", Some("ada"), 400, "malformed_request", "", &[]),
        ("another digit seven", "GET", "%EF%BC%97", Some("ada"), 404, "not_found", "", &[]),
        ("negative", "GET", "-7", Some("ada"), 404, "not_found", "", &[]),
        ("too large", "GET", "18446744073709551623", Some("ada"), 404, "not_found", "", &[]),
        ("outage", "GET", "500", Some("ada"), 503, "unavailable", "", &[500]),
        ("moderator", "GET", "7", Some("mod"), 200, "note 7", "", &[]),
        ("moderator, missing", "GET", "9", Some("mod"), 404, "not_found", "", &[]),
        ("moderator, letter", "GET", "x", Some("mod"), 404, "not_found", "", &[]),
        ("moderator, a covering scope", "GET", "7", Some("mod.notes"), 200, "note 7", "", &[]),
        ("moderator, another scope", "GET", "7", Some("mod.tasks"), 404, "not_found", "", &[]),
        ("anonymous", "GET", "7", None, 401, "unauthenticated", anonymous, &[]),
        ("anonymous, missing", "GET", "9", None, 401, "unauthenticated", anonymous, &[]),
        ("anonymous, letter", "GET", "x", None, 401, "unauthenticated", anonymous, &[]),
        ("anonymous, outage", "GET", "500", None, 401, "unauthenticated", anonymous, &[]),
        ("bad token", "GET", "7", Some("a'--"), 401, "token_invalid", bad, &[]),
        ("fresh owner", "DELETE", "7", Some("ada"), 200, "note 7", "", &[7]),
        ("fresh other", "DELETE", "8", Some("ada"), 404, "not_found", "", &[8]),
        ("fresh missing", "DELETE", "9", Some("ada"), 404, "not_found", "", &[9]),
        ("fresh outage", "DELETE", "500", Some("ada"), 503, "unavailable", "", &[500]),
        ("fresh moderator", "DELETE", "8", Some("mod"), 200, "note 8", "", &[]),
        ("stale owner", "DELETE", "7", Some("ada.old"), 401, "reauthentication_required", old, &[]),
        ("stale other", "DELETE", "8", Some("ada.old"), 401, "reauthentication_required", old, &[]),
        ("stale missing", "DELETE", "9", Some("ada.old"), 401, "reauthentication_required", old, &[]),
        ("stale, outage", "DELETE", "500", Some("ada.old"), 401, "reauthentication_required", old, &[]),
        ("stale moderator", "DELETE", "8", Some("mod.old"), 401, "reauthentication_required", old, &[]),
        ("one factor", "DELETE", "7", Some("ada.password"), 401, "reauthentication_required", weak, &[]),
        ("a program cannot sign in again", "DELETE", "7", Some("ada.key"), 403, "forbidden", "", &[]),
        ("anonymous, step-up", "DELETE", "7", None, 401, "unauthenticated", anonymous, &[]),
    ] {
        for folder in ["paths", "rows"] {
            let (name, path) = (format!("{name}, {folder}"), format!("/{folder}/{id}"));
            seen.loads.lock().unwrap().clear();
            let before = seen.handled.load(Ordering::SeqCst);
            let answer = ask(&service, method, &path, token).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.body);
            assert!(answer.body.contains(code), "{name}: {}", answer.body);
            assert_eq!(answer.challenge(), challenge, "{name}");
            assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{name}");
            assert_eq!(*seen.loads.lock().unwrap(), loads, "{name}");
            // Who may see every note finds out from the handler what isn't there.
            let reached = status == 200 || (status == 404 && token == Some("mod"));
            let handled = seen.handled.load(Ordering::SeqCst) - before;
            assert_eq!(handled, usize::from(reached), "{name}");
            if status == 404 {
                let mut missing = ask(&service, method, &format!("/{folder}/9"), Some("ada")).await;
                let (mut answer, id) = (answer, "x-request-id");
                assert!(answer.headers.remove(id).is_some_and(|own| missing.headers.remove(id) != Some(own)));
                assert_eq!(answer.headers, missing.headers, "{name}: looks like what isn't there");
                assert_eq!(answer.body, missing.body, "{name}: looks like what isn't there");
            }
        }
    }
}

/// B2: a list shows what the routes let through, and nothing else.
#[tokio::test]
async fn a_list_shows_what_its_routes_let_through() {
    let (service, _) = service().await;
    for (token, want) in [
        ("ada", "7"),
        ("ada.notes", "7"),
        ("ada.tasks", ""),
        ("bob", "8"),
        ("eve", ""),
        ("mod", "7 8 10"),
        ("mod.tasks", ""),
    ] {
        let listed = ask(&service, "GET", "/rows", Some(token)).await;
        assert_eq!((listed.status.as_u16(), listed.body.as_str()), (200, want), "{token}");
        for note in NOTES {
            let shown = want.split(' ').any(|id| id == note.id.to_string());
            let status = ask(&service, "GET", &format!("/rows/{}", note.id), Some(token)).await.status;
            assert_eq!(status, if shown { 200 } else { 404 }, "{token}: {}", note.id);
        }
    }
    assert_eq!(ask(&service, "GET", "/rows", None).await.status, 401);
}
