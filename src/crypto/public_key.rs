//! Public keys in their plain form, checked before a backend sees them, so that both accept the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::crypto::algorithm::Algorithm;
use crate::crypto::der;
use crate::crypto::signature::Unusable;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// RFC 8032: the encoded point.
    Ed25519([u8; 32]),
    /// SEC 1: an uncompressed point.
    P256([u8; 65]),
    /// Big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// From `-----BEGIN PUBLIC KEY-----` (RFC 7468 section 13).
    pub(super) fn from_spki_pem(algorithm: Algorithm, pem: &str) -> Result<Self, Unusable> {
        if !pem.trim_start().starts_with("-----BEGIN PUBLIC KEY-----") {
            return Err(Unusable(
                "is not a public key in PEM",
                "use the output of `openssl pkey -pubout`, which begins with `-----BEGIN PUBLIC KEY-----`",
            ));
        }
        let unusable = Unusable::public(algorithm);
        let pem = pem.as_bytes();
        let parsed = match algorithm {
            Algorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            Algorithm::Es256 => DecodingKey::from_ec_pem(pem),
            Algorithm::Ps256 | Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            Algorithm::Hs256 => return Err(unusable),
        };
        let parsed = parsed.map_err(|_| unusable)?;
        let bytes = parsed.try_get_as_bytes().map_err(|_| unusable)?;
        let key = match algorithm {
            Algorithm::EdDsa => bytes.try_into().ok().map(Self::Ed25519),
            Algorithm::Es256 => bytes.try_into().ok().map(Self::P256),
            _ => der::rsa_public_parts(bytes).map(Self::rsa),
        };
        key.ok_or(unusable)
    }

    /// From the members of a JWK (RFC 7518 section 6, RFC 8037 section 2).
    pub(super) fn from_jwk(algorithm: Algorithm, jwk: &Map<String, Value>) -> Result<Self, Unusable> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        let bytes = |name| text(name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
        let key = match (algorithm, text("kty"), text("crv")) {
            (Algorithm::EdDsa, Some("OKP"), Some("Ed25519")) => {
                bytes("x").and_then(|x| x.try_into().ok()).map(Self::Ed25519)
            }
            (Algorithm::Es256, Some("EC"), Some("P-256")) => match (bytes("x"), bytes("y")) {
                (Some(x), Some(y)) if x.len() == 32 && y.len() == 32 => {
                    [&[4], &x[..], &y[..]].concat().try_into().ok().map(Self::P256)
                }
                _ => None,
            },
            (Algorithm::Ps256 | Algorithm::Rs256, Some("RSA"), None) => match (bytes("n"), bytes("e")) {
                (Some(n), Some(e)) => Some(Self::Rsa { n, e }),
                _ => None,
            },
            _ => None,
        };
        key.ok_or(Unusable::public(algorithm))
    }

    /// The public half of an `RSAPrivateKey`.
    #[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
    pub(super) fn from_rsa_private(pkcs1: &[u8]) -> Option<Self> {
        der::rsa_private_parts(pkcs1).map(Self::rsa)
    }

    fn rsa((n, e): (&[u8], &[u8])) -> Self {
        Self::Rsa { n: n.to_vec(), e: e.to_vec() }
    }

    /// Refuses what the backends would disagree on, and what makes signatures worthless.
    ///
    /// One difference is left: 32 bytes that are no point of Ed25519's curve are refused at once by the portable
    /// backend, while AWS-LC takes the key and then verifies nothing with it.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        match self {
            Self::Ed25519(x) if is_weak_ed25519(x) => Err(Unusable(
                "is a weak point, under which a signature proves nothing",
                "use a generated key",
            )),
            Self::P256([4, ..]) | Self::Ed25519(_) => Ok(()),
            Self::P256(_) => Err(Unusable::public(Algorithm::Es256)),
            Self::Rsa { n, e } => {
                if !(2048..=4096).contains(&bits(n)) || n.last().is_none_or(|byte| byte & 1 == 0) {
                    return Err(Unusable(
                        "has a modulus of fewer than 2048 or more than 4096 bits",
                        "use 3072 bits",
                    ));
                }
                // FIPS 186-5 section 5.1 asks for more than 2^16; the upper limit is the backends'.
                if !(17..=32).contains(&bits(e)) || e.last().is_none_or(|byte| byte & 1 == 0) {
                    return Err(Unusable("has an unusual public exponent", "use 65537"));
                }
                Ok(())
            }
        }
    }

    /// What a key we sign with must hold beyond [`check`](Self::check).
    pub(super) fn check_signing(&self) -> Result<(), Unusable> {
        match self {
            Self::Rsa { n, .. } if bits(n) < 3072 => Err(Unusable(
                "has a modulus of fewer than 3072 bits, which only verifies",
                "make a key with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`",
            )),
            _ => self.check(),
        }
    }

    /// The members of a JWK, without `kid`, `alg` and `use`.
    pub(super) fn jwk(&self) -> Map<String, Value> {
        let members = match self {
            Self::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(x)}),
            Self::P256([_, point @ ..]) => {
                let (x, y) = point.split_at(32);
                json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Self::Rsa { n, e } => json!({"e": encode(e), "kty": "RSA", "n": encode(n)}),
        };
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// RFC 7638: SHA-256 of the required members in the order of their names.
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        // The members above are exactly the required ones. A map of serde_json may keep another order, so sort.
        let jwk = self.jwk();
        let mut members: Vec<_> = jwk.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        members.sort_unstable();
        Sha256::digest(format!("{{{}}}", members.join(","))).into()
    }
}

