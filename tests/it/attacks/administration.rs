//! Administrators against each other, against those above them, and against the last of themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::account::{AccountError, Accounts, By, Registration};
use portcullis::audit::EventName;
use portcullis::authz::{Refused, Role, RoleModel};
use portcullis::backend::sqlite::SqliteStore;
use portcullis::error::ErrorKind;
use portcullis::store::fault::{Failure, Operation};
use portcullis::store::{MemoryStore, Page, User, UserStatus, UserStore};
use portcullis::{Principal, Subject, TenantId};
use tokio::task::JoinSet;

use crate::support::{BY, PASSWORD, World, secret};

fn roles() -> RoleModel {
    RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add(Role::new("auditor").grants("tasks:read"))
        .add(Role::new("admin").inherits("user").grants("users:*"))
        .add(Role::new("superadmin").inherits("admin"))
        .build()
        .unwrap()
}

async fn world() -> World {
    World::with_roles(roles()).await
}

async fn with(world: &World, name: &str, roles: &[&str]) -> User {
    let registration = Registration::new(name, format!("{name}@example.com"), secret(PASSWORD));
    world.accounts.create(BY, &world.tenant(), registration, owned(roles)).await.unwrap()
}

fn owned(roles: &[&str]) -> Vec<String> {
    roles.iter().map(|role| (*role).to_owned()).collect()
}

/// As the user's token says.
fn principal(user: &User) -> Principal {
    Principal::user(user.tenant.clone(), user.id.clone()).with_roles(user.roles.iter().map(String::as_str))
}

/// What somebody may do to somebody, and that a refusal changes nothing and is recorded once.
async fn refused(world: &World, by: &Principal, target: &User, roles: &[&str], name: &str) {
    let (tenant, id) = (world.tenant(), &target.id);
    let stored = world.accounts.user(&tenant, id).await.unwrap();
    let events = world.audit.events().len();
    let result = world.accounts.set_roles(by, &tenant, id, owned(roles)).await;
    assert!(matches!(result, Err(AccountError::Refused(Refused::Forbidden))), "{name}: {result:?}");
    assert_eq!(world.accounts.user(&tenant, id).await.unwrap(), stored, "{name}");
    let recorded = &world.audit.events()[events..];
    assert_eq!(recorded.len(), 1, "{name}");
    assert_eq!((recorded[0].name(), recorded[0].subject()), (EventName::AuthzFail, by.subject()), "{name}");
    for (key, value) in [("action", "set_roles"), ("reason", "forbidden"), ("resource", id.as_str())] {
        assert_eq!(recorded[0].detail(key), Some(value), "{name}");
    }
}

// ASVS 8.2.1
#[tokio::test]
async fn nobody_lifts_themselves_or_others_above_their_own_rights() {
    let world = world().await;
    let (ada, bob) = (with(&world, "ada", &["admin"]).await, with(&world, "bob", &["user"]).await);
    let by = principal(&ada);
    for (name, target, roles) in [
        ("self", &ada, &["superadmin"][..]),
        ("self, keeping the old", &ada, &["admin", "superadmin"]),
        ("another", &bob, &["superadmin"]),
        ("another, hidden among lower ones", &bob, &["user", "admin", "superadmin"]),
        ("beside: the same permissions, another role", &bob, &["user", "auditor"]),
    ] {
        refused(&world, &by, target, roles, name).await;
    }
    refused(&world, &principal(&bob), &bob, &["admin"], "who is nobody").await;

    let eve = || Registration::new("eve", "eve@example.com", secret(PASSWORD));
    let made = world.accounts.create(&by, &world.tenant(), eve(), owned(&["superadmin"])).await;
    assert!(matches!(made, Err(AccountError::Refused(Refused::Forbidden))), "a new user is no way around");
    let made = world.accounts.create(&by, &world.tenant(), eve(), owned(&["admin"])).await.unwrap();
    assert_eq!(made.roles, ["admin"]);

    let (tenant, up) = (world.tenant(), owned(&["user", "admin", "user"]));
    let raised = world.accounts.set_roles(&by, &tenant, &bob.id, up).await.unwrap();
    assert_eq!(raised.roles, ["admin", "user"], "as high as oneself; each once");
    let event = world.audit.events().pop().unwrap();
    assert_eq!((event.name(), event.actor()), (EventName::AuthzChange, Some(&ada.id)));
    assert_eq!((event.detail("before"), event.detail("after")), (Some("user"), Some("admin user")));
}

