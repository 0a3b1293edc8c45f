//! Reading what Python's `cryptography.fernet` encrypted, so that it can be sealed anew.
//!
//! [Fernet](https://github.com/fernet/spec/blob/master/Spec.md) is AES-128-CBC under HMAC-SHA-256 with the time of
//! writing. It binds a value to no place, so rows can be swapped, and tells the time to everybody. Nothing here writes
//! it: a [`FernetReader`] is for the way in, and what it opened should be stored sealed.
//!
//! 1. The text is a token in base64url, or one that was put into base64url once more, as by
//!    `base64.urlsafe_b64encode(Fernet(key).encrypt(..))`. Both with padding, nothing between or around, and of at most
//!    [`MAX_TEXT_BYTES`].
//! 2. The MAC is verified, in constant time, before anything else is looked at: version, blocks and padding of a token
//!    nobody vouches for can't be asked about (no padding oracle). With several keys, each is tried in turn.
//! 3. There is no time to live: rows at rest don't expire. Whoever needs it reads the time of writing.
//! 4. Whatever is wrong is one [`OpenError`].
//!
//! ```
//! use portcullis::crypto::fernet::{FernetReader, PASSPHRASE_ROUNDS};
//! use secrecy::ExposeSecret;
//!
//! // Fernet(base64url(PBKDF2-HMAC-SHA256("correct horse battery staple", "stable_salt", 100 000 rounds)))
//! let passphrase = "correct horse battery staple".into();
//! let reader = FernetReader::from_passphrase(&passphrase, b"stable_salt", PASSPHRASE_ROUNDS)?;
//!
//! let row = "Z0FBQUFBQnJBb0djN21BNXRpQjlxTFZGdjQxRloxLWpCUS1fVVJPbmp3WnNaakoxRlMz\
//!     NE93Skd1XzZ2RUJVTnlVWXRWTEd2QlBydjZhZ3U4TmVHd2s1OHpXMEtEemVRUXc9PQ==";
//! assert_eq!(reader.open(row)?.expose_secret(), "grüße".as_bytes());
//! assert!(reader.open(&row.replace('Q', "R")).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rows move over as they are read: what is not sealed yet is opened here once, and written back sealed.
//!
//! ```
//! # use std::sync::Arc;
//! # use portcullis::audit::MemorySink;
//! # use portcullis::crypto::StaticKeys;
//! # use portcullis::TenantId;
//! use portcullis::crypto::fernet::{FernetReader, PASSPHRASE_ROUNDS};
//! use portcullis::crypto::sealed::{FieldContext, Sealed};
//! use portcullis::vault::Vault;
//! use secrecy::{ExposeSecret, SecretSlice};
//!
//! /// The value of a column, and what to write back if it was in the old form.
//! async fn read(
//!     vault: &Vault,
//!     old: &FernetReader,
//!     column: &str,
//!     here: &FieldContext<'_>,
//! ) -> Result<(SecretSlice<u8>, Option<String>), Box<dyn std::error::Error>> {
//!     if let Ok(sealed) = column.parse::<Sealed>() {
//!         return Ok((vault.open_bytes(&sealed, here).await?, None));
//!     }
//!     let plain = old.open(column)?;
//!     let sealed = vault.seal_bytes(plain.expose_secret(), here)?;
//!     Ok((plain, Some(sealed.to_string())))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let vault = Vault::builder(Arc::new(StaticKeys::generate()?), Arc::new(MemorySink::default())).build().await?;
//! # let old = FernetReader::from_passphrase(&"correct horse battery staple".into(), b"stable_salt", PASSPHRASE_ROUNDS)?;
//! # let row = "Z0FBQUFBQnJBb0djN21BNXRpQjlxTFZGdjQxRloxLWpCUS1fVVJPbmp3WnNaakoxRlMz\
//! #     NE93Skd1XzZ2RUJVTnlVWXRWTEd2QlBydjZhZ3U4TmVHd2s1OHpXMEtEemVRUXc9PQ==";
//! # let tenant = TenantId::default();
//! # let here = FieldContext::new(&tenant, "notes", "body", "1");
//! let (text, sealed) = read(&vault, &old, row, &here).await?;
//! let (again, nothing) = read(&vault, &old, &sealed.unwrap(), &here).await?;
//! assert_eq!(text.expose_secret(), again.expose_secret());
//! assert!(nothing.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod key;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use secrecy::{SecretSlice, SecretString};

use crate::crypto::fernet::key::FernetKey;
use crate::crypto::seal::OpenError;
use crate::error::ConfigError;
use crate::time::Timestamp;

/// How often the system this was made for hashed its passphrase.
pub const PASSPHRASE_ROUNDS: u32 = 100_000;

/// Longest text that is looked at: 16 MiB.
pub const MAX_TEXT_BYTES: usize = 16 << 20;

/// Opens Fernet tokens under one or several keys. Keys are wiped when it is dropped, and never printed.
#[derive(Clone)]
pub struct FernetReader {
    keys: Vec<FernetKey>,
}

impl FernetReader {
    /// For tokens under this key, in the form `Fernet.generate_key()` gives: 32 bytes in base64url, with padding.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has not that form.
    pub fn from_key(key: &SecretString) -> Result<Self, ConfigError> {
        FernetKey::parse(key).map(|key| Self { keys: vec![key] }).ok_or_else(|| {
            ConfigError::new(
                "fernet key",
                "is not 32 bytes in base64url",
                "use what `Fernet.generate_key()` gave, or `FernetReader::from_passphrase`",
            )
        })
    }

    /// For tokens under a key that was derived from `secret`, as bytes in UTF-8, by PBKDF2-HMAC-SHA-256.
    ///
    /// Takes as long as hashing a password, tens of milliseconds at [`PASSPHRASE_ROUNDS`]: once, at start-up.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the secret is empty or `rounds` is 0: neither can be what the rows were written with.
    pub fn from_passphrase(secret: &SecretString, salt: &[u8], rounds: u32) -> Result<Self, ConfigError> {
        FernetKey::derive(secret, salt, rounds).map(|key| Self { keys: vec![key] })
    }

    /// The same reader, which then also tries the keys of `other`, as `MultiFernet` does.
    #[must_use]
    pub fn add_keys(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Decrypts a stored text.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is no Fernet token, or not one under any of the keys.
    pub fn open(&self, text: &str) -> Result<SecretSlice<u8>, OpenError> {
        self.open_with_time(text).map(|(plaintext, _)| plaintext)
    }

    /// Decrypts a stored text, and says when it was written by the clock of whoever wrote it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_time(&self, text: &str) -> Result<(SecretSlice<u8>, Timestamp), OpenError> {
        let token = token(text.as_bytes())?;
        self.keys.iter().find_map(|key| key.open(&token).ok()).ok_or(OpenError)
    }
}

impl fmt::Debug for FernetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FernetReader").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// The bytes of a token, out of one layer of base64 or two.
fn token(text: &[u8]) -> Result<Vec<u8>, OpenError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(OpenError);
    }
    let decode = |text: &[u8]| URL_SAFE.decode(text).map_err(|_| OpenError);
    let outer = decode(text)?;
    // A token starts with its version, which is not ASCII; what is inside a second layer is.
    if outer.is_ascii() { decode(&outer) } else { Ok(outer) }
}
