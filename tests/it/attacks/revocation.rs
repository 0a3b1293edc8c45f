//! What was ended stays ended: on this instance, on the others, after a crash, after a restart.

use std::sync::Arc;
use std::time::Duration;

use portcullis::account::{AccountError, Accounts};
use portcullis::principal::AuthMethod;
use portcullis::store::fault::{Failure, Operation};
use portcullis::store::{MemoryStore, UserStatus};
use portcullis::token::{Grant, Issued, TokenRefusal, VerifyAccessToken as _};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::support::{BY, PASSWORD, World, secret};

const NEW_PASSWORD: &str = "an entirely different phrase";

fn access(world: &World, token: &secrecy::SecretString) -> Result<(), TokenRefusal> {
    world.access.verify(token.expose_secret()).map(drop)
}

/// 32 sign-ins race a password change. Whatever the order, no token issued on the old password is alive afterwards.
// ASVS 7.4.3
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_racing_a_password_change_leave_no_live_token() {
    for _ in 0..8 {
        let world = Arc::new(World::new().await);
        let user = world.register("ada").await;
        let mut racers = JoinSet::new();
        for n in 0..32 {
            let world = world.clone();
            let id = user.id.clone();
            racers.spawn(async move {
                if n == 16 {
                    let (current, new) = (secret(PASSWORD), secret(NEW_PASSWORD));
                    let changed =
                        world.accounts.change_password(&world.tenant(), &id, current, new).await.unwrap();
                    (true, Some(changed))
                } else {
                    (false, world.accounts.sign_in(&world.tenant(), "ada", secret(PASSWORD)).await.ok())
                }
            });
        }
        for (is_owner, signed_in) in racers.join_all().await {
            let Some(signed_in) = signed_in else { continue };
            let alive = access(&world, &signed_in.tokens.access_token).is_ok();
            assert_eq!(alive, is_owner, "access token");
            let refreshed = world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await;
            assert_eq!(refreshed.is_ok(), is_owner, "refresh token");
        }
        assert!(world.accounts.sign_in(&world.tenant(), "ada", secret(PASSWORD)).await.is_err());
        assert!(world.accounts.sign_in(&world.tenant(), "ada", secret(NEW_PASSWORD)).await.is_ok());
    }
}

/// A crash between revoking and writing the user signs the user out, changes nothing, and locks nobody out.
#[tokio::test]
async fn a_crash_between_revoke_and_replace_signs_out_and_changes_nothing() {
    let world = World::new().await;
    let user = world.register("ada").await;
    let before = world.sign_in("ada").await;

    world.faults.fail_every(Operation::UserReplace, Failure::NotDone);
    let (current, new) = (secret(PASSWORD), secret(NEW_PASSWORD));
    let crashed = world.accounts.change_password(&world.tenant(), &user.id, current, new).await;
    assert_eq!(crashed.unwrap_err().rejection().status(), 503);
    world.faults.heal();

    let restarted = world.another().await;
    for world in [&world, &restarted] {
        assert_eq!(access(world, &before.tokens.access_token), Err(TokenRefusal::Stale));
        assert!(world.accounts.refresh(&world.tenant(), &before.tokens.refresh_token).await.is_err());
        assert!(world.accounts.sign_in(&world.tenant(), "ada", secret(NEW_PASSWORD)).await.is_err());
        let again = world.sign_in("ada").await;
        assert_eq!(access(world, &again.tokens.access_token), Ok(()));
        assert!(world.accounts.refresh(&world.tenant(), &again.tokens.refresh_token).await.is_ok());
    }
}

/// A role change whose write is lost must not leave the user with tokens that are born dead.
#[tokio::test]
async fn a_crash_in_a_role_change_does_not_lock_the_user_out() {
    let world = World::new().await;
    let user = world.register("ada").await;
    let signed_in = world.sign_in("ada").await;

    world.faults.fail_every(Operation::UserReplace, Failure::NotDone);
    let roles = vec!["admin".to_owned()];
    assert!(world.accounts.set_roles(BY, &world.tenant(), &user.id, roles).await.is_err());
    world.faults.heal();

    assert_eq!(access(&world, &signed_in.tokens.access_token), Err(TokenRefusal::Stale));
    let refreshed = world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await.unwrap();
    assert_eq!(access(&world, &refreshed.tokens.access_token), Ok(()));
    assert_eq!(refreshed.user.roles, ["user"]);
}

