//! The reference implementation of the storage ports.

mod rates;
mod tokens;
mod users;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Users, tokens and counters in memory: the reference implementation, for tests and examples. Everything is gone with the last
/// clone.
///
/// Clones share their content. Each part is behind one lock, so every verb is one step.
#[derive(Clone, Default)]
pub struct MemoryStore {
    users: Arc<Mutex<users::Users>>,
    tokens: Arc<Mutex<tokens::Tokens>>,
    rates: Arc<Mutex<rates::Rates>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore(..)")
    }
}

/// Nothing that runs under a lock panics between two changes, so a poisoned lock guards a sound state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
