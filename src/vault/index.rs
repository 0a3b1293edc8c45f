//! Finding sealed values, while keys rotate.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Vault;
use crate::crypto::Keyring;
use crate::crypto::blind_index::{BlindIndex, BlindIndexBuilder, BlindIndexer, IndexValue};
use crate::error::ConfigError;
use crate::id::TenantId;

/// A [`BlindIndex`] that goes by its vault's keys, whatever they are at the moment.
pub struct FieldIndex {
    vault: Vault,
    ready: ArcSwap<Ready>,
}

/// An index, and the ring it was prepared for.
struct Ready {
    ring: Arc<Keyring>,
    index: BlindIndex,
}

impl Vault {
    /// Prepares a blind index of this column, by which its sealed values are found. What it tells whoever sees it, and
    /// what is to be indexed at all, is said [there](crate::crypto::blind_index).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use portcullis::audit::MemorySink;
    /// # use portcullis::crypto::StaticKeys;
    /// # use portcullis::crypto::blind_index::Normalization;
    /// # use portcullis::vault::Vault;
    /// # use portcullis::TenantId;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let vault = Vault::builder(Arc::new(StaticKeys::generate()?), Arc::new(MemorySink::default())).build().await?;
    /// # let tenant = TenantId::default();
    /// let phones = vault.blind_index("users", "phone", |index| index.with_normalization(Normalization::Exact))?;
    /// let stored = phones.value(&tenant, "+49 30 123");
    /// // select .. from users where tenant = ? and phone_index in (?, ..)
    /// assert!(phones.candidates(&tenant, "+49 30 123").contains(&stored));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the vault's provider has no keys for
    /// [blind indexes](crate::crypto::KeyPurpose::BlindIndex), or for what [`BlindIndexBuilder::build`] refuses.
    pub fn blind_index(
        &self,
        table: &str,
        column: &str,
        how: impl FnOnce(BlindIndexBuilder) -> BlindIndexBuilder,
    ) -> Result<FieldIndex, ConfigError> {
        let ring = self.0.keys.load().index().cloned().ok_or_else(|| {
            ConfigError::new(
                "blind index",
                "has no keys",
                "let the key provider of the vault have a ring for `KeyPurpose::BlindIndex`",
            )
        })?;
        let index = how(BlindIndexer::new(&ring)?.column(table, column)).build()?;
        let ready = ArcSwap::from_pointee(Ready { ring, index });
        Ok(FieldIndex { vault: self.clone(), ready })
    }
}

impl FieldIndex {
    /// What to store beside a value: made with the newest key.
    #[must_use]
    pub fn value(&self, tenant: &TenantId, value: &str) -> IndexValue {
        self.ready().index.index(tenant, value)
    }

    /// What may be stored beside a value: one for each key that still reads.
    #[must_use]
    pub fn candidates(&self, tenant: &TenantId, value: &str) -> Vec<IndexValue> {
        self.ready().index.candidates(tenant, value)
    }

    /// Whether what is stored was made with an older key.
    #[must_use]
    pub fn needs_reindex(&self, stored: &IndexValue) -> bool {
        self.ready().index.needs_reindex(stored)
    }

    fn ready(&self) -> Arc<Ready> {
        let ready = self.ready.load_full();
        let keys = self.vault.0.keys.load();
        let Some(ring) = keys.index().filter(|ring| !Arc::ptr_eq(ring, &ready.ring)) else { return ready };
        let index = match ready.index.under(ring) {
            Ok(index) => index,
            // Two keys with the same short name: one rotation in four thousand million.
            Err(error) => {
                tracing::error!(%error, "a blind index cannot go by the new keys, and goes by those before");
                return ready;
            }
        };
        let ready = Arc::new(Ready { ring: ring.clone(), index });
        self.ready.store(ready.clone());
        ready
    }
}

impl fmt::Debug for FieldIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldIndex").field("index", &self.ready.load().index).finish_non_exhaustive()
    }
}
