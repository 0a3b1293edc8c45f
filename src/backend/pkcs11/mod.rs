//! Keys in a PKCS#11 module: a hardware security module, a smart card, SoftHSM.
//!
//! A [`Pkcs11Module`] is one token of one module, opened with its PIN. Over it stand
//!
//! - [`Pkcs11Keys`], a [`KeyProvider`](crate::crypto::KeyProvider): a root key that never leaves the token, and from which
//!   the token derives a key for each purpose. What is derived is used here, in memory;
//! - [`Pkcs11Wrap`], a [`KeyWrap`](crate::crypto::KeyWrap): a key that never leaves the token wraps data keys there, for
//!   [`envelope`](crate::crypto::envelope)s.
//!
//! So a stolen copy of the database, the configuration and the disk opens nothing without the token. Whoever runs code in
//! the process, or has the token and its PIN, can ask it for as much as we can.
//!
//! # Making the keys
//!
//! With `pkcs11-tool` of OpenSC, which asks for the PIN:
//!
//! ```sh
//! tool="pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label app --login"
//! # for Pkcs11Keys: 256 bits for HMAC-SHA-256
//! $tool --keygen --key-type GENERIC:32 --usage-sign --sensitive --private --label app-root --id 01
//! # for Pkcs11Wrap: an AES-256 key
//! $tool --keygen --key-type AES:32 --usage-wrap --sensitive --private --label app-wrap --id 01
//! ```
//!
//! A key must be sensitive, not extractable, and out of reach without the PIN, or it is refused. Nothing tells us whether
//! somebody has a copy of a key that was imported rather than made in the token.
//!
//! # Rotating
//!
//! Make another key with the same label and a greater `--id`: the longer one is greater, of two of one length the one whose
//! bytes are. It is the primary key from the next time that anybody asks, without a restart; the others are accepted as
//! long as they are in the token. Where several tokens hold the same keys, bring the new one to all of them before you give
//! it that label. An id is never used again for another key. Delete a key once nothing is left that it made.
//!
//! # What can go wrong
//!
//! A path, token, PIN or key that can't stand is a [`ConfigError`](crate::ConfigError) at start-up that says which. A wrong
//! PIN is tried once: many tokens lock themselves after the third. Sessions that end - the token was pulled, the network of
//! the module went away - are opened again once for each call; what fails then, or lasts longer than
//! [`with_timeout`](Pkcs11ModuleBuilder::with_timeout), is [`ErrorKind::Unavailable`](crate::error::ErrorKind), which
//! clients see as 503.
//!
//! The module is code of its vendor's that runs in this process with all its rights. It is loaded once, and stays. If
//! something else in the process logs in to the same token, its login is ours too, and our PIN isn't checked. Derived and
//! unwrapped keys are wiped here when dropped; copies that the module made, and the one the binding reads a value into, are not.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use portcullis::backend::pkcs11::{Pkcs11Keys, Pkcs11Module, Pkcs11Wrap};
//! use portcullis::crypto::envelope::DataKeys;
//! use portcullis::crypto::{KeyProvider, KeyPurpose};
//! use secrecy::SecretString;
//!
//! # async fn start(pin: SecretString) -> Result<(), Box<dyn std::error::Error>> {
//! let module = Pkcs11Module::builder("/usr/lib/softhsm/libsofthsm2.so")
//!     .with_token_label("app")
//!     .with_pin(pin) // from a file or a secret manager: never in the code
//!     .with_timeout(Duration::from_secs(5))
//!     .build()
//!     .await?;
//!
//! let keys = Pkcs11Keys::open(&module, "app-root").await?;
//! let ring = keys.keyring(KeyPurpose::Sealing).await?;
//! assert_eq!(ring.primary().id().as_str(), "01");
//!
//! let wrap = Pkcs11Wrap::open(&module, "app-wrap").await?;
//! let data_keys = DataKeys::new(Arc::new(wrap));
//! let envelope = data_keys.seal(b"letters/body/17", b"dear diary").await?;
//! assert_eq!(envelope.key().by().as_str(), "01");
//! # Ok(()) }
//! ```

mod failure;
mod keys;
mod library;
mod module;
mod object;
mod sessions;
mod wrap;

pub use keys::Pkcs11Keys;
pub use module::{Pkcs11Module, Pkcs11ModuleBuilder};
pub use wrap::Pkcs11Wrap;
