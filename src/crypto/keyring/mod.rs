//! One primary key, some accepted ones, and what each of them may still do.

mod life_cycle;
mod schedule;
mod state;

use crate::crypto::algorithm::{Algorithm, KeyPurpose};
use crate::crypto::key::Key;
use crate::error::ConfigError;
use crate::id::KeyId;

pub use schedule::{RotationPolicy, RotationStep};
pub use state::{KeyRecord, KeyState};

/// The keys for one purpose: the primary one makes new things, others read old ones.
///
/// | [state](KeyState) | makes | reads | leads to |
/// |---|---|---|---|
/// | pre-active | no | yes | active, deactivated, compromised, destroyed |
/// | active: the primary key | yes | yes | deactivated, when another one is promoted |
/// | deactivated | no | yes | compromised, destroyed |
/// | compromised | no | no | destroyed |
/// | destroyed | no | no | |
///
/// To rotate without locking anybody out, first [introduce](Self::introduce) the new key on every instance, then
/// [promote](Self::promote) it; the old one still reads. When nothing is left that it made, [destroy](Self::destroy) it
/// (NIST SP 800-57 part 1 sections 7 and 8). There is always one primary key, and none of these steps changes the ring
/// that is in use: each makes a new one, or fails.
///
/// A ring for signing holds either secrets or key pairs, never both: with both, a public key could be taken for a
/// secret by a mistake anywhere along the way (RFC 8725 section 2.1).
///
/// ```
/// use portcullis::crypto::{Key, KeyPurpose, KeyState, Keyring};
/// use portcullis::time::{Clock, SystemClock};
///
/// let now = SystemClock::new().now();
/// let (old, new) = (Key::generate_for(KeyPurpose::Sealing)?, Key::generate_for(KeyPurpose::Sealing)?);
/// let ring = Keyring::begin(old.clone(), now)?.introduce(new.clone(), now)?;
/// assert_eq!(ring.primary().id(), old.id());
///
/// let ring = ring.promote(new.id(), now)?;
/// assert_eq!(ring.primary().id(), new.id());
/// assert_eq!(ring.record(old.id()).unwrap().state(), KeyState::Deactivated);
/// assert!(ring.find(old.id().as_str()).is_some());
/// // The primary key can't go without a successor.
/// assert!(ring.destroy(new.id(), now).is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyring {
    primary: Primary,
    others: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Primary {
    record: KeyRecord,
    key: Key,
}

/// Destroyed keys have no material.
#[derive(Clone, Debug)]
struct Held {
    record: KeyRecord,
    key: Option<Key>,
}

/// What a ring knows of an id.
#[derive(Clone, Copy, Debug)]
pub enum KeyLookup<'a> {
    /// A key that reads what it made.
    Usable(&'a Key),
    /// A key in this state, which reads nothing any more.
    Refused(KeyState),
    /// The ring never had such a key.
    Unknown,
}

impl Keyring {
    /// A ring whose primary key makes new things.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the key only verifies; see [`verify_only`](Self::verify_only).
    pub fn new(primary: Key) -> Result<Self, ConfigError> {
        if !primary.is_private() {
            return Err(ConfigError::new(
                "primary key",
                "only verifies",
                "use a private key, or `Keyring::verify_only` where tokens are only checked",
            ));
        }
        Ok(Self::of(primary))
    }

    /// A ring for an instance that checks tokens but never issues any. `first` is the key for tokens without a `kid`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the key is not for tokens.
    pub fn verify_only(first: Key) -> Result<Self, ConfigError> {
        if first.purpose() != KeyPurpose::TokenSigning {
            return Err(ConfigError::new(
                "keyring",
                "holds no key for tokens",
                "use `Keyring::new` for other purposes",
            ));
        }
        Ok(Self::of(first))
    }

    fn of(primary: Key) -> Self {
        let record = KeyRecord::new(primary.id().clone(), KeyState::Active, None);
        Self { primary: Primary { record, key: primary }, others: Vec::new() }
    }

    /// The same ring, which also reads what `key` made.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the ring has a key of this id, if `key` is for another purpose, or if it would mix secrets
    /// and key pairs.
    pub fn with_accepted(mut self, key: Key) -> Result<Self, ConfigError> {
        fits(&self, &key)?;
        let record = KeyRecord::new(key.id().clone(), KeyState::Deactivated, None);
        self.others.push(Held { record, key: Some(key) });
        Ok(self)
    }