#[tokio::test]
async fn nobody_changes_who_holds_more() {
    let world = world().await;
    let (ada, sue) = (with(&world, "ada", &["admin"]).await, with(&world, "sue", &["superadmin"]).await);
    let (by, tenant) = (principal(&ada), world.tenant());
    refused(&world, &by, &sue, &["user"], "demoting").await;
    refused(&world, &by, &sue, &[], "stripping").await;
    for status in [UserStatus::Active, UserStatus::Disabled, UserStatus::Deleted] {
        let result = world.accounts.set_status(&by, &tenant, &sue.id, status).await;
        assert!(matches!(result, Err(AccountError::Refused(Refused::Forbidden))), "{status:?}");
    }
    assert!(matches!(world.accounts.delete(&by, &tenant, &sue.id).await, Err(AccountError::Refused(_))));
    assert_eq!(world.accounts.user(&tenant, &sue.id).await.unwrap(), sue);

    // Promoted in the middle: what counts is what is stored when it is written.
    let bob = with(&world, "bob", &["user"]).await;
    world.accounts.set_roles(&principal(&sue), &tenant, &bob.id, owned(&["superadmin"])).await.unwrap();
    refused(&world, &by, &bob, &["user"], "promoted meanwhile").await;
}

/// What a model no longer defines grants nothing, so it protects nobody either.
#[tokio::test]
async fn roles_that_are_gone() {
    let world = world().await;
    let (ada, bob) = (with(&world, "ada", &["admin"]).await, with(&world, "bob", &["auditor", "user"]).await);
    let (by, tenant) = (principal(&ada), world.tenant());
    refused(&world, &by, &bob, &["user"], "while it is defined").await;
    let smaller = ["user", "admin", "superadmin"].map(Role::new).into_iter();
    let smaller =
        smaller.fold(RoleModel::builder(), portcullis::authz::RoleModelBuilder::add).build().unwrap();
    // Nothing is inherited here, so that holding a lower role takes having it.
    world.accounts.authorizer().replace_roles(smaller, []).unwrap();
    let unknown = world.accounts.set_roles(BY, &tenant, &bob.id, owned(&["auditor"])).await.unwrap_err();
    assert!(matches!(&unknown, AccountError::UnknownRole(role) if role == "auditor"), "{unknown:?}");
    let rejection = unknown.rejection();
    assert_eq!((rejection.status(), rejection.reasons()[0].code), (422, "unknown_role"));
    refused(&world, &by, &bob, &["admin"], "what is still defined protects").await;
    let both = principal(&ada).with_roles(["admin", "user"]);
    refused(&world, &both, &bob, &["admin"], "a token that says more than is stored").await;
    world.accounts.set_roles(BY, &tenant, &ada.id, owned(&["admin", "user"])).await.unwrap();
    let changed = world.accounts.set_roles(&both, &tenant, &bob.id, owned(&["admin"])).await.unwrap();
    assert_eq!(changed.roles, ["admin"]);
}

/// The token is good for up to a second after the demotion, on another instance. Its roles are not.
// ASVS 8.3.2
#[tokio::test]
async fn who_was_demoted_meanwhile_administrates_nobody() {
    let world = world().await;
    let tenant = world.tenant();
    with(&world, "root", &["admin"]).await;
    let bob = with(&world, "bob", &["user"]).await;
    for (name, change) in [("demoted", Some("user")), ("stripped", None)] {
        let ada = with(&world, &format!("ada-{name}"), &["admin"]).await;
        let token = principal(&ada);
        let left: Vec<String> = change.map(str::to_owned).into_iter().collect();
        world.accounts.set_roles(BY, &tenant, &ada.id, left).await.unwrap();
        refused(&world, &token, &ada, &["admin"], name).await;
        refused(&world, &token, &bob, &["admin"], name).await;
        refused(&world, &token, &bob, &["user"], name).await;
    }
    let ada = with(&world, "ada-disabled", &["admin"]).await;
    world.accounts.set_status(BY, &tenant, &ada.id, UserStatus::Disabled).await.unwrap();
    refused(&world, &principal(&ada), &bob, &["user"], "disabled").await;
    let ada = with(&world, "ada-deleted", &["admin"]).await;
    world.accounts.delete(BY, &tenant, &ada.id).await.unwrap();
    refused(&world, &principal(&ada), &bob, &["user"], "deleted").await;
}

