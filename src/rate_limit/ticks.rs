//! The clock of a table: ticks that suit its quota, without a division to read it.

use std::time::Duration;

use super::gcra::Gcra;
use super::quota::{Quota, SKEW};

/// The time an arrival can lie ahead is about so many ticks, so that a clock of 2^40 ticks turns over after 2^14 times that.
const RANGE: u64 = 1 << 26;

/// How long a tick is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    in_a_microsecond: Ratio,
    /// Microseconds in a tick, as a fraction.
    micros: (u64, u64),
}

impl Ticks {
    /// Ticks for a quota, and the quota in ticks. An interval is a whole number of them, so that nothing is lost however
    /// many requests there are. Each reading of the clock loses up to a tick, and a wait may be said to be shorter by one,
    /// so two are forgiven.
    pub(super) fn of(quota: Quota) -> (Self, Gcra) {
        let (count, period) = (u64::from(quota.count().max(1)), micros_of(quota.period()));
        let range = quota.refill_nanos().div_ceil(1_000).saturating_add(SKEW.as_micros()).max(1);
        let interval =
            u128::from(RANGE).saturating_mul(period.into()) / u128::from(count).saturating_mul(range);
        let interval = u64::try_from(interval).unwrap_or(u64::MAX).max(1);
        let in_period = interval.saturating_mul(count);
        let ticks = Self { in_a_microsecond: Ratio::new(in_period, period), micros: (period, in_period) };
        (ticks, Gcra::new(interval, quota.max_burst(), 2))
    }

    /// Whole ticks; modulo 2^64.
    #[inline]
    pub(super) fn of_micros(self, micros: u64) -> u64 {
        self.in_a_microsecond.down(micros)
    }

    /// Rounded up to a microsecond. What is above a whole second by no more than a tick is that second: two readings of the
    /// clock lose as much, and a client that is told whole seconds should not wait for one more.
    pub(super) fn duration(self, ticks: u64) -> Duration {
        let (numerator, denominator) = self.micros;
        let micros = match ticks.checked_mul(numerator) {
            Some(product) => product.div_ceil(denominator),
            None => {
                let product = u128::from(ticks) * u128::from(numerator);
                u64::try_from(product.div_ceil(u128::from(denominator))).unwrap_or(u64::MAX)
            }
        };
        let over = micros % 1_000_000;
        let is_lost = numerator >= denominator && over <= numerator.div_ceil(denominator) && over < micros;
        Duration::from_micros(if is_lost { micros - over } else { micros })
    }
}

pub(super) fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A fraction, to be multiplied by without dividing: `factor / 2^shift`, `factor` of 62 bits or more where there is room for them.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    factor: u64,
    shift: u32,
}

impl Ratio {
    /// The fraction, rounded down to 62 bits; a denominator of zero is one.
    fn new(numerator: u64, denominator: u64) -> Self {
        let (numerator, denominator) = (u128::from(numerator), u128::from(denominator.max(1)));
        let mut best = Self { factor: u64::try_from(numerator / denominator).unwrap_or(u64::MAX), shift: 0 };
        for shift in 1..=numerator.leading_zeros().min(127) {
            match u64::try_from((numerator << shift) / denominator) {
                Ok(factor) if factor < 1 << 63 => best = Self { factor, shift },
                _ => break,
            }
        }
        best
    }

    /// `n` times the fraction, never too much; modulo 2^64.
    #[inline]
    fn down(self, n: u64) -> u64 {
        let whole = (u128::from(n) * u128::from(self.factor)) >> self.shift;
        (whole & u128::from(u64::MAX)).try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_fraction() {
        for (numerator, denominator) in [
            (1, 1),
            (60, 60_000_000),
            (1 << 58, 86_400_000_000),
            (86_400_000_000, 1 << 58),
            (u64::MAX, 1),
            (1, u64::MAX),
            (0, 5),
            (7, 0),
        ] {
            let ratio = Ratio::new(numerator, denominator);
            let exact = |n: u64| u128::from(n) * u128::from(numerator) / u128::from(denominator.max(1));
            for n in [0, 1, 59, 1_000_003, 1_800_000_000_000_000, 1 << 40] {
                let want = exact(n);
                if want < 1 << 60 {
                    let down = u128::from(ratio.down(n));
                    assert!(
                        down <= want && want <= down + 1,
                        "{n} * {numerator}/{denominator}: {down}, {want}"
                    );
                }
            }
            let _ = ratio.down(u64::MAX);
        }
    }
}
