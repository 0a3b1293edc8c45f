//! The suite for [`RateStore`]: a part of its own, because a store of users need not count.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::fixtures::{MustWork as _, RACERS, ROUNDS, at, count, race, tenant};
use crate::error::Result;
use crate::id::TenantId;
use crate::rate_limit::{Backoff, Quota, Strikes, Taken};
use crate::store::{CounterKey, RateStore};
use crate::time::Timestamp;

/// A rate store under test, empty when made. Dropped when its check has ended.
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::store::conformance::RateHarness` for `{Self}`: it opens your store for one check"
)]
pub trait RateHarness: Send + Sync + 'static {
    /// The store.
    fn rates(&self) -> Arc<dyn RateStore>;

    /// Closes the store and opens it over the same data, as a restarted process would. Returns whether it did: `false`
    /// says that the store is not durable, and what depends on that is not checked.
    fn reopen(&mut self) -> impl Future<Output = Result<bool>> + Send;
}

/// Expands to one `#[tokio::test]` for each check of a [`RateStore`](crate::store::RateStore). Takes what makes a
/// [`RateHarness`](crate::store::conformance::RateHarness): an `async fn` without arguments, or a closure like it.
#[macro_export]
macro_rules! rate_store_conformance {
    ($make:expr $(,)?) => {
        $crate::__rate_store_conformance! { tests ($make) }
    };
}

/// The one list of checks, as tests and as functions.
#[doc(hidden)]
#[macro_export]
macro_rules! __rate_store_conformance {
    (@tests ($make:expr) $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let harness = ($make)().await;
                $crate::store::conformance::check_rates(::core::stringify!($name), harness).await;
            }
        )*
    };
    (@functions () $($name:ident)*) => {
        /// The names of all checks of a [`RateStore`].
        pub const RATE_CHECKS: &[&str] = &[$(stringify!($name)),*];

        /// Runs one of the [`RATE_CHECKS`] over a fresh harness.
        ///
        /// # Panics
        ///
        /// If the store fails it, or `name` is no check.
        pub async fn check_rates<H: RateHarness>(name: &str, harness: H) {
            let bench = Bench(Box::new(harness));
            match name {
                $(stringify!($name) => Box::pin($name(bench)).await,)*
                _ => panic!("there is no check `{name}`"),
            }
        }
    };
    ($mode:ident $args:tt) => {
        $crate::__rate_store_conformance! { @$mode $args
            a_quota_lets_its_count_pass
            a_quota_refills_steadily
            a_refused_request_takes_nothing
            a_cost_is_taken_at_once
            what_is_given_back_is_there_again
            what_was_not_taken_is_not_given_back
            the_time_is_the_callers
            a_clock_that_was_set_back_locks_nobody_out
            counters_are_apart
            strikes_are_counted
            an_attempt_while_blocked_is_not_counted
            strikes_are_forgotten
            clearing_forgets_everything
            purging_takes_what_says_nothing
            racing_takes
            racing_costs
            racing_refunds
            racing_strikes
            racing_strikes_into_a_block
            strikes_outlive_the_process
        }
    };
}

__rate_store_conformance! { functions () }

/// A harness without its type, so that the checks are compiled once.
struct Bench(Box<dyn AnyHarness>);

impl Bench {
    fn rates(&self) -> Arc<dyn RateStore> {
        self.0.rates()
    }

    async fn take(&self, of: &CounterKey, quota: Quota, cost: u32, now: Timestamp) -> Taken {
        self.rates().take(of, &quota, cost, now).await.must_work()
    }

    async fn strike(&self, of: &CounterKey, backoff: Backoff, now: Timestamp) -> Strikes {
        self.rates().strike(of, &backoff, now).await.must_work()
    }

    /// How many requests pass at this time, one after the other; at most 1000.
    async fn passing(&self, of: &CounterKey, quota: Quota, now: Timestamp) -> u32 {
        let mut passed = 0;
        while passed < 1000 && self.take(of, quota, 1, now).await.allowed {
            passed += 1;
        }
        passed
    }
}

trait AnyHarness: Send + Sync {
    fn rates(&self) -> Arc<dyn RateStore>;
    fn reopen(&mut self) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>>;
}

