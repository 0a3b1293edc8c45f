//! Who has an account here? Sign-in does not say.

use portcullis::account::AccountError;
use portcullis::store::UserStatus;
use portcullis::store::fault::Operation;

use crate::support::{BY, PASSWORD, World, secret};

/// G3: every state of an account costs one hash, reads the store alike and is answered alike. Counted, not timed.
// ASVS 6.3.8
#[tokio::test]
async fn every_failed_sign_in_looks_the_same() {
    let world = World::new().await;
    let tenant = world.tenant();
    for name in ["known", "disabled", "social"] {
        world.register(name).await;
    }
    let disabled = world.accounts.sign_in(&tenant, "disabled", secret(PASSWORD)).await.unwrap().user;
    world.accounts.set_status(BY, &tenant, &disabled.id, UserStatus::Disabled).await.unwrap();
    let social = world.accounts.sign_in(&tenant, "social", secret(PASSWORD)).await.unwrap().user;
    let mut without_password = social.clone();
    without_password.password = None;
    let _ = world.users.replace(&without_password, social.revision).await.unwrap();

    let long = "x".repeat(100_000);
    let passwords = [
        String::new(),
        "x".to_owned(),
        "x".repeat(72),
        "x".repeat(73),
        "x".repeat(1024),
        "x".repeat(1025),
        "nul\0inside the password".to_owned(),
        "\u{1f600}".repeat(64),
    ];
    let mut seen = None;
    for identifier in [
        "unknown",
        "unknown@example.com",
        "known",
        "KNOWN@example.com",
        "disabled",
        "social",
        "",
        "no name \0",
        &long,
    ] {
        let right = (identifier == "disabled" || identifier == "social").then(|| PASSWORD.to_owned());
        for password in passwords.iter().cloned().chain(right) {
            let calls = world.faults.calls().len();
            let before = world.accounts.passwords().computations();
            let events = world.audit.events().len();
            let refused = world.accounts.sign_in(&tenant, identifier, password.into()).await.unwrap_err();
            assert!(matches!(refused, AccountError::SignInFailed), "{refused:?}");
            let observed = (
                world.accounts.passwords().computations() - before,
                trace(&world, calls),
                refused.rejection(),
                world.audit.events().len() - events,
            );
            assert_eq!(observed.0, 1, "one hash");
            let seen = seen.get_or_insert_with(|| observed.clone());
            assert_eq!(*seen, observed, "{identifier:.20}");
        }
    }
}

/// What the store was asked since; the follower, which polls beside it, left out.
fn trace(world: &World, since: usize) -> Vec<Operation> {
    let calls = world.faults.calls().into_iter().skip(since);
    calls.filter(|operation| *operation != Operation::TokenRevokedSince).collect()
}

/// A failed sign-in never writes the user.
#[tokio::test]
async fn a_failed_sign_in_writes_nothing() {
    let world = World::new().await;
    let user = world.register("ada").await;
    for _ in 0..20 {
        assert!(
            world.accounts.sign_in(&world.tenant(), "ada", secret("a wrong password guess")).await.is_err()
        );
    }
    let stored = world.accounts.user(&world.tenant(), &user.id).await.unwrap();
    assert_eq!(stored.revision, user.revision);
}

/// The operator sees what the client does not.
// ASVS 16.3.1
#[tokio::test]
async fn the_audit_trail_knows_the_reason() {
    let world = World::new().await;
    world.register("ada").await;
    for (identifier, reason) in [("ada", "wrong_password"), ("nobody", "unknown_user")] {
        let _ = world.accounts.sign_in(&world.tenant(), identifier, secret("a wrong password guess")).await;
        let events = world.audit.events();
        assert_eq!(events.last().unwrap().detail("reason"), Some(reason));
        assert!(!format!("{events:?}").contains("wrong password guess"));
    }
}
