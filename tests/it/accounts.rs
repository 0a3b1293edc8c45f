//! Accounts as the application uses them.

use std::sync::Arc;

use portcullis::account::{AccountError, Registration};
use portcullis::password::PasswordHash;
use portcullis::store::LoginKeyKind;
use portcullis::token::VerifyAccessToken as _;
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::support::{PASSWORD, World, secret};

/// A user brought along with a bcrypt hash signs in, and has an Argon2id hash from then on. Nothing else changes:
/// what was issued before lives on.
// ASVS 11.2.2
#[tokio::test]
async fn an_imported_hash_signs_in_and_is_upgraded() {
    // python3 -c "import bcrypt; print(bcrypt.hashpw(b'correct horse battery staple', bcrypt.gensalt(4)).decode())"
    let imported = "$2b$04$E0q2eSBHHzRj8CgKd8LCKe7YOcYqGtHVmw8CmpqZOoGsegiRwJzDS";
    let world = World::new().await;
    let user = world.register("ada").await;
    let mut legacy = user.clone();
    legacy.password = Some(PasswordHash::from_stored(imported.to_owned()));
    let _ = world.users.replace(&legacy, user.revision).await.unwrap();

    assert!(world.accounts.sign_in(&world.tenant(), "ada", secret("a wrong password guess")).await.is_err());
    let stored = world.accounts.user(&world.tenant(), &user.id).await.unwrap();
    assert_eq!(stored.password, legacy.password, "a failed sign-in changes nothing");

    let first = world.sign_in("ada").await;
    let stored = world.accounts.user(&world.tenant(), &user.id).await.unwrap();
    assert!(stored.password.as_ref().unwrap().expose().starts_with("$argon2id$"));
    assert_eq!(stored.epoch, user.epoch);

    let before = world.accounts.passwords().computations();
    let second = world.sign_in("ada").await;
    assert_eq!(world.accounts.passwords().computations() - before, 1, "upgraded once");
    for tokens in [&first.tokens, &second.tokens] {
        assert!(world.access.verify(tokens.access_token.expose_secret()).is_ok());
    }
}

/// 32 people want one name, in as many spellings: one gets it, the others are told which name is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_32_twins_is_registered() {
    let world = Arc::new(World::new().await);
    let spellings = ["Ada", "ada", "ADA", "\u{ff21}da", "aDA", "\u{ff41}\u{ff44}\u{ff41}"];
    let mut racers = JoinSet::new();
    for n in 0..32 {
        let world = world.clone();
        racers.spawn(async move {
            let (name, email) = (spellings[n % spellings.len()], format!("ada{n}@example.com"));
            let registration = Registration::new(name, email, secret(PASSWORD));
            world.accounts.register(&world.tenant(), registration).await
        });
    }
    let (mut registered, mut taken) = (0, 0);
    for result in racers.join_all().await {
        match result {
            Ok(_) => registered += 1,
            Err(AccountError::Taken(LoginKeyKind::Username)) => taken += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((registered, taken), (1, 31));
}

/// Whoever changes the password goes on with new tokens; the old ones, theirs too, are dead.
// ASVS 7.2.4
#[tokio::test]
async fn a_changed_password_replaces_the_callers_tokens() {
    let world = World::new().await;
    let user = world.register("ada").await;
    let before = world.sign_in("ada").await;
    let (current, new) = (secret(PASSWORD), secret("an entirely different phrase"));
    let after = world.accounts.change_password(&world.tenant(), &user.id, current, new).await.unwrap();
    assert!(world.access.verify(before.tokens.access_token.expose_secret()).is_err());
    assert!(world.access.verify(after.tokens.access_token.expose_secret()).is_ok());
    assert_ne!(before.tokens.family, after.tokens.family);
}

/// A wrong current password, a weak new one, the user's own name: refused with the reason, and nothing changed.
// ASVS 6.2.3, 6.2.11
#[tokio::test]
async fn a_password_change_is_refused_with_its_reason() {
    let world = World::new().await;
    let user = world.register("ada-lovelace-1815").await;
    let signed_in = world.sign_in("ada-lovelace-1815").await;
    for (current, new, field, code) in [
        ("not the password at all", "an entirely different phrase", "current_password", "incorrect"),
        (PASSWORD, "short", "password", "too_short"),
        (PASSWORD, "ada-lovelace-1815", "password", "context_word"),
    ] {
        let refused =
            world.accounts.change_password(&world.tenant(), &user.id, secret(current), secret(new)).await;
        let rejection = refused.unwrap_err().rejection();
        let reason = rejection.reasons().first().unwrap();
        assert_eq!((rejection.status(), reason.field, reason.code), (422, field, code));
    }
    assert!(world.access.verify(signed_in.tokens.access_token.expose_secret()).is_ok());
    assert!(world.accounts.refresh(&world.tenant(), &signed_in.tokens.refresh_token).await.is_ok());
}

/// Signing out by a refresh token ends the sign-in it belongs to, if it is one's own.
#[tokio::test]
async fn a_refresh_token_signs_out_its_owner_only() {
    let world = World::new().await;
    let (ada, eve) = (world.register("ada").await, world.register("eve").await);
    let tokens = world.sign_in("ada").await.tokens;
    let (tenant, refresh) = (world.tenant(), &tokens.refresh_token);
    assert!(!world.accounts.sign_out_refresh(&tenant, &eve.id, refresh).await.unwrap());
    assert!(world.access.verify(tokens.access_token.expose_secret()).is_ok());
    assert!(world.accounts.sign_out_refresh(&tenant, &ada.id, refresh).await.unwrap());
    assert!(world.access.verify(tokens.access_token.expose_secret()).is_err());
    assert!(!world.accounts.sign_out_refresh(&tenant, &ada.id, &secret("nonsense")).await.unwrap());
}
