//! Sealing: authenticated encryption of small blobs, and the derivation of keys.
//!
//! [`seal`] is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random nonce of 192 bits, so one key may seal any
//! number of messages. What comes out is
//!
//! ```text
//! version (1 byte, 1) | nonce (24 bytes) | ciphertext and tag (plaintext + 16 bytes)
//! ```
//!
//! The associated data says where a blob belongs; it is not stored, and a blob moved elsewhere does not open. Every
//! way in which opening can fail gives the same [`OpenError`].
//!
//! ```
//! use portcullis::crypto::seal::{SymmetricKey, open, seal};
//! use portcullis::secret::Secret;
//! use secrecy::ExposeSecret;
//!
//! let key = SymmetricKey::derive(Secret::mint()?.expose_bytes(), "example", b"successor of t1")?;
//! let sealed = seal(&key, b"row 1", b"attack at dawn")?;
//! assert_eq!(open(&key, b"row 1", &sealed)?.expose_secret(), b"attack at dawn");
//! assert!(open(&key, b"row 2", &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For values in a database, which have to say under which key they are, see [`sealed`](crate::crypto::sealed).

use secrecy::SecretSlice;

use crate::crypto::aead::{Cipher, NonceMode, OVERHEAD, SealAlgorithm};
pub use crate::crypto::symmetric_key::SymmetricKey;
use crate::error::Result;

const VERSION: u8 = 1;

/// Encrypts `plaintext` and binds it to `aad`.
///
/// # Errors
///
/// [`Entropy`](crate::error::ErrorKind::Entropy) if the operating system supplies no randomness for the nonce;
/// [`Internal`](crate::error::ErrorKind::Internal) if the plaintext is longer than 256 GiB.
pub fn seal(key: &SymmetricKey, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let mut sealed = Vec::with_capacity(1 + OVERHEAD + plaintext.len());
    sealed.push(VERSION);
    cipher(key)?.seal_into(&bound(VERSION, aad), plaintext, &mut sealed)?;
    Ok(sealed)
}

/// Decrypts what [`seal`] made under the same key and for the same `aad`.
///
/// # Errors
///
/// [`OpenError`] if a single bit of `sealed` or `aad` differs, or the key does.
pub fn open(key: &SymmetricKey, aad: &[u8], sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
    let (version, rest) = sealed.split_first().ok_or(OpenError)?;
    let plaintext = cipher(key).map_err(|_| OpenError)?.open(&bound(*version, aad), rest)?;
    // Asked last: the version is authenticated too, and an unknown one is no other error than a wrong key.
    if *version == VERSION { Ok(plaintext) } else { Err(OpenError) }
}

/// A blob that does not open: wrong key, wrong place, damaged or not sealed at all. Deliberately says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

fn cipher(key: &SymmetricKey) -> Result<Cipher> {
    Cipher::new(SealAlgorithm::XChaCha20Poly1305, key, NonceMode::Random)
}

/// The version is authenticated with the rest, so a later one can't be passed off as this one.
fn bound(version: u8, aad: &[u8]) -> Vec<u8> {
    [&[version], aad].concat()
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn key() -> SymmetricKey {
        SymmetricKey::derive(&[7; 32], "test", b"").unwrap()
    }

    #[test]
    fn f8_flipping_any_bit_fails() {
        let sealed = seal(&key(), b"aad", b"sixteen or more bytes").unwrap();
        assert!(open(&key(), b"aad", &sealed).is_ok());
        for at in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(open(&key(), b"aad", &flipped).map(drop), Err(OpenError), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key(), b"aad", &sealed[..length]).is_err(), "cut to {length}");
        }
        assert!(open(&key(), b"aad", &[&sealed[..], &[0]].concat()).is_err(), "extended");
        for aad in [&b""[..], b"aac", b"aadd", b"\x01aad"] {
            assert!(open(&key(), aad, &sealed).is_err(), "{aad:?}");
        }
        let other = SymmetricKey::derive(&[7; 32], "test", b"other").unwrap();
        assert!(open(&other, b"aad", &sealed).is_err());
    }

    #[test]
    fn the_version_is_authenticated() {
        // Made as if by a later version: opens neither as that nor passed off as ours.
        let mut later = Vec::new();
        cipher(&key()).unwrap().seal_into(&bound(2, b"aad"), b"text", &mut later).unwrap();
        for version in [1, 2] {
            let sealed = [&[version][..], &later].concat();
            assert!(open(&key(), b"aad", &sealed).is_err(), "version {version}");
        }
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        assert_ne!(seal(&key(), b"", b"text").unwrap(), seal(&key(), b"", b"text").unwrap());
        assert_eq!(open(&key(), b"", &seal(&key(), b"", b"").unwrap()).unwrap().expose_secret(), b"");
    }

    #[test]
    fn the_form_is_the_published_one() {
        let (nonce, aad) = ([9; 24], b"\x01aad");
        let published = XChaCha20Poly1305::new(key().expose_bytes().into())
            .encrypt(&XNonce::from(nonce), Payload { msg: b"text", aad })
            .unwrap();
        let sealed = [&[1][..], &nonce, &published].concat();
        assert_eq!(open(&key(), b"aad", &sealed).unwrap().expose_secret(), b"text");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_open(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            prop_assert!(open(&key(), b"", &bytes).is_err());
        }
    }
}
