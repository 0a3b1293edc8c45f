//! A limit as it is configured: [`RateLimit`].

use std::fmt;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::builder::RateLimitBuilder;
use super::decision::{
    Charge, Fields, MAX_QUOTAS, RateDecision, RateFuture, RateVerdict, Standing, Standings,
};
use super::key::{LatePart, RateKey, Sink};
use super::quota::Quota;
use super::request::RateRequest;
use super::sip::SipKey;
use super::table::RateTable;
use crate::error::Result;
use crate::id::TenantId;
use crate::principal::Principal;
use crate::store::{CounterKey, RateStore};
use crate::time::Timestamp;

/// A limit: quotas, what is counted together, and where. Clones share their counters.
///
/// See the [module](super) for an example, and [`RateLimitBuilder`] for what can be said.
#[derive(Clone)]
pub struct RateLimit(pub(super) Arc<Inner>);

pub(super) type TierOf = Arc<dyn Fn(&Principal) -> Tier + Send + Sync>;
pub(super) type Counted = Arc<dyn Fn(StatusCode) -> bool + Send + Sync>;

pub(super) struct Inner {
    pub(super) name: String,
    pub(super) key: RateKey,
    pub(super) sip: SipKey,
    pub(super) tenant: TenantId,
    /// The first is for everybody who has no other.
    pub(super) tiers: Vec<TierQuotas>,
    pub(super) tier_of: Option<TierOf>,
    pub(super) cost: Cost,
    pub(super) counted: Option<Counted>,
    pub(super) allow_on_outage: bool,
    pub(super) unknown_address_reported: AtomicBool,
    pub(super) unknown_tier_reported: AtomicBool,
}

pub(super) struct TierQuotas {
    pub(super) name: &'static str,
    pub(super) counters: Counters,
    pub(super) fields: Fields,
}

pub(super) enum Counters {
    Here(Vec<RateTable>),
    Shared { store: Arc<dyn RateStore>, quotas: Vec<(Arc<str>, Quota)> },
}

