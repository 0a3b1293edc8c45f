//! What is kept of data keys in the clear, and for how long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::tests::{Watched, id, refused, setup};
use super::*;
use crate::crypto::{UnwrapError, WrappedKey};
use crate::time::Timestamp;

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
        assert_eq!(keys.in_flight(), 1);
    }
    assert_eq!(keys.in_flight(), 0);
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
