//! Counters that fail on demand.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::rate_limit::{Backoff, Quota, Strikes, Taken};
use crate::store::fault::{Faults, Operation};
use crate::store::{CounterKey, RateStore};
use crate::time::Timestamp;

/// A rate store that fails when its [`Faults`] say so, and works otherwise.
#[derive(Clone)]
pub struct FaultyRateStore {
    rates: Arc<dyn RateStore>,
    faults: Faults,
}

impl FaultyRateStore {
    /// Over a store; hand in [`FaultyStore::faults`](super::FaultyStore::faults) to have one trace of both.
    #[must_use]
    pub fn new(rates: Arc<dyn RateStore>, faults: Faults) -> Self {
        Self { rates, faults }
    }

    /// What is to fail.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl fmt::Debug for FaultyRateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyRateStore").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[async_trait]
impl RateStore for FaultyRateStore {
    async fn take(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        self.faults.pass(Operation::RateTake, self.rates.take(key, quota, cost, now)).await
    }

    async fn give_back(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        self.faults.pass(Operation::RateGiveBack, self.rates.give_back(key, quota, cost, now)).await
    }

    async fn strike(&self, key: &CounterKey, backoff: &Backoff, now: Timestamp) -> Result<Strikes> {
        self.faults.pass(Operation::RateStrike, self.rates.strike(key, backoff, now)).await
    }

    async fn clear(&self, key: &CounterKey) -> Result<()> {
        self.faults.pass(Operation::RateClear, self.rates.clear(key)).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        self.faults.pass(Operation::RatePurge, self.rates.purge(now)).await
    }
}
