//! The suite for rate stores bites, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use portcullis::TenantId;
use portcullis::error::Result;
use portcullis::rate_limit::{Arrival, Backoff, Quota, StrikeRow, Strikes, Taken};
use portcullis::store::conformance::{RATE_CHECKS, RateHarness, check_rates};
use portcullis::store::fault::{Faults, FaultyRateStore};
use portcullis::store::{CounterKey, MemoryStore, RateStore};
use portcullis::time::{Clock, SystemClock, Timestamp};

struct Memory(MemoryStore);

impl RateHarness for Memory {
    fn rates(&self) -> Arc<dyn RateStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Result<bool> {
        Ok(false)
    }
}

async fn memory() -> Memory {
    Memory(MemoryStore::new())
}

portcullis::rate_store_conformance!(memory);

mod faulty {
    use super::*;

    struct Wrapped(FaultyRateStore);

    impl RateHarness for Wrapped {
        fn rates(&self) -> Arc<dyn RateStore> {
            Arc::new(self.0.clone())
        }

        async fn reopen(&mut self) -> Result<bool> {
            Ok(false)
        }
    }

    // Without faults the wrapper changes nothing.
    portcullis::rate_store_conformance!(async || {
        Wrapped(FaultyRateStore::new(Arc::new(MemoryStore::new()), Faults::new()))
    });
}

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    TakesInTwoSteps,
    GivesBackInTwoSteps,
    StrikesInTwoSteps,
    IgnoresTheTenant,
    OwnClock,
    CountsWhileBlocked,
    ChargesTheRefused,
    GivesTooMuchBack,
    ClearsOnlyStrikes,
    PurgesTheLive,
    NotDurable,
}

/// A store with rows of its own, as a database has them, and one thing wrong.
#[derive(Clone)]
struct Broken {
    arrivals: Arc<Mutex<HashMap<CounterKey, Arrival>>>,
    strikes: Arc<Mutex<HashMap<CounterKey, StrikeRow>>>,
    step: Arc<tokio::sync::Mutex<()>>,
    flaw: Flaw,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        let (arrivals, strikes, step) = Default::default();
        Self { arrivals, strikes, step, flaw }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key(&self, key: &CounterKey) -> CounterKey {
        if self.has(Flaw::IgnoresTheTenant) {
            CounterKey::new(TenantId::default(), key.limit(), key.digest())
        } else {
            CounterKey::new(key.tenant().clone(), key.limit(), key.digest())
        }
    }

    fn now(&self, now: Timestamp) -> Timestamp {
        if self.has(Flaw::OwnClock) { SystemClock::new().now() } else { now }
    }

    /// One step for all, unless this is where it is broken.
    async fn step(&self, broken: Flaw) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.has(broken) { None } else { Some(self.step.lock().await) }
    }

    /// Where a store that reads and then writes lets others in between.
    async fn between_steps(&self) {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl RateStore for Broken {
    async fn take(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        let (key, now) = (self.key(key), self.now(now));
        let _step = self.step(Flaw::TakesInTwoSteps).await;
        let arrival = self.arrivals.lock().unwrap().get(&key).copied();
        let (taken, next) = quota.take(arrival, cost, now);
        self.between_steps().await;
        if let Some(next) = next {
            self.arrivals.lock().unwrap().insert(key, next);
        } else if let Some(arrival) = arrival.filter(|_| self.has(Flaw::ChargesTheRefused)) {
            let charged = Arrival::from_nanos(arrival.as_nanos() + 1_000_000_000);
            self.arrivals.lock().unwrap().insert(key, charged);
        }
        Ok(taken)
    }

    async fn give_back(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        let (key, now) = (self.key(key), self.now(now));
        let _step = self.step(Flaw::GivesBackInTwoSteps).await;
        let arrival = self.arrivals.lock().unwrap().get(&key).copied();
        let (taken, next) = quota.give_back(arrival, cost, now);
        self.between_steps().await;
        let mut arrivals = self.arrivals.lock().unwrap();
        match next.filter(|_| !self.has(Flaw::GivesTooMuchBack)) {
            Some(next) => arrivals.insert(key, next),
            None => arrivals.remove(&key),
        };
        Ok(taken)
    }

    async fn strike(&self, key: &CounterKey, backoff: &Backoff, now: Timestamp) -> Result<Strikes> {
        let (key, now) = (self.key(key), self.now(now));
        let _step = self.step(Flaw::StrikesInTwoSteps).await;
        let row = self.strikes.lock().unwrap().get(&key).copied();
        let (strikes, next) = backoff.strike(row, now);
        self.between_steps().await;
        if let Some(next) = next {
            self.strikes.lock().unwrap().insert(key, next);
        } else if let Some(row) = row.filter(|_| self.has(Flaw::CountsWhileBlocked)) {
            self.strikes.lock().unwrap().insert(key, StrikeRow { count: row.count + 1, ..row });
        }
        Ok(strikes)
    }

    async fn clear(&self, key: &CounterKey) -> Result<()> {
        let key = self.key(key);
        let _step = self.step.lock().await;
        self.strikes.lock().unwrap().remove(&key);
        if !self.has(Flaw::ClearsOnlyStrikes) {
            self.arrivals.lock().unwrap().remove(&key);
        }
        Ok(())
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        let now = if self.has(Flaw::PurgesTheLive) { Timestamp::MAX } else { self.now(now) };
        let _step = self.step.lock().await;
        let (mut arrivals, mut strikes) = (self.arrivals.lock().unwrap(), self.strikes.lock().unwrap());
        let before = arrivals.len() + strikes.len();
        arrivals.retain(|_, arrival| !arrival.is_past(now));
        strikes.retain(|_, row| now < row.forget_at);
        Ok((before - arrivals.len() - strikes.len()) as u64)
    }
}

struct Bench(Broken);

impl RateHarness for Bench {
    fn rates(&self) -> Arc<dyn RateStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Result<bool> {
        if self.0.has(Flaw::NotDurable) {
            self.0 = Broken::new(self.0.flaw);
        }
        Ok(true)
    }
}

/// The names of the checks a store with this flaw fails.
async fn failures(flaw: Flaw, checks: &[&'static str]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for name in checks {
        if tokio::spawn(check_rates(name, Bench(Broken::new(flaw)))).await.is_err() {
            failed.push(*name);
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_fails_nothing() {
    assert_eq!(failures(Flaw::Nothing, RATE_CHECKS).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flaw_fails_the_check_that_is_there_for_it() {
    for (flaw, checks) in [
        (Flaw::TakesInTwoSteps, &["racing_takes", "racing_costs"][..]),
        (Flaw::GivesBackInTwoSteps, &["racing_refunds"]),
        (Flaw::StrikesInTwoSteps, &["racing_strikes", "racing_strikes_into_a_block"]),
        (Flaw::IgnoresTheTenant, &["counters_are_apart"]),
        (Flaw::OwnClock, &["a_quota_refills_steadily", "the_time_is_the_callers", "strikes_are_forgotten"]),
        (Flaw::CountsWhileBlocked, &["an_attempt_while_blocked_is_not_counted"]),
        (Flaw::ChargesTheRefused, &["a_refused_request_takes_nothing"]),
        (Flaw::GivesTooMuchBack, &["what_is_given_back_is_there_again", "racing_refunds"]),
        (Flaw::ClearsOnlyStrikes, &["clearing_forgets_everything"]),
        (Flaw::PurgesTheLive, &["purging_takes_what_says_nothing"]),
        (Flaw::NotDurable, &["strikes_outlive_the_process"]),
    ] {
        assert_eq!(failures(flaw, checks).await, checks, "{flaw:?}");
    }
}