#[derive(Clone)]
pub(super) enum Cost {
    Fixed(u32),
    Of(Arc<dyn Fn(&RateRequest<'_>) -> u32 + Send + Sync>),
}

/// Which quotas a principal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Those of the limit itself.
    Base,
    /// Those of [`add_tier`](RateLimitBuilder::add_tier) under this name; those of the limit itself if there is none.
    Named(&'static str),
    /// None: it isn't limited here.
    Unlimited,
}

impl RateLimit {
    /// A limit by address, with no quota yet. The name is that of its counters and, with the period, of its quotas in
    /// `RateLimit` fields: 1 to 32 lower-case letters, digits, `-` and `_`.
    pub fn builder(name: impl Into<String>) -> RateLimitBuilder {
        RateLimitBuilder::new(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many keys with something on their account were forgotten for want of room, in all its tables since they were
    /// made. If this grows, raise [`with_capacity`](RateLimitBuilder::with_capacity) - or somebody sends from very many
    /// addresses.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.tables().map(RateTable::evicted).sum()
    }

    /// How many bytes its tables have. They don't change.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tables().map(RateTable::bytes).sum()
    }

    /// Whether it says less as long as nobody knows who asks.
    pub(crate) fn needs_principal(&self) -> bool {
        self.0.key.needs_principal() || self.0.tier_of.is_some()
    }

    /// Whether a decision may have to be waited for.
    pub(crate) fn may_wait(&self) -> bool {
        let shared = |tier: &TierQuotas| matches!(tier.counters, Counters::Shared { .. });
        self.0.key.is_late() || self.0.tiers.iter().any(shared)
    }

    fn tables(&self) -> impl Iterator<Item = &RateTable> {
        self.0.tiers.iter().flat_map(|tier| match &tier.counters {
            Counters::Here(tables) => tables.as_slice(),
            Counters::Shared { .. } => &[],
        })
    }

    /// Whether a request may pass. What it costs is taken, from all quotas or from none.
    pub(crate) fn decide(&self, request: &RateRequest<'_>) -> RateVerdict {
        let Some(tier) = self.tier_of(request.principal()) else {
            return RateVerdict::Ready(RateDecision::uncounted());
        };
        let Inner { key, cost, .. } = &*self.0;
        if key.misses_address(request) && !self.0.unknown_address_reported.swap(true, Ordering::Relaxed) {
            tracing::error!(
                limit = self.0.name,
                "the client's address is not known, so all such requests are counted together: put the layer outside \
                 that finds it out"
            );
        }
        let (cost, now) = (cost.of(request), request.received());
        match self.0.tiers.get(tier).map(|tier| &tier.counters) {
            Some(Counters::Here(tables)) if !key.is_late() => {
                let mut hasher = self.0.sip.hasher();
                key.write(request, &mut hasher);
                RateVerdict::Ready(here(tables, tier, hasher.finish(), cost, now))
            }
            _ => {
                let mut bytes = Vec::new();
                key.write(request, &mut bytes);
                let (limit, late) = (self.clone(), key.late(request));
                RateVerdict::Pending(Box::pin(async move { limit.late(tier, bytes, late, cost, now).await }))
            }
        }
    }

    /// Once the answer is known: gives back what only other answers cost. `Some` if that is to be waited for; what it
    /// says then takes the place of the decision.
    pub(crate) fn settle(&self, decision: &mut RateDecision, status: StatusCode) -> Option<RateFuture> {
        if self.0.counted.as_ref().is_none_or(|counted| counted(status)) {
            return None;
        }
        let counters = self.0.tiers.get(decision.tier).map(|tier| &tier.counters);
        match (counters, std::mem::replace(&mut decision.charge, Charge::Nothing)) {
            (Some(Counters::Here(tables)), Charge::Here { hash, cost, now }) => {
                let mut standing = [None; MAX_QUOTAS];
                for (table, said) in tables.iter().zip(&mut standing) {
                    *said = Some(Standing::of(&table.taken(table.put_back(hash, cost, now))));
                }
                decision.restate(standing);
            }
            (Some(Counters::Shared { store, quotas }), Charge::Shared { keys, cost, now }) => {
                let (store, quotas) = (store.clone(), quotas.clone());
                let mut decision = std::mem::replace(decision, RateDecision::uncounted());
                return Some(Box::pin(async move {
                    let mut standing = [None; MAX_QUOTAS];
                    give_back(&*store, &keys, &quotas, cost, now, &mut standing).await;
                    decision.restate(standing);
                    decision
                }));
            }
            _ => {}
        }
        None
    }

    /// Adds what an answer, refusals included, says about the quotas.
    pub(crate) fn add_fields(&self, decision: &RateDecision, headers: &mut HeaderMap) {
        for (name, value) in self.fields(decision) {
            headers.append(name, value);
        }
    }

    /// The same, line by line, to be added to the answer.
    pub(crate) fn fields(
        &self,
        decision: &RateDecision,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        self.0.tiers.get(decision.tier).map(|tier| decision.fields(&tier.fields)).into_iter().flatten()
    }

    /// `None` if the principal isn't limited.
    fn tier_of(&self, principal: Option<&Principal>) -> Option<usize> {
        let (Some(tier_of), Some(principal)) = (&self.0.tier_of, principal) else { return Some(0) };
        match tier_of(principal) {
            Tier::Base => Some(0),
            Tier::Unlimited => None,
            Tier::Named(name) => {
                let found = self.0.tiers.iter().skip(1).position(|tier| tier.name == name).map(|n| n + 1);
                if found.is_none() && !self.0.unknown_tier_reported.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        limit = self.0.name,
                        tier = name,
                        "there is no such tier: the limit's own counts"
                    );
                }
                Some(found.unwrap_or(0))
            }
        }
    }

    async fn late(
        &self,
        tier: usize,
        mut key: Vec<u8>,
        late: Vec<LatePart>,
        cost: u32,
        now: Timestamp,
    ) -> RateDecision {
        let decide = async {
            for part in late {
                key.bytes(&part.await?);
            }
            match self.0.tiers.get(tier).map(|tier| &tier.counters) {
                Some(Counters::Here(tables)) => {
                    let mut hasher = self.0.sip.hasher();
                    hasher.bytes(&key);
                    Ok(here(tables, tier, hasher.finish(), cost, now))
                }
                Some(Counters::Shared { store, quotas }) => {
                    let key = |name: &Arc<str>| CounterKey::new(self.0.tenant.clone(), name.clone(), &key);
                    let keys = quotas.iter().map(|(name, _)| key(name)).collect();
                    shared(&**store, quotas, tier, keys, cost, now).await
                }
                None => Ok(RateDecision::unavailable()),
            }
        };
        match decide.await {
            Ok(decision) => decision,
            Err(error) => {
                let (limit, allowed) = (&self.0.name, self.0.allow_on_outage);
                tracing::error!(
                    limit,
                    allowed,
                    error = &error as &dyn std::error::Error,
                    "a limit cannot count"
                );
                if allowed { RateDecision::uncounted() } else { RateDecision::unavailable() }
            }
        }
    }
}