impl<H: RateHarness> AnyHarness for H {
    fn rates(&self) -> Arc<dyn RateStore> {
        RateHarness::rates(self)
    }

    fn reopen(&mut self) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>> {
        Box::pin(RateHarness::reopen(self))
    }
}

fn key(what: &str) -> CounterKey {
    CounterKey::new(tenant(), "limit", what.as_bytes())
}

async fn a_quota_lets_its_count_pass(bench: Bench) {
    for (quota, want) in [
        (Quota::per_second(10), 10),
        (Quota::per_minute(60), 60),
        (Quota::per_hour(100).burst(7), 7),
        (Quota::per_day(1), 1),
    ] {
        let name = format!("{quota:?}");
        assert_eq!(bench.passing(&key(&name), quota, at(0)).await, want, "{name}");
        let refused = bench.take(&key(&name), quota, 1, at(0)).await;
        assert_eq!((refused.allowed, refused.remaining), (false, 0), "{name}");
        assert_eq!(refused.retry_after, quota.period() / quota.count(), "{name}");
        let early = at(0) + (refused.retry_after - Duration::from_micros(1));
        assert!(!bench.take(&key(&name), quota, 1, early).await.allowed, "{name}: a microsecond early");
        assert!(bench.take(&key(&name), quota, 1, at(0) + refused.retry_after).await.allowed, "{name}");
    }
}

async fn a_quota_refills_steadily(bench: Bench) {
    let quota = Quota::per_minute(60).burst(5);
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 5);
    for second in 1..=60 {
        assert_eq!(bench.passing(&key("a"), quota, at(second)).await, 1, "second {second}");
    }
    assert_eq!(bench.passing(&key("a"), quota, at(63)).await, 3);
    assert_eq!(bench.passing(&key("a"), quota, at(10_000)).await, 5, "never more than the burst");
}

async fn a_refused_request_takes_nothing(bench: Bench) {
    let quota = Quota::per_minute(60).burst(2);
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 2);
    for _ in 0..100 {
        assert!(!bench.take(&key("a"), quota, 1, at(0)).await.allowed);
    }
    assert_eq!(bench.passing(&key("a"), quota, at(1)).await, 1, "refusals are not held against anybody");
}

async fn a_cost_is_taken_at_once(bench: Bench) {
    let quota = Quota::per_minute(60).burst(10);
    let taken = bench.take(&key("a"), quota, 4, at(0)).await;
    assert_eq!((taken.allowed, taken.remaining, taken.reset), (true, 6, Duration::from_secs(4)));
    let refused = bench.take(&key("a"), quota, 7, at(0)).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 6), "not in part either");
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    assert!(bench.take(&key("a"), quota, 6, at(0)).await.allowed);
    assert!(bench.take(&key("b"), quota, u32::MAX, at(0)).await.allowed, "no cost is above the burst");
    assert!(bench.take(&key("c"), quota, 0, at(0)).await.allowed);
    assert_eq!(bench.passing(&key("c"), quota, at(0)).await, 10, "nothing costs nothing");
}

async fn what_is_given_back_is_there_again(bench: Bench) {
    let quota = Quota::per_minute(60).burst(10);
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 10);
    let now = bench.rates().give_back(&key("a"), &quota, 3, at(0)).await.must_work();
    assert_eq!((now.allowed, now.remaining, now.reset), (true, 3, Duration::from_secs(7)));
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 3);
}

async fn what_was_not_taken_is_not_given_back(bench: Bench) {
    let quota = Quota::per_minute(60).burst(10);
    bench.rates().give_back(&key("a"), &quota, 100, at(0)).await.must_work();
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 10);
    bench.rates().give_back(&key("a"), &quota, u32::MAX, at(0)).await.must_work();
    assert_eq!(bench.passing(&key("a"), quota, at(0)).await, 10, "never more than the burst");
}

async fn the_time_is_the_callers(bench: Bench) {
    let quota = Quota::per_minute(1);
    for now in [-1_000_000, 0, 1_000_000_000] {
        assert!(bench.take(&key("a"), quota, 1, at(now)).await.allowed, "at {now}");
        assert!(!bench.take(&key("a"), quota, 1, at(now + 59)).await.allowed, "59 s after {now}");
    }
}

