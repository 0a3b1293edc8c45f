//! The command line over a key file, and services that notice what it does.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use portcullis::TenantId;
use portcullis::account::{Accounts, Registration};
use portcullis::audit::MemorySink;
use portcullis::crypto::{Algorithm, Key, KeyFile, KeyProvider, KeyPurpose, Keyring};
use portcullis::error::{Error, ErrorKind};
use portcullis::gate::Gate;
use portcullis::id::KeyId;
use portcullis::password::{Argon2Hasher, Passwords};
use portcullis::store::MemoryStore;
use portcullis::time::{Clock as _, SystemClock};
use portcullis::token::{AccessTokens, VerifyAccessToken as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use crate::examples::binary;
use crate::support::{AUDIENCE, ISSUER, Log, PASSWORD, secret};

const SIGNING: KeyPurpose = KeyPurpose::TokenSigning;

/// Virtual, in tests whose time is paused. Within it every gate has looked.
const A_MOMENT: Duration = Duration::from_secs(2);

fn keys(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("keys"));
    command.current_dir(folder).env_clear().arg("keys.json").args(arguments).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = keys(folder, arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Id and state of the keys for a purpose, as listed.
fn states(folder: &Path, purpose: &str) -> Vec<(String, String)> {
    let listed = done(folder, &["list"]);
    let rows = listed.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[0] == purpose).map(|row| (row[1].to_owned(), row[2].to_owned())).collect()
}

// ASVS 11.1.1, 13.3.4
#[test]
fn a_life_by_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &["create"]);
    let first = states(folder, "token_signing")[0].0.clone();
    let second = done(folder, &["introduce", "token_signing"]).trim().to_owned();
    done(folder, &["promote", "token_signing", &second]);
    let third = done(folder, &["rotate", "token_signing"]).trim().to_owned();
    done(folder, &["compromise", "token_signing", &second]);
    done(folder, &["destroy", "token_signing", &first, "--yes"]);
    let fourth = done(folder, &["introduce", "token_signing"]).trim().to_owned();
    done(folder, &["retire", "token_signing", &fourth]);
    done(folder, &["add", "csrf"]);
    done(folder, &["advance"]);
    let mut found = states(folder, "token_signing");
    found.sort_by_key(|(id, _)| [&first, &second, &third, &fourth].iter().position(|known| *known == id));
    let found: Vec<_> = found.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(found, ["destroyed", "compromised", "active", "deactivated"]);
    assert_eq!(states(folder, "csrf").len(), 1);

    let set: Value = serde_json::from_str(&done(folder, &["jwks"])).unwrap();
    let ids: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(ids, [&third, &fourth], "those that still verify");

    // No command prints what only the file may have.
    let text = std::fs::read_to_string(folder.join("keys.json")).unwrap();
    let secrets: Vec<_> =
        text.split("\"private\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(secrets.len() >= 6);
    let printed = done(folder, &["list"]) + &done(folder, &["jwks"]);
    assert!(secrets.iter().all(|secret| !printed.contains(secret)));
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = keys(folder, &["list"]);
    assert!(missing.status.code() == Some(1) && !folder.join("keys.json").exists());
    done(folder, &["create", "token_signing=ES256", "sealing"]);
    let before = std::fs::read(folder.join("keys.json")).unwrap();
    let primary = states(folder, "sealing")[0].0.clone();
    for (arguments, code, told) in [
        (&["create"][..], 1, "exists already"),
        (&["add", "sealing"], 1, "two rings"),
        (&["rotate", "csrf"], 1, "has no keys"),
        (&["promote", "sealing", "unknown"], 1, "is not in the ring"),
        (&["retire", "sealing", &primary], 1, "is the primary key"),
        (&["destroy", "sealing", &primary, "--yes"], 1, "is the primary key"),
        (&["destroy", "sealing", &primary], 2, "--yes"),
        (&["compromise", "sealing", &primary], 2, "--yes"),
        (&["compromise", "sealing", &primary, "--yes"], 1, "is the primary key"),
        (&["rotate", "everything"], 2, "use one of token_signing, sealing"),
        (&["promote", "sealing", "a b"], 2, "no id of a key"),
        (&["add", "csrf=HS256"], 2, "have no algorithm"),
        (&["add", "token_signing=none"], 2, "use EdDSA"),
        (&["rotate"], 2, "usage: keys FILE COMMAND"),
        (&["explode"], 2, "`explode`"),
        (&[], 2, "name a file and a command"),
    ] {
        let output = keys(folder, arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(told) && output.stdout.is_empty(), "{arguments:?}: {error}");
    }
    assert_eq!(std::fs::read(folder.join("keys.json")).unwrap(), before);
    assert!(done(folder, &["list", "--help"]).starts_with("usage: keys FILE COMMAND"));
}

