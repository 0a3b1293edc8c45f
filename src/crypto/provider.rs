//! Where keys come from.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::key_file;
use crate::crypto::keyring::Keyring;
use crate::error::{ConfigError, Error, ErrorKind, Result};

/// A source of keys: a file, a key management service, a module. It may rotate; whoever asks again sees it.
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::crypto::KeyProvider` for `{Self}`, or use `portcullis::crypto::StaticKeys`"
)]
pub trait KeyProvider: Send + Sync + 'static {
    /// The ring for this purpose, as it stands now. All keys in it have that purpose.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the source can't be reached, [`ErrorKind::Internal`] if it has no keys for the
    /// purpose.
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>>;
}

#[async_trait]
impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        (**self).keyring(purpose).await
    }
}

/// Keys that are known at start-up and stay.
///
/// ```
/// use portcullis::crypto::{Algorithm, Key, KeyProvider, KeyPurpose, Keyring, StaticKeys};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let signing = Keyring::new(Key::generate(Algorithm::Hs256)?)?;
/// let sealing = Keyring::new(Key::generate_for(KeyPurpose::Sealing)?)?;
/// let keys = StaticKeys::new(signing).with_ring(sealing)?;
/// assert_eq!(keys.keyring(KeyPurpose::Sealing).await?.purpose(), KeyPurpose::Sealing);
///
/// // For a key file. Whoever reads this text can sign tokens: mode 0600, and never in a log.
/// let text = keys.expose_private_json();
/// let again = StaticKeys::from_private_json(&text)?;
/// assert_eq!(again.ring(KeyPurpose::Sealing).unwrap().primary().id(), keys.ring(KeyPurpose::Sealing).unwrap().primary().id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct StaticKeys {
    rings: Vec<Arc<Keyring>>,
}

impl StaticKeys {
    /// One ring, for the purpose of its keys.
    #[must_use]
    pub fn new(ring: Keyring) -> Self {
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

    /// All keys with their **private** halves as JSON, for a key file that only the service can read.
    #[must_use]
    pub fn expose_private_json(&self) -> SecretString {
        key_file::write(&self.rings)
    }

    /// Reads [`expose_private_json`](Self::expose_private_json) back.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the text has not that form, or a key in it can't stand, as in the constructors of
    /// [`Key`](crate::crypto::Key) and [`Keyring`]. The text itself is never part of the error.
    pub fn from_private_json(text: &SecretString) -> Result<Self, ConfigError> {
        Ok(Self { rings: key_file::read(text)?.into_iter().map(Arc::new).collect() })
    }
}

#[async_trait]
impl KeyProvider for StaticKeys {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        self.ring(purpose)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no keys were configured for {purpose}")))
    }
}
