//! How much is allowed: [`Quota`], and what a request was told: [`Taken`].

use std::time::Duration;

use super::gcra::{Gcra, Step};
use crate::error::ConfigError;
use crate::time::Timestamp;

/// The longest time a quota may need to refill from nothing.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// How far the clocks of two requests may lie apart: a request may be delayed between its clock read and its limit, and
/// instances' clocks differ. What lies further ahead is a clock that was set back, and is forgotten.
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// So many requests in a period.
///
/// `Quota::per_minute(60)` lets 60 requests through at once, and after that one a second: the quota refills steadily,
/// request by request, not all at once at the turn of a minute. So in any stretch of time `t` at most
/// `burst + count * t / period` requests pass. The [burst](Self::burst) is the count if nothing else is said.
///
/// ```
/// use portcullis::rate_limit::Quota;
/// # use portcullis::ConfigError;
///
/// // Ten at once, then ten a second.
/// assert!(Quota::per_second(10).check().is_ok());
/// // Five at once, then one every six minutes.
/// assert!(Quota::per_hour(10).burst(5).check().is_ok());
/// assert_eq!(Quota::per_day(0).check().unwrap_err().field(), "quota");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    count: u32,
    period: Period,
    burst: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

impl Quota {
    /// `count` requests a second.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self { count, period: Period::Second, burst: count }
    }

    /// `count` requests a minute.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self { count, period: Period::Minute, burst: count }
    }

    /// `count` requests an hour.
    #[must_use]
    pub const fn per_hour(count: u32) -> Self {
        Self { count, period: Period::Hour, burst: count }
    }

    /// `count` requests a day, which has 86 400 seconds.
    #[must_use]
    pub const fn per_day(count: u32) -> Self {
        Self { count, period: Period::Day, burst: count }
    }

    /// How many may come at once, in place of a whole period's. It changes nothing about the rate.
    #[must_use]
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = requests;
        self
    }

    /// How many requests a period has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many may come at once.
    #[must_use]
    pub const fn max_burst(&self) -> u32 {
        self.burst
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_secs(match self.period {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3_600,
            Period::Day => 86_400,
        })
    }

    /// The period as a word.
    pub(super) const fn unit(&self) -> &'static str {
        match self.period {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
            Period::Day => "day",
        }
    }

    /// Whether it can stand. What takes a quota at start-up asks.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if count or burst is zero, or a spent burst takes more than 366 days to refill.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |problem, cure| Err(ConfigError::new("quota", problem, cure));
        if self.count == 0 {
            return refused("lets nothing pass", "use 1 or more; to switch a limit off, leave it out");
        }
        if self.burst == 0 {
            return refused("has a burst of 0 and lets nothing pass", "use a burst of 1 or more");
        }
        if self.refill_nanos() > LONGEST.as_nanos() {
            return refused("needs more than 366 days to refill", "use a smaller burst");
        }
        Ok(())
    }

    /// How long it takes from nothing to a whole burst.
    pub(super) fn refill_nanos(&self) -> u128 {
        let total = u128::from(self.burst).saturating_mul(self.period().as_nanos());
        total.div_ceil(u128::from(self.count.max(1)))
    }

    /// The rule in nanoseconds. The time for one request is rounded up, so that no rate is above what was said; less
    /// than a nanosecond is one.
    fn in_nanos(&self) -> Gcra {
        let period = u64::try_from(self.period().as_nanos()).unwrap_or(u64::MAX);
        let interval = period.div_ceil(u64::from(self.count.max(1)));
        let burst = if self.count == 0 { 0 } else { self.burst };
        Gcra::new(interval, burst, 0)
    }

    /// The rule every [`RateStore`](crate::store::RateStore) follows in
    /// [`take`](crate::store::RateStore::take): what to answer, and what to keep.
    ///
    /// All that is kept for a key is one [`Arrival`]: a store reads it, asks this rule, and writes what it says, in one
    /// step. If nothing is to be written it is `None`. A cost above the burst counts as the burst.
    ///
    /// ```
    /// use portcullis::rate_limit::Quota;
    /// use portcullis::time::Timestamp;
    ///
    /// let (quota, now) = (Quota::per_minute(60).burst(2), Timestamp::from_secs(1_000));
    /// let (first, stored) = quota.take(None, 1, now);
    /// let (second, stored) = quota.take(stored, 1, now);
    /// let (third, unchanged) = quota.take(stored, 1, now);
    /// assert_eq!((first.allowed, first.remaining), (true, 1));
    /// assert!(second.allowed && !third.allowed && unchanged.is_none());
    /// assert_eq!(third.retry_after.as_secs(), 1);
    /// ```
    #[must_use]
    pub fn take(&self, arrival: Option<Arrival>, cost: u32, now: Timestamp) -> (Taken, Option<Arrival>) {
        let (rule, now) = (self.in_nanos(), nanos(now));
        let ahead = ahead(&rule, arrival, now);
        let (allowed, ahead, wait) = match rule.step(ahead, cost) {
            Step::Pass { ahead } => (true, ahead, 0),
            Step::Wait { by } => (false, ahead, by),
        };
        let taken = Taken {
            allowed,
            remaining: rule.remaining(ahead),
            retry_after: Duration::from_nanos(wait),
            reset: Duration::from_nanos(ahead),
        };
        (taken, (allowed && cost > 0).then(|| Arrival::after(now, ahead)))
    }

    /// The rule of [`give_back`](crate::store::RateStore::give_back): how things stand then, and what to keep, `None` for
    /// nothing at all.
    #[must_use]
    pub fn give_back(&self, arrival: Option<Arrival>, cost: u32, now: Timestamp) -> (Taken, Option<Arrival>) {
        let (rule, now) = (self.in_nanos(), nanos(now));
        let ahead = rule.give_back(ahead(&rule, arrival, now), cost);
        let taken = Taken {
            allowed: true,
            remaining: rule.remaining(ahead),
            retry_after: Duration::ZERO,
            reset: Duration::from_nanos(ahead),
        };
        (taken, (ahead > 0).then(|| Arrival::after(now, ahead)))
    }
}

