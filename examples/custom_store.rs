//! A store of one's own, and the proof that it is safe.
//!
//! Both ports over the simplest database there is, one map from text to bytes behind one lock, as a storage developer
//! would write them: users as JSON documents, every rule asked of the crate, every verb one "transaction". Then the
//! public conformance suite runs over it.
//!
//! ```text
//! cargo run --example custom_store
//! ```
//!
//! Expect a line for each check, ending in `all of them passed`. In a crate of your own, put
//! `portcullis::store_conformance!(make);` into a test module instead: one test for each check.
//!
//! To see the suite bite, take the lock out of `consume` after its first look-up, or leave the tenant out of a key.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use portcullis::error::{Error, ErrorKind, Result};
use portcullis::id::{Subject, TenantId, TokenId};
use portcullis::principal::Epoch;
use portcullis::store::conformance::{CHECKS, Harness, check};
use portcullis::store::{
    Attempt, Consume, Consumption, Cursor, Feed, LoginKey, LoginKeyKind, Page, Revocation, RevocationTarget,
    Successor, TokenInsertion, TokenKind, TokenRecord, TokenReplacement, TokenStore, User, UserInsertion,
    UserReplacement, UserStore,
};
use portcullis::time::Timestamp;

#[tokio::main]
async fn main() {
    for name in CHECKS {
        check(name, OwnHarness(OwnStore::default())).await;
        println!("passed: {name}");
    }
    println!("{} checks, all of them passed", CHECKS.len());
}

/// How the suite opens the store: empty, for each check.
struct OwnHarness(OwnStore);

impl Harness for OwnHarness {
    fn users(&self) -> Arc<dyn UserStore> {
        Arc::new(self.0.clone())
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Result<bool> {
        // A store that keeps its data closes here and opens again, and says `true`.
        Ok(false)
    }
}

/// The store. What is behind the lock stands for a database, holding the lock for a transaction.
#[derive(Clone, Default)]
struct OwnStore(Arc<Mutex<Database>>);

#[derive(Default)]
struct Database {
    /// (tenant, id) -> revision and document.
    users: BTreeMap<(String, String), (u64, String)>,
    /// (tenant, kind, key) -> id. The tenant is part of every key, and keys are bytes.
    login_keys: HashMap<(String, LoginKeyKind, Vec<u8>), String>,
    tokens: BTreeMap<(String, String), TokenRecord>,
    /// (tenant, subject, kind) -> the floor, and when it was raised.
    floors: HashMap<(String, String, TokenKind), (Epoch, Timestamp)>,
    /// Number -> entry. Numbers are never used again.
    feed: BTreeMap<u64, Revocation>,
    numbers: u64,
}

impl OwnStore {
    fn transaction(&self) -> MutexGuard<'_, Database> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(tenant: &TenantId, id: impl AsRef<str>) -> (String, String) {
    (tenant.as_str().to_owned(), id.as_ref().to_owned())
}

fn login_key(tenant: &TenantId, key: &LoginKey) -> (String, LoginKeyKind, Vec<u8>) {
    (tenant.as_str().to_owned(), key.kind(), key.bytes().to_vec())
}

impl Database {
    fn user(&self, tenant: &TenantId, id: &str) -> Result<Option<User>> {
        let Some((revision, document)) = self.users.get(&key(tenant, id)) else { return Ok(None) };
        let mut user = User::from_json(document)?;
        user.revision = *revision;
        Ok(Some(user))
    }

    /// The kind of the first key that belongs to somebody else.
    fn taken(&self, user: &User) -> Option<LoginKeyKind> {
        user.login_keys().find_map(|key| {
            let owner = self.login_keys.get(&login_key(&user.tenant, &key))?;
            (owner != user.id.as_str()).then_some(key.kind())
        })
    }

    fn put_user(&mut self, user: &User, revision: u64) -> Result<()> {
        let document = user.to_json()?;
        for key in user.login_keys() {
            self.login_keys.insert(login_key(&user.tenant, &key), user.id.as_str().to_owned());
        }
        self.users.insert(key(&user.tenant, &user.id), (revision, document));
        Ok(())
    }

    fn remove_user(&mut self, tenant: &TenantId, id: &Subject) -> bool {
        let tenant = tenant.as_str();
        self.login_keys.retain(|(of, _, _), owner| of != tenant || owner != id.as_str());
        self.users.remove(&(tenant.to_owned(), id.as_str().to_owned())).is_some()
    }

    fn floor(&self, record: &TokenRecord) -> (Epoch, Timestamp) {
        let key = (record.tenant.as_str().to_owned(), record.subject.as_str().to_owned(), record.kind);
        self.floors.get(&key).copied().unwrap_or((Epoch::ZERO, Timestamp::MIN))
    }