    /// A ring as it was written down.
    pub(super) fn restore(held: Vec<(KeyRecord, Option<Key>)>) -> Result<Self, ConfigError> {
        let bad = |problem| ConfigError::new("keyring", problem, "restore the key file");
        let (active, others): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(record, _)| record.state == KeyState::Active);
        let Ok([(record, Some(key))]) = <[_; 1]>::try_from(active) else {
            return Err(bad("has not exactly one active key"));
        };
        let ring = if key.is_private() { Self::new(key) } else { Self::verify_only(key) }?;
        let mut ring = Self { primary: Primary { record, ..ring.primary }, others: Vec::new() };
        for (record, key) in others {
            match &key {
                Some(key) => fits(&ring, key)?,
                None if ring.record(&record.id).is_some() => return Err(bad("has two keys of one id")),
                None => {}
            }
            if key.is_none() != (record.state == KeyState::Destroyed) {
                return Err(bad("has a destroyed key with material, or another without"));
            }
            ring.others.push(Held { record, key });
        }
        Ok(ring)
    }

    /// The key that makes new things.
    #[must_use]
    pub fn primary(&self) -> &Key {
        &self.primary.key
    }

    /// The key with this id, if it reads. An id is compared and nothing else; it never becomes part of a path or query.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id().as_str() == id)
    }

    /// What the ring knows of an id, so that what a compromised key made can be told from what nobody made.
    #[must_use]
    pub fn lookup(&self, id: &str) -> KeyLookup<'_> {
        if let Some(key) = self.find(id) {
            return KeyLookup::Usable(key);
        }
        let record = self.records().find(|record| record.id().as_str() == id);
        record.map_or(KeyLookup::Unknown, |record| KeyLookup::Refused(record.state()))
    }

    /// All keys that read, the primary one first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let others = self.others.iter().filter(|held| held.record.state.reads());
        std::iter::once(&self.primary.key).chain(others.filter_map(|held| held.key.as_ref()))
    }

    /// The ids of all keys that read, the primary one first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys().map(Key::id)
    }

    /// What is known of every key there is or was, the primary one first.
    pub fn records(&self) -> impl Iterator<Item = &KeyRecord> {
        std::iter::once(&self.primary.record).chain(self.others.iter().map(|held| &held.record))
    }

    /// What is known of one key.
    #[must_use]
    pub fn record(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.records().find(|record| record.id() == id)
    }

    /// Every key with its material, as far as there is any.
    pub(super) fn held(&self) -> impl Iterator<Item = (&KeyRecord, Option<&Key>)> {
        let others = self.others.iter().map(|held| (&held.record, held.key.as_ref()));
        std::iter::once((&self.primary.record, Some(&self.primary.key))).chain(others)
    }

    /// Whether the other ring has the same keys in the same states. A provider may give the same ring twice.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let keys = |ring: &Self| ring.held().map(|(_, key)| key.map(Key::fingerprint)).collect::<Vec<_>>();
        std::ptr::eq(self, other)
            || (self.purpose() == other.purpose()
                && self.records().eq(other.records())
                && keys(self) == keys(other))
    }

    /// What the keys are for.
    #[must_use]
    pub fn purpose(&self) -> KeyPurpose {
        self.primary.key.purpose()
    }
}

/// Whether a key may come into the ring.
fn fits(ring: &Keyring, key: &Key) -> Result<(), ConfigError> {
    let bad = |problem, cure| Err(ConfigError::new("accepted key", problem, cure));
    if ring.record(key.id()).is_some() {
        return bad(
            "has the id of a key that is or was in the ring",
            "leave it out, or give it another id by `with_id`",
        );
    }
    if key.purpose() != ring.purpose() {
        return bad("has another purpose than the ring", "keep one ring for each purpose");
    }
    let symmetric = |key: &Key| key.algorithm().map(Algorithm::is_symmetric);
    if symmetric(key) != symmetric(ring.primary()) {
        return bad(
            "would mix shared secrets and key pairs",
            "end all tokens of the one kind before changing to the other",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac(text: &str) -> Key {
        Key::hmac_secret_text(&text.into()).unwrap()
    }

    #[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
    #[test]
    fn what_stands_together() {
        let a = hmac("4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE");
        let b = hmac("Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP");
        let ed = Key::generate(Algorithm::EdDsa).unwrap();
        let es = Key::generate(Algorithm::Es256).unwrap();
        let public = Key::verify_only_from_jwk(&ed.public_jwk().unwrap().into()).unwrap();
        let sealing = Key::generate_for(KeyPurpose::Sealing).unwrap();
        for (name, primary, accepted, stands) in [
            ("two secrets", &a, &b, true),
            ("two key pairs", &ed, &es, true),
            ("the same twice", &a, &a, false),
            ("the same by another way", &ed, &public, false),
            ("secret accepts pair", &a, &ed, false),
            ("pair accepts secret", &ed, &a, false),
            ("signing accepts sealing", &ed, &sealing, false),
            ("sealing accepts signing", &sealing, &a, false),
        ] {
            let ring = Keyring::new(primary.clone()).unwrap().with_accepted(accepted.clone());
            assert_eq!(ring.is_ok(), stands, "{name}");
        }
        assert!(Keyring::new(public.clone()).is_err(), "a primary must sign");
        assert!(Keyring::verify_only(public).is_ok());
        assert!(Keyring::verify_only(sealing).is_err());
    }

    #[test]
    fn ids_of_secrets_differ_and_stay() {
        let a = hmac("4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE");
        assert_eq!(a.id(), hmac("4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE").id());
        assert_ne!(a.id(), hmac("4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaF").id());
        assert_eq!(a.id().as_str().len(), 22);
    }
}
