//! Blind indexes: rows are found by a value that only stands there sealed.
//!
//! Sealed fields never look equal, so no database finds them. Beside the sealed column stands another one, with a MAC of
//! the value (HMAC-SHA-256) under a key of its own: equal values have equal MACs, and whoever has only the database can't
//! compute any. It is made so:
//!
//! 1. Each key of the [ring](crate::crypto::Keyring) gives a subkey for this table, column, normalization and length
//!    (HKDF-SHA-256; every part goes in with its length), so equal values in two columns look different.
//! 2. The tenant goes into the MAC with its length, so equal values of two tenants look different.
//! 3. The value is [normalized](Normalization), by choice, and goes in last.
//! 4. The MAC is cut, by choice, and the [`IndexValue`] starts with a short name of the subkey: what two keys made is
//!    never taken for one.
//!
//! ```
//! use portcullis::TenantId;
//! use portcullis::crypto::blind_index::{BlindIndexer, Normalization};
//! use portcullis::crypto::{Key, KeyPurpose, Keyring};
//! use portcullis::time::{Clock, SystemClock};
//!
//! let ring = Keyring::begin(Key::generate_for(KeyPurpose::BlindIndex)?, SystemClock::new().now())?;
//! let emails = BlindIndexer::new(&ring)?
//!     .column("users", "email")
//!     .with_normalization(Normalization::CaseFolded)
//!     .build()?;
//! let tenant = TenantId::default();
//!
//! // insert into users (id, email, email_index) values (?, <sealed>, ?)
//! let stored = emails.index(&tenant, "Ada@Example.com");
//! // select * from users where email_index in (?, ..)
//! assert!(emails.candidates(&tenant, "ada@example.COM").contains(&stored));
//! assert!(!emails.candidates(&tenant, "ben@example.com").contains(&stored));
//!
//! // After a rotation the row is still found, and is due for a new value.
//! let ring = ring.rotate(Key::generate_for(KeyPurpose::BlindIndex)?, SystemClock::new().now())?;
//! let emails = emails.under(&ring)?;
//! assert!(emails.candidates(&tenant, "ada@example.com").contains(&stored));
//! assert!(emails.needs_reindex(&stored));
//! # Ok::<(), portcullis::ConfigError>(())
//! ```
//!
//! # What it tells
//!
//! Whoever reads the column learns which rows of one tenant are equal, and how often each value occurs. So
//!
//! - index what has many values (an e-mail address), not what has few (a diagnosis, a flag);
//! - cut the MAC where equality itself is telling: with n [bits](BlindIndexBuilder::with_bits) about one in 2^n of all
//!   *other* rows is found too. Open what was found and keep what is [alike](Normalization::alike);
//! - who can write rows and see the column can test guesses: limit how often that may be tried.
//!
//! Under a key that is compromised or destroyed nothing is found any more: reindex before. The text that is indexed is
//! not wiped from memory; it is the caller's.

mod normalize;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::sync::Arc;

pub use normalize::Normalization;
pub use value::{IndexValue, InvalidIndexValue};

use crate::crypto::seal::SymmetricKey;
use crate::crypto::signature::Hs256;
use crate::crypto::{Key, KeyPurpose, Keyring};
use crate::error::ConfigError;
use crate::id::{MAX_ID_BYTES, TenantId};
use value::TAG_BYTES;

const FIELD: &str = "blind index";
/// The whole MAC.
const MAX_BITS: u16 = 256;
const MIN_BITS: u16 = 8;

/// What goes into the MAC for the short name of a key. A value can't start so: tenants aren't empty.
const NAME: &[u8] = &[0];

/// Prepares indexes of columns under the keys of a ring.
#[derive(Clone, Debug)]
pub struct BlindIndexer {
    ring: Keyring,
}

/// The index of one column, its keys prepared.
///
/// Costs one HMAC a value, and no memory up to 128 bytes of normalized text. Not `Clone`: share it in an `Arc`.
pub struct BlindIndex {
    column: Arc<Column>,
    primary: ColumnKey,
    others: Vec<ColumnKey>,
}

/// How a column is indexed. Everything but the ring is settled for good: a change of it makes other values.
#[derive(Clone, Debug)]
#[must_use]
pub struct BlindIndexBuilder {
    ring: Keyring,
    column: Column,
}

#[derive(Clone, Debug)]
struct Column {
    table: String,
    column: String,
    normalization: Normalization,
    bits: u16,
}

/// One key of the ring, for one column.
struct ColumnKey {
    name: [u8; TAG_BYTES],
    mac: Hs256,
}

impl BlindIndexer {
    /// With the keys of this ring.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if they are not for [`KeyPurpose::BlindIndex`].
    pub fn new(ring: &Keyring) -> Result<Self, ConfigError> {
        check(ring)?;
        Ok(Self { ring: ring.clone() })
    }

    /// The index of this column: [exact](Normalization::Exact) and not cut, unless something else is said.
    pub fn column(&self, table: &str, column: &str) -> BlindIndexBuilder {
        BlindIndexBuilder {
            ring: self.ring.clone(),
            column: Column {
                table: table.to_owned(),
                column: column.to_owned(),
                normalization: Normalization::default(),
                bits: MAX_BITS,
            },
        }
    }
}

