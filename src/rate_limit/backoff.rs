//! How failures slow down: [`Backoff`], and what an attempt was told: [`Strikes`].

use std::time::Duration;

use crate::error::ConfigError;
use crate::time::Timestamp;

/// So many failures for free, then a block after each that doubles.
///
/// With the default, the fifth failure blocks for a second, the sixth for two, and so on up to 15 minutes. An attempt
/// while blocked is refused and not counted, so nobody is kept out longer by attempts that were refused.
///
/// ```
/// use portcullis::rate_limit::Backoff;
/// use portcullis::time::Timestamp;
///
/// let (backoff, now) = (Backoff::new(2), Timestamp::from_secs(1_000));
/// let (first, row) = backoff.strike(None, now);
/// let (second, row) = backoff.strike(row, now);
/// let (third, _) = backoff.strike(row, now);
/// assert_eq!((first.allowed, first.blocked_until), (true, None));
/// assert_eq!((second.allowed, second.blocked_until), (true, Some(Timestamp::from_secs(1_001))));
/// assert_eq!((third.allowed, third.count), (false, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    free: u32,
    first: Duration,
    longest: Duration,
    forget_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(5)
    }
}

impl Backoff {
    /// Blocks after the `free`th failure in a row: for a second, doubling to 15 minutes. Failures are forgotten 7 days
    /// after the last.
    #[must_use]
    pub const fn new(free: u32) -> Self {
        Self {
            free,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(7 * 86_400),
        }
    }

    /// How long the first block lasts, and how long the longest.
    #[must_use]
    pub const fn with_blocks(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// How long after the last failure, or the end of its block, all are forgotten.
    #[must_use]
    pub const fn with_memory(mut self, forget_after: Duration) -> Self {
        self.forget_after = forget_after;
        self
    }

    /// Whether it can stand.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if nothing is free, a block is zero, the longest is shorter than the first, or failures are
    /// forgotten before the longest block would end.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |problem, cure| Err(ConfigError::new("backoff", problem, cure));
        if self.free == 0 {
            return refused("blocks before the first attempt", "let at least one failure be free");
        }
        if self.first.is_zero() || self.longest < self.first {
            return refused("has no block, or a longest that is shorter than its first", "use 1 s to 15 min");
        }
        if self.forget_after < self.longest {
            return refused("forgets failures within its longest block", "remember them for longer");
        }
        Ok(())
    }

    /// The rule every [`RateStore`](crate::store::RateStore) follows in [`strike`](crate::store::RateStore::strike): what
    /// to answer and what to keep, `None` if nothing changes.
    #[must_use]
    pub fn strike(&self, row: Option<StrikeRow>, now: Timestamp) -> (Strikes, Option<StrikeRow>) {
        let row = row.filter(|row| now < row.forget_at);
        if let Some(StrikeRow { count, blocked_until: Some(until), .. }) = row
            && now < until
        {
            return (Strikes { allowed: false, count, blocked_until: Some(until) }, None);
        }
        let count = row.map_or(0, |row| row.count).saturating_add(1);
        let blocked_until = self.block_after(count).map(|block| now + block);
        let forget_at = blocked_until.unwrap_or(now) + self.forget_after;
        let row = StrikeRow { count, blocked_until, forget_at };
        (Strikes { allowed: true, count, blocked_until }, Some(row))
    }

    fn block_after(&self, count: u32) -> Option<Duration> {
        let doublings = count.checked_sub(self.free)?;
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        Some(self.first.saturating_mul(factor).min(self.longest))
    }
}

/// What a store keeps for a key that was struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrikeRow {
    /// Failures in a row.
    pub count: u32,
    /// Until when further attempts are refused.
    pub blocked_until: Option<Timestamp>,
    /// When the row says nothing any more and can be deleted.
    pub forget_at: Timestamp,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strikes {
    /// Whether the attempt may go on. If so it was counted as a failure, to be [cleared](crate::store::RateStore::clear)
    /// should it succeed; if not, nothing was counted.
    pub allowed: bool,
    /// Failures in a row, this one included if it was counted.
    pub count: u32,
    /// Until when further attempts are refused.
    pub blocked_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn blocks_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let (mut row, mut now, mut blocks) = (None, at(0), Vec::new());
        for attempt in 1..=40 {
            let (strikes, next) = backoff.strike(row, now);
            assert!(strikes.allowed && strikes.count == attempt, "{attempt}");
            row = next;
            if let Some(until) = strikes.blocked_until {
                blocks.push(until.since(now).as_secs());
                let early = Timestamp::from_micros(until.as_micros() - 1);
                let (refused, unchanged) = backoff.strike(row, early);
                assert!(!refused.allowed && unchanged.is_none(), "{attempt}: a microsecond early");
                now = until;
            }
        }
        assert_eq!(blocks[..12], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(blocks.len(), 36);
    }

    #[test]
    fn failures_are_forgotten() {
        let backoff = Backoff::new(2).with_memory(Duration::from_secs(3_600));
        let (_, row) = backoff.strike(None, at(0));
        assert_eq!(backoff.strike(row, at(3_599)).0.count, 2);
        assert_eq!(backoff.strike(row, at(3_600)).0.count, 1);
    }

    #[test]
    fn what_cannot_stand_is_refused() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        for (name, backoff, fine) in [
            ("default", Backoff::default(), true),
            ("nothing free", Backoff::new(0), false),
            ("no block", Backoff::new(5).with_blocks(Duration::ZERO, hour), false),
            ("shrinks", Backoff::new(5).with_blocks(hour, second), false),
            ("forgets at once", Backoff::new(5).with_memory(second), false),
        ] {
            assert_eq!(backoff.check().is_ok(), fine, "{name}");
        }
        // Unchecked, and at the ends of time, it still doesn't overflow.
        let (_, row) = Backoff::new(0).with_blocks(Duration::MAX, Duration::MAX).strike(None, Timestamp::MAX);
        let _ = Backoff::new(0).strike(row.map(|row| StrikeRow { count: u32::MAX, ..row }), Timestamp::MIN);
    }
}
