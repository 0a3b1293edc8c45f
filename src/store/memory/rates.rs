//! Counters in memory.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::error::Result;
use crate::rate_limit::{Arrival, Backoff, Quota, StrikeRow, Strikes, Taken};
use crate::store::{CounterKey, RateStore};
use crate::time::Timestamp;

#[derive(Default)]
pub(super) struct Rates {
    arrivals: HashMap<CounterKey, Arrival>,
    strikes: HashMap<CounterKey, StrikeRow>,
}

#[async_trait]
impl RateStore for MemoryStore {
    async fn take(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        let mut rates = lock(&self.rates);
        let (taken, next) = quota.take(rates.arrivals.get(key).copied(), cost, now);
        if let Some(next) = next {
            rates.arrivals.insert(key.clone(), next);
        }
        Ok(taken)
    }

    async fn give_back(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken> {
        let mut rates = lock(&self.rates);
        let (taken, next) = quota.give_back(rates.arrivals.get(key).copied(), cost, now);
        match next {
            Some(next) => rates.arrivals.insert(key.clone(), next),
            None => rates.arrivals.remove(key),
        };
        Ok(taken)
    }

    async fn strike(&self, key: &CounterKey, backoff: &Backoff, now: Timestamp) -> Result<Strikes> {
        let mut rates = lock(&self.rates);
        let (strikes, next) = backoff.strike(rates.strikes.get(key).copied(), now);
        if let Some(next) = next {
            rates.strikes.insert(key.clone(), next);
        }
        Ok(strikes)
    }

    async fn clear(&self, key: &CounterKey) -> Result<()> {
        let mut rates = lock(&self.rates);
        rates.arrivals.remove(key);
        rates.strikes.remove(key);
        Ok(())
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        let mut rates = lock(&self.rates);
        let before = rates.arrivals.len() + rates.strikes.len();
        rates.arrivals.retain(|_, arrival| !arrival.is_past(now));
        rates.strikes.retain(|_, row| now < row.forget_at);
        let gone = before - rates.arrivals.len() - rates.strikes.len();
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}
