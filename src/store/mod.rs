//! Storage ports: [`UserStore`], [`TokenStore`] and [`RateStore`], to be implemented over the application's own database.
//!
//! The traits are few and object-safe, and every step that a rule needs to be atomic is one method; there is never a
//! `get` followed by a `set`. Every key carries the tenant. Time is always the caller's `now`, never the database's
//! clock. No method has a default body.
//!
//! | verb | one step that | of two racing callers |
//! |---|---|---|
//! | [`UserStore::insert`] | takes every login key or none | one gets `Inserted`, the other `Duplicate` |
//! | [`UserStore::replace`] | compares the revision and swaps the record | one gets `Replaced`, the other `Conflict` |
//! | [`TokenStore::consume`] | spends a token and stores its successor | one gets `First` |
//! | [`TokenStore::revoke`] | raises floors and appends to the feed | both count |
//! | [`RateStore::take`] | takes from a quota, or nothing | both count, and no more pass than the quota says |
//! | [`RateStore::strike`] | counts a failure, unless blocked | both count |
//!
//! A caller sees an outcome for everything that is expected - a duplicate, a conflict, a token that was spent - and an
//! [`Error`](crate::Error) for nothing but an outage or a defect; clients see 503 or 500 then. Nothing is deleted on its
//! own: an application calls [`Tokens::purge`](crate::token::Tokens::purge) from time to time.
//!
//! [`MemoryStore`] is the reference implementation. [`conformance`] (feature `test-util`) is the suite it passes, and
//! yours should.
//!
//! ```
//! use portcullis::store::{MemoryStore, User, UserInsertion, UserStore};
//! use portcullis::time::Timestamp;
//! use portcullis::{Subject, TenantId};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! let user = User::new(TenantId::default(), Subject::mint()?, Timestamp::UNIX_EPOCH);
//! assert_eq!(store.insert(&user).await?, UserInsertion::Inserted);
//! assert!(store.get(&user.tenant, &user.id).await?.is_some());
//! # Ok::<(), portcullis::error::Error>(())
//! # }).unwrap();
//! ```

mod encode;
mod memory;
mod rate;
mod revocation;
mod rules;
mod token;
mod user;

#[cfg(feature = "test-util")]
pub mod conformance;
#[cfg(feature = "test-util")]
pub mod fault;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{Subject, TenantId, TokenId};
use crate::rate_limit::{Backoff, Quota, Strikes, Taken};
use crate::time::Timestamp;

pub use memory::MemoryStore;
pub use rate::CounterKey;
pub use revocation::{Cursor, Feed, Kinds, Revocation, RevocationTarget};
pub use token::{
    Attempt, Consume, Consumption, Succession, Successor, TokenInsertion, TokenKind, TokenRecord,
    TokenReplacement,
};
pub use user::{
    FederatedIdentity, LoginKey, LoginKeyKind, LoginName, Page, User, UserInsertion, UserReplacement,
    UserStatus,
};

