//! Keys that are known at start-up and stay.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::key::Key;
use crate::crypto::keyring::Keyring;
use crate::crypto::keyset;
use crate::crypto::provider::{KeyProvider, pick};
use crate::error::{ConfigError, Result};

/// Keys that are known at start-up and stay as long as the process: for tests and first steps.
///
/// They can't be rotated. Where things outlive the process, keep keys in a [`KeyFile`](super::KeyFile), or derive them
/// from a root secret ([`DerivedKeys`](super::DerivedKeys)).
///
/// ```
/// use portcullis::crypto::{KeyProvider, KeyPurpose, StaticKeys};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let keys = StaticKeys::generate()?;
/// assert_eq!(keys.keyring(KeyPurpose::Sealing).await?.purpose(), KeyPurpose::Sealing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct StaticKeys {
    rings: Vec<Arc<Keyring>>,
}

impl StaticKeys {
    /// Fresh keys for every purpose, which die with the process: what was signed is not believed after a restart, what
    /// was sealed doesn't open.
    ///
    /// # Errors
    ///
    /// As for [`Key::generate_for`].
    pub fn generate() -> Result<Self, ConfigError> {
        let ring = |purpose: &KeyPurpose| Keyring::new(Key::generate_for(*purpose)?).map(Arc::new);
        Ok(Self { rings: KeyPurpose::ALL.iter().map(ring).collect::<Result<_, _>>()? })
    }

    /// Given keys, for the purpose they have. Keys that stand in code or configuration are known to whoever reads that,
    /// and stay when they should be rotated: see to both yourself.
    #[must_use]
    pub fn danger_new(ring: Keyring) -> Self {
        Self { rings: vec![Arc::new(ring)] }
    }

    /// Adds a ring for another purpose.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is a ring for that purpose.
    pub fn with_ring(mut self, ring: Keyring) -> Result<Self, ConfigError> {
        if self.ring(ring.purpose()).is_some() {
            return Err(ConfigError::new(
                "keys",
                format!("has two rings for {}", ring.purpose()),
                "put both keys into one ring by `with_accepted`",
            ));
        }
        self.rings.push(Arc::new(ring));
        Ok(self)
    }

    /// The ring for this purpose.
    #[must_use]
    pub fn ring(&self, purpose: KeyPurpose) -> Option<&Arc<Keyring>> {
        self.rings.iter().find(|ring| ring.purpose() == purpose)
    }

    /// All keys with their **private** halves as JSON, in the form of a [`KeyFile`](super::KeyFile). Whoever reads this
    /// text can sign tokens: never in a log.
    #[must_use]
    pub fn expose_private_json(&self) -> SecretString {
        keyset::write(&self.rings)
    }

    /// Keys in the form of a [`KeyFile`](super::KeyFile), from wherever they were kept. What holds for
    /// [`danger_new`](Self::danger_new) holds for these.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the text has not that form, or a key in it can't stand, as in the constructors of
    /// [`Key`] and [`Keyring`]. The text itself is never part of the error.
    pub fn danger_from_private_json(text: &SecretString) -> Result<Self, ConfigError> {
        Ok(Self { rings: keyset::read(text)?.into_iter().map(Arc::new).collect() })
    }
}

#[async_trait]
impl KeyProvider for StaticKeys {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        pick(&self.rings, purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_ring_for_each_purpose_and_no_other() {
        let keys = StaticKeys::generate().unwrap();
        for purpose in KeyPurpose::ALL {
            assert_eq!(keys.keyring(*purpose).await.unwrap().purpose(), *purpose);
        }
        let ring = Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap();
        let given = StaticKeys::danger_new(ring.clone());
        assert!(given.clone().with_ring(ring).is_err());
        assert_eq!(given.keyring(KeyPurpose::Csrf).await.unwrap_err().kind(), ErrorKind::Internal);
        let again = StaticKeys::danger_from_private_json(&given.expose_private_json()).unwrap();
        let id = |keys: &StaticKeys| keys.ring(KeyPurpose::Sealing).unwrap().primary().id().clone();
        assert_eq!(id(&again), id(&given));
    }
}
