//! Sealed values: ciphertext for a database, which names its key and opens only where it was made for.
//!
//! A [`Sealer`] seals under the primary key of a ring and opens under all of its keys, so keys rotate while old rows
//! stay readable. A [`FieldContext`] says where a value lives; a row copied to another tenant, table, column or row
//! does not open there. What is stored is
//!
//! ```text
//! algorithm (1 byte) | length of the key id (1 byte) | key id | nonce (24 bytes) | ciphertext | tag (16 bytes)
//! ```
//!
//! or the same as text, `pc1.` and base64url without padding (RFC 4648 section 5), for columns of text. Everything
//! before the nonce and the whole context are authenticated. One byte tells the algorithm and with it the version of
//! the form: 1 is [XChaCha20-Poly1305](SealAlgorithm::XChaCha20Poly1305), 2 is
//! [XAES-256-GCM](SealAlgorithm::Xaes256Gcm). Each algorithm has a key of its own, derived from the ring's.
//!
//! The length of a value is not hidden. Neither is that a value changed, nor under which key it is.
//!
//! ```
//! use portcullis::TenantId;
//! use portcullis::crypto::sealed::{FieldContext, NonceMode, SealAlgorithm, Sealer};
//! use portcullis::crypto::{Key, KeyPurpose, Keyring};
//! use secrecy::ExposeSecret;
//!
//! let (old, new) = (Key::generate_for(KeyPurpose::Sealing)?, Key::generate_for(KeyPurpose::Sealing)?);
//! let sealer =
//!     |ring: &Keyring| Sealer::new(ring, SealAlgorithm::default(), NonceMode::default());
//! let tenant = TenantId::default();
//! // The row's id is minted before the row is written.
//! let place = FieldContext::new(&tenant, "notes", "body", "note-1");
//!
//! let before = sealer(&Keyring::new(old.clone())?)?;
//! let stored = before.seal(&place, b"attack at dawn")?;
//!
//! let after = sealer(&Keyring::new(new)?.with_accepted(old)?)?;
//! assert_eq!(after.open(&place, &stored)?.expose_secret(), b"attack at dawn");
//! assert!(after.needs_reseal(&stored));
//! // Elsewhere it doesn't open.
//! let elsewhere = FieldContext::new(&tenant, "notes", "body", "note-2");
//! assert!(after.open(&elsewhere, &stored).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod encrypted;
mod sealer;
#[cfg(test)]
mod tests;
mod value;

pub use self::context::FieldContext;
pub use self::encrypted::Encrypted;
pub use self::sealer::Sealer;
pub use self::value::Sealed;
pub use crate::crypto::aead::{NonceMode, SealAlgorithm};
