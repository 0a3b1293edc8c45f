//! Encryption of fields at rest, over keys that rotate while the service runs.
//!
//! A [`Vault`] seals values for the place they are kept in - tenant, table, column, row - and opens them there and
//! nowhere else: a value copied to another row or column doesn't open. It asks its [`KeyProvider`] for keys again and
//! again ([`Vault::refresh_keys`]); what was sealed with older keys still opens, and [`Reseal`] moves it to the newest.
//!
//! | to | use |
//! |---|---|
//! | seal a value of your own type, a column each | [`Vault::seal`], [`Vault::open`] |
//! | seal some members of a JSON document | [`Vault::seal_fields`], [`Vault::open_fields`] |
//! | find sealed values | [`Vault::blind_index`] |
//! | move a table to the newest key | [`Reseal`] |
//! | seal files | [`crypto::stream`](crate::crypto::stream) |
//! | destroy what one tenant or record has, by destroying one key | [`crypto::envelope`](crate::crypto::envelope) |
//!
//! The id of a row is part of where a value lives, so it is minted before the row is written. Values are written as JSON
//! before they are sealed, so the length of what is sealed shows the length of the value.
//!
//! What doesn't open - damaged, elsewhere, under a key that is gone or known to others - gives one and the same
//! [`VaultError::DoesNotOpen`] and an audit event `crypt_decrypt_fail` that says more. An outage is
//! [`VaultError::Failed`].
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::audit::MemorySink;
//! use portcullis::crypto::StaticKeys;
//! use portcullis::crypto::sealed::{Encrypted, FieldContext};
//! use portcullis::vault::Vault;
//! use portcullis::{Subject, TenantId};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let keys = Arc::new(StaticKeys::generate()?);
//! let vault = Vault::builder(keys, Arc::new(MemorySink::default())).build().await?;
//!
//! let (tenant, id) = (TenantId::default(), Subject::mint()?);
//! let here = FieldContext::new(&tenant, "patients", "diagnosis", id.as_str());
//! let column: Encrypted<String> = vault.seal(&"measles".to_owned(), &here)?;
//! assert_eq!(vault.open(&column, &here).await?, "measles");
//!
//! let elsewhere = FieldContext::new(&tenant, "patients", "address", id.as_str());
//! assert!(vault.open(&column, &elsewhere).await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! [`KeyProvider`]: crate::crypto::KeyProvider

mod builder;
mod fields;
mod index;
mod keys;
mod plain;
mod reseal;

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::{AuditEvent, AuditSink, Auditor, EventName};
use crate::crypto::seal::OpenError;
use crate::crypto::sealed::{Encrypted, FieldContext, Sealed};
use crate::crypto::{KeyLookup, KeyProvider, KeyPurpose, KeyRecord, Keyring};
use crate::error::{Error, Result};
use crate::time::Clock;

pub use builder::VaultBuilder;
pub use index::FieldIndex;
pub use reseal::{Progress, Reseal, ResealStore, RowKey, SealedRow};

/// Seals and opens fields. Cheap to clone; clones share keys and follow the same changes.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    provider: Arc<dyn KeyProvider>,
    keys: keys::Keys,
    auditor: Auditor,
    clock: Arc<dyn Clock>,
}

