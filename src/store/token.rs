//! Records of long-lived tokens, and the rule by which they are spent.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::Epoch;
use crate::secret::Digest;
use crate::time::Timestamp;

/// Kinds of credentials that are revoked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum TokenKind {
    /// Self-contained access tokens. They have floors but no records.
    Access = 0,
    /// Refresh tokens.
    Refresh = 1,
    /// Server-side sessions.
    Session = 2,
    /// One-time links and codes.
    OneTime = 3,
    /// API keys.
    ApiKey = 4,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Access, Self::Refresh, Self::Session, Self::OneTime, Self::ApiKey];

    /// A short stable name, fit for a column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Session => "session",
            Self::OneTime => "one_time",
            Self::ApiKey => "api_key",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a store keeps of a long-lived token. The secret itself is not in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenRecord {
    /// Whose.
    pub tenant: TenantId,
    /// The public half of the token.
    pub id: TokenId,
    /// What kind.
    pub kind: TokenKind,
    /// Whom it stands for.
    pub subject: Subject,
    /// The sign-in it came of.
    pub family: FamilyId,
    /// What the secret half must hash to.
    pub digest: Digest,
    /// The subject's counters when it was issued.
    pub epoch: Epoch,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// From when on it is no longer accepted, unless it is used before.
    pub expires_at: Timestamp,
    /// From when on it is no longer accepted, whatever happens.
    pub absolute_expiry: Timestamp,
    /// Rises by one with every [`replace`](crate::store::TokenStore::replace).
    pub revision: u64,
    /// Attempts counted against it.
    pub attempts: u32,
    /// When it was spent.
    pub consumed_at: Option<Timestamp>,
    /// What it was exchanged for.
    pub successor: Option<Successor>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What its kind keeps besides: scopes, how the user signed in, a label.
    pub data: Map<String, Value>,
}

impl TokenRecord {
    /// A live record, not yet used. `expires_at` is cut to `absolute_expiry`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "a record without one of these would not be a record")]
    pub fn new(
        tenant: TenantId,
        id: TokenId,
        kind: TokenKind,
        subject: Subject,
        family: FamilyId,
        digest: Digest,
        epoch: Epoch,
        created_at: Timestamp,
        expires_at: Timestamp,
        absolute_expiry: Timestamp,
    ) -> Self {
        Self {
            tenant,
            id,
            kind,
            subject,
            family,
            digest,
            epoch,
            created_at,
            last_used_at: created_at,
            expires_at: expires_at.min(absolute_expiry),
            absolute_expiry,
            revision: 0,
            attempts: 0,
            consumed_at: None,
            successor: None,
            revoked_at: None,
            data: Map::new(),
        }
    }

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
}

/// What a spent token was exchanged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The record that took its place.
    pub id: TokenId,
    /// The successor's secret, sealed under a key derived from the predecessor's. Erased when it can no longer be
    /// returned.
    pub sealed: Option<Vec<u8>>,
    /// From when on the sealed form is never returned.
    pub sealed_until: Timestamp,
}

/// A request to spend a token.
#[derive(Clone, Copy, Debug)]
pub struct Consume<'a> {
    /// In which tenant.
    pub tenant: &'a TenantId,
    /// Which token.
    pub id: &'a TokenId,
    /// The caller's time.
    pub now: Timestamp,
    /// Until when the feed must keep the revocation that a reuse causes.
    pub keep_until: Timestamp,
    /// What it is exchanged for; `None` if it is only spent.
    pub successor: Option<&'a Succession>,
}

/// The record that takes a spent token's place.
#[derive(Clone, Debug)]
pub struct Succession {
    /// The new record, of the same tenant, kind, subject and family.
    pub record: TokenRecord,
    /// Its secret, sealed for whoever holds the predecessor's.
    pub sealed: Vec<u8>,
    /// How long a replay of the predecessor gets the same successor back, while that is unused.
    pub grace: Duration,
}

/// How [`TokenStore::consume`](crate::store::TokenStore::consume) ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Consumption {
    /// This call spent the token; the successor is stored.
    First,
    /// It was spent before, within the grace period, and its successor is unused: here is the same one again.
    Repeated {
        /// The successor's id.
        successor: TokenId,
        /// The successor's secret, sealed for the holder of the predecessor's.
        sealed: Vec<u8>,
    },
    /// It was spent before and may not be repeated. The family has been revoked in the same step.
    Reused,
    /// It was spent before, for nothing.
    Spent,
    /// It, or its family, was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// It, or the successor offered, is below this floor. Nothing was changed.
    Stale(Epoch),
    /// There is no such token.
    Unknown,
}

/// How [`TokenStore::insert`](crate::store::TokenStore::insert) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TokenInsertion {
    /// Stored.
    Inserted,
    /// Nothing stored: the id exists.
    Exists,
    /// Nothing stored: the record is below this floor.
    Stale(Epoch),
}

/// How [`TokenStore::replace`](crate::store::TokenStore::replace) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TokenReplacement {
    /// Stored, with the next revision.
    Replaced,
    /// Nothing stored: the record has another revision, is consumed, revoked or gone.
    Conflict,
    /// Nothing stored: the record is below this floor.
    Stale(Epoch),
}

/// How [`TokenStore::count_attempt`](crate::store::TokenStore::count_attempt) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Attempt {
    /// Counted; so many have been made now.
    Counted(u32),
    /// Not counted: as many as allowed have been made.
    Exhausted,
    /// There is no such token.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

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