/// The sign-in that adopts a floor and the change that set it: the change has to start over, so the adopter's tokens
/// die with it.
#[tokio::test]
async fn adopting_a_floor_makes_the_change_behind_it_start_over() {
    let world = World::new().await;
    let user = world.register("ada").await;

    // The change has revoked and is about to write.
    world.faults.fail_every(Operation::UserReplace, Failure::NotDone);
    let (current, new) = (secret(PASSWORD), secret(NEW_PASSWORD));
    let _ = world.accounts.change_password(&world.tenant(), &user.id, current, new).await;
    world.faults.heal();
    let adopter = world.sign_in("ada").await;
    assert_eq!(access(&world, &adopter.tokens.access_token), Ok(()));

    // It comes back with the revision it had read.
    let mut written = user.clone();
    written.epoch.security += 1;
    let late = world.users.replace(&written, user.revision).await.unwrap();
    assert_eq!(late, portcullis::store::UserReplacement::Conflict);

    let (current, new) = (secret(PASSWORD), secret(NEW_PASSWORD));
    world.accounts.change_password(&world.tenant(), &user.id, current, new).await.unwrap();
    assert_eq!(access(&world, &adopter.tokens.access_token), Err(TokenRefusal::Stale));
    assert!(world.accounts.refresh(&world.tenant(), &adopter.tokens.refresh_token).await.is_err());
}

/// C4: revoked, then restarted.
// ASVS 7.4.1
#[tokio::test]
async fn a_restarted_instance_refuses_what_was_revoked() {
    let world = World::new().await;
    let user = world.register("ada").await;
    let out = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    world.accounts.sign_out(&world.tenant(), &user.id, &out.tokens.family).await.unwrap();

    let restarted = world.another().await;
    assert_eq!(access(&restarted, &out.tokens.access_token), Err(TokenRefusal::Revoked));
    assert!(restarted.accounts.refresh(&world.tenant(), &out.tokens.refresh_token).await.is_err());
    assert_eq!(access(&restarted, &other.tokens.access_token), Ok(()));

    world.accounts.sign_out_everywhere(&world.tenant(), &user.id).await.unwrap();
    let restarted = world.another().await;
    assert_eq!(access(&restarted, &other.tokens.access_token), Err(TokenRefusal::Stale));
}

/// Another instance hears of a revocation with the next poll.
#[tokio::test]
async fn another_instance_follows() {
    let here = World::new().await;
    let there = here.another().await;
    let user = here.register("ada").await;
    let signed_in = here.sign_in("ada").await;
    here.accounts.sign_out(&here.tenant(), &user.id, &signed_in.tokens.family).await.unwrap();
    assert_eq!(access(&here, &signed_in.tokens.access_token), Err(TokenRefusal::Revoked));
    there.tokens.revocations().refresh().await.unwrap();
    assert_eq!(access(&there, &signed_in.tokens.access_token), Err(TokenRefusal::Revoked));
}

/// The follower itself, on tokio's clock: 250 ms later the other instance knows.
#[tokio::test(start_paused = true)]
async fn the_follower_polls() {
    let here = World::new().await;
    let there = here.another().await;
    let user = here.register("ada").await;
    let signed_in = here.sign_in("ada").await;
    here.accounts.sign_out(&here.tenant(), &user.id, &signed_in.tokens.family).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(access(&there, &signed_in.tokens.access_token), Err(TokenRefusal::Revoked));
}

