//! Data keys in the clear: not for long, not for much, not many.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::data_key::DataKey;
use crate::crypto::WrappedKey;
use crate::error::ErrorKind;

/// How long, how often and how many data keys are kept in the clear. Zero of either keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct CacheLimits {
    max_age: Duration,
    max_uses: u64,
    max_keys: usize,
}

impl CacheLimits {
    /// Every use asks for the key anew.
    pub const NONE: Self = Self { max_age: Duration::ZERO, max_uses: 0, max_keys: 0 };

    /// How long after it was unwrapped a key is used at most.
    pub const fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// How often a key is used at most for each time it is unwrapped. All who waited for it together get it, even if they
    /// are more.
    pub const fn with_max_uses(self, max_uses: u64) -> Self {
        Self { max_uses, ..self }
    }

    /// How many keys there are at most.
    pub const fn with_max_keys(self, max_keys: usize) -> Self {
        Self { max_keys, ..self }
    }
}

impl Default for CacheLimits {
    /// 5 minutes, 100 000 uses, 1000 keys.
    fn default() -> Self {
        Self { max_age: Duration::from_mins(5), max_uses: 100_000, max_keys: 1000 }
    }
}

/// Bounded, and shared by all who unwrap. Time is the caller's, monotonic.
pub(super) struct Cache {
    limits: CacheLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Arc<WrappedKey>, Kept>,
    /// What is kept, in the order in which it goes. Also numbers of what went before its turn.
    order: VecDeque<(u64, Arc<WrappedKey>)>,
    /// What is being unwrapped right now. As many at most as there are calls.
    flights: HashMap<Arc<WrappedKey>, Shared>,
    next: u64,
}

struct Kept {
    number: u64,
    key: DataKey,
    since: Duration,
    uses: u64,
    /// Used since its turn to go came last.
    used: bool,
}

struct Shared {
    slot: Arc<Slot>,
    riders: u64,
}

type Slot = OnceCell<Outcome>;

/// What all who waited get.
pub(super) type Outcome = Result<DataKey, Failure>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Refused,
    Failed(ErrorKind),
}

pub(super) enum Found<'a> {
    Key(DataKey),
    /// Nobody has it: whoever comes first unwraps it, the others wait.
    Flight(Flight<'a>),
}

pub(super) struct Flight<'a> {
    cache: &'a Cache,
    wrapped: Arc<WrappedKey>,
    slot: Arc<Slot>,
}

impl Cache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(super) fn find(&self, wrapped: &WrappedKey, now: Duration) -> Found<'_> {
        let mut state = self.lock();
        if let Some(kept) = state.kept.get_mut(wrapped) {
            kept.uses = kept.uses.saturating_add(1);
            kept.used = true;
            let last = kept.uses >= self.limits.max_uses;
            let key = self.is_live(kept, now).then(|| kept.key.clone());
            if key.is_none() || last {
                state.remove(wrapped);
            }
            if let Some(key) = key {
                return Found::Key(key);
            }
        }
        if let Some((wrapped, _)) = state.flights.get_key_value(wrapped) {
            let wrapped = Arc::clone(wrapped);
            if let Some(shared) = state.flights.get_mut(&wrapped) {
                shared.riders += 1;
                return Found::Flight(Flight { cache: self, wrapped, slot: Arc::clone(&shared.slot) });
            }
        }
        let (wrapped, slot) = (Arc::new(wrapped.clone()), Arc::<Slot>::default());
        state.flights.insert(Arc::clone(&wrapped), Shared { slot: Arc::clone(&slot), riders: 1 });
        Found::Flight(Flight { cache: self, wrapped, slot })
    }

    pub(super) fn forget(&self, wrapped: &WrappedKey) {
        let mut state = self.lock();
        state.remove(wrapped);
        // What is in flight reaches those who asked before, and isn't kept.
        state.flights.remove(wrapped);
    }

    pub(super) fn forget_all(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn purge(&self, now: Duration) {
        let mut state = self.lock();
        state.kept.retain(|_, kept| self.is_live(kept, now));
        state.tidy();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().kept.len()
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.lock().flights.len()
    }

    fn is_live(&self, kept: &Kept, now: Duration) -> bool {
        now.saturating_sub(kept.since) < self.limits.max_age
    }

    fn keep(&self, state: &mut State, wrapped: Arc<WrappedKey>, key: DataKey, since: Duration, uses: u64) {
        let CacheLimits { max_age, max_uses, max_keys } = self.limits;
        if max_age.is_zero() || max_keys == 0 || uses >= max_uses {
            return;
        }
        // Those that are over go first, so that no key lies about until its place is needed.
        while let Some((number, front)) = state.order.front() {
            match state.kept.get(front) {
                Some(kept) if kept.number == *number && self.is_live(kept, since) => break,
                Some(kept) if kept.number == *number => drop(state.kept.remove(&Arc::clone(front))),
                _ => {}
            }
            state.order.pop_front();
        }
        while state.kept.len() >= max_keys && state.evict() {}
        let number = state.next;
        state.next += 1;
        state.order.push_back((number, Arc::clone(&wrapped)));
        state.kept.insert(wrapped, Kept { number, key, since, uses, used: false });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, wrapped: &WrappedKey) {
        self.kept.remove(wrapped);
        if self.order.len() > 2 * self.kept.len() + 16 {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let kept = &self.kept;
        self.order.retain(|(number, wrapped)| kept.get(wrapped).is_some_and(|kept| kept.number == *number));
    }

    /// Drops the first that was not used since its last turn: keys in use outlast a flood of those used once.
    fn evict(&mut self) -> bool {
        while let Some((number, wrapped)) = self.order.pop_front() {
            match self.kept.get_mut(&wrapped) {
                Some(kept) if kept.number == number => {
                    if std::mem::take(&mut kept.used) {
                        self.order.push_back((number, wrapped));
                        continue;
                    }
                    self.kept.remove(&wrapped);
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

impl Flight<'_> {
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Ends the flight: who comes later finds the key, if it is kept, or tries anew. `since` is when unwrapping began.
    pub(super) fn land(&self, outcome: &Outcome, since: Duration) {
        let mut state = self.cache.lock();
        if !state.flights.get(&self.wrapped).is_some_and(|shared| Arc::ptr_eq(&shared.slot, &self.slot)) {
            return;
        }
        let riders = state.flights.remove(&self.wrapped).map_or(1, |shared| shared.riders);
        if let Ok(key) = outcome {
            self.cache.keep(&mut state, Arc::clone(&self.wrapped), key.clone(), since, riders);
        }
    }
}

impl Drop for Flight<'_> {
    /// If nobody is left to land it, it is over.
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        let Some(shared) = state.flights.get_mut(&self.wrapped) else { return };
        if Arc::ptr_eq(&shared.slot, &self.slot) {
            shared.riders -= 1;
            if shared.riders == 0 {
                state.flights.remove(&self.wrapped);
            }
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("limits", &self.limits).field("keys", &self.len()).finish()
    }
}
