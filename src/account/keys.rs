//! Keys that change while the service runs.

use std::sync::Arc;

use crate::account::Accounts;
use crate::crypto::KeyPurpose;
use crate::error::{Error, ErrorKind, Result};

impl Accounts {
    /// Asks the key provider for the keys that sign access tokens, and puts them in force in one step if they have
    /// changed. Returns whether they have. A [`Gate`](crate::gate::Gate) over these accounts calls it every second.
    ///
    /// Introduce a new key some seconds before it is promoted, and every instance knows it before another one signs with it
    /// ([`RotationPolicy`](crate::crypto::RotationPolicy)): no token is refused for want of its key.
    ///
    /// # Errors
    ///
    /// What the provider fails with; [`ErrorKind::Internal`] if its keys are not for tokens, or none of them signs any
    /// more. The keys before stay in force.
    pub async fn refresh_keys(&self) -> Result<bool> {
        // One at a time, so that an older answer never replaces a newer one.
        let _refreshing = self.0.refreshing.lock().await;
        let codec = self.0.tokens.codec();
        let ring = self.0.keys.keyring(KeyPurpose::TokenSigning).await?;
        let before = codec.keyring();
        if Arc::ptr_eq(&ring, &before) || ring.is_same(&before) {
            return Ok(false);
        }
        if before.primary().is_private() && !ring.primary().is_private() {
            return Err(Error::new(ErrorKind::Internal, "the new primary key for tokens only verifies"));
        }
        codec.replace_keyring(ring).map_err(|error| {
            Error::new(ErrorKind::Internal, "the new keys for tokens cannot stand").with_source(error)
        })?;
        Ok(true)
    }
}
