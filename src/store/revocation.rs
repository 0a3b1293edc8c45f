//! What is revoked, and the feed by which every instance hears of it.

use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::Epoch;
use crate::store::token::TokenKind;
use crate::time::Timestamp;

/// An end put to credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// In which tenant.
    pub tenant: TenantId,
    /// Of what.
    pub target: RevocationTarget,
    /// When it was decided.
    pub at: Timestamp,
    /// Until when the feed must keep it: the longest life of an access token, plus leeway.
    pub keep_until: Timestamp,
}

/// What a [`Revocation`] ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationTarget {
    /// One token: a stored one by its id, an access token by its `jti`.
    Token(TokenId),
    /// Everything that came of one sign-in, access tokens included.
    Family(FamilyId),
    /// A subject's credentials of some kinds that were issued below an epoch.
    Subject {
        /// Whose.
        subject: Subject,
        /// Which kinds.
        kinds: Kinds,
        /// The new floor. A floor that is already higher stays.
        below: Epoch,
    },
}

/// A set of [`TokenKind`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// Every kind, API keys included.
    pub const ALL: Self = Self::of(&TokenKind::ALL);

    /// These kinds.
    #[must_use]
    pub const fn of(kinds: &[TokenKind]) -> Self {
        let mut bits = 0;
        let mut rest = kinds;
        while let [kind, tail @ ..] = rest {
            bits |= 1 << (*kind as u8);
            rest = tail;
        }
        Self(bits)
    }

    /// Whether `kind` is among them.
    #[must_use]
    pub const fn contains(self, kind: TokenKind) -> bool {
        self.0 & (1 << (kind as u8)) != 0
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = TokenKind> {
        TokenKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// The set as a number, for a column.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Reads [`bits`](Self::bits) back. `None` if it names a kind that does not exist.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A position in the feed, meaningful only to the store that handed it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Before the first entry.
    pub const START: Self = Self(0);
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What was revoked, in the order it became visible; empty if there is nothing new.
    pub entries: Vec<Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_a_set() {
        let kinds = Kinds::of(&[TokenKind::Access, TokenKind::ApiKey]);
        assert!(kinds.contains(TokenKind::Access) && kinds.contains(TokenKind::ApiKey));
        assert!(!kinds.contains(TokenKind::Refresh));
        assert_eq!(kinds.iter().count(), 2);
        assert_eq!(Kinds::from_bits(kinds.bits()), Some(kinds));
        assert_eq!(Kinds::from_bits(0x80), None);
        assert_eq!(Kinds::ALL.iter().count(), TokenKind::ALL.len());
    }
}
