//! The tokens' half, with floors and feed.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::Epoch;
use crate::store::TokenStore;
use crate::store::memory::users::next_revision;
use crate::store::memory::{MemoryStore, lock};
use crate::store::revocation::{Cursor, Feed, Revocation, RevocationTarget};
use crate::store::token::{
    Attempt, Consume, Consumption, Successor, TokenInsertion, TokenKind, TokenRecord, TokenReplacement,
};
use crate::time::Timestamp;

/// Entries in a page of the feed.
const FEED_PAGE: usize = 512;

#[derive(Default)]
pub(super) struct Tokens {
    records: BTreeMap<(TenantId, TokenId), TokenRecord>,
    floors: HashMap<(TenantId, Subject, TokenKind), Floor>,
    /// In the order of their numbers. Numbers start at 1 and are never used again.
    feed: Vec<(u64, Revocation)>,
    last_number: u64,
}

#[derive(Clone, Copy)]
struct Floor {
    epoch: Epoch,
    raised_at: Timestamp,
}

impl Tokens {
    fn floor(&self, record: &TokenRecord) -> Option<Floor> {
        self.floors.get(&(record.tenant.clone(), record.subject.clone(), record.kind)).copied()
    }

    /// The floor `record` is below, if there is one.
    fn floor_above(&self, record: &TokenRecord) -> Option<Floor> {
        self.floor(record).filter(|floor| record.epoch.is_below(floor.epoch))
    }

    /// The record as readers see it: below its floor it is revoked.
    fn view(&self, record: &TokenRecord) -> TokenRecord {
        match self.floor(record) {
            Some(floor) => record.clone().seen_under(floor.epoch, floor.raised_at),
            None => record.clone(),
        }
    }

    fn is_untouched(&self, tenant: &TenantId, id: &TokenId) -> bool {
        self.records
            .get(&(tenant.clone(), id.clone()))
            .is_some_and(|record| record.consumed_at.is_none() && self.view(record).revoked_at.is_none())
    }

