use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::sync::Semaphore;

use super::*;
use crate::crypto::seal::{OpenError, SymmetricKey};
use crate::crypto::{Key, KeyPurpose, KeyWrap, Keyring, UnwrapError, WrappedKey};
use crate::error::{Error, ErrorKind, Result};
use crate::id::KeyId;
use crate::time::{ManualClock, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1);

pub(super) fn id(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

fn key(name: &str) -> Key {
    Key::generate_for(KeyPurpose::Wrapping).unwrap().with_id(id(name))
}

fn ring() -> Keyring {
    Keyring::begin(key("a"), NOW).unwrap()
}

/// A [`RingWrap`] that counts, can be out of order, and lets only so many through.
pub(super) struct Watched {
    pub(super) ring: RingWrap,
    unwrapped: AtomicUsize,
    pub(super) out: AtomicBool,
    pub(super) gate: Semaphore,
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: RingWrap::new(ring()).unwrap(),
            unwrapped: AtomicUsize::new(0),
            out: AtomicBool::new(false),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    pub(super) fn unwrapped(&self) -> usize {
        self.unwrapped.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyWrap for Watched {
    async fn wrap(&self, key: &SymmetricKey) -> Result<WrappedKey> {
        self.ring.wrap(key).await
    }

    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<SymmetricKey, UnwrapError> {
        self.unwrapped.fetch_add(1, Ordering::SeqCst);
        let _permit = self.gate.acquire().await.unwrap();
        if self.out.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the module is gone").into());
        }
        self.ring.unwrap(wrapped).await
    }

    async fn is_current(&self, wrapped: &WrappedKey) -> Result<bool> {
        self.ring.is_current(wrapped).await
    }
}

pub(super) fn setup(limits: CacheLimits) -> (Arc<Watched>, ManualClock, DataKeys) {
    let (wrap, clock) = (Watched::new(), ManualClock::default());
    let keys = DataKeys::new(wrap.clone()).with_limits(limits).with_clock(Arc::new(clock.clone()));
    (wrap, clock, keys)
}

pub(super) fn refused<T>(result: Result<T, UnwrapError>) -> bool {
    matches!(result, Err(UnwrapError::Refused(OpenError)))
}

fn text(opened: Result<SecretSlice<u8>, UnwrapError>) -> Vec<u8> {
    opened.unwrap().expose_secret().to_vec()
}

/// With and without the data key in the cache. ASVS 11.2.5, 11.3.3
#[tokio::test]
async fn f8_flipping_any_bit_of_an_envelope_fails() {
    for limits in [CacheLimits::default(), CacheLimits::NONE] {
        let (_, _, keys) = setup(limits);
        let envelope = keys.seal(b"row 1", b"dear diary").await.unwrap();
        assert_eq!(text(keys.open(b"row 1", &envelope).await), b"dear diary");
        let bytes = envelope.as_bytes();
        let try_open = async |bytes: &[u8], context: &[u8]| match Envelope::from_bytes(bytes.to_vec()) {
            Err(OpenError) => true,
            Ok(envelope) => refused(keys.open(context, &envelope).await),
        };
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(try_open(&flipped, b"row 1").await, "bit {at}");
        }
        for length in 0..bytes.len() {
            assert!(try_open(&bytes[..length], b"row 1").await, "cut to {length}");
        }
        assert!(try_open(&[bytes, &[0]].concat(), b"row 1").await, "extended");
        for context in [&b""[..], b"row 2", b"row 11", b"row", b"\0row 1"] {
            assert!(try_open(bytes, context).await, "{context:?}");
        }
        let other = keys.seal(b"row 1", b"dear diary").await.unwrap();
        assert_ne!(other.as_bytes(), bytes);
        let swapped = envelope.with_key(other.key().clone()).unwrap();
        assert!(refused(keys.open(b"row 1", &swapped).await), "the key of another row");
        let renamed = WrappedKey::new(id("b"), envelope.key().bytes());
        assert!(refused(keys.open(b"row 1", &envelope.with_key(renamed).unwrap()).await), "another id");
    }
}

#[tokio::test]
async fn f8_flipping_any_bit_of_a_wrapped_key_fails() {
    let (_, _, keys) = setup(CacheLimits::default());
    let (wrapped, _) = keys.create().await.unwrap();
    assert!(keys.get(&wrapped).await.is_ok());
    let bytes = wrapped.to_bytes().unwrap();
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(flipped) = WrappedKey::from_bytes(&flipped) {
            assert!(refused(keys.get(&flipped).await), "bit {at}");
        }
    }
    assert_eq!(keys.held(), 1, "nothing is kept of what doesn't unwrap");
}

#[tokio::test]
async fn an_outage_is_not_a_refusal() {
    let (wrap, clock, keys) = setup(CacheLimits::default());
    let envelope = keys.seal(b"", b"text").await.unwrap();
    wrap.out.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let Err(UnwrapError::Failed(error)) = keys.open(b"", &envelope).await else { panic!() };
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Unavailable, "the module is gone")
        );
    }
    assert!(matches!(keys.rewrap(envelope.key()).await, Ok(None)));
    wrap.out.store(false, Ordering::SeqCst);
    assert_eq!(text(keys.open(b"", &envelope).await), b"text", "a failure is not kept");
    wrap.out.store(true, Ordering::SeqCst);
    assert_eq!(text(keys.open(b"", &envelope).await), b"text", "bridged");
    clock.advance(Duration::from_mins(5));
    assert!(matches!(keys.open(b"", &envelope).await, Err(UnwrapError::Failed(_))));
}