/// The native form of a private key in `-----BEGIN PRIVATE KEY-----` (RFC 7468 section 10).
pub(super) fn native_private(algorithm: Algorithm, pem: &str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let pem = pem.trim_start();
    if !pem.starts_with("-----BEGIN PRIVATE KEY-----") {
        return Err(Unusable(
            "is not an unencrypted private key in PKCS#8",
            "convert it with `openssl pkcs8 -topk8 -nocrypt`; it then begins with `-----BEGIN PRIVATE KEY-----`",
        ));
    }
    let pem = pem.as_bytes();
    let parsed = match algorithm {
        Algorithm::EdDsa => EncodingKey::from_ed_pem(pem),
        Algorithm::Es256 => EncodingKey::from_ec_pem(pem),
        Algorithm::Ps256 => EncodingKey::from_rsa_pem(pem),
        Algorithm::Rs256 => {
            return Err(Unusable(
                "is for an algorithm that only verifies",
                "use PS256 to sign with an RSA key",
            ));
        }
        Algorithm::Hs256 => {
            return Err(Unusable(
                "is a key pair, which HS256 does not use",
                "use `Key::hmac_secret`, or another algorithm",
            ));
        }
    };
    parsed.map(|key| Zeroizing::new(key.as_bytes().to_vec())).map_err(|_| Unusable::private(algorithm))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Length of a big-endian number without leading zeros; 0 if it has some.
fn bits(number: &[u8]) -> usize {
    match number.first() {
        None | Some(0) => 0,
        Some(first) => number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0),
    }
}

/// Whether a point has a small order or is not encoded canonically (RFC 8032 section 5.1.3).
fn is_weak_ed25519(encoded: &[u8; 32]) -> bool {
    /// The `y` of the points of order 8, little-endian; those of order 1, 2 and 4 are 1, p - 1 and 0.
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
    ];
    let mut y = *encoded;
    let [first, middle @ .., last] = &mut y;
    *last &= 0x7f;
    let (low, high) = (*first, *last);
    let small = high == 0 && middle.iter().all(|&byte| byte == 0) && low <= 1;
    // p = 2^255 - 19 ends in 0xed; p - 1 has order 2, and from p on the encoding is not canonical.
    let large = high == 0x7f && middle.iter().all(|&byte| byte == 0xff) && low >= 0xec;
    small || large || ORDER_8.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_rfc_8037_appendix_a_3() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = PublicKey::from_jwk(Algorithm::EdDsa, jwk.as_object().unwrap()).unwrap();
        assert_eq!(encode(&key.thumbprint()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_thumbprint_of_rfc_7638_section_3_1() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = PublicKey::from_jwk(Algorithm::Rs256, jwk.as_object().unwrap()).unwrap();
        assert_eq!(encode(&key.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn weak_ed25519_points_are_refused() {
        let mut p_minus_1 = [0xff; 32];
        (p_minus_1[0], p_minus_1[31]) = (0xec, 0x7f);
        let mut signed_one = [0; 32];
        (signed_one[0], signed_one[31]) = (1, 0x80);
        let mut not_canonical = p_minus_1;
        not_canonical[0] = 0xf5;
        for (name, point) in
            [("zero", [0; 32]), ("one, sign set", signed_one), ("p - 1", p_minus_1), ("p + 8", not_canonical)]
        {
            assert!(PublicKey::Ed25519(point).check().is_err(), "{name}");
        }
        let mut fine = [0; 32];
        fine[0] = 9;
        assert!(PublicKey::Ed25519(fine).check().is_ok());
    }

    #[test]
    fn rsa_sizes() {
        let modulus = |bytes: usize| [&[0x80][..], &vec![1; bytes - 1]].concat();
        for (name, n, e, verifies, signs) in [
            ("1024", modulus(128), vec![1, 0, 1], false, false),
            ("2048", modulus(256), vec![1, 0, 1], true, false),
            ("3072", modulus(384), vec![1, 0, 1], true, true),
            ("4096", modulus(512), vec![1, 0, 1], true, true),
            ("8192", modulus(1024), vec![1, 0, 1], false, false),
            ("e = 3", modulus(256), vec![3], false, false),
            ("e even", modulus(256), vec![1, 0, 2], false, false),
            ("e padded", modulus(256), vec![0, 1, 0, 1], false, false),
            ("n padded", [&[0][..], &modulus(256)].concat(), vec![1, 0, 1], false, false),
            ("n even", [&modulus(255)[..], &[2]].concat(), vec![1, 0, 1], false, false),
        ] {
            let key = PublicKey::Rsa { n, e };
            assert_eq!(key.check().is_ok(), verifies, "{name}");
            assert_eq!(key.check_signing().is_ok(), signs, "{name}");
        }
    }
}