async fn instance(store: &Arc<MemoryStore>, keys: Arc<dyn KeyProvider>) -> (Accounts, Gate) {
    let accounts = Accounts::builder()
        .with_store(store.clone())
        .with_keys(keys)
        .with_audit(Arc::new(MemorySink::default()))
        .with_issuer(ISSUER)
        .with_audience(AUDIENCE)
        .with_passwords(Passwords::new(Argon2Hasher::danger_weak(64, 1, 1).unwrap()))
        .build()
        .await
        .unwrap();
    let gate = Gate::builder().with_accounts(accounts.clone()).build().await.unwrap();
    (accounts, gate)
}

async fn sign_in(accounts: &Accounts) -> SecretString {
    let signed_in = accounts.sign_in(&TenantId::default(), "ada", secret(PASSWORD)).await.unwrap();
    signed_in.tokens.access_token
}

fn accepts(accounts: &Accounts, token: &SecretString) -> bool {
    let tokens = AccessTokens::new(accounts.tokens().clone(), TenantId::default());
    tokens.verify(token.expose_secret()).is_ok()
}

fn primary(accounts: &Accounts) -> KeyId {
    accounts.tokens().codec().keyring().primary().id().clone()
}

fn signing() -> Keyring {
    Keyring::begin(Key::generate(Algorithm::EdDsa).unwrap(), SystemClock::new().now()).unwrap()
}

/// Two instances over one store, each with the file open on its own, as two processes have it. They notice when they are told
/// to here. Whoever of them is first, no token is refused; once a key is destroyed, what it signed is.
#[tokio::test]
async fn a_rotation_loses_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let operator = KeyFile::create(&path, [signing()]).unwrap();
    let store = Arc::new(MemoryStore::new());
    let (a, _) = instance(&store, Arc::new(KeyFile::open(&path).unwrap())).await;
    let (b, _) = instance(&store, Arc::new(KeyFile::open(&path).unwrap())).await;
    let ada = Registration::new("ada", "ada@example.com", secret(PASSWORD));
    a.register(&TenantId::default(), ada).await.unwrap();
    let now = SystemClock::new().now();

    let (before, first) = (primary(&a), sign_in(&a).await);
    let next = operator.introduce(SIGNING, now).await.unwrap();
    assert!(a.refresh_keys().await.unwrap() && b.refresh_keys().await.unwrap());
    assert_eq!((primary(&a), primary(&b)), (before.clone(), before.clone()));
    assert!(b.tokens().codec().keyring().find(next.as_str()).is_some());

    operator.promote(SIGNING, next.clone(), now).await.unwrap();
    assert!(a.refresh_keys().await.unwrap());
    assert!(!a.refresh_keys().await.unwrap(), "nothing new");
    assert_eq!((primary(&a), primary(&b)), (next.clone(), before.clone()), "one is faster");
    let second = sign_in(&a).await;
    let third = sign_in(&b).await;
    for token in [&first, &second, &third] {
        assert!(accepts(&a, token) && accepts(&b, token));
    }
    assert!(b.refresh_keys().await.unwrap());
    assert_eq!(primary(&b), next);
    assert!(accepts(&b, &first) && accepts(&b, &second) && accepts(&b, &third));

    operator.destroy(SIGNING, before, now).await.unwrap();
    for accounts in [&a, &b] {
        assert!(accounts.refresh_keys().await.unwrap());
        assert!(!accepts(accounts, &first) && accepts(accounts, &second) && !accepts(accounts, &third));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_followed_as_long_as_the_gate_lives() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::create(folder.path().join("keys.json"), [signing()]).unwrap();
    let store = Arc::new(MemoryStore::new());
    let now = SystemClock::new().now();
    let (shut, gate_shut) = instance(&store, Arc::new(file.clone())).await;
    let (dropped, gate_dropped) = instance(&store, Arc::new(file.clone())).await;
    let (lives, gate_lives) = instance(&store, Arc::new(file.clone())).await;
    let before = primary(&shut);
    gate_shut.shutdown().await;
    drop((gate_dropped.clone(), gate_dropped, gate_lives.clone()));
    let next = file.rotate(SIGNING, now).await.unwrap();
    // The file is read on a thread whose time is not paused.
    while primary(&lives) != next {
        tokio::time::sleep(A_MOMENT).await;
    }
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!([&shut, &dropped].map(primary), [before.clone(), before]);
    drop(gate_lives);
}

