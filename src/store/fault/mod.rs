//! Stores that fail on demand: for proving that an outage in the middle of a flow ends in a refusal, never in a pass.
//!
//! [`FaultyStore`], [`FaultyRateStore`] and [`FaultySink`] pass every call on, unless their [`Faults`] say otherwise. One handle can stand
//! over several of them, and keeps a trace of the calls in their order.
//!
//! ```
//! use portcullis::error::ErrorKind;
//! use portcullis::store::fault::{Failure, FaultyStore, Operation};
//! use portcullis::store::{MemoryStore, User, UserStore};
//! use portcullis::time::Timestamp;
//! use portcullis::{Subject, TenantId};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = FaultyStore::over(MemoryStore::new());
//! let user = User::new(TenantId::default(), Subject::mint()?, Timestamp::UNIX_EPOCH);
//!
//! // The write happens, but nobody hears of it.
//! store.faults().fail_nth(1, Failure::AnswerLost);
//! assert_eq!(store.insert(&user).await.unwrap_err().kind(), ErrorKind::Unavailable);
//! assert!(store.get(&user.tenant, &user.id).await?.is_some());
//! assert_eq!(store.faults().calls(), [Operation::UserInsert, Operation::UserGet]);
//! # Ok::<(), portcullis::error::Error>(())
//! # }).unwrap();
//! ```

mod rates;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};

pub use rates::FaultyRateStore;
pub use store::{FaultySink, FaultyStore};

/// A call of one of the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`UserStore::insert`](crate::store::UserStore::insert)
    UserInsert,
    /// [`UserStore::get`](crate::store::UserStore::get)
    UserGet,
    /// [`UserStore::find`](crate::store::UserStore::find)
    UserFind,
    /// [`UserStore::replace`](crate::store::UserStore::replace)
    UserReplace,
    /// [`UserStore::delete`](crate::store::UserStore::delete)
    UserDelete,
    /// [`UserStore::list`](crate::store::UserStore::list)
    UserList,
    /// [`TokenStore::insert`](crate::store::TokenStore::insert)
    TokenInsert,
    /// [`TokenStore::get`](crate::store::TokenStore::get)
    TokenGet,
    /// [`TokenStore::consume`](crate::store::TokenStore::consume)
    TokenConsume,
    /// [`TokenStore::replace`](crate::store::TokenStore::replace)
    TokenReplace,
    /// [`TokenStore::touch`](crate::store::TokenStore::touch)
    TokenTouch,
    /// [`TokenStore::count_attempt`](crate::store::TokenStore::count_attempt)
    TokenCountAttempt,
    /// [`TokenStore::revoke`](crate::store::TokenStore::revoke)
    TokenRevoke,
    /// [`TokenStore::list`](crate::store::TokenStore::list)
    TokenList,
    /// [`TokenStore::revoked_since`](crate::store::TokenStore::revoked_since)
    TokenRevokedSince,
    /// [`TokenStore::purge`](crate::store::TokenStore::purge)
    TokenPurge,
    /// [`RateStore::take`](crate::store::RateStore::take)
    RateTake,
    /// [`RateStore::give_back`](crate::store::RateStore::give_back)
    RateGiveBack,
    /// [`RateStore::strike`](crate::store::RateStore::strike)
    RateStrike,
    /// [`RateStore::clear`](crate::store::RateStore::clear)
    RateClear,
    /// [`RateStore::purge`](crate::store::RateStore::purge)
    RatePurge,
    /// [`AuditSink::record`](crate::audit::AuditSink::record)
    AuditRecord,
    /// [`AuditSink::flush`](crate::audit::AuditSink::flush)
    AuditFlush,
}

/// How a call fails. The caller can't tell these apart: both are
/// [`ErrorKind::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was done.
    NotDone,
    /// It was done, but the answer is lost.
    AnswerLost,
}

/// What is to fail, and what was called. Clones share both.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    calls: Vec<Operation>,
    nth: HashMap<usize, Failure>,
    every: HashMap<Operation, Failure>,
    all: Option<Failure>,
}

impl Faults {
    /// Nothing fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the nth call from now, whatever it is; 1 is the next one, 0 is none.
    pub fn fail_nth(&self, n: usize, failure: Failure) {
        let mut state = self.state();
        let number = state.calls.len().saturating_add(n);
        if n > 0 {
            state.nth.insert(number, failure);
        }
    }

    /// Fails every call of this operation from now on.
    pub fn fail_every(&self, operation: Operation, failure: Failure) {
        self.state().every.insert(operation, failure);
    }

    /// Fails every call from now on.
    pub fn fail_all(&self, failure: Failure) {
        self.state().all = Some(failure);
    }

    /// From now on nothing fails. The trace stays.
    pub fn heal(&self) {
        let mut state = self.state();
        *state = State { calls: std::mem::take(&mut state.calls), ..State::default() };
    }

    /// The calls so far, failed ones included, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<Operation> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, operation: Operation) -> Option<Failure> {
        let mut state = self.state();
        state.calls.push(operation);
        let number = state.calls.len();
        state.nth.remove(&number).or_else(|| state.every.get(&operation).copied()).or(state.all)
    }

    /// Carries a call out, or fails it.
    async fn pass<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let failed = || Err(Error::new(ErrorKind::Unavailable, "a fault was injected"));
        match self.note(operation) {
            None => call.await,
            Some(Failure::NotDone) => failed(),
            Some(Failure::AnswerLost) => {
                call.await?;
                failed()
            }
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.state().calls.len()).finish_non_exhaustive()
    }
}