/// Why a value was not opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It doesn't open here: damaged, sealed for another place, or under a key that doesn't read any more. Deliberately
    /// says no more; the audit trail does.
    #[error(transparent)]
    DoesNotOpen(#[from] OpenError),
    /// Something else failed: the audit trail, the keys, or what was opened is no such value.
    #[error("the vault failed")]
    Failed(#[from] Error),
}

impl Vault {
    /// A vault over these keys, which records what doesn't open.
    pub fn builder(keys: Arc<dyn KeyProvider>, audit: Arc<dyn AuditSink>) -> VaultBuilder {
        VaultBuilder::new(keys, audit)
    }

    /// Seals a value for this place, under the newest key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::error::ErrorKind) if the value can't be written as JSON;
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind) if the operating system supplies no randomness.
    pub fn seal<T: Serialize>(&self, value: &T, at: &FieldContext<'_>) -> Result<Encrypted<T>> {
        self.seal_bytes(&plain::write(value)?, at).map(Encrypted::new)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    ///
    /// [`VaultError::DoesNotOpen`] if it was not, or its key doesn't read any more; [`VaultError::Failed`] if what was
    /// sealed is no `T` ([`ErrorKind::Corrupt`](crate::error::ErrorKind)) or the audit trail fails.
    pub async fn open<T: DeserializeOwned>(
        &self,
        sealed: &Encrypted<T>,
        at: &FieldContext<'_>,
    ) -> Result<T, VaultError> {
        let plain = self.open_bytes(sealed.sealed(), at).await?;
        Ok(plain::read(plain.expose_secret())?)
    }

    /// Seals bytes as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind) if the operating system supplies no randomness.
    pub fn seal_bytes(&self, plain: &[u8], at: &FieldContext<'_>) -> Result<Sealed> {
        self.0.keys.load().sealer().seal(at, plain)
    }

    /// Opens bytes.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_bytes(
        &self,
        sealed: &Sealed,
        at: &FieldContext<'_>,
    ) -> Result<SecretSlice<u8>, VaultError> {
        let mut keys = self.0.keys.load_full();
        let reason = loop {
            if let Ok(plain) = keys.sealer().open(at, sealed) {
                return Ok(plain);
            }
            match keys.sealing().lookup(sealed.key_id()) {
                KeyLookup::Usable(_) => break "does_not_match",
                KeyLookup::Refused(state) => break state.as_str(),
                KeyLookup::Unknown => {}
            }
            // Another instance may have been told of a new key before this one.
            let (provider, clock) = (&*self.0.provider, &*self.0.clock);
            match self.0.keys.newer_than(&keys, sealed.key_id(), provider, clock).await {
                Some(newer) => keys = newer,
                None => break "unknown_key",
            }
        };
        self.refused(at, sealed.key_id(), reason).await
    }

    /// Records that a value was not opened.
    async fn refused<T>(
        &self,
        at: &FieldContext<'_>,
        key: &str,
        reason: &'static str,
    ) -> Result<T, VaultError> {
        let event = AuditEvent::new(EventName::CryptDecryptFail, self.0.clock.now(), at.tenant().clone());
        let event = event.with_detail("table", at.table()).with_detail("column", at.column());
        let event = event.with_detail("member", at.member()).with_detail("row", at.row());
        let event = event.with_detail("key", key);
        self.0.auditor.record(event.with_detail("reason", reason)).await?;
        Err(OpenError.into())
    }

    /// Whether a value is sealed under an older key, or by another algorithm, than new ones are.
    #[must_use]
    pub fn needs_reseal(&self, sealed: &Sealed) -> bool {
        self.0.keys.load().sealer().needs_reseal(sealed)
    }

    /// By which keys and algorithm new values are sealed and indexed now. It changes with every rotation; how far a
    /// [`Reseal`] is depends on it.
    #[must_use]
    pub fn newest(&self) -> String {
        self.0.keys.load().newest()
    }

    /// Asks the provider for its keys again, and takes them over in one step: every call sees the old ring or the new one,
    /// whole. Says whether they changed. A [`Gate`](crate::gate::Gate) with a vault does so every second; without one, call
    /// it from time to time. Values under a key that is not known yet lead to it by themselves.
    ///
    /// # Errors
    ///
    /// Whatever the provider fails with; the keys stay as they are.
    pub async fn refresh_keys(&self) -> Result<bool> {
        self.0.keys.refresh(&*self.0.provider).await
    }

    /// Where each key for sealing, or for blind indexes, stands, the primary one first: for an inventory, or to see whether
    /// an old key may go. Nothing for other purposes.
    #[must_use]
    pub fn key_records(&self, purpose: KeyPurpose) -> Vec<KeyRecord> {
        let keys = self.0.keys.load();
        let ring = match purpose {
            KeyPurpose::Sealing => Some(keys.sealing()),
            KeyPurpose::BlindIndex => keys.index().map(Arc::as_ref),
            _ => None,
        };
        ring.into_iter().flat_map(Keyring::records).cloned().collect()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("primary", self.0.keys.load().sealing().primary().id())
            .finish_non_exhaustive()
    }
}
