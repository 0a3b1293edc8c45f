//! Time as an argument: [`Clock`], [`SystemClock`] and, for tests, [`ManualClock`].
//!
//! Nothing in this crate reads the system's clock on its own. Expiry, leeway, rotation and grace are decided
//! from a [`Timestamp`] handed in, so they can be tested to the microsecond without sleeping.
//!
//! ```
//! use portcullis::time::{Clock, ManualClock};
//! use std::time::Duration;
//!
//! let clock = ManualClock::default();
//! let before = clock.now();
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(clock.now().since(before), Duration::from_secs(60));
//! ```

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Arithmetic saturates; no configuration and no claim can make it overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest representable time.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest representable time.
    pub const MAX: Self = Self(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From seconds since the Unix epoch, as in a JWT's `NumericDate` (RFC 7519 section 2).
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    seconds.and_then(|all| all.checked_add(duration.subsec_micros().into())).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(micros(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(micros(rhs)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}us)", self.0)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time of day. It may step when the machine's clock is set.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary origin that never steps back, for judging how old something in memory is.
    fn monotonic(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// The machine's clock; its monotonic origin is this call.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp::UNIX_EPOCH + after,
            Err(before) => Timestamp::UNIX_EPOCH - before.duration(),
        }
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when told to. Clones share their time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    now: AtomicI64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Hands { now: AtomicI64::new(now.as_micros()), monotonic: AtomicU64::new(0) }))
    }

    /// Moves both hands forward.
    pub fn advance(&self, by: Duration) {
        let by = micros(by);
        self.0.now.fetch_add(by, Ordering::SeqCst);
        self.0.monotonic.fetch_add(by.unsigned_abs(), Ordering::SeqCst);
    }

    /// Sets the time of day as an operator or NTP would, leaving the monotonic hand alone.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_secs(1_767_225_600))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.monotonic.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::from_secs(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        let (whole, rest) = (9_223_372_036_854, 775_807);
        for (seconds, micros, want) in [
            (whole, rest, i64::MAX),
            (whole, rest - 1, i64::MAX - 1),
            (whole, rest + 1, i64::MAX),
            (whole + 1, 0, i64::MAX),
            (i64::MAX.unsigned_abs(), 0, i64::MAX),
            (u64::MAX, 999_999, i64::MAX),
            (1, 1, 1_000_001),
        ] {
            let duration = Duration::new(seconds, 1000 * micros + 999);
            assert_eq!((Timestamp::UNIX_EPOCH + duration).as_micros(), want, "{duration:?}");
            assert_eq!((Timestamp::UNIX_EPOCH - duration).as_micros(), -want, "{duration:?}");
        }
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_micros(1_999_999).as_secs(), 1);
        assert_eq!(Timestamp::from_micros(-1).as_secs(), -1);
    }

    #[test]
    fn setting_the_time_of_day_leaves_the_monotonic_hand_alone() {
        let clock = ManualClock::default();
        clock.advance(Duration::from_secs(5));
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