#[tokio::test]
async fn who_cannot_administrate_at_all() {
    let world = world().await;
    let (ada, bob) = (with(&world, "ada", &["admin"]).await, with(&world, "bob", &["user"]).await);
    let tenant = world.tenant();
    let try_as = async |by: &Principal| {
        world.accounts.set_status(by, &tenant, &bob.id, UserStatus::Disabled).await.map(drop)
    };
    let anonymous = Principal::anonymous(tenant.clone()).with_roles(["superadmin"]);
    assert!(matches!(try_as(&anonymous).await, Err(AccountError::Refused(Refused::Unauthenticated))));
    for scope in ["users:*", "tasks:read", "openid"] {
        let limited = principal(&ada).with_scopes([scope]);
        let result = try_as(&limited).await;
        assert!(matches!(result, Err(AccountError::Refused(Refused::InsufficientScope))), "{scope}");
    }
    let service =
        Principal::service(tenant.clone(), Subject::parse("billing").unwrap()).with_roles(["admin"]);
    assert!(matches!(try_as(&service).await, Err(AccountError::Refused(Refused::Forbidden))));
    let elsewhere =
        Principal::user(TenantId::parse("other").unwrap(), ada.id.clone()).with_roles(["superadmin"]);
    assert!(matches!(try_as(&elsewhere).await, Err(AccountError::UnknownUser)));
    let made = Registration::new("eve", "eve@example.com", secret(PASSWORD));
    let made = world.accounts.create(&elsewhere, &tenant, made, owned(&["user"])).await;
    assert!(matches!(made, Err(AccountError::UnknownUser)));
    assert_eq!(world.accounts.user(&tenant, &bob.id).await.unwrap().status, UserStatus::Active);
    try_as(&principal(&ada).with_scopes(["*:*"])).await.unwrap();
}

async fn guarded_in_memory() -> World {
    World::guarding(Arc::new(MemoryStore::new()), roles(), "admin").await
}

/// Whoever asks, and however it is asked for.
#[tokio::test]
async fn the_last_administrator_stays() {
    for holder in ["admin", "superadmin"] {
        let world = guarded_in_memory().await;
        let tenant = world.tenant();
        let ada = with(&world, "ada", &[holder]).await;
        // Neither of these can stand in for her.
        let off = with(&world, "off", &["admin"]).await;
        world.accounts.set_status(BY, &tenant, &off.id, UserStatus::Disabled).await.unwrap();
        with(&world, "bob", &["user"]).await;
        let ada = world.accounts.user(&tenant, &ada.id).await.unwrap();
        let elsewhere = Registration::new("ada", "ada@example.com", secret(PASSWORD));
        let other = TenantId::parse("other").unwrap();
        world.accounts.create(BY, &other, elsewhere, owned(&["admin"])).await.unwrap();

        let herself = principal(&ada);
        for by in [By::Principal(&herself), By::Application("cleanup")] {
            let accounts = &world.accounts;
            for (name, result) in [
                ("demoted", accounts.set_roles(by, &tenant, &ada.id, owned(&["user"])).await.map(drop)),
                ("stripped", accounts.set_roles(by, &tenant, &ada.id, vec![]).await.map(drop)),
                ("disabled", accounts.set_status(by, &tenant, &ada.id, UserStatus::Disabled).await.map(drop)),
                ("deleted", accounts.delete(by, &tenant, &ada.id).await),
            ] {
                let error = result.unwrap_err();
                let rejection = error.rejection();
                assert_eq!((rejection.status(), rejection.code().as_str()), (409, "last_holder"), "{name}");
                assert!(matches!(error, AccountError::LastHolder(role) if role == "admin"), "{name}");
                let event = world.audit.events().pop().unwrap();
                assert_eq!(
                    (event.name(), event.detail("reason")),
                    (EventName::AuthzFail, Some("last_holder"))
                );
            }
        }
        assert_eq!(world.accounts.user(&tenant, &ada.id).await.unwrap(), ada, "{holder}: as she was");
        // As long as the role is kept, the rest may change.
        let kept = world.accounts.set_roles(&herself, &tenant, &ada.id, owned(&["admin"])).await.unwrap();
        assert_eq!(kept.roles, ["admin"]);
        // With a second one she may go.
        world.accounts.set_status(BY, &tenant, &off.id, UserStatus::Active).await.unwrap();
        world.accounts.delete(&principal(&kept), &tenant, &ada.id).await.unwrap();
        assert!(world.accounts.delete(BY, &tenant, &off.id).await.is_err());
    }
}

