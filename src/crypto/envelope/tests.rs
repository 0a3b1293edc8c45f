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

fn id(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

fn key(name: &str) -> Key {
    Key::generate_for(KeyPurpose::Wrapping).unwrap().with_id(id(name))
}

fn ring() -> Keyring {
    Keyring::begin(key("a"), NOW).unwrap()
}

/// A [`RingWrap`] that counts, can be out of order, and lets only so many through.
struct Watched {
    ring: RingWrap,
    unwrapped: AtomicUsize,
    out: AtomicBool,
    gate: Semaphore,
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

    fn unwrapped(&self) -> usize {
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

fn setup(limits: CacheLimits) -> (Arc<Watched>, ManualClock, DataKeys) {
    let (wrap, clock) = (Watched::new(), ManualClock::default());
    let keys = DataKeys::new(wrap.clone()).with_limits(limits).with_clock(Arc::new(clock.clone()));
    (wrap, clock, keys)
}

fn refused<T>(result: Result<T, UnwrapError>) -> bool {
    matches!(result, Err(UnwrapError::Refused(OpenError)))
}

fn text(opened: Result<SecretSlice<u8>, UnwrapError>) -> Vec<u8> {
    opened.unwrap().expose_secret().to_vec()
}

/// With and without the data key in the cache. ASVS 11.3.4
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

/// Everything is left but one wrapped key: the ring, the rows, the other wrapped keys, the cache. ASVS 14.2.7
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

#[tokio::test]
async fn keys_are_kept_for_a_time_and_so_many_uses() {
    let limits = CacheLimits::default().with_max_age(Duration::from_secs(60)).with_max_uses(5);
    let (wrap, clock, keys) = setup(limits);
    let (wrapped, _) = keys.create().await.unwrap();
    for round in 1..=3 {
        for _ in 0..5 {
            keys.get(&wrapped).await.unwrap();
            assert_eq!(wrap.unwrapped(), round, "five uses each");
        }
        assert_eq!(keys.held(), 0, "wiped with the last use");
    }
    keys.get(&wrapped).await.unwrap();
    clock.advance(Duration::from_micros(59_999_999));
    keys.get(&wrapped).await.unwrap();
    assert_eq!(wrap.unwrapped(), 4);
    clock.advance(Duration::from_micros(1));
    keys.get(&wrapped).await.unwrap();
    assert_eq!(wrap.unwrapped(), 5, "a use doesn't make it last longer");
    // Setting the time of day keeps nothing alive.
    clock.set(Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_secs(60));
    keys.get(&wrapped).await.unwrap();
    assert_eq!(wrap.unwrapped(), 6);
}

#[tokio::test]
async fn no_limit_can_be_left_out_by_zero() {
    let limits = CacheLimits::default();
    for limits in [
        CacheLimits::NONE,
        limits.with_max_age(Duration::ZERO),
        limits.with_max_uses(0),
        limits.with_max_uses(1),
        limits.with_max_keys(0),
    ] {
        let (wrap, _, keys) = setup(limits);
        let (wrapped, _) = keys.create().await.unwrap();
        for asked in 1..=3 {
            keys.get(&wrapped).await.unwrap();
            assert_eq!((wrap.unwrapped(), keys.held()), (asked, 0), "{limits:?}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_keys_neither_grows_the_cache_nor_displaces_what_is_used() {
    let (wrap, clock, keys) = setup(CacheLimits::default().with_max_keys(16));
    let (busy, _) = keys.create().await.unwrap();
    keys.get(&busy).await.unwrap();
    for round in 0..500_u16 {
        let (other, _) = keys.create().await.unwrap();
        keys.get(&other).await.unwrap();
        if round % 8 == 0 {
            keys.get(&busy).await.unwrap();
        }
        // Nobody made this one.
        let made_up = WrappedKey::new(id("a"), round.to_be_bytes().repeat(20));
        assert!(refused(keys.get(&made_up).await));
        assert!(keys.held() <= 16);
        if round % 3 == 0 {
            keys.forget(&other);
        }
    }
    assert_eq!(wrap.unwrapped(), 1 + 2 * 500, "the busy one was unwrapped once");
    clock.advance(Duration::from_mins(5));
    let (last, _) = keys.create().await.unwrap();
    keys.get(&last).await.unwrap();
    assert_eq!(keys.held(), 1, "those past their time went");
}

async fn race(
    keys: &Arc<DataKeys>,
    wrap: &Watched,
    wrapped: &WrappedKey,
) -> Vec<Result<DataKey, UnwrapError>> {
    // Everybody waits for the first one before it gets through.
    wrap.gate.forget_permits(Semaphore::MAX_PERMITS);
    let start = Arc::new(tokio::sync::Barrier::new(33));
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (keys, wrapped, start) = (Arc::clone(keys), wrapped.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                keys.get(&wrapped).await
            })
        })
        .collect();
    start.wait().await;
    while wrap.unwrapped() == 0 {
        tokio::task::yield_now().await;
    }
    wrap.gate.add_permits(Semaphore::MAX_PERMITS);
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_ask_and_the_wrapper_is_asked_once() {
    let (wrap, _, keys) = setup(CacheLimits::default());
    let keys = Arc::new(keys);
    let (wrapped, key) = keys.create().await.unwrap();
    let sealed = key.seal(b"", b"text").unwrap();
    for result in race(&keys, &wrap, &wrapped).await {
        assert!(result.unwrap().open(b"", &sealed).is_ok());
    }
    assert_eq!((wrap.unwrapped(), keys.held()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_share_an_outage() {
    let (wrap, _, keys) = setup(CacheLimits::default());
    let keys = Arc::new(keys);
    let (wrapped, _) = keys.create().await.unwrap();
    wrap.out.store(true, Ordering::SeqCst);
    for result in race(&keys, &wrap, &wrapped).await {
        let Err(UnwrapError::Failed(error)) = result else { panic!() };
        assert!(error.is_temporary());
    }
    assert_eq!(keys.held(), 0);
    wrap.out.store(false, Ordering::SeqCst);
    assert!(keys.get(&wrapped).await.is_ok());
}

/// Uses are counted exactly, whoever comes when.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_never_use_a_key_more_often_than_allowed() {
    let (wrap, _, keys) = setup(CacheLimits::default().with_max_uses(10));
    let keys = Arc::new(keys);
    let (wrapped, _) = keys.create().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (keys, wrapped) = (Arc::clone(&keys), wrapped.clone());
        tasks.spawn(async move {
            for _ in 0..100 {
                keys.get(&wrapped).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
    // Those who waited together share one unwrapping, at most 32 of them.
    assert!(wrap.unwrapped() >= 3200 / 32, "{}", wrap.unwrapped());
    assert!(wrap.unwrapped() <= 3200 / 10 + 32, "{}", wrap.unwrapped());
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_behind() {
    let (wrap, _, keys) = setup(CacheLimits::default());
    let (wrapped, _) = keys.create().await.unwrap();
    wrap.gate.forget_permits(Semaphore::MAX_PERMITS);
    {
        let (first, second) = (keys.get(&wrapped), keys.get(&wrapped));
        tokio::pin!(second);
        {
            tokio::pin!(first);
            assert!(waits(first.as_mut()).await && waits(second.as_mut()).await);
        }
        // The first gave up; the second takes over.
        wrap.gate.add_permits(1);
        assert!(second.await.is_ok());
    }
    assert_eq!((wrap.unwrapped(), keys.held()), (2, 1));

    keys.forget(&wrapped);
    wrap.gate.forget_permits(Semaphore::MAX_PERMITS);
    {
        let alone = keys.get(&wrapped);
        tokio::pin!(alone);
        assert!(waits(alone.as_mut()).await);
    }
    wrap.gate.add_permits(1);
    assert!(keys.get(&wrapped).await.is_ok());
    assert_eq!(wrap.unwrapped(), 4);
}

/// A key that is shredded while it is unwrapped doesn't come back.
#[tokio::test]
async fn what_is_forgotten_in_flight_is_not_kept() {
    for all in [false, true] {
        let (wrap, _, keys) = setup(CacheLimits::default());
        let (wrapped, _) = keys.create().await.unwrap();
        wrap.gate.forget_permits(Semaphore::MAX_PERMITS);
        let early = keys.get(&wrapped);
        tokio::pin!(early);
        assert!(waits(early.as_mut()).await);
        if all {
            keys.forget_all()
        } else {
            keys.forget(&wrapped)
        }
        wrap.gate.add_permits(1);
        assert!(early.await.is_ok(), "asked before");
        assert_eq!(keys.held(), 0);
    }
}

/// Polls once; whether it is still waiting.
async fn waits<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
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