/// Ten seconds without the feed, and nobody can say what is revoked: 503, not a pass. It heals by itself.
#[tokio::test]
async fn a_stale_follower_refuses_with_unavailable() {
    let world = World::new().await;
    world.register("ada").await;
    let signed_in = world.sign_in("ada").await;
    world.faults.fail_every(Operation::TokenRevokedSince, Failure::NotDone);

    world.clock.advance(Duration::from_secs(10));
    assert!(world.tokens.revocations().refresh().await.is_err());
    assert_eq!(access(&world, &signed_in.tokens.access_token), Ok(()));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(access(&world, &signed_in.tokens.access_token), Err(TokenRefusal::Unavailable));

    world.faults.heal();
    world.tokens.revocations().refresh().await.unwrap();
    assert_eq!(access(&world, &signed_in.tokens.access_token), Ok(()));
}

/// Setting the machine's clock back does not make a stale view look fresh.
#[tokio::test]
async fn setting_the_clock_back_does_not_hide_staleness() {
    let world = World::new().await;
    world.register("ada").await;
    let signed_in = world.sign_in("ada").await;
    world.faults.fail_every(Operation::TokenRevokedSince, Failure::NotDone);
    let then = portcullis::time::Clock::now(&world.clock);
    world.clock.advance(Duration::from_secs(11));
    world.clock.set(then);
    assert_eq!(access(&world, &signed_in.tokens.access_token), Err(TokenRefusal::Unavailable));
}

/// After `shutdown` the task is gone, and the view says that it no longer knows.
#[tokio::test]
async fn after_shutdown_the_view_grows_stale() {
    let world = World::new().await;
    world.register("ada").await;
    let signed_in = world.sign_in("ada").await;
    world.tokens.revocations().shutdown().await;
    world.clock.advance(Duration::from_secs(11));
    tokio::task::yield_now().await;
    assert_eq!(access(&world, &signed_in.tokens.access_token), Err(TokenRefusal::Unavailable));
}

/// Contract: what kills what.
// ASVS 7.4.2, 8.3.2
#[tokio::test]
async fn what_ends_what() {
    type Act = for<'a> fn(&'a Accounts, &'a World, &'a portcullis::store::User) -> BoxAct<'a>;
    type BoxAct<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), AccountError>> + Send + 'a>>;
    let rows: [(&str, Act, Result<(), TokenRefusal>, bool); 5] = [
        (
            "roles",
            |accounts, world, user| {
                Box::pin(async move {
                    accounts.set_roles(BY, &world.tenant(), &user.id, vec!["guest".into()]).await.map(drop)
                })
            },
            Err(TokenRefusal::Stale),
            true,
        ),
        (
            "password",
            |accounts, world, user| {
                Box::pin(async move {
                    let (old, new) = (secret(PASSWORD), secret(NEW_PASSWORD));
                    accounts.change_password(&world.tenant(), &user.id, old, new).await.map(drop)
                })
            },
            Err(TokenRefusal::Stale),
            false,
        ),
        (
            "disable",
            |accounts, world, user| {
                Box::pin(async move {
                    accounts.set_status(BY, &world.tenant(), &user.id, UserStatus::Disabled).await.map(drop)
                })
            },
            Err(TokenRefusal::Stale),
            false,
        ),
        (
            "delete",
            |accounts, world, user| {
                Box::pin(async move { accounts.delete(BY, &world.tenant(), &user.id).await })
            },
            Err(TokenRefusal::Stale),
            false,
        ),
        (
            "sign-out everywhere",
            |accounts, world, user| {
                Box::pin(async move { accounts.sign_out_everywhere(&world.tenant(), &user.id).await })
            },
            Err(TokenRefusal::Stale),
            false,
        ),
    ];
    for (name, act, access_then, refresh_then) in rows {
        let world = World::new().await;
        let user = world.register("ada").await;
        let bystander = world.register("grace").await;
        let signed_in = world.sign_in("ada").await;
        let untouched = world.sign_in("grace").await;
        act(&world.accounts, &world, &user).await.unwrap();
        assert_eq!(access(&world, &signed_in.tokens.access_token), access_then, "{name}: access");
        let refreshed = world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await;
        assert_eq!(refreshed.is_ok(), refresh_then, "{name}: refresh");
        if let Ok(refreshed) = refreshed {
            assert_eq!(access(&world, &refreshed.tokens.access_token), Ok(()), "{name}: refreshed access");
        }
        assert_eq!(access(&world, &untouched.tokens.access_token), Ok(()), "{name}: {}", bystander.id);
    }
}