fn nanos(now: Timestamp) -> i64 {
    now.as_micros().saturating_mul(1_000)
}

fn ahead(rule: &Gcra, arrival: Option<Arrival>, now: i64) -> u64 {
    let Some(Arrival(arrival)) = arrival else { return 0 };
    let ahead = u64::try_from(arrival.saturating_sub(now)).unwrap_or(0);
    let skew = u64::try_from(SKEW.as_nanos()).unwrap_or(u64::MAX);
    if ahead > rule.window().saturating_add(skew) { 0 } else { ahead }
}

/// What a store keeps for a key under a quota: when the quota would be whole again if nobody took from it, in nanoseconds
/// since the Unix epoch. What lies in the past says nothing and can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(i64);

impl Arrival {
    /// As read back from a store.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// As written to a store.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether it is past, and says nothing any more.
    #[must_use]
    pub fn is_past(self, now: Timestamp) -> bool {
        self.0 <= nanos(now)
    }

    fn after(now: i64, ahead: u64) -> Self {
        Self(now.saturating_add(i64::try_from(ahead).unwrap_or(i64::MAX)))
    }
}

/// What became of an attempt to take from a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether the request may pass. If not, nothing was taken.
    pub allowed: bool,
    /// How many requests of cost 1 would pass now.
    pub remaining: u32,
    /// After how long the same request would pass, if nobody else takes anything. Zero if it passed.
    pub retry_after: Duration,
    /// After how long the quota is whole again.
    pub reset: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_is_refused() {
        for (name, quota, fine) in [
            ("one a day", Quota::per_day(1), true),
            ("as much as there is", Quota::per_second(u32::MAX), true),
            ("for load tests", Quota::per_minute(1_000_000_000), true),
            ("366 days", Quota::per_day(1).burst(366), true),
            ("zero a second", Quota::per_second(0), false),
            ("zero a minute", Quota::per_minute(0), false),
            ("zero with a burst", Quota::per_hour(0).burst(5), false),
            ("no burst", Quota::per_minute(60).burst(0), false),
            ("367 days", Quota::per_day(1).burst(367), false),
            ("an endless burst", Quota::per_day(1).burst(u32::MAX), false),
        ] {
            assert_eq!(quota.check().is_ok(), fine, "{name}");
        }
    }

    #[test]
    fn what_was_not_checked_lets_nothing_pass() {
        for quota in [Quota::per_minute(0), Quota::per_minute(0).burst(3), Quota::per_minute(60).burst(0)] {
            let (taken, stored) = quota.take(None, 1, Timestamp::from_secs(5));
            assert!(!taken.allowed && taken.remaining == 0 && stored.is_none(), "{quota:?}");
            assert!(taken.retry_after > Duration::ZERO, "{quota:?}");
        }
    }

    #[test]
    fn no_input_overflows() {
        let times = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];
        let arrivals = [None, Some(i64::MIN), Some(0), Some(i64::MAX)].map(|n| n.map(Arrival));
        for count in [0, 1, 7, u32::MAX] {
            for burst in [0, 1, u32::MAX] {
                let quotas = [Quota::per_second(count), Quota::per_day(count)].map(|q| q.burst(burst));
                for (quota, now) in quotas.into_iter().flat_map(|q| times.map(|now| (q, now))) {
                    for (arrival, cost) in arrivals.into_iter().flat_map(|a| [0, 1, u32::MAX].map(|c| (a, c)))
                    {
                        let (_, stored) = quota.take(arrival, cost, now);
                        let _ = quota.give_back(stored.or(arrival), cost, now);
                    }
                }
            }
        }
    }

    #[test]
    fn a_refund_leaves_things_as_they_were() {
        let (quota, now) = (Quota::per_minute(7), Timestamp::from_secs(1_000));
        let (_, before) = quota.take(None, 3, now);
        let (_, after) = quota.take(before, 2, now);
        assert_eq!(quota.give_back(after, 2, now).1, before);
        assert_eq!(quota.give_back(before, 3, now).1, None);
        assert_eq!(quota.give_back(before, u32::MAX, now).1, None, "never more than there was");
    }
}
