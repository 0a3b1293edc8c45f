//! The vault: where values open, over which keys, and what is told when they don't.

mod columns;
mod profile;
mod reseal;
mod rotation;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis::audit::{EventName, MemorySink};
use portcullis::crypto::sealed::{Encrypted, FieldContext, SealAlgorithm, Sealed};
use portcullis::crypto::{Key, KeyProvider, KeyPurpose, Keyring, StaticKeys};
use portcullis::error::{Error, ErrorKind};
use portcullis::id::KeyId;
use portcullis::time::{ManualClock, Timestamp};
use portcullis::vault::{Vault, VaultError};
use portcullis::{ConfigError, TenantId};
use serde_json::json;

/// Keys that change by the hand of the test.
pub struct Turning {
    sealing: ArcSwap<Keyring>,
    index: ArcSwap<Keyring>,
    asked: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
    without_index: std::sync::atomic::AtomicBool,
}

impl Turning {
    pub fn new() -> Arc<Self> {
        let ring = |purpose| ArcSwap::from_pointee(Keyring::begin(key(purpose), NOW).unwrap());
        Arc::new(Self {
            sealing: ring(KeyPurpose::Sealing),
            index: ring(KeyPurpose::BlindIndex),
            asked: AtomicUsize::new(0),
            down: false.into(),
            without_index: false.into(),
        })
    }

    pub fn sealing(&self) -> Arc<Keyring> {
        self.sealing.load_full()
    }

    pub fn change(&self, change: impl Fn(&Keyring) -> Result<Keyring, ConfigError>) {
        self.sealing.store(Arc::new(change(&self.sealing()).unwrap()));
    }

    pub fn rotate(&self) {
        self.change(|ring| ring.rotate(key(KeyPurpose::Sealing), NOW));
        let index = self.index.load_full().rotate(key(KeyPurpose::BlindIndex), NOW).unwrap();
        self.index.store(Arc::new(index));
    }

    pub fn primary(&self) -> KeyId {
        self.sealing().primary().id().clone()
    }
}

#[async_trait::async_trait]
impl KeyProvider for Turning {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>, Error> {
        self.asked.fetch_add(usize::from(purpose == KeyPurpose::Sealing), Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "no keys today"));
        }
        match purpose {
            KeyPurpose::Sealing => Ok(self.sealing()),
            KeyPurpose::BlindIndex if !self.without_index.load(Ordering::Relaxed) => {
                Ok(self.index.load_full())
            }
            _ => Err(Error::new(ErrorKind::Internal, "no such keys")),
        }
    }
}

pub const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn key(purpose: KeyPurpose) -> Key {
    Key::generate_for(purpose).unwrap()
}

