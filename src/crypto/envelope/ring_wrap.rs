//! Wrapping with keys that are at hand.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use super::aes_kw;
use crate::crypto::seal::{OpenError, SymmetricKey};
use crate::crypto::{KeyPurpose, KeyWrap, Keyring, UnwrapError, WrappedKey};
use crate::error::{ConfigError, Error, ErrorKind, Result};

/// Wraps by the keys of a ring, AES-256-KW (RFC 3394; ASVS 5.0 appendix C).
///
/// The ring is [replaced](Self::replace) in one step while the service runs: every call sees the one or the other, and
/// what one of them wrapped the other unwraps, as long as the key [reads](crate::crypto::KeyState::reads).
pub struct RingWrap {
    ring: ArcSwap<Keyring>,
}

impl RingWrap {
    /// With this ring.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if its keys are not for [`KeyPurpose::Wrapping`].
    pub fn new(ring: impl Into<Arc<Keyring>>) -> Result<Self, ConfigError> {
        Ok(Self { ring: ArcSwap::new(checked(ring.into())?) })
    }

    /// Goes over to this ring.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if its keys are not for [`KeyPurpose::Wrapping`]; the ring before it stays in use.
    pub fn replace(&self, ring: impl Into<Arc<Keyring>>) -> Result<(), ConfigError> {
        self.ring.store(checked(ring.into())?);
        Ok(())
    }

    /// The ring in use.
    #[must_use]
    pub fn ring(&self) -> Arc<Keyring> {
        self.ring.load_full()
    }
}

#[async_trait]
impl KeyWrap for RingWrap {
    async fn wrap(&self, key: &SymmetricKey) -> Result<WrappedKey> {
        let ring = self.ring.load();
        let by = ring.primary();
        // INVARIANT: keys for wrapping are symmetric.
        let bits = by.bits().ok_or_else(|| Error::new(ErrorKind::Internal, "a wrapping key is unusable"))?;
        Ok(WrappedKey::new(by.id().clone(), aes_kw::wrap(bits, key)))
    }

    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<SymmetricKey, UnwrapError> {
        let ring = self.ring.load();
        let by = ring.find(wrapped.by().as_str()).and_then(|key| key.bits()).ok_or(OpenError)?;
        Ok(aes_kw::unwrap(by, wrapped.bytes())?)
    }

    async fn is_current(&self, wrapped: &WrappedKey) -> Result<bool> {
        Ok(self.ring.load().primary().id() == wrapped.by())
    }
}

impl fmt::Debug for RingWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingWrap").field("keys", &self.ring.load().ids().collect::<Vec<_>>()).finish()
    }
}

fn checked(ring: Arc<Keyring>) -> Result<Arc<Keyring>, ConfigError> {
    if ring.purpose() == KeyPurpose::Wrapping {
        return Ok(ring);
    }
    let problem = format!("has keys for {}", ring.purpose());
    Err(ConfigError::new("wrapping keys", problem, "use a ring of `KeyPurpose::Wrapping`"))
}
