//! Sealing under a ring.

use std::fmt;

use secrecy::SecretSlice;

use super::context::FieldContext;
use super::value::{MAX_HEADER, Sealed};
use crate::crypto::aead::{Cipher, NonceMode, SealAlgorithm};
use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::key::Key;
use crate::crypto::keyring::{KeyState, Keyring};
use crate::crypto::seal::{OpenError, SymmetricKey};
use crate::error::{ConfigError, Error, ErrorKind, Result, StartError};
use crate::id::KeyId;

/// Seals under the primary key of a ring, and opens under all its keys.
///
/// Made once and shared; for another ring make another. It holds the keys' schedules and the state of the nonces,
/// which is why it can't be cloned: see [`NonceMode`] about processes that fork.
pub struct Sealer {
    algorithm: SealAlgorithm,
    primary: KeyId,
    seals: Cipher,
    opens: Vec<Opens>,
}

/// One key of the ring under both algorithms: a change of algorithm leaves old values readable.
struct Opens {
    id: KeyId,
    /// Still to become primary.
    upcoming: bool,
    xchacha: Cipher,
    xaes: Cipher,
}

impl Sealer {
    /// A sealer over a ring of keys for [`KeyPurpose::Sealing`].
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] if the ring is for another purpose, [`StartError::Failed`] if the operating system
    /// supplies no randomness for the nonces.
    pub fn new(ring: &Keyring, algorithm: SealAlgorithm, nonces: NonceMode) -> Result<Self, StartError> {
        let upcoming =
            |key: &Key| ring.record(key.id()).is_some_and(|record| record.state() == KeyState::PreActive);
        let opens = ring.keys().map(|key| Opens::new(key, upcoming(key)));
        let opens = opens.collect::<Result<_, StartError>>()?;
        let seals = Cipher::new(algorithm, &subkey(ring.primary(), algorithm)?, nonces)?;
        Ok(Self { algorithm, primary: ring.primary().id().clone(), seals, opens })
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if a part of the context is empty, if the counter of nonces has run out or if the value
    /// is longer than the algorithm takes (256 and 64 GiB); with [`NonceMode::Random`] [`ErrorKind::Entropy`] if the
    /// operating system supplies no randomness.
    pub fn seal(&self, context: &FieldContext<'_>, plaintext: &[u8]) -> Result<Sealed> {
        self.seal_bytes(context, plaintext).map(Sealed::finish)
    }

    /// The same as text. Two allocations.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_text(&self, context: &FieldContext<'_>, plaintext: &[u8]) -> Result<String> {
        self.seal_bytes(context, plaintext).map(|bytes| Sealed::text(&bytes))
    }

    /// Opens a value at its place, under whichever key and algorithm it was sealed with. What comes out is wiped when
    /// it is dropped.
    ///
    /// # Errors
    ///
    /// [`OpenError`], one and the same if its key is not in the ring, if it belongs elsewhere, or if it is damaged.
    pub fn open(&self, context: &FieldContext<'_>, sealed: &Sealed) -> Result<SecretSlice<u8>, OpenError> {
        let parts = sealed.parts().ok_or(OpenError)?;
        let cipher = self.cipher(parts.key_id, parts.algorithm).ok_or(OpenError)?;
        context.bind(parts.header, |aad| cipher.open(aad, parts.body)).ok_or(OpenError)?
    }

    /// The same for a value as text.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_text(&self, context: &FieldContext<'_>, sealed: &str) -> Result<SecretSlice<u8>, OpenError> {
        self.open(context, &sealed.parse()?)
    }

    /// Whether a value is under another key than the primary one, or another algorithm. Nothing is opened to find out.
    /// What an instance that is ahead made with a key that is still to become primary here is left as it is.
    #[must_use]
    pub fn needs_reseal(&self, sealed: &Sealed) -> bool {
        if self.opens.iter().any(|key| key.upcoming && key.id.as_str() == sealed.key_id()) {
            return false;
        }
        sealed.key_id() != self.primary.as_str() || sealed.algorithm() != self.algorithm
    }

    /// With what new values are sealed.
    #[must_use]
    pub fn algorithm(&self) -> SealAlgorithm {
        self.algorithm
    }

    fn seal_bytes(&self, context: &FieldContext<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        let incomplete =
            || Error::new(ErrorKind::Internal, "the place of a value to be sealed is incomplete");
        let too_long = || Error::new(ErrorKind::Internal, "the id of a key is too long");
        let mut bytes = Sealed::begin(self.algorithm, &self.primary, plaintext.len()).ok_or_else(too_long)?;
        // The header is in the vector that is written to.
        let mut header = [0; MAX_HEADER];
        let header = header.get_mut(..bytes.len()).ok_or_else(too_long)?;
        header.copy_from_slice(&bytes);
        context
            .bind(header, |aad| self.seals.seal_into(aad, plaintext, &mut bytes))
            .ok_or_else(incomplete)??;
        Ok(bytes)
    }

    /// The cipher made for sealing opens its own values without computing their schedule.
    fn cipher(&self, key_id: &str, algorithm: SealAlgorithm) -> Option<&Cipher> {
        if algorithm == self.algorithm && key_id == self.primary.as_str() {
            return Some(&self.seals);
        }
        let key = self.opens.iter().find(|key| key.id.as_str() == key_id)?;
        Some(match algorithm {
            SealAlgorithm::XChaCha20Poly1305 => &key.xchacha,
            SealAlgorithm::Xaes256Gcm => &key.xaes,
        })
    }
}

impl Opens {
    fn new(key: &Key, upcoming: bool) -> Result<Self, StartError> {
        // Never seal, so they need no counter.
        let cipher = |algorithm| -> Result<Cipher, StartError> {
            Ok(Cipher::new(algorithm, &subkey(key, algorithm)?, NonceMode::Random)?)
        };
        Ok(Self {
            id: key.id().clone(),
            upcoming,
            xchacha: cipher(SealAlgorithm::XChaCha20Poly1305)?,
            xaes: cipher(SealAlgorithm::Xaes256Gcm)?,
        })
    }
}

/// No two algorithms share a key, and what else is derived from the ring's key has another label.
fn subkey(key: &Key, algorithm: SealAlgorithm) -> Result<SymmetricKey, StartError> {
    match key.bits() {
        Some(material) if key.purpose() == KeyPurpose::Sealing => {
            let name = algorithm.as_str().as_bytes();
            Ok(SymmetricKey::derive(material.expose_bytes(), "sealed value", name)?)
        }
        _ => Err(ConfigError::new(
            "keyring for sealing",
            "holds a key for another purpose",
            "use keys made by `Key::generate_for` or `Key::from_bytes`",
        )
        .into()),
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("algorithm", &self.algorithm)
            .field("primary", &self.primary)
            .field("keys", &self.opens.iter().map(|key| &key.id).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
