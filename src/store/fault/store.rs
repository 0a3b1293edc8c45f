//! The wrappers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::audit::{AuditEvent, AuditSink};
use crate::error::Result;
use crate::id::{Subject, TenantId, TokenId};
use crate::store::fault::{Faults, Operation};
use crate::store::{
    Attempt, Consume, Consumption, Cursor, Feed, LoginKey, Page, Revocation, TokenInsertion, TokenKind,
    TokenRecord, TokenReplacement, TokenStore, User, UserInsertion, UserReplacement, UserStore,
};
use crate::time::Timestamp;

/// Stores that fail when their [`Faults`] say so, and work otherwise.
#[derive(Clone)]
pub struct FaultyStore {
    users: Arc<dyn UserStore>,
    tokens: Arc<dyn TokenStore>,
    faults: Faults,
}

impl FaultyStore {
    /// Over two stores.
    #[must_use]
    pub fn new(users: Arc<dyn UserStore>, tokens: Arc<dyn TokenStore>) -> Self {
        Self { users, tokens, faults: Faults::new() }
    }

    /// Over one store that is both.
    #[must_use]
    pub fn over<S: UserStore + TokenStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self::new(Arc::clone(&store) as Arc<dyn UserStore>, store)
    }

    /// What is to fail.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[async_trait]
impl UserStore for FaultyStore {
    async fn insert(&self, user: &User) -> Result<UserInsertion> {
        self.faults.pass(Operation::UserInsert, self.users.insert(user)).await
    }

    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>> {
        self.faults.pass(Operation::UserGet, self.users.get(tenant, id)).await
    }

    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>> {
        self.faults.pass(Operation::UserFind, self.users.find(tenant, key)).await
    }

    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement> {
        self.faults.pass(Operation::UserReplace, self.users.replace(user, expected_revision)).await
    }

    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool> {
        self.faults.pass(Operation::UserDelete, self.users.delete(tenant, id)).await
    }

    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>> {
        self.faults.pass(Operation::UserList, self.users.list(tenant, page)).await
    }
}

#[async_trait]
impl TokenStore for FaultyStore {
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion> {
        self.faults.pass(Operation::TokenInsert, self.tokens.insert(record)).await
    }

    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>> {
        self.faults.pass(Operation::TokenGet, self.tokens.get(tenant, id)).await
    }

    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption> {
        self.faults.pass(Operation::TokenConsume, self.tokens.consume(consume)).await
    }

    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement> {
        self.faults.pass(Operation::TokenReplace, self.tokens.replace(record, expected_revision)).await
    }

    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        self.faults.pass(Operation::TokenTouch, self.tokens.touch(tenant, id, now, expires_at)).await
    }

    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt> {
        self.faults.pass(Operation::TokenCountAttempt, self.tokens.count_attempt(tenant, id, max)).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        self.faults.pass(Operation::TokenRevoke, self.tokens.revoke(revocation)).await
    }

    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>> {
        self.faults.pass(Operation::TokenList, self.tokens.list(tenant, subject, kind)).await
    }

    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed> {
        self.faults.pass(Operation::TokenRevokedSince, self.tokens.revoked_since(cursor)).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        self.faults.pass(Operation::TokenPurge, self.tokens.purge(now)).await
    }
}

/// An audit sink that fails when its [`Faults`] say so, and works otherwise.
#[derive(Clone)]
pub struct FaultySink {
    sink: Arc<dyn AuditSink>,
    faults: Faults,
}

impl FaultySink {
    /// Over a sink; hand in [`FaultyStore::faults`] to have one trace of both.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>, faults: Faults) -> Self {
        Self { sink, faults }
    }

    /// What is to fail.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl fmt::Debug for FaultySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultySink").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[async_trait]
impl AuditSink for FaultySink {
    async fn record(&self, events: &[AuditEvent]) -> Result<()> {
        self.faults.pass(Operation::AuditRecord, self.sink.record(events)).await
    }

    async fn flush(&self) -> Result<()> {
        self.faults.pass(Operation::AuditFlush, self.sink.flush()).await
    }
}
