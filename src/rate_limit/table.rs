//! Counting in this process, in memory of a fixed size: [`RateTable`].

use std::fmt;
use std::hash::{Hash, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::gcra::{Gcra, Step};
use super::quota::{Quota, SKEW, Taken};
use super::sip::SipKey;
use super::ticks::{Ticks, micros_of};
use crate::error::ConfigError;
use crate::time::Timestamp;

/// A cache line has so many slots.
const SLOTS: usize = 8;
/// A slot is `fingerprint << ARRIVAL_BITS | arrival`. A fingerprint is never 0, so 0 is an empty slot.
const ARRIVAL_BITS: u32 = 40;
const ARRIVAL: u64 = (1 << ARRIVAL_BITS) - 1;
/// New keys with the same low bits wait for each other.
const STRIPES: usize = 256;
/// A new key goes to its first line while that has room to spare, so that most are found at their first look.
const ROOMY: usize = 5;
const MAX_KEYS: usize = 1 << 32;

/// A quota for each of many keys, counted in this process.
///
/// Its memory is fixed when it is made, 16 to 32 bytes for each key it is made for, whatever comes. A check reads one or
/// two cache lines and writes one word of them: no lock, no allocation. Only the first request of a key takes one of 256
/// locks, for as long as it takes to write the word.
///
/// # What it may get wrong
///
/// | what | how often | then |
/// |---|---|---|
/// | two keys are taken for one: their 24-bit fingerprints are equal and they share a line | for a new key at most 16 in 2^24, one in a million | they share a quota |
/// | a live key is forgotten: both its lines are full | a table filled as it was made for: fewer than 1 key in 1000. Overfilled: each new key displaces one | it has a whole burst again; [`evicted`](Self::evicted) counts it |
/// | a key comes back that was idle for 16 384 times its refill time (11 days for 60 a minute) and whose slot nobody needed | one in 16 384 | it may be refused for at most one refill time and a minute |
///
/// What is forgotten first is the key that is nearest to having its whole quota again, so a flood of addresses that send a
/// request each displaces its own before it displaces a busy client. Keys are hashed under a random key of 128 bits
/// (SipHash-1-3), so that nobody can choose keys that meet.
///
/// The clock is the caller's, and may be up to a minute behind for some: requests are seldom counted in the order of their
/// times. What lies further ahead than a whole burst and that minute is forgotten, because then a clock was set back.
///
/// ```
/// use portcullis::rate_limit::{Quota, RateTable};
/// use portcullis::time::{Clock, ManualClock};
///
/// let (table, clock) = (RateTable::new(Quota::per_minute(2), 10_000)?, ManualClock::default());
/// assert!(table.take("ada", 1, clock.now()).allowed);
/// assert!(table.take("ada", 1, clock.now()).allowed);
/// let refused = table.take("ada", 1, clock.now());
/// assert_eq!((refused.allowed, refused.retry_after.as_secs()), (false, 30));
/// assert!(table.take("ben", 1, clock.now()).allowed);
///
/// clock.advance(refused.retry_after);
/// assert!(table.take("ada", 1, clock.now()).allowed);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
pub struct RateTable {
    quota: Quota,
    rule: Gcra,
    ticks: Ticks,
    /// What lies further ahead is not an arrival.
    furthest: u64,
    key: SipKey,
    lines: Box<[Line]>,
    inserting: Box<[Mutex<()>]>,
    evicted: AtomicU64,
}

/// One cache line.
#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; SLOTS]);

/// What became of a request, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Drawn {
    pub(super) allowed: bool,
    /// How far ahead the key's arrival lies now.
    ahead: u64,
    /// How much later the request would pass.
    wait: u64,
}

/// Where a key may be.
struct Place<'a> {
    fingerprint: u64,
    home: &'a Line,
    other: &'a Line,
    stripe: &'a Mutex<()>,
}

impl RateTable {
    /// A table for about `keys` keys at a time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the quota [cannot stand](Quota::check), `keys` is not 1 to 2^32, or the operating system has no
    /// randomness to give.
    pub fn new(quota: Quota, keys: usize) -> Result<Self, ConfigError> {
        let key = SipKey::random().map_err(|_| {
            ConfigError::new("rate limit", "got no randomness from the operating system", "try again")
        })?;
        Self::with_key(quota, keys, key)
    }