/// A witness far down the list is found.
#[tokio::test]
async fn the_witness_may_be_anywhere() {
    let world = guarded_in_memory().await;
    let tenant = world.tenant();
    let named = |name: &str, role: &str| {
        let mut user =
            User::new(tenant.clone(), Subject::parse(name).unwrap(), portcullis::time::Timestamp::UNIX_EPOCH);
        user.roles = owned(&[role]);
        user
    };
    for n in 0..250 {
        let _ = world.users.insert(&named(&format!("b{n:03}"), "user")).await.unwrap();
    }
    let (first, last) = (named("a", "admin"), named("z", "admin"));
    for user in [&first, &last] {
        let _ = world.users.insert(user).await.unwrap();
    }
    world.accounts.set_roles(BY, &tenant, &first.id, vec![]).await.unwrap();
    let stays = world.accounts.set_roles(BY, &tenant, &last.id, vec![]).await;
    assert!(matches!(stays, Err(AccountError::LastHolder(_))));
}

/// Fails each store call of a demotion in turn, before and after it was carried out: whatever was written by then, nobody
/// has rights they should not have, and trying again settles it.
#[tokio::test]
async fn a_crash_anywhere_in_a_demotion_is_harmless() {
    for failure in [Failure::NotDone, Failure::AnswerLost] {
        for nth in 1..12 {
            let world = guarded_in_memory().await;
            let tenant = world.tenant();
            let (ada, eve) = (with(&world, "ada", &["admin"]).await, with(&world, "eve", &["admin"]).await);
            let signed_in = world.sign_in("ada").await;
            let before = world.faults.calls().len();
            world.faults.fail_nth(nth, failure);
            let result = world.accounts.set_roles(&principal(&ada), &tenant, &eve.id, owned(&["user"])).await;
            let failed = world.faults.calls().get(before + nth - 1).copied();
            world.faults.heal();
            if failed.is_some_and(|operation| operation != Operation::TokenRevokedSince) {
                assert_eq!(result.unwrap_err().rejection().status(), 503, "call {nth}, {failure:?}");
            }
            // The witness is as she was, and her sign-in is alive.
            let mut now = world.accounts.user(&tenant, &ada.id).await.unwrap();
            // As far as she was written back, unchanged.
            now.revision = 0;
            assert_eq!(now, ada, "call {nth}, {failure:?}");
            assert!(world.accounts.refresh(&tenant, &signed_in.tokens.refresh_token).await.is_ok());
            world.accounts.set_roles(&principal(&ada), &tenant, &eve.id, owned(&["user"])).await.unwrap();
            assert!(world.accounts.set_roles(&principal(&ada), &tenant, &ada.id, vec![]).await.is_err());
        }
    }
}

