//! One data key, and what is sealed with it.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretSlice;

use crate::crypto::seal::{OpenError, SymmetricKey, open, seal};
use crate::crypto::{KeyWrap, WrappedKey};
use crate::error::Result;

/// What bodies are bound to besides the caller's context. Never used for anything else.
const LABEL: &[u8] = b"portcullis envelope v1\0";

/// A data key in the clear. Wiped when the last clone is dropped, never printed.
///
/// Don't keep it: as long as you do, no cache limit holds and destroying its wrapped form destroys nothing. Ask
/// [`DataKeys`](super::DataKeys) each time.
#[derive(Clone)]
pub struct DataKey(Arc<SymmetricKey>);

impl DataKey {
    /// A new key, and its wrapped form to be stored: without that, what the key seals is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if the operating system supplies no randomness; otherwise
    /// as [`KeyWrap::wrap`].
    pub async fn create(wrap: &dyn KeyWrap) -> Result<(WrappedKey, Self)> {
        let key = SymmetricKey::generate()?;
        Ok((wrap.wrap(&key).await?, Self::new(key)))
    }

    pub(super) fn new(key: SymmetricKey) -> Self {
        Self(Arc::new(key))
    }

    /// Seals, bound to `context`: where the value belongs. The same context is needed to open it.
    ///
    /// # Errors
    ///
    /// As [`crate::crypto::seal::seal`].
    pub fn seal(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        seal(&self.0, &bound(context), plaintext)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it was sealed with another key or for another context, or is damaged.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        open(&self.0, &bound(context), sealed)
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> std::sync::Weak<SymmetricKey> {
        Arc::downgrade(&self.0)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(REDACTED)")
    }
}

fn bound(context: &[u8]) -> Vec<u8> {
    [LABEL, context].concat()
}