#[tokio::test]
async fn rotation_moves_keys_and_leaves_bodies() {
    let (wrap, _, keys) = setup(CacheLimits::NONE);
    let old = keys.seal(b"row", b"text").await.unwrap();
    assert!(keys.rewrap(old.key()).await.unwrap().is_none(), "already current");
    wrap.ring.replace(wrap.ring.ring().rotate(key("b"), NOW).unwrap()).unwrap();
    assert_eq!(text(keys.open(b"row", &old).await), b"text");

    let new = old.with_key(keys.rewrap(old.key()).await.unwrap().unwrap()).unwrap();
    assert_eq!((new.body(), new.key().by().as_str()), (old.body(), "b"));
    assert!(keys.rewrap(new.key()).await.unwrap().is_none());

    let rotated = wrap.ring.ring();
    for (name, gone) in [
        ("compromised", rotated.compromise(&id("a"), NOW).unwrap()),
        ("destroyed", rotated.destroy(&id("a"), NOW).unwrap()),
    ] {
        wrap.ring.replace(gone).unwrap();
        assert!(refused(keys.open(b"row", &old).await), "{name}");
        assert!(refused(keys.rewrap(old.key()).await), "{name}");
        assert_eq!(text(keys.open(b"row", &new).await), b"text", "{name}");
    }

    let sealing = Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap();
    assert!(wrap.ring.replace(sealing.clone()).is_err() && RingWrap::new(sealing).is_err());
    assert_eq!(text(keys.open(b"row", &new).await), b"text", "the ring before it stays");
}

/// A key that is compromised while its data keys are in the clear.
#[tokio::test]
async fn forgetting_all_ends_what_was_unwrapped_before() {
    let (wrap, _, keys) = setup(CacheLimits::default());
    let envelope = keys.seal(b"", b"text").await.unwrap();
    assert!(keys.open(b"", &envelope).await.is_ok());
    let ring = wrap.ring.ring().rotate(key("b"), NOW).unwrap().compromise(&id("a"), NOW).unwrap();
    wrap.ring.replace(ring).unwrap();
    assert!(keys.open(b"", &envelope).await.is_ok(), "as documented");
    keys.forget_all();
    assert!(refused(keys.open(b"", &envelope).await));
    assert_eq!(keys.held(), 0);
}

/// Everything is left but one wrapped key: the ring, the rows, the other wrapped keys, the cache.
#[tokio::test]
async fn shredding_one_tenant_leaves_the_others() {
    for by_time in [false, true] {
        let (_, clock, keys) = setup(CacheLimits::default());
        let mut stored = HashMap::new();
        let mut rows = Vec::new();
        for tenant in ["ada", "ben"] {
            let (wrapped, key) = keys.create().await.unwrap();
            rows.push((tenant, key.seal(tenant.as_bytes(), b"text").unwrap()));
            stored.insert(tenant, wrapped);
        }
        for (tenant, row) in &rows {
            assert!(keys.get(&stored[tenant]).await.unwrap().open(tenant.as_bytes(), row).is_ok());
        }
        let shredded = stored.remove("ada").unwrap();
        let watch = keys.get(&shredded).await.unwrap().watch();
        assert!(watch.upgrade().is_some());
        if by_time {
            clock.advance(Duration::from_mins(5));
            keys.purge();
        } else {
            keys.forget(&shredded);
        }
        drop(shredded);
        assert!(watch.upgrade().is_none(), "the key is still in memory");
        let mut opened = Vec::new();
        for (tenant, row) in &rows {
            for wrapped in stored.values() {
                if keys.get(wrapped).await.unwrap().open(tenant.as_bytes(), row).is_ok() {
                    opened.push(*tenant);
                }
            }
        }
        assert_eq!(opened, ["ben"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rings_are_replaced_under_load() {
    let wrap = Arc::new(RingWrap::new(ring()).unwrap());
    let keys = Arc::new(DataKeys::new(wrap.clone()).with_limits(CacheLimits::NONE));
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (keys, done) = (Arc::clone(&keys), Arc::clone(&done));
        tasks.spawn(async move {
            let mut rounds = 0;
            while !done.load(Ordering::SeqCst) || rounds == 0 {
                let envelope = keys.seal(b"", b"text").await.unwrap();
                tokio::task::yield_now().await;
                assert_eq!(text(keys.open(b"", &envelope).await), b"text");
                if let Some(key) = keys.rewrap(envelope.key()).await.unwrap() {
                    let moved = envelope.with_key(key).unwrap();
                    assert_eq!(text(keys.open(b"", &moved).await), b"text");
                }
                rounds += 1;
            }
        });
    }
    for name in ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] {
        wrap.replace(wrap.ring().rotate(key(name), NOW).unwrap()).unwrap();
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    tasks.join_all().await;
}

/// ASVS 16.2.5
#[tokio::test]
async fn nothing_prints_keys() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<SymmetricKey>();
    wiped::<::aes_kw::KwAes256>();

    let (wrap, _, keys) = setup(CacheLimits::default());
    let raw = SymmetricKey::generate().unwrap();
    let wrapped = wrap.wrap(&raw).await.unwrap();
    let key = keys.get(&wrapped).await.unwrap();
    let envelope = Envelope::new(wrapped.clone(), &key.seal(b"", b"canary").unwrap()).unwrap();
    let shown = format!("{:?} {keys:?} {key:?} {wrapped:?} {envelope:?}", wrap.ring);
    let kek = *wrap.ring.ring().primary().bits().unwrap().expose_bytes();
    for secret in [&raw.expose_bytes()[..4], &kek[..4], &wrapped.bytes()[..4], b"canary"] {
        let secret = format!("{secret:?}").replace(['[', ']'], "");
        assert!(!shown.contains(&secret), "{shown}");
    }
    assert!(!shown.contains("canary"));
    let refused = keys.open(b"other", &envelope).await.unwrap_err();
    assert_eq!(refused.to_string(), OpenError.to_string());
}
