//! Administrators against each other, against those above them, and against the last of themselves.

mod races;

use std::sync::Arc;

use portcullis::account::{AccountError, By, Registration};
use portcullis::audit::EventName;
use portcullis::authz::{Refused, Role, RoleModel};
use portcullis::store::fault::{Failure, Operation};
use portcullis::store::{MemoryStore, User, UserStatus};
use portcullis::{Principal, Subject, TenantId};

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