/// Takes from all tables or from none.
fn here(tables: &[RateTable], tier: usize, hash: u64, cost: u32, now: Timestamp) -> RateDecision {
    let mut standing = [None; MAX_QUOTAS];
    for (n, (table, said)) in tables.iter().zip(&mut standing).enumerate() {
        let drawn = table.draw(hash, cost, now);
        let taken = table.taken(drawn);
        *said = Some(Standing::of(&taken));
        if taken.allowed {
            continue;
        }
        let mut retry_after = taken.retry_after;
        for (before, said) in tables.iter().zip(&mut standing).take(n) {
            *said = Some(Standing::of(&before.taken(before.put_back(hash, cost, now))));
        }
        // It has to pass all of them when it comes again.
        for (behind, said) in tables.iter().zip(&mut standing).skip(n + 1) {
            let taken = behind.taken(behind.look(hash, cost, now));
            *said = Some(Standing::of(&taken));
            retry_after = retry_after.max(taken.retry_after);
        }
        return RateDecision::refuse(tier, standing, retry_after);
    }
    RateDecision::allow(tier, standing, Charge::Here { hash, cost, now })
}

/// Takes from all quotas of a store or from none. It stops at the first that refuses, so nothing is said of those behind.
async fn shared(
    store: &dyn RateStore,
    quotas: &[(Arc<str>, Quota)],
    tier: usize,
    keys: Vec<CounterKey>,
    cost: u32,
    now: Timestamp,
) -> Result<RateDecision> {
    let mut standing = [None; MAX_QUOTAS];
    for (n, (key, (_, quota))) in keys.iter().zip(quotas).enumerate() {
        let before = keys.get(..n).unwrap_or_default();
        let taken = match store.take(key, quota, cost, now).await {
            Ok(taken) => taken,
            Err(error) => {
                give_back(store, before, quotas, cost, now, &mut standing).await;
                return Err(error);
            }
        };
        if let Some(said) = standing.get_mut(n) {
            *said = Some(Standing::of(&taken));
        }
        if !taken.allowed {
            give_back(store, before, quotas, cost, now, &mut standing).await;
            return Ok(RateDecision::refuse(tier, standing, taken.retry_after));
        }
    }
    Ok(RateDecision::allow(tier, standing, Charge::Shared { keys, cost, now }))
}

/// What can't be given back stays taken.
async fn give_back(
    store: &dyn RateStore,
    keys: &[CounterKey],
    quotas: &[(Arc<str>, Quota)],
    cost: u32,
    now: Timestamp,
    standing: &mut Standings,
) {
    for ((key, (limit, quota)), said) in keys.iter().zip(quotas).zip(standing) {
        match store.give_back(key, quota, cost, now).await {
            Ok(taken) => *said = Some(Standing::of(&taken)),
            Err(error) => {
                *said = None;
                tracing::warn!(%limit, error = &error as &dyn std::error::Error, "a request stays counted");
            }
        }
    }
}

impl Cost {
    fn of(&self, request: &RateRequest<'_>) -> u32 {
        match self {
            Self::Fixed(cost) => *cost,
            Self::Of(function) => function(request),
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.0.name)
            .field("key", &self.0.key)
            .field("tiers", &self.0.tiers)
            .field("allow_on_outage", &self.0.allow_on_outage)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TierQuotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tier = f.debug_struct("Tier");
        tier.field("name", &self.name);
        match &self.counters {
            Counters::Here(tables) => tier.field("here", tables),
            Counters::Shared { quotas, .. } => tier.field("shared", quotas),
        };
        tier.finish()
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