    pub(super) fn with_key(quota: Quota, keys: usize, key: SipKey) -> Result<Self, ConfigError> {
        quota.check()?;
        if keys == 0 || keys > MAX_KEYS {
            return Err(ConfigError::new(
                "capacity",
                "is not between 1 and 2^32 keys",
                "say how many clients may be active within one refill time",
            ));
        }
        let count = keys.saturating_mul(2).div_ceil(SLOTS).next_power_of_two().max(2);
        let (ticks, rule) = Ticks::of(quota);
        let skew = ticks.of_micros(micros_of(SKEW)).min(1 << 38);
        Ok(Self {
            quota,
            rule,
            ticks,
            furthest: rule.furthest().saturating_add(skew),
            key,
            lines: (0..count).map(|_| Line::default()).collect(),
            inserting: (0..STRIPES).map(|_| Mutex::default()).collect(),
            evicted: AtomicU64::new(0),
        })
    }

    /// Takes `cost` from the key's quota at `now`, or nothing. A cost above the burst counts as the burst.
    pub fn take<K: Hash + ?Sized>(&self, key: &K, cost: u32, now: Timestamp) -> Taken {
        self.taken(self.draw(self.hash(key), cost, now))
    }

    /// As [`take`](Self::take), for those who want to know nothing but whether it passed.
    pub fn allows<K: Hash + ?Sized>(&self, key: &K, cost: u32, now: Timestamp) -> bool {
        self.draw(self.hash(key), cost, now).allowed
    }

    /// Takes back what [`take`](Self::take) took. What was forgotten meanwhile stays forgotten.
    pub fn give_back<K: Hash + ?Sized>(&self, key: &K, cost: u32, now: Timestamp) {
        self.put_back(self.hash(key), cost, now);
    }

    /// The quota of every key.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How many keys that had taken something were forgotten for want of room, since the table was made.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// How many bytes it has. They don't change.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.inserting) + size_of_val(self)
    }

    fn hash<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        let mut hasher = self.key.hasher();
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// [`take`](Self::take) for a hash under a key that nobody outside knows.
    #[inline]
    pub(super) fn draw(&self, hash: u64, cost: u32, now: Timestamp) -> Drawn {
        let Some(place) = self.place(hash) else { return self.refused() };
        let now = self.tick(now);
        loop {
            let Some((slot, word)) = place.find() else {
                if cost == 0 {
                    return Drawn { allowed: true, ahead: 0, wait: 0 };
                }
                match self.insert(&place, cost, now) {
                    Some(drawn) => return drawn,
                    None => continue,
                }
            };
            let ahead = self.ahead(word, now);
            match self.rule.step(ahead, cost) {
                Step::Wait { by } => return Drawn { allowed: false, ahead, wait: by },
                Step::Pass { ahead } if cost == 0 => return Drawn { allowed: true, ahead, wait: 0 },
                Step::Pass { ahead } => {
                    // One word says everything there is to say of a key, so no order with others matters.
                    let next = place.word(now, ahead);
                    if slot.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                        return Drawn { allowed: true, ahead, wait: 0 };
                    }
                }
            }
        }
    }

    /// What [`draw`](Self::draw) would say; takes nothing.
    pub(super) fn look(&self, hash: u64, cost: u32, now: Timestamp) -> Drawn {
        let Some(place) = self.place(hash) else { return self.refused() };
        let now = self.tick(now);
        let ahead = place.find().map_or(0, |(_, word)| self.ahead(word, now));
        match self.rule.step(ahead, cost) {
            Step::Wait { by } => Drawn { allowed: false, ahead, wait: by },
            Step::Pass { .. } => Drawn { allowed: true, ahead, wait: 0 },
        }
    }

    /// [`give_back`](Self::give_back) for a hash. Returns how things stand then.
    pub(super) fn put_back(&self, hash: u64, cost: u32, now: Timestamp) -> Drawn {
        let Some(place) = self.place(hash) else { return self.refused() };
        let now = self.tick(now);
        while let Some((slot, word)) = place.find() {
            let before = self.ahead(word, now);
            if before == 0 {
                break;
            }
            let ahead = self.rule.give_back(before, cost);
            let next = place.word(now, ahead);
            if slot.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Drawn { allowed: true, ahead, wait: 0 };
            }
        }
        Drawn { allowed: true, ahead: 0, wait: 0 }
    }

    pub(super) fn taken(&self, drawn: Drawn) -> Taken {
        Taken {
            allowed: drawn.allowed,
            remaining: self.rule.remaining(drawn.ahead),
            retry_after: self.ticks.duration(drawn.wait),
            reset: self.ticks.duration(drawn.ahead),
        }
    }

    /// Writes a key that is not there. `None` if it is there by now.
    #[cold]
    fn insert(&self, place: &Place<'_>, cost: u32, now: u64) -> Option<Drawn> {
        // Nothing panics under this lock. Without it, two requests of one new key could each write it in a slot of their
        // own and count apart.
        let _alone = place.stripe.lock().unwrap_or_else(PoisonError::into_inner);
        if place.find().is_some() {
            return None;
        }
        let ahead = match self.rule.step(0, cost) {
            Step::Pass { ahead } => ahead,
            Step::Wait { by } => return Some(Drawn { allowed: false, ahead: 0, wait: by }),
        };
        let next = place.word(now, ahead);
        loop {
            let Some((slot, word)) = self.victim(place, now) else { return Some(self.refused()) };
            // Other keys are written and counted meanwhile.
            if slot.compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                if self.ahead(word, now) > 0 {
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                return Some(Drawn { allowed: true, ahead, wait: 0 });
            }
        }
    }

    /// The slot for a new key: one that says nothing any more, in the emptier line unless the first has room to spare;
    /// or else the one nearest to that.
    fn victim<'a>(&self, place: &Place<'a>, now: u64) -> Option<(&'a AtomicU64, u64)> {
        let (home, other) = (self.survey(place.home, now), self.survey(place.other, now));
        let in_home = home.live <= ROOMY || home.live <= other.live;
        let by_age = |&(ahead, _, _): &(u64, &AtomicU64, u64)| ahead;
        let chosen = if home.live == SLOTS && other.live == SLOTS {
            [home.first, other.first].into_iter().flatten().min_by_key(by_age)
        } else if in_home && home.live < SLOTS {
            home.first
        } else {
            other.first
        };
        chosen.map(|(_, slot, word)| (slot, word))
    }

    /// How many slots of a line are live, and which one is first to go.
    fn survey<'a>(&self, line: &'a Line, now: u64) -> Survey<'a> {
        let slots = line.0.iter().map(|slot| {
            let word = slot.load(Ordering::Relaxed);
            (self.ahead(word, now), slot, word)
        });
        slots.fold(Survey { live: 0, first: None }, |survey, found| Survey {
            live: survey.live + usize::from(found.0 > 0),
            first: Some(survey.first.filter(|first| first.0 <= found.0).unwrap_or(found)),
        })
    }

    #[inline]
    fn place(&self, hash: u64) -> Option<Place<'_>> {
        let mask = self.lines.len().wrapping_sub(1);
        let index = |bits: u64| usize::try_from(bits & mask as u64).unwrap_or(0);
        // The fingerprint is the upper bits, the first line the lower ones; the other line depends on all of them.
        let home = index(hash);
        let far = index((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 31);
        let other = if far == home { home ^ 1 } else { far };
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or(0);
        Some(Place {
            fingerprint: (hash >> ARRIVAL_BITS).max(1),
            home: self.lines.get(home)?,
            other: self.lines.get(other)?,
            stripe: self.inserting.get(stripe)?,
        })
    }

    #[inline]
    fn tick(&self, now: Timestamp) -> u64 {
        self.ticks.of_micros(now.as_micros().cast_unsigned()) & ARRIVAL
    }

    /// How far ahead the arrival in a slot lies; 0 if it says nothing any more: past, or from before the clock turned
    /// over or was set back, or empty.
    #[inline]
    fn ahead(&self, word: u64, now: u64) -> u64 {
        let ahead = word.wrapping_sub(now) & ARRIVAL;
        if ahead <= self.furthest && word >> ARRIVAL_BITS != 0 { ahead } else { 0 }
    }

    fn refused(&self) -> Drawn {
        Drawn { allowed: false, ahead: self.rule.window(), wait: self.rule.window() }
    }
}