/// Between the two steps of a deletion nobody can be made to rest on who is about to go.
#[tokio::test]
async fn who_is_being_deleted_does_not_come_back() {
    let world = guarded_in_memory().await;
    let tenant = world.tenant();
    let (ada, keeper) = (with(&world, "ada", &["admin"]).await, with(&world, "keeper", &["admin"]).await);
    world.faults.fail_every(Operation::UserDelete, Failure::NotDone);
    assert_eq!(world.accounts.delete(BY, &tenant, &ada.id).await.unwrap_err().rejection().status(), 503);
    world.faults.heal();

    for status in [UserStatus::Active, UserStatus::Disabled] {
        let back = world.accounts.set_status(BY, &tenant, &ada.id, status).await;
        assert!(matches!(back, Err(AccountError::UnknownUser)), "{status:?}: {back:?}");
    }
    let back = world.accounts.set_roles(BY, &tenant, &ada.id, owned(&["admin"])).await;
    assert!(matches!(back, Err(AccountError::UnknownUser)), "{back:?}");
    assert!(world.accounts.sign_in(&tenant, "ada", secret(PASSWORD)).await.is_err());
    let last = world.accounts.set_roles(BY, &tenant, &keeper.id, vec![]).await;
    assert!(matches!(last, Err(AccountError::LastHolder(_))), "{last:?}");
    world.accounts.delete(BY, &tenant, &ada.id).await.unwrap();
    assert!(world.accounts.user(&tenant, &ada.id).await.is_err());
}

fn take_away(round: usize, racer: usize) -> &'static str {
    ["set_roles", "disable", "delete"][(round + racer) % 3]
}

async fn remove(accounts: &Accounts, by: By<'_>, id: &Subject, how: &str) -> Result<(), AccountError> {
    let tenant = TenantId::default();
    match how {
        "set_roles" => accounts.set_roles(by, &tenant, id, owned(&["user"])).await.map(drop),
        "disable" => accounts.set_status(by, &tenant, id, UserStatus::Disabled).await.map(drop),
        _ => accounts.delete(by, &tenant, id).await,
    }
}

async fn administrators(users: &dyn UserStore) -> usize {
    let users = users.list(&TenantId::default(), Page { after: None, limit: 1000 }).await.unwrap();
    let active = users.iter().filter(|user| user.status == UserStatus::Active);
    active.filter(|user| user.roles.iter().any(|role| role == "admin")).count()
}

/// Looks at the store all the time that `racing` takes: there is always an administrator.
async fn always_one(world: &World, racing: impl Future<Output = ()>) {
    let (users, stop) = (world.users.clone(), Arc::new(AtomicBool::new(false)));
    let over = stop.clone();
    let observer = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            assert!(administrators(&*users).await >= 1, "nobody was left");
            tokio::task::yield_now().await;
        }
    });
    racing.await;
    stop.store(true, Ordering::Relaxed);
    observer.await.unwrap();
    assert!(administrators(&*world.users).await >= 1, "nobody is left");
}

/// A race is lost by being refused, by finding that one's target is gone, or by giving up with 503.
fn lost(error: &AccountError) -> bool {
    match error {
        AccountError::Refused(Refused::Forbidden)
        | AccountError::LastHolder(_)
        | AccountError::UnknownUser => true,
        AccountError::Failed(error) => error.kind() == ErrorKind::Unavailable,
        _ => false,
    }
}

/// Two who demote each other, with so many requests at the same time.
async fn two_against_each_other(world: Arc<World>, rounds: usize, racers: usize) {
    let tenant = world.tenant();
    let pair = [with(&world, "ada", &["admin"]).await, with(&world, "eve", &["admin"]).await];
    for round in 0..rounds {
        for user in &pair {
            world.accounts.set_roles(BY, &tenant, &user.id, owned(&["admin"])).await.unwrap();
        }
        always_one(&world, async {
            let mut set = JoinSet::new();
            for racer in 0..racers {
                let (world, pair) = (world.clone(), pair.clone());
                set.spawn(async move {
                    let (acting, target) = (&pair[racer % 2], &pair[(racer + 1) % 2]);
                    let result =
                        remove(&world.accounts, (&principal(acting)).into(), &target.id, "set_roles").await;
                    (target.id.clone(), result)
                });
            }
            let results = set.join_all().await;
            for (target, result) in &results {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{target}: {result:?}");
            }
            let fallen: std::collections::HashSet<_> =
                results.iter().filter(|(_, result)| result.is_ok()).map(|(target, _)| target).collect();
            assert_eq!(fallen.len(), 1, "round {round}: one of the two falls, not both: {results:?}");
        })
        .await;
        assert_eq!(administrators(&*world.users).await, 1, "round {round}");
    }
}

