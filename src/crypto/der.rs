//! The few pieces of DER (X.690) that RSA keys need: two integers out, two integers in, and the PKCS#8 wrapper.
//!
//! Everything else is parsed by the backends. Lengths are definite and minimal, or the key is refused.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `AlgorithmIdentifier { rsaEncryption, NULL }` (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), big-endian without leading zeros.
pub(super) fn rsa_public_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = element(SEQUENCE, der)?;
    let (n, body) = unsigned(body)?;
    let (e, body) = unsigned(body)?;
    (rest.is_empty() && body.is_empty()).then_some((n, e))
}

/// Modulus and public exponent of a two-prime `RSAPrivateKey` (RFC 8017 appendix A.1.2).
#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
pub(super) fn rsa_private_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = element(SEQUENCE, der)?;
    let (version, body) = element(INTEGER, body)?;
    let (n, body) = unsigned(body)?;
    let (e, _) = unsigned(body)?;
    (rest.is_empty() && version == [0]).then_some((n, e))
}

/// An `RSAPublicKey`.
#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
pub(super) fn rsa_public(n: &[u8], e: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(n.len() + e.len() + 16);
    for number in [n, e] {
        // A leading bit would make it negative.
        let sign = number.first().is_some_and(|byte| byte & 0x80 != 0);
        head(INTEGER, number.len() + usize::from(sign), &mut body);
        if sign {
            body.push(0);
        }
        body.extend_from_slice(number);
    }
    let mut der = Vec::with_capacity(body.len() + 6);
    head(SEQUENCE, body.len(), &mut der);
    der.extend_from_slice(&body);
    der
}

/// A PKCS#8 `PrivateKeyInfo` (RFC 5208 section 5) around an `RSAPrivateKey`.
pub(super) fn rsa_pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    // Room for everything, so that no half of the key is left behind when the vector grows.
    let mut body = Zeroizing::new(Vec::with_capacity(pkcs1.len() + 32));
    body.extend_from_slice(&[INTEGER, 1, 0]);
    body.extend_from_slice(RSA_ENCRYPTION);
    head(OCTET_STRING, pkcs1.len(), &mut body);
    body.extend_from_slice(pkcs1);
    let mut der = Zeroizing::new(Vec::with_capacity(body.len() + 8));
    head(SEQUENCE, body.len(), &mut der);
    der.extend_from_slice(&body);
    der
}

/// A PKCS#8 `OneAsymmetricKey` (RFC 8410 section 7) around the seed of an Ed25519 key.
pub(super) fn ed25519_pkcs8(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    /// Version 0, `id-Ed25519`, and the two octet strings around the seed.
    const HEAD: &[u8] = &[
        SEQUENCE,
        0x2e,
        INTEGER,
        1,
        0,
        SEQUENCE,
        5,
        0x06,
        3,
        0x2b,
        0x65,
        0x70,
        OCTET_STRING,
        0x22,
        OCTET_STRING,
        0x20,
    ];
    let mut der = Zeroizing::new(Vec::with_capacity(HEAD.len() + seed.len()));
    der.extend_from_slice(HEAD);
    der.extend_from_slice(seed);
    der
}

/// The `RSAPrivateKey` in a PKCS#8 `PrivateKeyInfo`.
#[cfg(feature = "aws-lc")]
pub(super) fn rsa_pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(SEQUENCE, pkcs8)?;
    let (_version, body) = element(INTEGER, body)?;
    let (pkcs1, _) = element(OCTET_STRING, body.strip_prefix(RSA_ENCRYPTION)?)?;
    Some(pkcs1)
}

/// Splits off one element of this type: its content and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, mut der) = der.split_first()?;
    if found != tag {
        return None;
    }
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let (bytes, rest) = der.split_at_checked(usize::from(first & 0x7f))?;
        if !(1..=3).contains(&bytes.len()) || bytes.first() == Some(&0) {
            return None;
        }
        der = rest;
        let length = bytes.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
        if length < 0x80 {
            return None;
        }
        length
    };
    der.split_at_checked(length)
}

/// Splits off a positive integer in its shortest form, without the sign byte.
fn unsigned(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bytes, rest) = element(INTEGER, der)?;
    let number = match bytes {
        [0, high, ..] if high & 0x80 != 0 => bytes.get(1..)?,
        [first, ..] if (1..0x80).contains(first) => bytes,
        _ => return None,
    };
    Some((number, rest))
}

fn head(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    let bytes = length.to_be_bytes();
    let significant = bytes.iter().position(|&byte| byte != 0).and_then(|at| bytes.get(at..)).unwrap_or(&[0]);
    if let ([short], true) = (significant, length < 0x80) {
        out.push(*short);
    } else {
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0x7f));
        out.extend_from_slice(significant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_go_in_and_out() {
        for (n, e) in [
            (&[0xff_u8; 256][..], &[1_u8, 0, 1][..]),
            (&[0x7f; 384], &[3]),
            (&[1; 127], &[0x80]),
            (&[1; 128], &[1]),
            (&[1; 512], &[1]),
        ] {
            let der = rsa_public(n, e);
            assert_eq!(rsa_public_parts(&der), Some((n, e)));
            for cut in 0..der.len() {
                assert_eq!(rsa_public_parts(&der[..cut]), None, "cut at {cut}");
            }
            assert_eq!(rsa_public_parts(&[&der[..], &[0]].concat()), None, "trailing byte");
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        for (name, der) in [
            ("empty", &[][..]),
            ("indefinite length", &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0]),
            ("length not minimal", &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1]),
            ("negative", &[0x30, 6, 2, 1, 0x80, 2, 1, 1]),
            ("zero", &[0x30, 6, 2, 1, 0, 2, 1, 1]),
            ("padded", &[0x30, 7, 2, 2, 0, 1, 2, 1, 1]),
            ("wrong tag", &[0x31, 6, 2, 1, 1, 2, 1, 1]),
            ("huge length", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1]),
        ] {
            assert_eq!(rsa_public_parts(der), None, "{name}");
        }
        assert!(rsa_public_parts(&[0x30, 6, 2, 1, 1, 2, 1, 1]).is_some());
    }
}