/// Users: one record each, changed by compare-and-swap.
///
/// # Errors
///
/// Every method fails with [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) if the database cannot be
/// reached and with [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if what it returned cannot be read. An
/// expected outcome, such as a duplicate, is not an error.
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::store::UserStore` for `{Self}`, or use `MemoryStore` or `SqliteStore`"
)]
pub trait UserStore: Send + Sync + 'static {
    /// Stores a new user with all its [login keys](User::login_keys), or nothing.
    ///
    /// Of callers racing with the same id or an equal login key in one tenant, exactly one gets
    /// [`Inserted`](UserInsertion::Inserted).
    async fn insert(&self, user: &User) -> Result<UserInsertion>;

    /// The user with this id.
    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>>;

    /// The user with this login key. Keys are compared byte for byte, with no collation.
    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>>;

    /// Swaps the record for `user`, if its stored revision is `expected_revision`; what is stored then has the
    /// revision `expected_revision + 1`, whatever `user.revision` says. Login keys change in the same step.
    ///
    /// Of callers racing with the same revision exactly one gets [`Replaced`](UserReplacement::Replaced). A deleted
    /// user is not brought back.
    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement>;

    /// Removes the user and frees its login keys. Returns whether it was there.
    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool>;

    /// Users of a tenant in the byte order of their ids.
    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>>;
}

/// Everything long-lived that is not a user: refresh tokens, sessions, API keys, one-time tokens; with the floors and
/// the feed by which they are revoked.
///
/// A *floor* says, for a subject and a kind of credential, below which [`Epoch`](crate::principal::Epoch) credentials
/// are dead. Floors only rise.
///
/// # Errors
///
/// As for [`UserStore`].
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::store::TokenStore` for `{Self}`, or use `MemoryStore` or `SqliteStore`"
)]
pub trait TokenStore: Send + Sync + 'static {
    /// Stores a new record, unless it is below its subject's floor for its kind.
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion>;

    /// The record with this id, expired and consumed ones included. One that is below its floor is returned with
    /// [`revoked_at`](TokenRecord::revoked_at) set, as if it had been revoked by id: [`TokenRecord::seen_under`].
    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>>;

    /// Spends a token and stores its successor in the same step.
    ///
    /// Exactly one caller ever gets [`First`](Consumption::First). The rule is [`TokenRecord::consumption`]: a store
    /// reads the record, its successor and the floor, asks the rule, and carries out the answer, all in one
    /// transaction.
    ///
    /// # Errors
    ///
    /// Also [`ErrorKind::Internal`](crate::error::ErrorKind::Internal), with nothing changed, if the successor would be
    /// stored but its id exists or it has not the [same holder](TokenRecord::has_same_holder).
    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption>;

    /// Swaps the record, if its stored revision is `expected_revision`; what is stored then has the revision
    /// `expected_revision + 1`. A consumed or revoked record is not brought back: `Conflict`. One that is below its floor,
    /// or would be, answers `Stale`. Attempts, last use, consumption and revocation stay as they are stored, whatever
    /// `record` says: [`TokenRecord::replaced_by`].
    ///
    /// # Errors
    ///
    /// Also [`ErrorKind::Internal`](crate::error::ErrorKind::Internal), with nothing changed, if `record` has not the
    /// [same holder](TokenRecord::has_same_holder) as what is stored.
    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement>;

    /// Notes a use and moves the idle expiry, never to an earlier time and never past the absolute expiry. Writes at
    /// most once a minute per record; consumed, revoked, stale and expired records are left alone. The rule is
    /// [`TokenRecord::touched`]. Returns whether it wrote.
    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool>;

    /// Counts one attempt if fewer than `max` have been counted.
    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt>;

    /// Revokes, and appends to the feed, in one step. Revoking what does not exist still appends: access tokens are
    /// not stored, but they are revoked.
    async fn revoke(&self, revocation: &Revocation) -> Result<()>;

    /// The subject's records of a kind that are neither consumed nor revoked nor below the floor, oldest first.
    /// Expired ones are included; the caller has the clock.
    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>>;

    /// Revocations of every tenant that became visible after `cursor` was handed out, a page at a time; an empty page
    /// means that is all. May repeat an entry, never skips one: an entry that commits late appears behind every cursor
    /// handed out before.
    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed>;

    /// Forgets what can have no effect any more: families whose every record is past its absolute expiry, sealed
    /// successors past their grace, feed entries past [`keep_until`](Revocation::keep_until). Floors stay. Returns how
    /// many records went.
    async fn purge(&self, now: Timestamp) -> Result<u64>;
}

/// Counters that instances share: how much of a quota was taken, and failures in a row. Each step is one round trip.
///
/// The rules are [`Quota::take`], [`Quota::give_back`] and [`Backoff::strike`]: a store reads its row, asks the rule, and
/// writes what it answers, all in one step. A row says nothing any more once it is past, and can be deleted then.
///
/// # Errors
///
/// As for [`UserStore`].
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::store::RateStore` for `{Self}`, or use `MemoryStore`"
)]
pub trait RateStore: Send + Sync + 'static {
    /// Takes `cost` from the key's quota, or nothing.
    ///
    /// Of racing callers no more pass than the quota says, and as many.
    async fn take(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken>;

    /// Puts back what was taken at `now` and turned out not to count, never more than is missing. Answers how things stand
    /// then.
    async fn give_back(&self, key: &CounterKey, quota: &Quota, cost: u32, now: Timestamp) -> Result<Taken>;

    /// Counts a failure before it is known to be one, unless the key is blocked; a success [clears](Self::clear) it.
    ///
    /// Racing callers count one after the other, and none that comes after the one that blocks is let through.
    async fn strike(&self, key: &CounterKey, backoff: &Backoff, now: Timestamp) -> Result<Strikes>;

    /// Forgets what the key took and its failures.
    async fn clear(&self, key: &CounterKey) -> Result<()>;

    /// Deletes what says nothing any more. Returns how many rows went.
    async fn purge(&self, now: Timestamp) -> Result<u64>;
}