/// Gives what it was told to, as a key service does that fails or is misconfigured.
#[derive(Clone)]
struct Told(Arc<Mutex<Option<Keyring>>>);

impl Told {
    fn is_told(&self, ring: Option<Keyring>) {
        *self.0.lock().unwrap() = ring;
    }
}

#[async_trait]
impl KeyProvider for Told {
    async fn keyring(&self, _: KeyPurpose) -> portcullis::error::Result<Arc<Keyring>> {
        let ring = self.0.lock().unwrap().clone();
        ring.map(Arc::new).ok_or_else(|| Error::new(ErrorKind::Unavailable, "the key service is away"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_leaves_the_keys_before_and_is_told_of_once() {
    let first = signing();
    let keys = Told(Arc::new(Mutex::new(Some(first.clone()))));
    let (accounts, _gate) = instance(&Arc::new(MemoryStore::new()), Arc::new(keys.clone())).await;
    let known = accounts.tokens().codec().keyring();
    let sealing = Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap();
    let public = Key::verify_only_from_jwk(&signing().primary().public_jwk().unwrap().into()).unwrap();
    for (name, ring, told) in [
        ("away", None, "the key service is away"),
        ("another purpose", Some(sealing), "is not for signing tokens"),
        ("public keys", Some(Keyring::verify_only(public).unwrap()), "only verifies"),
    ] {
        let (log, _guard) = Log::listen_from(LevelFilter::INFO);
        keys.is_told(ring);
        tokio::time::sleep(5 * A_MOMENT).await;
        assert!(accounts.refresh_keys().await.is_err(), "{name}");
        assert!(Arc::ptr_eq(&known, &accounts.tokens().codec().keyring()), "{name}");
        let lines = log.lines();
        assert!(
            lines.len() == 1 && lines[0].contains("ERROR") && lines[0].contains(told),
            "{name}: {lines:?}"
        );
    }
    let (log, _guard) = Log::listen_from(LevelFilter::INFO);
    keys.is_told(Some(first.clone()));
    tokio::time::sleep(A_MOMENT).await;
    assert!(Arc::ptr_eq(&known, &accounts.tokens().codec().keyring()), "the same keys");
    // Another key of the same name and age is another key.
    let id = first.primary().id().clone();
    let impostor = Key::generate(Algorithm::EdDsa).unwrap().with_id(id);
    let created = first.records().next().unwrap().created().unwrap();
    keys.is_told(Some(Keyring::begin(impostor, created).unwrap()));
    tokio::time::sleep(A_MOMENT).await;
    let ring = accounts.tokens().codec().keyring();
    assert_ne!(ring.primary().public_jwk(), first.primary().public_jwk());
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
}

/// Panics or never answers, as it is told, before it gives its keys.
struct Trouble(Arc<Mutex<Vec<&'static str>>>, Keyring);

#[async_trait]
impl KeyProvider for Trouble {
    async fn keyring(&self, _: KeyPurpose) -> portcullis::error::Result<Arc<Keyring>> {
        let trouble = self.0.lock().unwrap().pop();
        match trouble {
            Some("panic") => panic!("the provider fell over"),
            Some(_) => std::future::pending().await,
            None => Ok(Arc::new(self.1.clone())),
        }
    }
}

/// A provider that panics, or hangs, is asked again: following doesn't end with it, and the log says so.
#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_or_hangs_is_asked_again() {
    let trouble = Arc::new(Mutex::new(Vec::new()));
    let keys = Trouble(trouble.clone(), signing());
    let (_accounts, _gate) = instance(&Arc::new(MemoryStore::new()), Arc::new(keys)).await;
    for (what, told) in [("panic", "panicked"), ("hang", "does not answer")] {
        let (log, _guard) = Log::listen_from(LevelFilter::INFO);
        trouble.lock().unwrap().push(what);
        for _ in 0..1000 {
            if log.lines().len() == 2 {
                break;
            }
            tokio::time::sleep(A_MOMENT).await;
        }
        let lines = log.lines();
        assert!(lines.len() == 2 && lines[0].contains(told), "{what}: {lines:?}");
        assert!(lines[1].contains("can be had again"), "{what}: {lines:?}");
    }
}
