//! Keys and what is made with them: signatures, sealed values, blind indexes, wrapped keys, sealed streams.
//!
//! A [`Key`] fixes its algorithm and its purpose when it is made; nothing a token or a caller says later can
//! change either (RFC 8725 section 3.1). A [`Keyring`] holds one primary key, with which new things are made, and
//! others, with which old things are still read, or which are refused by name ([`KeyState`]). A [`KeyProvider`] hands out
//! the ring for a purpose:
//!
//! | provider | keys | rotates |
//! |---|---|---|
//! | [`KeyFile`] | in a JSON file for its owner alone | while the service runs |
//! | [`DerivedKeys`] | derived from one root secret | with another root, at a restart |
//! | [`StaticKeys`] | fresh ones, which die with the process; given ones by `danger_new` | no |
//! | [`KeysByPurpose`] | of several providers | as they do |
//!
//! | algorithm | signs | verifies | needs |
//! |---|---|---|---|
//! | [`EdDsa`](Algorithm::EdDsa) (default) | yes | yes | feature `aws-lc` or `rust-crypto` |
//! | [`Es256`](Algorithm::Es256) | yes | yes | feature `aws-lc` or `rust-crypto` |
//! | [`Ps256`](Algorithm::Ps256) | RSA of 3072 to 4096 bits | 2048 to 4096 bits | feature `aws-lc` or `rust-crypto` |
//! | [`Rs256`](Algorithm::Rs256) | no | 2048 to 4096 bits | feature `aws-lc` or `rust-crypto` |
//! | [`Hs256`](Algorithm::Hs256) | yes | yes | nothing |
//!
//! With both features on, AWS-LC is used; signatures that one backend accepts or refuses, so does the other. The
//! portable one doesn't generate RSA keys, and signs with them slowly.
//!
//! | module | for |
//! |---|---|
//! | [`seal`] | small blobs under a key that the caller has |
//! | [`sealed`] | values in a database: they name their key, and open only in their place; [`vault`](crate::vault) is the service over it |
//! | [`blind_index`] | finding such values |
//! | [`envelope`] | a data key for each record or tenant, wrapped under a key that stays where it is |
//! | [`stream`] | files, of any length in constant memory |
#![cfg_attr(
    feature = "fernet",
    doc = "| [`fernet`] | reading, never writing, what Python's `cryptography` encrypted |"
)]
//!
//! What can't stand - a short or published secret, an RSA key of 1024 bits, one key for two purposes - is a
//! [`ConfigError`](crate::ConfigError) at start-up. Whoever reads a private key can sign as you until it is out of every
//! ring: our copies are wiped when dropped, but not what the operating system copied to swap or core dumps.
//!
//! ```
//! use portcullis::crypto::{Algorithm, Key, Keyring};
//!
//! # #[cfg(any(feature = "aws-lc", feature = "rust-crypto"))] {
//! let old = Key::generate(Algorithm::EdDsa)?;
//! let new = Key::generate(Algorithm::EdDsa)?;
//! // New tokens are signed with `new`; those signed with `old` are accepted until it is left out.
//! let ring = Keyring::new(new)?.with_accepted(old)?;
//! assert_eq!(ring.keys().count(), 2);
//! # }
//! // A published or short secret does not become a key.
//! assert!(Key::hmac_secret_text(&"your-256-bit-secret".into()).is_err());
//! # Ok::<(), portcullis::ConfigError>(())
//! ```

mod aead;
mod algorithm;
pub mod blind_index;
mod der;
mod derived_keys;
pub mod envelope;
#[cfg(feature = "fernet")]
pub mod fernet;
mod key;
mod key_file;
mod keyring;
mod keyset;
mod provider;
mod public_key;
mod scratch;
pub mod seal;
pub mod sealed;
mod signature;
mod static_keys;
pub mod stream;
mod symmetric_key;
mod weak_secret;
mod wrap;

pub use algorithm::{Algorithm, KeyPurpose};
pub use derived_keys::{DerivedKeys, Passphrase};
pub use key::Key;
pub use key_file::KeyFile;
pub use keyring::{KeyLookup, KeyRecord, KeyState, Keyring, RotationPolicy, RotationStep};
pub use provider::{KeyProvider, KeysByPurpose};
pub(crate) use scratch::Scratch;
pub(crate) use signature::SignatureBytes;
pub use static_keys::StaticKeys;
pub use wrap::{KeyWrap, UnwrapError, WrappedKey};