pub async fn vault(keys: &Arc<Turning>) -> (Vault, MemorySink) {
    let audit = MemorySink::default();
    let clock = Arc::new(ManualClock::new(NOW));
    let vault =
        Vault::builder(keys.clone(), Arc::new(audit.clone())).with_clock(clock).build().await.unwrap();
    (vault, audit)
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn reason(audit: &MemorySink) -> String {
    let events = audit.events();
    let last = events.last().unwrap();
    assert_eq!(last.name(), EventName::CryptDecryptFail);
    last.detail("reason").unwrap().to_owned()
}

/// A value copied to another place doesn't open there; what is told says nothing, what is audited says where.
// ASVS 11.3.3, 11.2.5
#[tokio::test]
async fn f8_a_value_opens_where_it_was_sealed_for_and_nowhere_else() {
    let (vault, audit) = vault(&Turning::new()).await;
    let (ours, theirs) = (tenant("ours"), tenant("theirs"));
    let here = FieldContext::new(&ours, "notes", "body", "1");
    let sealed = vault.seal(&"canary-in-clear".to_owned(), &here).unwrap();
    assert_eq!(vault.open(&sealed, &here).await.unwrap(), "canary-in-clear");
    assert!(audit.events().is_empty());
    for (name, there) in [
        ("tenant", FieldContext::new(&theirs, "notes", "body", "1")),
        ("table", FieldContext::new(&ours, "tasks", "body", "1")),
        ("column", FieldContext::new(&ours, "notes", "title", "1")),
        ("row", FieldContext::new(&ours, "notes", "body", "2")),
        ("shifted", FieldContext::new(&ours, "note", "sbody", "1")),
    ] {
        let refused = vault.open(&sealed, &there).await.unwrap_err();
        assert!(matches!(refused, VaultError::DoesNotOpen(_)), "{name}: {refused:?}");
        assert_eq!(refused.to_string(), "the sealed value does not open", "{name}");
        assert_eq!(reason(&audit), "does_not_match", "{name}");
    }
    let told =
        format!("{:?} {:?} {vault:?} {sealed:?}", audit.events(), serde_json::to_string(&audit.events()));
    assert!(!told.contains("canary"), "{told}");
    let event = audit.events().pop().unwrap();
    assert_eq!((event.detail("table"), event.detail("row")), (Some("note"), Some("1")));
}

#[tokio::test]
async fn what_doesnt_open_has_a_reason_in_the_audit_trail_alone() {
    let keys = Turning::new();
    let (vault, audit) = vault(&keys).await;
    let tenant = tenant("t");
    let here = FieldContext::new(&tenant, "notes", "body", "1");
    let first = keys.primary();
    let sealed = vault.seal(&1, &here).unwrap();
    keys.rotate();
    keys.change(|ring| ring.compromise(&first, NOW));
    assert!(vault.refresh_keys().await.unwrap());
    assert!(!vault.refresh_keys().await.unwrap(), "nothing changed");
    let mut told = Vec::new();
    let mut open = async |sealed: &Encrypted<i32>, why: &str| {
        told.push(vault.open(sealed, &here).await.unwrap_err().to_string());
        assert_eq!(reason(&audit), why);
    };
    open(&sealed, "compromised").await;
    keys.change(|ring| ring.destroy(&first, NOW));
    vault.refresh_keys().await.unwrap();
    open(&sealed, "destroyed").await;
    let (elsewhere, _) = self::vault(&Turning::new()).await;
    open(&elsewhere.seal(&1, &here).unwrap(), "unknown_key").await;
    let mut damaged = vault.seal(&1, &here).unwrap().into_sealed().into_bytes();
    *damaged.last_mut().unwrap() ^= 1;
    open(&Encrypted::new(Sealed::from_bytes(damaged).unwrap()), "does_not_match").await;
    told.dedup();
    assert_eq!(told.len(), 1, "a client learns nothing: {told:?}");
    let states: Vec<_> =
        vault.key_records(KeyPurpose::Sealing).iter().map(|record| record.state().as_str()).collect();
    assert_eq!(states, ["active", "destroyed"]);
}

#[tokio::test]
async fn a_value_of_another_type_is_not_quoted() {
    let (vault, _) = vault(&Turning::new()).await;
    let tenant = tenant("t");
    let here = FieldContext::new(&tenant, "notes", "body", "1");
    let sealed = vault.seal(&"canary-in-clear".to_owned(), &here).unwrap();
    let sealed: Encrypted<u32> = Encrypted::new(sealed.into_sealed());
    let error = vault.open(&sealed, &here).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    let VaultError::Failed(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn members_of_a_document() {
    let (vault, audit) = vault(&Turning::new()).await;
    let tenant = tenant("t");
    let here = FieldContext::new(&tenant, "users", "profile", "1");
    let clear = json!({ "name": "Ada", "phone": { "home": "555", "work": [1, 2] }, "a/b": null });
    let pointers = ["/name", "/phone/home", "/phone/work", "/a~1b", "/not/there"];
    let mut document = clear.clone();
    vault.seal_fields(&mut document, &pointers, &here).unwrap();
    let text = document.to_string();
    assert!(!text.contains("Ada") && !text.contains("555") && !text.contains("null"), "{text}");
    let sealed = document.clone();
    vault.open_fields(&mut document, &pointers, &here).await.unwrap();
    assert_eq!(document, clear);
    for (name, change) in [
        (
            "two members swapped",
            Box::new(|document: &mut serde_json::Value| {
                let name = document["name"].take();
                document["name"] = document["phone"]["home"].take();
                document["phone"]["home"] = name;
            }) as Box<dyn Fn(&mut serde_json::Value)>,
        ),
        (
            "a whole column",
            Box::new(|document: &mut serde_json::Value| {
                document["name"] = document["phone"]["home"].clone();
            }),
        ),
        ("in clear", Box::new(|document| document["name"] = json!("Ada"))),
        ("a number", Box::new(|document| document["name"] = json!(1))),
    ] {
        let mut document = sealed.clone();
        change(&mut document);
        let before = document.clone();
        let told = audit.events().len();
        let refused = vault.open_fields(&mut document, &pointers, &here).await.unwrap_err();
        assert!(matches!(refused, VaultError::DoesNotOpen(_)), "{name}");
        assert_eq!(document, before, "{name}: all or none");
        assert_eq!(audit.events().len(), told + 1, "{name}");
        assert!(
            audit.events()[told].detail("member").is_some_and(|member| member.starts_with('/')),
            "{name}"
        );
    }
    // A member is no column, whatever the column is called.
    let mut document = json!({ "b": "text" });
    vault.seal_fields(&mut document, &["/b"], &FieldContext::new(&tenant, "users", "a", "1")).unwrap();
    let sealed: Sealed = document["b"].as_str().unwrap().parse().unwrap();
    for column in ["a/b", "a", "b", "/b"] {
        let there = FieldContext::new(&tenant, "users", column, "1");
        assert!(vault.open(&Encrypted::<String>::new(sealed.clone()), &there).await.is_err(), "{column}");
        let mut nested = json!({ "b": sealed.to_string() });
        let inside = FieldContext::new(&tenant, "users", column, "1");
        assert_eq!(vault.open_fields(&mut nested, &["/b"], &inside).await.is_ok(), column == "a");
    }
}

/// Agility: what one algorithm sealed, another one's vault opens, and is due to be sealed again.
// ASVS 11.2.2
#[tokio::test]
async fn the_algorithm_changes_without_losing_anything() {
    let keys = Turning::new();
    let build = async |algorithm| {
        let builder = Vault::builder(keys.clone(), Arc::new(MemorySink::default()));
        builder.with_algorithm(algorithm).build().await.unwrap()
    };
    let before = build(SealAlgorithm::XChaCha20Poly1305).await;
    let after = build(SealAlgorithm::Xaes256Gcm).await;
    let tenant = tenant("t");
    let here = FieldContext::new(&tenant, "notes", "body", "1");
    let sealed = before.seal(&7, &here).unwrap();
    assert_eq!(after.open(&sealed, &here).await.unwrap(), 7);
    assert!(after.needs_reseal(sealed.sealed()) && !before.needs_reseal(sealed.sealed()));
}

#[tokio::test]
async fn without_keys_there_is_no_vault() {
    let ring = Keyring::new(key(KeyPurpose::BlindIndex)).unwrap();
    let keys = Arc::new(StaticKeys::danger_new(ring));
    assert!(Vault::builder(keys, Arc::new(MemorySink::default())).build().await.is_err());
    let keys = Arc::new(StaticKeys::danger_new(Keyring::new(key(KeyPurpose::Sealing)).unwrap()));
    let vault = Vault::builder(keys, Arc::new(MemorySink::default())).build().await.unwrap();
    let refused = vault.blind_index("users", "email", |index| index).unwrap_err();
    assert!(refused.to_string().contains("KeyPurpose::BlindIndex"), "{refused}");
}

/// Whoever sends values under made-up keys makes the vault ask for keys no more than once a second.
#[tokio::test]
async fn e6_unknown_keys_are_looked_for_at_a_bounded_rate() {
    let keys = Turning::new();
    let clock = Arc::new(ManualClock::new(NOW));
    let vault = Vault::builder(keys.clone(), Arc::new(MemorySink::default())).with_clock(clock.clone());
    let vault = vault.build().await.unwrap();
    let tenant = tenant("t");
    let here = FieldContext::new(&tenant, "notes", "body", "1");
    let (elsewhere, _) = self::vault(&Turning::new()).await;
    let foreign = elsewhere.seal(&1, &here).unwrap();
    let asked = || keys.asked.load(Ordering::Relaxed);
    let before = asked();
    for _ in 0..20 {
        assert!(vault.open(&foreign, &here).await.is_err());
    }
    assert_eq!(asked() - before, 1, "once for each key");
    for _ in 0..20 {
        let (elsewhere, _) = self::vault(&Turning::new()).await;
        assert!(vault.open(&elsewhere.seal(&1, &here).unwrap(), &here).await.is_err());
    }
    assert_eq!(asked() - before, 8, "and for so many keys");
    clock.advance(Duration::from_secs(1));
    for _ in 0..20 {
        assert!(vault.open(&foreign, &here).await.is_err());
    }
    assert_eq!(asked() - before, 9);
    clock.set(NOW - Duration::from_secs(3600));
    assert!(vault.open(&foreign, &here).await.is_err());
    assert_eq!(asked() - before, 10, "a clock that is set back doesn't stop it");
}
