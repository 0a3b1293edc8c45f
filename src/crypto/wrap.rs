//! Data keys, wrapped under a key that need not leave where it is kept.

use std::fmt;

use async_trait::async_trait;

use crate::crypto::seal::{OpenError, SymmetricKey};
use crate::error::{Error, Result};
use crate::id::KeyId;

/// Wraps data keys under a key of its own: a ring of [`KeyPurpose::Wrapping`](super::KeyPurpose), a module, a key
/// management service.
#[async_trait]
#[diagnostic::on_unimplemented(note = "implement `portcullis::crypto::KeyWrap` for `{Self}`")]
pub trait KeyWrap: Send + Sync + 'static {
    /// Wraps under the key that is current.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind) if the key can't be reached.
    async fn wrap(&self, key: &SymmetricKey) -> Result<WrappedKey>;

    /// Unwraps under the key that wrapped it, as long as that still reads.
    ///
    /// # Errors
    ///
    /// [`UnwrapError::Refused`] if it doesn't unwrap, whatever the reason; [`UnwrapError::Failed`] if nobody could try.
    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<SymmetricKey, UnwrapError>;

    /// Whether the current key wrapped this; if not, wrap it again before the old key goes.
    ///
    /// # Errors
    ///
    /// As for [`wrap`](Self::wrap).
    async fn is_current(&self, wrapped: &WrappedKey) -> Result<bool>;
}

/// A data key nobody can use without the key that wrapped it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    by: KeyId,
    bytes: Box<[u8]>,
}

/// Why a key was not unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum UnwrapError {
    /// It doesn't unwrap: wrapped by another key, by one that is compromised or destroyed, or damaged.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// Nobody could try.
    #[error("the wrapping key cannot be used")]
    Failed(#[from] Error),
}

impl WrappedKey {
    /// What a key of this id wrapped, in the form of whoever did it.
    #[must_use]
    pub fn new(by: KeyId, bytes: impl Into<Box<[u8]>>) -> Self {
        Self { by, bytes: bytes.into() }
    }

    /// The id of the key that wrapped it.
    #[must_use]
    pub fn by(&self) -> &KeyId {
        &self.by
    }

    /// The wrapped bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey").field("by", &self.by).finish_non_exhaustive()
    }
}