async fn a_clock_that_was_set_back_locks_nobody_out(bench: Bench) {
    let quota = Quota::per_minute(60);
    assert_eq!(bench.passing(&key("a"), quota, at(10_000)).await, 60);
    // A request that was delayed on its way is none of it.
    assert!(!bench.take(&key("a"), quota, 1, at(9_999)).await.allowed);
    assert!(bench.take(&key("a"), quota, 1, at(0)).await.allowed);
}

async fn counters_are_apart(bench: Bench) {
    let (quota, backoff) = (Quota::per_minute(1), Backoff::new(1));
    let other = TenantId::parse("other").expect("the suite's ids are valid");
    for of in [
        key("a"),
        key("A"),
        key("a "),
        key("a\0"),
        key(""),
        CounterKey::new(tenant(), "limit%", b"a"),
        CounterKey::new(tenant(), "Limit", b"a"),
        CounterKey::new(tenant(), "'; --", b"a"),
        CounterKey::new(other, "limit", b"a"),
    ] {
        assert!(bench.take(&of, quota, 1, at(0)).await.allowed, "{of:?}");
        let strikes = bench.strike(&of, backoff, at(0)).await;
        assert!(strikes.allowed && strikes.count == 1, "{of:?}");
        assert!(!bench.take(&of, quota, 1, at(0)).await.allowed, "{of:?}");
        assert!(!bench.strike(&of, backoff, at(0)).await.allowed, "{of:?}");
    }
}

async fn strikes_are_counted(bench: Bench) {
    let backoff = Backoff::default();
    let mut now = at(0);
    for (n, block) in [None, None, None, None, Some(1), Some(2), Some(4)].into_iter().enumerate() {
        let strikes = bench.strike(&key("a"), backoff, now).await;
        let until = block.map(|block| now + Duration::from_secs(block));
        let count = u32::try_from(n).unwrap_or(u32::MAX) + 1;
        assert_eq!(strikes, Strikes { allowed: true, count, blocked_until: until });
        now = until.unwrap_or(now);
    }
}

async fn an_attempt_while_blocked_is_not_counted(bench: Bench) {
    let backoff = Backoff::new(1);
    let first = bench.strike(&key("a"), backoff, at(0)).await;
    for _ in 0..10 {
        let refused = bench.strike(&key("a"), backoff, at(0)).await;
        assert_eq!(refused, Strikes { allowed: false, ..first }, "and nobody is kept out longer by it");
    }
    let second = bench.strike(&key("a"), backoff, at(1)).await;
    assert_eq!((second.allowed, second.count, second.blocked_until), (true, 2, Some(at(3))));
}

async fn strikes_are_forgotten(bench: Bench) {
    let backoff = Backoff::new(3).with_memory(Duration::from_secs(1_000));
    bench.strike(&key("a"), backoff, at(0)).await;
    assert_eq!(bench.strike(&key("a"), backoff, at(999)).await.count, 2);
    assert_eq!(bench.strike(&key("a"), backoff, at(1_999)).await.count, 1);
}

async fn clearing_forgets_everything(bench: Bench) {
    let (quota, backoff) = (Quota::per_minute(1), Backoff::new(1));
    for of in [key("a"), key("b")] {
        bench.take(&of, quota, 1, at(0)).await;
        bench.strike(&of, backoff, at(0)).await;
    }
    bench.rates().clear(&key("a")).await.must_work();
    bench.rates().clear(&key("never seen")).await.must_work();
    assert!(bench.take(&key("a"), quota, 1, at(0)).await.allowed);
    assert_eq!(bench.strike(&key("a"), backoff, at(0)).await.count, 1);
    assert!(!bench.take(&key("b"), quota, 1, at(0)).await.allowed, "others stay");
    assert!(!bench.strike(&key("b"), backoff, at(0)).await.allowed, "others stay");
}

async fn purging_takes_what_says_nothing(bench: Bench) {
    let (quota, backoff) = (Quota::per_minute(1), Backoff::new(1).with_memory(Duration::from_secs(1_000)));
    bench.take(&key("a"), quota, 1, at(0)).await;
    bench.strike(&key("a"), backoff, at(0)).await;
    assert_eq!(bench.rates().purge(at(59)).await.must_work(), 0);
    assert!(!bench.take(&key("a"), quota, 1, at(59)).await.allowed, "a live counter stays");
    assert_eq!(bench.rates().purge(at(60)).await.must_work(), 1, "the quota is whole again");
    assert_eq!(bench.rates().purge(at(1_000)).await.must_work(), 0);
    assert_eq!(bench.rates().purge(at(1_001)).await.must_work(), 1, "the block ended and was forgotten");
}