    /// The record as readers see it.
    fn token(&self, tenant: &TenantId, id: &TokenId) -> Option<TokenRecord> {
        let record = self.tokens.get(&key(tenant, id))?;
        let (floor, raised_at) = self.floor(record);
        Some(record.clone().seen_under(floor, raised_at))
    }

    fn family(&mut self, of: &TokenRecord) -> impl Iterator<Item = &mut TokenRecord> {
        self.tokens
            .values_mut()
            .filter(move |record| record.tenant == of.tenant && record.family == of.family)
    }

    fn revoke(&mut self, revocation: &Revocation) -> Result<()> {
        let Revocation { tenant, target, at, .. } = revocation;
        match target {
            RevocationTarget::Token(id) => {
                if let Some(record) = self.tokens.get_mut(&key(tenant, id)) {
                    record.revoked_at.get_or_insert(*at);
                }
            }
            RevocationTarget::Family(family) => {
                for record in self.tokens.values_mut() {
                    if record.tenant == *tenant && record.family == *family {
                        record.revoked_at.get_or_insert(*at);
                    }
                }
            }
            RevocationTarget::Subject { subject, kinds, below } => {
                for kind in kinds.iter() {
                    let key = (tenant.as_str().to_owned(), subject.as_str().to_owned(), kind);
                    let floor = self.floors.entry(key).or_insert((Epoch::ZERO, *at));
                    *floor = (floor.0.max(*below), *at);
                }
            }
            // A version of the crate to come may revoke something else. Say so; don't pass it over.
            _ => return Err(Error::new(ErrorKind::Internal, "a revocation of an unknown kind")),
        }
        self.numbers += 1;
        self.feed.insert(self.numbers, revocation.clone());
        Ok(())
    }

