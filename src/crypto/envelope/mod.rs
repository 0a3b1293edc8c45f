//! Envelopes: values sealed with data keys, which are themselves wrapped under a key that can stay elsewhere.
//!
//! A data key seals one record, or all of one tenant. It is stored wrapped, and unwrapped by a [`KeyWrap`]: a ring of keys
//! ([`RingWrap`], AES-256-KW), a module, a key management service. That buys three things:
//!
//! - **The wrapping key never meets data.** It may be one that can't be read at all.
//! - **Rotation without touching data.** [`DataKeys::rewrap`] wraps the data key anew, and what it sealed stays.
//! - **Crypto-shredding.** Delete one wrapped key, everywhere, and all that it opened is gone, backups of the data too.
//!
//! ```
//! use std::sync::Arc;
//!
//! use portcullis::crypto::envelope::{DataKeys, Envelope, RingWrap};
//! use portcullis::crypto::{Key, KeyPurpose, Keyring};
//! use portcullis::time::{Clock, SystemClock};
//! use secrecy::ExposeSecret;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let now = SystemClock::new().now();
//! let ring = Keyring::begin(Key::generate_for(KeyPurpose::Wrapping)?, now)?;
//! let wrap = Arc::new(RingWrap::new(ring)?);
//! let keys = DataKeys::new(wrap.clone());
//!
//! // A key for each record: it travels along.
//! let stored = keys.seal(b"letters/body/17", b"dear diary").await?.as_bytes().to_vec();
//! let envelope = Envelope::from_bytes(stored)?;
//! assert_eq!(keys.open(b"letters/body/17", &envelope).await?.expose_secret(), b"dear diary");
//! assert!(keys.open(b"letters/body/18", &envelope).await.is_err());
//!
//! // After a rotation the key is wrapped anew; the body stays.
//! wrap.replace(wrap.ring().rotate(Key::generate_for(KeyPurpose::Wrapping)?, now)?)?;
//! let rewrapped = envelope.with_key(keys.rewrap(envelope.key()).await?.unwrap())?;
//! assert_eq!(rewrapped.body(), envelope.body());
//!
//! // A key for each tenant: stored once, in a table of its own.
//! let (wrapped, key) = keys.create().await?;
//! let sealed = key.seal(b"letters/body/18", b"dear diary")?;
//! assert!(keys.get(&wrapped).await?.open(b"letters/body/18", &sealed).is_ok());
//! // Delete the row of `wrapped`, and nothing opens what the tenant had.
//! keys.forget(&wrapped);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # How long a data key is in the clear
//!
//! [`DataKeys`] keeps those it unwrapped for 5 minutes, 100 000 uses and up to 1000 at a time ([`CacheLimits`]), and wipes
//! them then. So
//!
//! - a deleted key works on, in each instance, until [`DataKeys::forget`] is called there or its time is over;
//! - a wrapping key that is compromised or destroyed unwraps nothing more at once, but what it unwrapped before is used for
//!   as long: call [`DataKeys::forget_all`]. An outage of the wrapper is bridged for as long, too;
//! - whoever reads the memory of the process reads the keys in it.
//!
//! What can't be opened is one [`OpenError`](crate::crypto::seal::OpenError), whatever the reason; that nobody could try
//! is [`UnwrapError::Failed`](crate::crypto::UnwrapError::Failed).

mod aes_kw;
mod cache;
#[cfg(test)]
mod cache_tests;
mod data_key;
mod data_keys;
mod format;
mod ring_wrap;
#[cfg(test)]
mod tests;

#[cfg(doc)]
use crate::crypto::KeyWrap;

pub use cache::CacheLimits;
pub use data_key::DataKey;
pub use data_keys::DataKeys;
pub use format::Envelope;
pub use ring_wrap::RingWrap;
