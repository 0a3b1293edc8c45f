//! Where a key stands in its life.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::KeyId;
use crate::time::Timestamp;

/// Where a key stands in its life (NIST SP 800-57 part 1 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyState {
    /// Not in use yet, but known: what another instance already makes with it is read.
    PreActive,
    /// Makes new things and reads old ones: the primary key of its ring.
    Active,
    /// Reads what it made, makes nothing new.
    Deactivated,
    /// Known to somebody it shouldn't be: neither makes nor reads. Its material is still there, should you have to find
    /// out what was made with it.
    Compromised,
    /// Its material is gone. Its id stays, so that it isn't used again and what it made can be told from nonsense.
    Destroyed,
}

impl KeyState {
    /// Every state there is.
    pub const ALL: &'static [Self] =
        &[Self::PreActive, Self::Active, Self::Deactivated, Self::Compromised, Self::Destroyed];

    /// Whether what the key made is read.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::PreActive | Self::Active | Self::Deactivated)
    }

    /// The name, as in a key file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreActive => "pre-active",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether a key may go from here to `next`. No way leads back.
    pub(super) const fn may_become(self, next: Self) -> bool {
        match next {
            Self::PreActive => false,
            Self::Active => matches!(self, Self::PreActive),
            Self::Deactivated => matches!(self, Self::PreActive | Self::Active),
            Self::Compromised => matches!(self, Self::PreActive | Self::Active | Self::Deactivated),
            Self::Destroyed => matches!(self, Self::PreActive | Self::Deactivated | Self::Compromised),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a key besides its material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub(in crate::crypto) id: KeyId,
    pub(in crate::crypto) state: KeyState,
    pub(in crate::crypto) created: Option<Timestamp>,
    pub(in crate::crypto) since: Option<Timestamp>,
    pub(in crate::crypto) expires: Option<Timestamp>,
}

impl KeyRecord {
    pub(super) fn new(id: KeyId, state: KeyState, now: Option<Timestamp>) -> Self {
        Self { id, state, created: now, since: now, expires: None }
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// When it came into its ring; `None` for keys that are simply given.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Since when it stands there.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// When it should make nothing new any more. A primary key past it still works, so that nothing is lost for want of
    /// a successor; [`Keyring::is_due`](super::Keyring::is_due) tells.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }
}