    /// Carries out [`Consumption::First`].
    fn spend(&mut self, record: &TokenRecord, consume: &Consume<'_>) -> Result<()> {
        if let Some(next) = consume.successor {
            let exists = self.tokens.contains_key(&key(consume.tenant, &next.record.id));
            if exists || !record.has_same_holder(&next.record) {
                return Err(Error::new(ErrorKind::Internal, "this successor cannot be stored"));
            }
        }
        for member in self.family(record) {
            if let Some(successor) = &mut member.successor {
                successor.sealed = None;
            }
            if member.id == record.id {
                member.consumed_at = Some(consume.now);
                member.successor = consume.successor.map(|next| Successor {
                    id: next.record.id.clone(),
                    sealed: Some(next.sealed.clone()),
                    sealed_until: consume.now + next.grace,
                });
            }
        }
        if let Some(next) = consume.successor {
            self.tokens.insert(key(consume.tenant, &next.record.id), next.record.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl UserStore for OwnStore {
    async fn insert(&self, user: &User) -> Result<UserInsertion> {
        let mut database = self.transaction();
        if database.users.contains_key(&key(&user.tenant, &user.id)) {
            return Ok(UserInsertion::IdExists);
        }
        if let Some(kind) = database.taken(user) {
            return Ok(UserInsertion::Duplicate(kind));
        }
        database.put_user(user, user.revision)?;
        Ok(UserInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>> {
        self.transaction().user(tenant, id.as_str())
    }

    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>> {
        let database = self.transaction();
        match database.login_keys.get(&login_key(tenant, key)) {
            Some(id) => database.user(tenant, id),
            None => Ok(None),
        }
    }

    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement> {
        let mut database = self.transaction();
        match database.users.get(&key(&user.tenant, &user.id)) {
            Some((revision, _)) if *revision == expected_revision => {}
            _ => return Ok(UserReplacement::Conflict),
        }
        if let Some(kind) = database.taken(user) {
            return Ok(UserReplacement::Duplicate(kind));
        }
        database.remove_user(&user.tenant, &user.id);
        database.put_user(user, expected_revision + 1)?;
        Ok(UserReplacement::Replaced)
    }

    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool> {
        Ok(self.transaction().remove_user(tenant, id))
    }

    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>> {
        let database = self.transaction();
        let after = page.after.as_ref().map_or("", Subject::as_str);
        let ids = database.users.keys().filter(|(of, id)| of == tenant.as_str() && id.as_str() > after);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        ids.take(limit).filter_map(|(_, id)| database.user(tenant, id).transpose()).collect()
    }
}

#[async_trait]
impl TokenStore for OwnStore {
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion> {
        let mut database = self.transaction();
        let (floor, _) = database.floor(record);
        if record.epoch.is_below(floor) {
            return Ok(TokenInsertion::Stale(floor));
        }
        let key = key(&record.tenant, &record.id);
        if database.tokens.contains_key(&key) {
            return Ok(TokenInsertion::Exists);
        }
        database.tokens.insert(key, record.clone());
        Ok(TokenInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>> {
        Ok(self.transaction().token(tenant, id))
    }

    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption> {
        let mut database = self.transaction();
        // Read everything the rule asks for ...
        let Some(record) = database.tokens.get(&key(consume.tenant, consume.id)).cloned() else {
            return Ok(Consumption::Unknown);
        };
        let (floor, _) = database.floor(&record);
        let next = record.successor.as_ref().and_then(|next| database.token(consume.tenant, &next.id));
        let is_untouched = next.is_some_and(|next| next.consumed_at.is_none() && next.revoked_at.is_none());
        // ... ask it ...
        let answer = record.consumption(floor, is_untouched, consume);
        // ... and carry out the answer, all in one transaction.
        match answer {
            Consumption::First => database.spend(&record, consume)?,
            Consumption::Reused => database.revoke(&Revocation {
                tenant: record.tenant,
                target: RevocationTarget::Family(record.family),
                at: consume.now,
                keep_until: consume.keep_until,
            })?,
            _ => {}
        }
        Ok(answer)
    }

    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement> {
        let mut database = self.transaction();
        let Some(stored) = database.tokens.get(&key(&record.tenant, &record.id)) else {
            return Ok(TokenReplacement::Conflict);
        };
        if !stored.has_same_holder(record) {
            return Err(Error::new(ErrorKind::Internal, "a token does not change hands"));
        }
        let (floor, _) = database.floor(stored);
        if stored.consumed_at.is_some() || stored.revoked_at.is_some() {
            return Ok(TokenReplacement::Conflict);
        }
        if stored.epoch.is_below(floor) || record.epoch.is_below(floor) {
            return Ok(TokenReplacement::Stale(floor));
        }
        if stored.revision != expected_revision {
            return Ok(TokenReplacement::Conflict);
        }
        let replaced = stored.replaced_by(record, expected_revision + 1);
        database.tokens.insert(key(&record.tenant, &record.id), replaced);
        Ok(TokenReplacement::Replaced)
    }

    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let mut database = self.transaction();
        let touched = database.token(tenant, id).and_then(|seen| seen.touched(now, expires_at));
        let (Some(times), Some(record)) = (touched, database.tokens.get_mut(&key(tenant, id))) else {
            return Ok(false);
        };
        (record.last_used_at, record.expires_at) = times;
        Ok(true)
    }

    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt> {
        let mut database = self.transaction();
        let Some(record) = database.tokens.get_mut(&key(tenant, id)) else { return Ok(Attempt::Unknown) };
        if record.attempts >= max {
            return Ok(Attempt::Exhausted);
        }
        record.attempts += 1;
        Ok(Attempt::Counted(record.attempts))
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        self.transaction().revoke(revocation)
    }

    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>> {
        let database = self.transaction();
        let of_subject = database
            .tokens
            .values()
            .filter(|record| record.tenant == *tenant && record.subject == *subject && record.kind == kind);
        let seen = of_subject.filter_map(|record| database.token(tenant, &record.id));
        let mut live: Vec<TokenRecord> =
            seen.filter(|record| record.consumed_at.is_none() && record.revoked_at.is_none()).collect();
        live.sort_by_key(|record| (record.created_at, record.id.clone()));
        Ok(live)
    }

    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed> {
        let database = self.transaction();
        let mut feed = Feed { entries: Vec::new(), cursor };
        for (number, entry) in database.feed.range(cursor.0 + 1..).take(100) {
            feed.entries.push(entry.clone());
            feed.cursor = Cursor(*number);
        }
        Ok(feed)
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        let mut database = self.transaction();
        let is_alive = |record: &TokenRecord| now < record.absolute_expiry;
        let alive: Vec<TokenRecord> =
            database.tokens.values().filter(|record| is_alive(record)).cloned().collect();
        let before = database.tokens.len();
        database.tokens.retain(|_, record| {
            alive.iter().any(|alive| alive.tenant == record.tenant && alive.family == record.family)
        });
        for successor in database.tokens.values_mut().filter_map(|record| record.successor.as_mut()) {
            if now >= successor.sealed_until {
                successor.sealed = None;
            }
        }
        database.feed.retain(|_, entry| now < entry.keep_until);
        Ok((before - database.tokens.len()) as u64)
    }
}
