//! The pure rules of token records: what a store does, decided without a store.

use std::time::Duration;

use crate::principal::Epoch;
use crate::store::token::{Consume, Consumption, Successor, TokenRecord};
use crate::time::Timestamp;

/// A use is noted at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

impl TokenRecord {
    /// Whether it is past its idle or absolute expiry.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.absolute_expiry
    }

    /// Whether `other` is of the same tenant, kind, subject and family: what a successor and a replacement must be.
    #[must_use]
    pub fn has_same_holder(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.kind == other.kind
            && self.subject == other.subject
            && self.family == other.family
    }

    /// What [`replace`](crate::store::TokenStore::replace) has to store for this record: `record` under `revision`,
    /// but with what only other verbs decide left as it is here.
    #[must_use]
    pub fn replaced_by(&self, record: &Self, revision: u64) -> Self {
        Self {
            revision,
            attempts: self.attempts,
            last_used_at: self.last_used_at,
            consumed_at: self.consumed_at,
            successor: self.successor.clone(),
            revoked_at: self.revoked_at,
            expires_at: record.expires_at.min(record.absolute_expiry),
            ..record.clone()
        }
    }

    /// What [`consume`](crate::store::TokenStore::consume) has to answer for this record: the one rule every store
    /// follows.
    ///
    /// `floor` is the subject's floor for the record's kind, `successor_untouched` whether the record it was exchanged
    /// for is there, neither consumed nor revoked. Of the answers, [`First`](Consumption::First) tells the store to
    /// mark the record consumed at `now`, to store the successor with its sealed form, and to erase the sealed forms
    /// of all other records of the family; [`Reused`](Consumption::Reused) tells it to revoke the family and append
    /// that to the feed. The others change nothing.
    pub fn consumption(&self, floor: Epoch, successor_untouched: bool, consume: &Consume<'_>) -> Consumption {
        let now = consume.now;
        if self.revoked_at.is_some() {
            return Consumption::Revoked;
        }
        if now >= self.absolute_expiry {
            return Consumption::Expired;
        }
        // Before the question of reuse: after a password change an old token is dead, not stolen.
        if self.epoch.is_below(floor) {
            return Consumption::Stale(floor);
        }
        if self.consumed_at.is_some() {
            return match &self.successor {
                None => Consumption::Spent,
                Some(Successor { id, sealed: Some(sealed), sealed_until })
                    if now < *sealed_until && successor_untouched =>
                {
                    Consumption::Repeated { successor: id.clone(), sealed: sealed.clone() }
                }
                Some(_) => Consumption::Reused,
            };
        }
        if self.is_expired(now) {
            return Consumption::Expired;
        }
        if consume.successor.is_some_and(|next| next.record.epoch.is_below(floor)) {
            return Consumption::Stale(floor);
        }
        Consumption::First
    }

    /// The record as [`get`](crate::store::TokenStore::get) and [`list`](crate::store::TokenStore::list) have to show
    /// it under its subject's floor: below the floor it is revoked, since `raised_at` if not earlier.
    #[must_use]
    pub fn seen_under(mut self, floor: Epoch, raised_at: Timestamp) -> Self {
        if self.revoked_at.is_none() && self.epoch.is_below(floor) {
            self.revoked_at = Some(raised_at);
        }
        self
    }

    /// The last use and the idle expiry [`touch`](crate::store::TokenStore::touch) has to write for this record, seen
    /// under its floor; `None` if there is nothing to write.
    #[must_use]
    pub fn touched(&self, now: Timestamp, expires_at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let is_dead = self.consumed_at.is_some() || self.revoked_at.is_some() || self.is_expired(now);
        if is_dead || now < self.last_used_at + TOUCH_EVERY {
            return None;
        }
        Some((now, self.expires_at.max(expires_at.min(self.absolute_expiry))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{FamilyId, Subject, TenantId, TokenId};
    use crate::secret::Digest;
    use crate::store::token::TokenKind;

    fn record() -> TokenRecord {
        let digest = Digest::from_bytes([0; 32]);
        let (id, family) = (TokenId::parse("t1").unwrap(), FamilyId::parse("f").unwrap());
        let subject = Subject::parse("u").unwrap();
        let (created, idle, absolute) =
            (Timestamp::from_secs(0), Timestamp::from_secs(100), Timestamp::from_secs(300));
        let epoch = Epoch { security: 1, grants: 1 };
        TokenRecord::new(
            TenantId::default(),
            id,
            TokenKind::Refresh,
            subject,
            family,
            digest,
            epoch,
            created,
            idle,
            absolute,
        )
    }

    fn spent(sealed: Option<Vec<u8>>) -> TokenRecord {
        let id = TokenId::parse("t2").unwrap();
        let successor = Some(Successor { id, sealed, sealed_until: Timestamp::from_secs(60) });
        TokenRecord { consumed_at: Some(Timestamp::from_secs(50)), successor, ..record() }
    }

    #[test]
    fn how_a_token_is_spent() {
        let repeated = || Consumption::Repeated { successor: TokenId::parse("t2").unwrap(), sealed: vec![1] };
        let floor = |security| Epoch { security, grants: 0 };
        let revoked = TokenRecord { revoked_at: Some(Timestamp::from_secs(1)), ..record() };
        let plainly_spent = TokenRecord { successor: None, ..spent(None) };
        for (name, record, at, floor, untouched, want) in [
            ("live", record(), 99, floor(1), false, Consumption::First),
            ("idle expiry", record(), 100, floor(1), false, Consumption::Expired),
            ("absolute expiry", record(), 300, floor(1), false, Consumption::Expired),
            ("revoked", revoked, 1, floor(1), false, Consumption::Revoked),
            ("below the floor", record(), 1, floor(2), false, Consumption::Stale(floor(2))),
            ("in grace", spent(Some(vec![1])), 59, floor(1), true, repeated()),
            ("in grace, successor used", spent(Some(vec![1])), 59, floor(1), false, Consumption::Reused),
            ("after grace", spent(Some(vec![1])), 60, floor(1), true, Consumption::Reused),
            ("in grace, sealed form erased", spent(None), 59, floor(1), true, Consumption::Reused),
            (
                "past idle expiry a replay is still reuse",
                spent(None),
                200,
                floor(1),
                true,
                Consumption::Reused,
            ),
            (
                "in grace, below the floor",
                spent(Some(vec![1])),
                59,
                floor(2),
                true,
                Consumption::Stale(floor(2)),
            ),
            ("spent without a successor", plainly_spent, 55, floor(1), true, Consumption::Spent),
        ] {
            let consume = Consume {
                tenant: &record.tenant,
                id: &record.id,
                now: Timestamp::from_secs(at),
                keep_until: Timestamp::MAX,
                successor: None,
            };
            assert_eq!(record.consumption(floor, untouched, &consume), want, "{name}");
        }
    }
}
