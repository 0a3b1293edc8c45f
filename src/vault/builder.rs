//! Putting a vault together.

use std::fmt;
use std::sync::Arc;

use super::keys::{Keys, Sealing};
use super::{Inner, Vault};
use crate::audit::{AuditSink, Auditor, OnFailure};
use crate::crypto::KeyProvider;
use crate::crypto::sealed::{NonceMode, SealAlgorithm};
use crate::error::StartError;
use crate::time::{Clock, SystemClock};

/// Collects what a [`Vault`] rests on.
#[must_use]
pub struct VaultBuilder {
    provider: Arc<dyn KeyProvider>,
    audit: Arc<dyn AuditSink>,
    clock: Option<Arc<dyn Clock>>,
    sealing: Sealing,
}

impl VaultBuilder {
    pub(super) fn new(provider: Arc<dyn KeyProvider>, audit: Arc<dyn AuditSink>) -> Self {
        Self { provider, audit, clock: None, sealing: Sealing::default() }
    }

    /// Seals new values by this algorithm. What another one sealed still opens.
    pub fn with_algorithm(mut self, algorithm: SealAlgorithm) -> Self {
        self.sealing.algorithm = algorithm;
        self
    }

    /// Makes nonces in this way. [`NonceMode::Random`] costs a call to the operating system for each value, and is for
    /// processes that fork or are restored from a snapshot of their memory.
    pub fn with_nonces(mut self, nonces: NonceMode) -> Self {
        self.sealing.nonces = nonces;
        self
    }

    /// Takes the time from here instead of the machine.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Asks for the keys and puts it together.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] if the provider fails or has no keys for [sealing](crate::crypto::KeyPurpose::Sealing);
    /// [`StartError::Config`] if they can't stand.
    pub async fn build(self) -> Result<Vault, StartError> {
        let keys = Keys::load_from(&*self.provider, self.sealing).await?;
        Ok(Vault(Arc::new(Inner {
            provider: self.provider,
            keys,
            auditor: Auditor::new(self.audit, OnFailure::Block),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
        })))
    }
}

impl fmt::Debug for VaultBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultBuilder").field("sealing", &self.sealing).finish_non_exhaustive()
    }
}