impl BlindIndexBuilder {
    /// Which texts are equal.
    pub fn with_normalization(mut self, normalization: Normalization) -> Self {
        self.column.normalization = normalization;
        self
    }

    /// Keeps only so many bits of the MAC, 8 to 256. The fewer, the more rows are found that don't fit, and the less the
    /// column tells.
    pub fn with_bits(mut self, bits: u16) -> Self {
        self.column.bits = bits;
        self
    }

    /// Derives the keys.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there are fewer than 8 or more than 256 bits; if two keys happen to have the same short name,
    /// one in four thousand million.
    pub fn build(self) -> Result<BlindIndex, ConfigError> {
        BlindIndex::prepare(Arc::new(self.column), &self.ring)
    }
}

impl BlindIndex {
    /// What to store beside the sealed value. Made with the primary key.
    #[must_use]
    pub fn index(&self, tenant: &TenantId, value: &str) -> IndexValue {
        self.value(&self.primary, tenant, self.column.normalization.normal(value).bytes())
    }

    /// What to look for: under every key that reads, the primary one first.
    #[must_use]
    pub fn candidates(&self, tenant: &TenantId, value: &str) -> Vec<IndexValue> {
        let normal = self.column.normalization.normal(value);
        let keys = std::iter::once(&self.primary).chain(&self.others);
        keys.map(|key| self.value(key, tenant, normal.bytes())).collect()
    }

    /// Whether a stored value was made by another key than the primary one, or with other settings. Open the row and
    /// [index](Self::index) its value again.
    #[must_use]
    pub fn needs_reindex(&self, stored: &IndexValue) -> bool {
        !stored.is_of(self.primary.name)
            || stored.as_bytes().len() != TAG_BYTES + usize::from(self.column.bits.div_ceil(8))
    }

    /// The same column under the keys of this ring, after a rotation.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the ring is for something else; if two keys happen to have the same short name.
    pub fn under(&self, ring: &Keyring) -> Result<Self, ConfigError> {
        Self::prepare(Arc::clone(&self.column), ring)
    }

    /// Which texts are equal.
    #[must_use]
    pub fn normalization(&self) -> Normalization {
        self.column.normalization
    }

    fn prepare(column: Arc<Column>, ring: &Keyring) -> Result<Self, ConfigError> {
        check(ring)?;
        if !(MIN_BITS..=MAX_BITS).contains(&column.bits) {
            return Err(ConfigError::new(FIELD, "has a length that can't be", "keep 8 to 256 bits"));
        }
        let context = column.context();
        let keys: Result<Vec<_>, _> = ring.keys().map(|key| ColumnKey::new(key, &context)).collect();
        let mut keys = keys?.into_iter();
        let primary = keys.next().ok_or_else(unusable)?;
        let index = Self { column, primary, others: keys.collect() };
        let mut names: Vec<_> = index.others.iter().map(|key| key.name).collect();
        names.push(index.primary.name);
        names.sort_unstable();
        if names.is_sorted_by(|a, b| a < b) {
            return Ok(index);
        }
        Err(ConfigError::new(FIELD, "has two keys of one short name", "introduce another key instead"))
    }

    fn value(&self, key: &ColumnKey, tenant: &TenantId, normal: &[u8]) -> IndexValue {
        const { assert!(MAX_ID_BYTES < 256) };
        let tenant = tenant.as_str().as_bytes();
        let length = [u8::try_from(tenant.len()).unwrap_or(u8::MAX)];
        let parts = [&length[..], tenant, normal];
        IndexValue::new(key.name, &key.mac.mac(&parts), self.column.bits)
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlindIndex")
            .field("column", &self.column)
            .field("keys", &(1 + self.others.len()))
            .finish_non_exhaustive()
    }
}

impl Column {
    /// Unlike that of any other column, however the parts are cut.
    fn context(&self) -> Vec<u8> {
        let Self { table, column, normalization, bits } = self;
        let mut context = Vec::with_capacity(table.len() + column.len() + 19);
        for part in [table, column] {
            context.extend_from_slice(&(part.len() as u64).to_be_bytes());
            context.extend_from_slice(part.as_bytes());
        }
        context.push(normalization.id());
        context.extend_from_slice(&bits.to_be_bytes());
        context
    }
}

impl ColumnKey {
    fn new(key: &Key, context: &[u8]) -> Result<Self, ConfigError> {
        let bits = key.bits().ok_or_else(unusable)?;
        let subkey =
            SymmetricKey::derive(bits.expose_bytes(), "blind index", context).map_err(|_| unusable())?;
        let mac = Hs256::new(subkey.expose_bytes());
        let mut name = [0; TAG_BYTES];
        name.iter_mut().zip(mac.mac(&[NAME])).for_each(|(to, from)| *to = from);
        Ok(Self { name, mac })
    }
}

fn check(ring: &Keyring) -> Result<(), ConfigError> {
    if ring.purpose() == KeyPurpose::BlindIndex {
        return Ok(());
    }
    let problem = format!("has keys for {}", ring.purpose());
    Err(ConfigError::new(FIELD, problem, "use a ring of `KeyPurpose::BlindIndex`"))
}

fn unusable() -> ConfigError {
    ConfigError::new(FIELD, "has an unusable key", "report this")
}