    fn family_mut<'a>(
        &'a mut self,
        tenant: &'a TenantId,
        family: &'a FamilyId,
    ) -> impl Iterator<Item = &'a mut TokenRecord> {
        self.records.values_mut().filter(move |record| record.tenant == *tenant && record.family == *family)
    }

    fn revoke(&mut self, revocation: &Revocation) {
        let Revocation { tenant, target, at, .. } = revocation;
        match target {
            RevocationTarget::Token(id) => {
                if let Some(record) = self.records.get_mut(&(tenant.clone(), id.clone())) {
                    record.revoked_at.get_or_insert(*at);
                }
            }
            RevocationTarget::Family(family) => {
                for record in self.family_mut(tenant, family) {
                    record.revoked_at.get_or_insert(*at);
                }
            }
            RevocationTarget::Subject { subject, kinds, below } => {
                for kind in kinds.iter() {
                    let floor = self
                        .floors
                        .entry((tenant.clone(), subject.clone(), kind))
                        .or_insert(Floor { epoch: Epoch::ZERO, raised_at: *at });
                    if floor.epoch.is_below(*below) {
                        *floor = Floor { epoch: floor.epoch.max(*below), raised_at: *at };
                    }
                }
            }
        }
        self.last_number += 1;
        self.feed.push((self.last_number, revocation.clone()));
    }

    fn consume(&mut self, consume: &Consume<'_>) -> Result<Consumption> {
        let key = (consume.tenant.clone(), consume.id.clone());
        let Some(record) = self.records.get(&key) else { return Ok(Consumption::Unknown) };
        let floor = self.floor(record).map_or(Epoch::ZERO, |floor| floor.epoch);
        let untouched =
            record.successor.as_ref().is_some_and(|next| self.is_untouched(consume.tenant, &next.id));
        let answer = record.consumption(floor, untouched, consume);
        match answer {
            Consumption::First => self.spend(&key, consume)?,
            Consumption::Reused => {
                let target = RevocationTarget::Family(record.family.clone());
                let (tenant, at, keep_until) = (consume.tenant.clone(), consume.now, consume.keep_until);
                self.revoke(&Revocation { tenant, target, at, keep_until });
            }
            _ => {}
        }
        Ok(answer)
    }

    fn spend(&mut self, key: &(TenantId, TokenId), consume: &Consume<'_>) -> Result<()> {
        if let Some(next) = consume.successor
            && self.records.contains_key(&(next.record.tenant.clone(), next.record.id.clone()))
        {
            return Err(Error::new(ErrorKind::Internal, "the id of the successor exists"));
        }
        let Some(record) = self.records.get_mut(key) else { return Ok(()) };
        if consume.successor.is_some_and(|next| !record.has_same_holder(&next.record)) {
            return Err(Error::new(ErrorKind::Internal, "a successor belongs to somebody else"));
        }
        record.consumed_at = Some(consume.now);
        record.successor = consume.successor.map(|next| Successor {
            id: next.record.id.clone(),
            sealed: Some(next.sealed.clone()),
            sealed_until: consume.now + next.grace,
        });
        let family = record.family.clone();
        let others = self.family_mut(consume.tenant, &family).filter(|other| other.id != *consume.id);
        for earlier in others.filter_map(|other| other.successor.as_mut()) {
            earlier.sealed = None;
        }
        if let Some(next) = consume.successor {
            let next = &next.record;
            self.records.insert((next.tenant.clone(), next.id.clone()), next.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion> {
        let mut tokens = lock(&self.tokens);
        if let Some(floor) = tokens.floor_above(record) {
            return Ok(TokenInsertion::Stale(floor.epoch));
        }
        let key = (record.tenant.clone(), record.id.clone());
        if tokens.records.contains_key(&key) {
            return Ok(TokenInsertion::Exists);
        }
        tokens.records.insert(key, record.clone());
        Ok(TokenInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>> {
        let tokens = lock(&self.tokens);
        Ok(tokens.records.get(&(tenant.clone(), id.clone())).map(|record| tokens.view(record)))
    }

    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption> {
        lock(&self.tokens).consume(consume)
    }

    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement> {
        let revision = next_revision(expected_revision)?;
        let mut tokens = lock(&self.tokens);
        let key = (record.tenant.clone(), record.id.clone());
        let Some(stored) = tokens.records.get(&key) else { return Ok(TokenReplacement::Conflict) };
        if !stored.has_same_holder(record) {
            return Err(Error::new(ErrorKind::Internal, "a replacement belongs to somebody else"));
        }
        if stored.consumed_at.is_some() || stored.revoked_at.is_some() {
            return Ok(TokenReplacement::Conflict);
        }
        if let Some(floor) = tokens.floor_above(stored).or_else(|| tokens.floor_above(record)) {
            return Ok(TokenReplacement::Stale(floor.epoch));
        }
        if stored.revision != expected_revision {
            return Ok(TokenReplacement::Conflict);
        }
        let replaced = stored.replaced_by(record, revision);
        tokens.records.insert(key, replaced);
        Ok(TokenReplacement::Replaced)
    }

    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let mut tokens = lock(&self.tokens);
        let key = (tenant.clone(), id.clone());
        let seen = tokens.records.get(&key).map(|record| tokens.view(record));
        let Some((last_used_at, expires_at)) = seen.and_then(|seen| seen.touched(now, expires_at)) else {
            return Ok(false);
        };
        if let Some(record) = tokens.records.get_mut(&key) {
            (record.last_used_at, record.expires_at) = (last_used_at, expires_at);
        }
        Ok(true)
    }

    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt> {
        let mut tokens = lock(&self.tokens);
        let Some(record) = tokens.records.get_mut(&(tenant.clone(), id.clone())) else {
            return Ok(Attempt::Unknown);
        };
        if record.attempts >= max {
            return Ok(Attempt::Exhausted);
        }
        record.attempts += 1;
        Ok(Attempt::Counted(record.attempts))
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        lock(&self.tokens).revoke(revocation);
        Ok(())
    }

    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>> {
        let tokens = lock(&self.tokens);
        let mut live: Vec<TokenRecord> = tokens
            .records
            .values()
            .filter(|record| record.tenant == *tenant && record.subject == *subject && record.kind == kind)
            .map(|record| tokens.view(record))
            .filter(|record| record.consumed_at.is_none() && record.revoked_at.is_none())
            .collect();
        live.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(live)
    }

    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed> {
        let tokens = lock(&self.tokens);
        let newer = tokens.feed.iter().filter(|(number, _)| *number > cursor.0).take(FEED_PAGE);
        let mut feed = Feed { entries: Vec::new(), cursor };
        for (number, revocation) in newer {
            feed.entries.push(revocation.clone());
            feed.cursor = Cursor(*number);
        }
        Ok(feed)
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        let mut tokens = lock(&self.tokens);
        let alive: HashSet<(TenantId, FamilyId)> = tokens
            .records
            .values()
            .filter(|record| now < record.absolute_expiry)
            .map(|record| (record.tenant.clone(), record.family.clone()))
            .collect();
        let before = tokens.records.len();
        tokens.records.retain(|_, record| alive.contains(&(record.tenant.clone(), record.family.clone())));
        for successor in tokens.records.values_mut().filter_map(|record| record.successor.as_mut()) {
            if now >= successor.sealed_until {
                successor.sealed = None;
            }
        }
        tokens.feed.retain(|(_, revocation)| now < revocation.keep_until);
        Ok((before - tokens.records.len()) as u64)
    }
}