struct Survey<'a> {
    live: usize,
    first: Option<(u64, &'a AtomicU64, u64)>,
}

impl<'a> Place<'a> {
    #[inline]
    fn find(&self) -> Option<(&'a AtomicU64, u64)> {
        self.home.find(self.fingerprint).or_else(|| self.other.find(self.fingerprint))
    }

    #[inline]
    fn word(&self, now: u64, ahead: u64) -> u64 {
        (self.fingerprint << ARRIVAL_BITS) | (now.wrapping_add(ahead) & ARRIVAL)
    }
}

impl Line {
    #[inline]
    fn find(&self, fingerprint: u64) -> Option<(&AtomicU64, u64)> {
        // All eight, without a branch for each: where in its line a key stands can't be foreseen.
        let found = self.0.iter().enumerate().fold(0_u32, |found, (n, slot)| {
            found | u32::from(slot.load(Ordering::Relaxed) >> ARRIVAL_BITS == fingerprint) << n
        });
        let slot = self.0.get(usize::try_from(found.trailing_zeros()).unwrap_or(SLOTS))?;
        let word = slot.load(Ordering::Relaxed);
        // It may have become another's meanwhile.
        (word >> ARRIVAL_BITS == fingerprint).then_some((slot, word))
    }
}

impl fmt::Debug for RateTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateTable")
            .field("quota", &self.quota)
            .field("bytes", &self.bytes())
            .field("evicted", &self.evicted())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
