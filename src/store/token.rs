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
