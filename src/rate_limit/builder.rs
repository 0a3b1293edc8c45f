//! Saying what a limit is: [`RateLimitBuilder`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::StatusCode;

use super::decision::Fields;
use super::key::RateKey;
use super::limit::{Cost, Counted, Counters, Inner, RateLimit, Tier, TierOf, TierQuotas};
use super::quota::Quota;
use super::request::RateRequest;
use super::sip::SipKey;
use super::table::RateTable;
use crate::error::ConfigError;
use crate::id::TenantId;
use crate::principal::Principal;
use crate::store::RateStore;

/// Twice as many slots are 2 MiB for each quota.
const DEFAULT_KEYS: usize = 131_072;
const MAX_NAME: usize = 32;

/// Builds a [`RateLimit`].
#[must_use]
pub struct RateLimitBuilder {
    name: String,
    key: RateKey,
    tenant: TenantId,
    tiers: Vec<(&'static str, Vec<Quota>)>,
    tier_of: Option<TierOf>,
    cost: Cost,
    counted: Option<Counted>,
    capacity: usize,
    store: Option<Arc<dyn RateStore>>,
    allow_on_outage: bool,
}

impl RateLimitBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            key: RateKey::address(),
            tenant: TenantId::default(),
            tiers: vec![("", Vec::new())],
            tier_of: None,
            cost: Cost::Fixed(1),
            counted: None,
            capacity: DEFAULT_KEYS,
            store: None,
            allow_on_outage: false,
        }
    }

    /// By what requests are counted, in place of the address.
    pub fn with_key(mut self, key: RateKey) -> Self {
        self.key = key;
        self
    }

    /// Adds a quota. A request has to pass all of them; one that is refused by one is not charged to the others. Each
    /// period may stand once.
    pub fn add_quota(mut self, quota: Quota) -> Self {
        if let Some((_, quotas)) = self.tiers.first_mut() {
            quotas.push(quota);
        }
        self
    }

    /// Adds quotas that stand in place of the limit's own for principals of this tier.
    pub fn add_tier(mut self, name: &'static str, quotas: impl IntoIterator<Item = Quota>) -> Self {
        self.tiers.push((name, quotas.into_iter().collect()));
        self
    }

    /// Which tier a principal is of. A request without a principal has the limit's own quotas. The limit must stand
    /// behind authentication.
    pub fn with_tiers_from(mut self, tier: impl Fn(&Principal) -> Tier + Send + Sync + 'static) -> Self {
        self.tier_of = Some(Arc::new(tier));
        self
    }

    /// What a request costs, in place of 1.
    pub fn with_cost(mut self, cost: u32) -> Self {
        self.cost = Cost::Fixed(cost);
        self
    }

    /// What each request costs. 0 is free, and more than a quota's burst counts as its burst.
    pub fn with_cost_from(mut self, cost: impl Fn(&RateRequest<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.cost = Cost::Of(Arc::new(cost));
        self
    }

    /// Counts only requests whose answer has such a status: failed sign-ins, say. Each is charged when it comes and given
    /// back once its answer turns out to be another, so however many come at once, no more fail than the quota says. One
    /// that is abandoned before it is answered counts.
    pub fn count_only_if(mut self, counted: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.counted = Some(Arc::new(counted));
        self
    }

    /// For how many keys at a time there is room in each quota's table, 131 072 if nothing is said. It takes 16 to 32
    /// bytes for each, from the start.
    pub fn with_capacity(mut self, keys: usize) -> Self {
        self.capacity = keys;
        self
    }

    /// Counts in a store that several instances share, in place of this process's memory: one round trip for each quota
    /// and request. While it can't be reached, requests are answered 503.
    pub fn with_store(mut self, store: Arc<dyn RateStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Under which tenant a shared store counts, in place of the default one.
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// Lets requests pass uncounted while the store, or the function of an async key, fails. Whoever can make it fail has
    /// no limit then.
    pub fn allow_on_outage(mut self) -> Self {
        self.allow_on_outage = true;
        self
    }

    /// The limit.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the name is not as [`RateLimit::builder`] says, a tier has no quota, one that [cannot
    /// stand](Quota::check) or two for one period, tiers are named twice or can't be chosen, a fixed cost is 0 or above a
    /// burst, the key or the capacity is out of range, or the operating system has no randomness to give.
    pub fn build(self) -> Result<RateLimit, ConfigError> {
        self.check()?;
        let tiers =
            self.tiers.iter().map(|(name, quotas)| self.tier(name, quotas)).collect::<Result<_, _>>()?;
        let sip = SipKey::random().map_err(|_| {
            ConfigError::new("rate limit", "got no randomness from the operating system", "try again")
        })?;
        Ok(RateLimit(Arc::new(Inner {
            name: self.name,
            key: self.key,
            sip,
            tenant: self.tenant,
            tiers,
            tier_of: self.tier_of,
            cost: self.cost,
            counted: self.counted,
            allow_on_outage: self.allow_on_outage,
            unknown_address_reported: AtomicBool::new(false),
            unknown_tier_reported: AtomicBool::new(false),
        })))
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !is_name(&self.name) {
            return Err(self.error("has a name that is not 1 to 32 of `a-z0-9-_`", "use a short plain name"));
        }
        self.key.check()?;
        for (n, (name, quotas)) in self.tiers.iter().enumerate() {
            if n > 0 && !is_name(name) {
                return Err(
                    self.error("has a tier whose name is not 1 to 32 of `a-z0-9-_`", "use a plain name")
                );
            }
            if self.tiers.iter().skip(n + 1).any(|(other, _)| other == name) {
                return Err(self.error("names a tier twice", "give each tier a name of its own"));
            }
            if quotas.is_empty() {
                return Err(self.error("has no quota", "add one, such as `Quota::per_minute(60)`"));
            }
            for (n, quota) in quotas.iter().enumerate() {
                quota
                    .check()
                    .map_err(|error| error.with_field(format!("quota of rate limit `{}`", self.name)))?;
                if quotas.iter().skip(n + 1).any(|other| other.period() == quota.period()) {
                    return Err(self.error("has two quotas for one period", "keep the smaller"));
                }
                if matches!(self.cost, Cost::Fixed(cost) if cost == 0 || cost > quota.max_burst()) {
                    return Err(self.error(
                        "has a cost of 0 or above a burst",
                        "use a cost of 1 up to the smallest burst",
                    ));
                }
            }
        }
        if self.tiers.len() > 1 && self.tier_of.is_none() {
            return Err(self.error("has tiers that nobody is of", "say who with `with_tiers_from`"));
        }
        Ok(())
    }

    fn tier(&self, name: &'static str, quotas: &[Quota]) -> Result<TierQuotas, ConfigError> {
        let labels: Vec<(Arc<str>, Quota)> =
            quotas.iter().map(|quota| (self.label(name, quota, quotas.len()).into(), *quota)).collect();
        let fields = Fields::new(
            labels.iter().map(|(label, quota)| (&**label, quota.count(), quota.period().as_secs())),
        );
        let counters = match &self.store {
            Some(store) => Counters::Shared { store: store.clone(), quotas: labels },
            None => {
                let tables = quotas.iter().map(|quota| RateTable::new(*quota, self.capacity));
                Counters::Here(tables.collect::<Result<_, _>>()?)
            }
        };
        Ok(TierQuotas { name, counters, fields })
    }

    /// `api`, `api-minute`, `api-gold`, `api-gold-minute`: each quota of a limit has its own.
    fn label(&self, tier: &str, quota: &Quota, quotas: usize) -> String {
        let mut label = self.name.clone();
        if !tier.is_empty() {
            label = label + "-" + tier;
        }
        if quotas > 1 { label + "-" + quota.unit() } else { label }
    }

    fn error(&self, problem: &'static str, cure: &'static str) -> ConfigError {
        ConfigError::new(format!("rate limit `{}`", self.name), problem, cure)
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
}

impl fmt::Debug for RateLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder")
            .field("name", &self.name)
            .field("key", &self.key)
            .field("tiers", &self.tiers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_is_not_built() {
        let base = || RateLimit::builder("api").add_quota(Quota::per_minute(60));
        for (name, builder, fine) in [
            ("plain", base(), true),
            ("two periods", base().add_quota(Quota::per_hour(1000)), true),
            ("no quota", RateLimit::builder("api"), false),
            ("a name with a quote", RateLimit::builder("a\"b").add_quota(Quota::per_minute(60)), false),
            ("no name", RateLimit::builder("").add_quota(Quota::per_minute(60)), false),
            ("nothing passes", RateLimit::builder("api").add_quota(Quota::per_minute(0)), false),
            ("one period twice", base().add_quota(Quota::per_minute(10)), false),
            ("cost above the burst", base().with_cost(61), false),
            ("cost of the burst", base().with_cost(60), true),
            ("free", base().with_cost(0), false),
            ("a tier nobody is of", base().add_tier("gold", [Quota::per_minute(600)]), false),
            (
                "a tier",
                base().add_tier("gold", [Quota::per_minute(600)]).with_tiers_from(|_| Tier::Base),
                true,
            ),
            ("an empty tier", base().add_tier("gold", []).with_tiers_from(|_| Tier::Base), false),
            (
                "a tier twice",
                base()
                    .add_tier("gold", [Quota::per_minute(600)])
                    .add_tier("gold", [Quota::per_minute(60)])
                    .with_tiers_from(|_| Tier::Base),
                false,
            ),
            ("no room", base().with_capacity(0), false),
            ("no prefix", base().with_key(RateKey::address_with_ipv6_prefix(0)), false),
            ("too long a prefix", base().with_key(RateKey::address_with_ipv6_prefix(129)), false),
        ] {
            assert_eq!(builder.build().is_ok(), fine, "{name}");
        }
        let error = RateLimit::builder("api").add_quota(Quota::per_minute(0)).build().unwrap_err();
        assert_eq!(error.field(), "quota of rate limit `api`");
    }
}