/// A disabled or deleted user racing 32 sign-ins keeps nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_racing_a_deletion_leave_nothing() {
    for _ in 0..8 {
        let world = Arc::new(World::new().await);
        let user = world.register("ada").await;
        let mut racers = JoinSet::new();
        for n in 0..32 {
            let (world, id) = (world.clone(), user.id.clone());
            racers.spawn(async move {
                if n == 16 {
                    world.accounts.delete(BY, &world.tenant(), &id).await.unwrap();
                    return None;
                }
                world.accounts.sign_in(&world.tenant(), "ada", secret(PASSWORD)).await.ok()
            });
        }
        for signed_in in racers.join_all().await.into_iter().flatten() {
            assert!(access(&world, &signed_in.tokens.access_token).is_err());
            assert!(world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await.is_err());
        }
    }
}

/// Somebody disabled a user in the database by hand, past every service: no sign-in, and no new tokens.
#[tokio::test]
async fn a_user_disabled_behind_our_back_gets_no_new_tokens() {
    let world = World::new().await;
    world.register("ada").await;
    let signed_in = world.sign_in("ada").await;
    let mut disabled = signed_in.user.clone();
    disabled.status = UserStatus::Disabled;
    let _ = world.users.replace(&disabled, disabled.revision).await.unwrap();
    assert!(world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await.is_err());
    assert!(world.accounts.sign_in(&world.tenant(), "ada", secret(PASSWORD)).await.is_err());
}

/// Two tenants, one key, one store: whoever is somebody there is nobody here.
// ASVS 8.4.1
#[tokio::test]
async fn another_tenants_tokens_open_nothing_here() {
    let world = World::new().await;
    let other = portcullis::TenantId::parse("other").unwrap();
    let registration = portcullis::account::Registration::new("ada", "ada@example.com", secret(PASSWORD));
    let there = world.accounts.register(&other, registration).await.unwrap();
    let signed_in = world.accounts.sign_in(&other, "ada", secret(PASSWORD)).await.unwrap();

    assert_eq!(access(&world, &signed_in.tokens.access_token), Err(TokenRefusal::OtherTenant));
    let tenant = world.tenant();
    assert!(world.accounts.refresh(&tenant, &signed_in.tokens.refresh_token).await.is_err());
    assert!(world.accounts.sign_in(&tenant, "ada", secret(PASSWORD)).await.is_err());
    assert!(world.accounts.user(&tenant, &there.id).await.is_err());
    // The name is free here, and the same name is another user.
    let here = world.register("ada").await;
    world.accounts.sign_out_everywhere(&tenant, &here.id).await.unwrap();
    assert!(world.accounts.refresh(&other, &signed_in.tokens.refresh_token).await.is_ok());
}

/// The floor binds tokens, not the application: issuing below it is answered `Stale`, with nothing issued.
#[tokio::test]
async fn nothing_is_issued_below_the_floor() {
    let world = World::new().await;
    let before = world.register("ada").await;
    world.accounts.sign_out_everywhere(&world.tenant(), &before.id).await.unwrap();
    let grant = Grant::new([AuthMethod::Password], portcullis::time::Clock::now(&world.clock));
    assert!(matches!(world.tokens.issue(&before, &grant).await.unwrap(), Issued::Stale(_)));
}

#[tokio::test]
async fn a_store_that_cannot_load_the_feed_does_not_come_up() {
    let store = Arc::new(MemoryStore::new());
    let faulty = portcullis::store::fault::FaultyStore::new(store.clone(), store);
    faulty.faults().fail_every(Operation::TokenRevokedSince, Failure::NotDone);
    let clock = Arc::new(portcullis::time::ManualClock::default());
    let loaded =
        portcullis::token::Revocations::follow(Arc::new(faulty), clock, Duration::from_secs(10)).await;
    assert!(loaded.is_err());
}