async fn racing_takes(bench: Bench) {
    for round in 0..ROUNDS {
        let of = key(&format!("r{round}"));
        let answers = race(|_| {
            let (rates, of) = (bench.rates(), of.clone());
            async move { rates.take(&of, &Quota::per_minute(10), 1, at(0)).await.must_work() }
        })
        .await;
        let allowed: Vec<u32> =
            answers.iter().filter(|taken| taken.allowed).map(|taken| taken.remaining).collect();
        assert_eq!(allowed.len(), 10, "ten may pass, whoever comes: {answers:?}");
        let distinct: HashSet<u32> = allowed.iter().copied().collect();
        assert_eq!(distinct.len(), 10, "each saw a step of its own: {allowed:?}");
    }
}

async fn racing_costs(bench: Bench) {
    for round in 0..ROUNDS {
        let of = key(&format!("r{round}"));
        let answers = race(|racer| {
            let (rates, of) = (bench.rates(), of.clone());
            let cost = u32::try_from(racer % 5).unwrap_or(0) + 1;
            async move {
                let taken = rates.take(&of, &Quota::per_minute(20), cost, at(0)).await.must_work();
                if taken.allowed { cost } else { 0 }
            }
        })
        .await;
        let total: u32 = answers.iter().sum();
        assert!(total <= 20, "no more than twenty in all: {answers:?}");
        // Whoever asked for 1 and was refused met a quota with nothing left.
        let refused_one = answers.iter().enumerate().any(|(racer, cost)| racer % 5 == 0 && *cost == 0);
        assert!(!refused_one || total == 20, "nothing is lost: {answers:?}");
    }
}

async fn racing_refunds(bench: Bench) {
    let quota = Quota::per_minute(100);
    for round in 0..ROUNDS {
        let of = key(&format!("r{round}"));
        race(|_| {
            let (rates, of) = (bench.rates(), of.clone());
            async move {
                assert!(rates.take(&of, &quota, 3, at(0)).await.must_work().allowed);
                rates.give_back(&of, &quota, 2, at(0)).await.must_work();
            }
        })
        .await;
        let left = 100 - u32::try_from(RACERS).unwrap_or(0);
        assert_eq!(bench.passing(&of, quota, at(0)).await, left, "each cost one in the end");
    }
}

async fn racing_strikes(bench: Bench) {
    let backoff = Backoff::new(1_000);
    for round in 0..ROUNDS {
        let of = key(&format!("r{round}"));
        let answers = race(|_| {
            let (rates, of) = (bench.rates(), of.clone());
            async move { rates.strike(&of, &backoff, at(0)).await.must_work().count }
        })
        .await;
        let distinct: HashSet<u32> = answers.iter().copied().collect();
        assert_eq!(distinct.len(), RACERS, "every strike has its number: {answers:?}");
        let next = bench.strike(&of, backoff, at(0)).await.count;
        assert_eq!(usize::try_from(next).unwrap_or(0), RACERS + 1, "and none was lost");
    }
}

async fn racing_strikes_into_a_block(bench: Bench) {
    for round in 0..ROUNDS {
        let of = key(&format!("r{round}"));
        let answers = race(|_| {
            let (rates, of) = (bench.rates(), of.clone());
            async move { rates.strike(&of, &Backoff::default(), at(0)).await.must_work().allowed }
        })
        .await;
        assert_eq!(count(&answers, &true), 5, "no more attempts than are free, however many come at once");
    }
}

async fn strikes_outlive_the_process(mut bench: Bench) {
    let first = bench.strike(&key("a"), Backoff::new(1), at(0)).await;
    if !bench.0.reopen().await.must_work() {
        return;
    }
    let refused = bench.strike(&key("a"), Backoff::new(1), at(0)).await;
    assert_eq!(refused, Strikes { allowed: false, ..first });
}