/// Everybody against everybody, and the application against all, by every way there is.
async fn all_against_all(world: Arc<World>, rounds: usize) {
    let tenant = world.tenant();
    for round in 0..rounds {
        let mut admins = Vec::new();
        for n in 0..2 + round % 5 {
            admins.push(with(&world, &format!("admin-{round}-{n}"), &["admin"]).await);
        }
        // Those who won before step down, so that it is about these.
        let users = world.users.list(&tenant, Page { after: None, limit: 1000 }).await.unwrap();
        for old in users.iter().filter(|user| admins.iter().all(|admin| admin.id != user.id)) {
            world.accounts.set_roles(BY, &tenant, &old.id, vec![]).await.unwrap_or_else(|error| {
                assert!(matches!(error, AccountError::UnknownUser), "{error:?}");
                old.clone()
            });
        }
        always_one(&world, async {
            let mut racers = JoinSet::new();
            for racer in 0..32 {
                let (world, admins) = (world.clone(), admins.clone());
                racers.spawn(async move {
                    let target = &admins[racer % admins.len()];
                    let acting = principal(&admins[(racer / admins.len() + racer + 1) % admins.len()]);
                    let by = if racer % 8 == 7 { By::Application("cleanup") } else { By::Principal(&acting) };
                    remove(&world.accounts, by, &target.id, take_away(round, racer)).await
                });
            }
            for result in racers.join_all().await {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{result:?}");
            }
        })
        .await;
    }
}

/// A deletion has two steps; whoever is enabled or promoted between them is not counted on by anybody.
async fn deleting_against_enabling(world: Arc<World>, rounds: usize) {
    let tenant = world.tenant();
    let keeper = with(&world, "keeper", &["admin"]).await;
    for round in 0..rounds {
        world.accounts.set_roles(BY, &tenant, &keeper.id, owned(&["admin"])).await.unwrap();
        let ada = with(&world, &format!("ada-{round}"), &["admin"]).await;
        always_one(&world, async {
            let mut racers = JoinSet::new();
            for racer in 0..32 {
                let (world, ada, keeper) = (world.clone(), ada.clone(), keeper.clone());
                racers.spawn(async move {
                    let (accounts, tenant) = (&world.accounts, TenantId::default());
                    match racer % 4 {
                        0 => remove(accounts, BY, &ada.id, "delete").await,
                        1 => accounts.set_status(BY, &tenant, &ada.id, UserStatus::Active).await.map(drop),
                        2 => accounts.set_roles(BY, &tenant, &ada.id, owned(&["admin"])).await.map(drop),
                        _ => remove(accounts, BY, &keeper.id, "set_roles").await,
                    }
                });
            }
            for result in racers.join_all().await {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{result:?}");
            }
        })
        .await;
    }
}

async fn sqlite(dir: &tempfile::TempDir) -> World {
    let store = SqliteStore::open(dir.path().join("race.db")).await.unwrap();
    World::guarding(Arc::new(store), roles(), "admin").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn somebody_is_left_of_two_who_demote_each_other() {
    for racers in [2, 32] {
        two_against_each_other(Arc::new(guarded_in_memory().await), 40, racers).await;
        // Equals are kept apart without a guarded role, too.
        two_against_each_other(Arc::new(world().await), 40, racers).await;
        let dir = tempfile::tempdir().unwrap();
        two_against_each_other(Arc::new(sqlite(&dir).await), 4, racers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn somebody_is_left_of_32_who_remove_each_other() {
    all_against_all(Arc::new(guarded_in_memory().await), 40).await;
    let dir = tempfile::tempdir().unwrap();
    all_against_all(Arc::new(sqlite(&dir).await), 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_comes_back_while_being_deleted() {
    deleting_against_enabling(Arc::new(guarded_in_memory().await), 40).await;
    let dir = tempfile::tempdir().unwrap();
    deleting_against_enabling(Arc::new(sqlite(&dir).await), 4).await;
}
