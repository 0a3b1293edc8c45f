//! One primary key, some accepted ones.

use crate::crypto::algorithm::{Algorithm, KeyPurpose};
use crate::crypto::key::Key;
use crate::error::ConfigError;
use crate::id::KeyId;

/// The keys for one purpose: the primary one makes new things, all of them read old ones.
///
/// To rotate without locking anybody out, first accept the new key on every instance, then make it primary and keep
/// the old one accepted until everything made with it has expired, then leave the old one out (NIST SP 800-57 part 1
/// section 8).
///
/// A ring for signing holds either secrets or key pairs, never both: with both, a public key could be taken for a
/// secret by a mistake anywhere along the way (RFC 8725 section 2.1).
///
/// ```
/// use portcullis::crypto::{Key, Keyring};
///
/// let old = Key::hmac_secret_text(&"4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE".into())?;
/// let new = Key::hmac_secret_text(&"Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP".into())?;
/// let ring = Keyring::new(new.clone())?.with_accepted(old.clone())?;
/// assert_eq!(ring.primary().id(), new.id());
/// assert!(ring.find(old.id().as_str()).is_some());
/// // The same key twice is a mistake.
/// assert!(ring.with_accepted(old).is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyring {
    primary: Key,
    accepted: Vec<Key>,
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
        Ok(Self { primary, accepted: Vec::new() })
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
                "use `Keyring::new` for sealing",
            ));
        }
        Ok(Self { primary: first, accepted: Vec::new() })
    }

    /// The same ring, which also reads what `key` made.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the ring has a key of this id, if `key` is for another purpose, or if it would mix secrets
    /// and key pairs.
    pub fn with_accepted(mut self, key: Key) -> Result<Self, ConfigError> {
        let bad = |problem, cure| Err(ConfigError::new("accepted key", problem, cure));
        if self.keys().any(|held| held.id() == key.id()) {
            return bad(
                "has the id of a key that is in the ring",
                "leave it out, or give it another id by `with_id`",
            );
        }
        if key.purpose() != self.purpose() {
            return bad("has another purpose than the ring", "keep one ring for each purpose");
        }
        let symmetric = |key: &Key| key.algorithm().map(Algorithm::is_symmetric);
        if symmetric(&key) != symmetric(&self.primary) {
            return bad(
                "would mix shared secrets and key pairs",
                "end all tokens of the one kind before changing to the other",
            );
        }
        self.accepted.push(key);
        Ok(self)
    }

    /// The key that makes new things.
    #[must_use]
    pub fn primary(&self) -> &Key {
        &self.primary
    }

    /// The key with this id. An id is compared and nothing else; it never becomes part of a path or query.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id().as_str() == id)
    }

    /// All keys, the primary one first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.primary).chain(&self.accepted)
    }

    /// The ids of all keys, the primary one first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys().map(Key::id)
    }

    /// What the keys are for.
    #[must_use]
    pub fn purpose(&self) -> KeyPurpose {
        self.primary.purpose()
    }
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
        let sealing = Key::generate_sealing().unwrap();
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
