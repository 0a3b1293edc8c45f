use super::*;
use crate::crypto::KeyPurpose::*;
use crate::crypto::SignatureBytes;

const HEX: &str = "1f9c3b7a5d2e8f4061c7a9be53d0284ff1e6c8a2907b5d3e0a4c69d1b72f58e3";

fn keys() -> DerivedKeys {
    DerivedKeys::from_text(&HEX.into()).unwrap()
}

fn id(keys: &DerivedKeys, purpose: KeyPurpose) -> String {
    keys.ring(purpose).unwrap().primary().id().to_string()
}

#[tokio::test]
async fn every_purpose_has_a_key_of_its_own() {
    let keys = keys();
    let mut seen = Vec::new();
    for purpose in KeyPurpose::ALL {
        let ring = keys.keyring(*purpose).await.unwrap();
        assert_eq!(ring.purpose(), *purpose);
        let bytes = ring.primary().bits().map(|bits| bits.expose_bytes().to_vec());
        assert!(bytes.is_none() || !seen.contains(&bytes), "{purpose}");
        seen.push(bytes);
    }
}

/// What is derived from a root is derived from it for ever, or what was sealed is lost. The ids were computed apart, by
/// Python's `hmac`.
#[test]
fn the_same_root_gives_the_same_keys_in_every_version() {
    for (purpose, known) in [
        (TokenSigning, "-1Wh8DF06YZt_DnhgAzKqQ"),
        (Sealing, "Efk-_aMiVOP2A2tFJnNBXQ"),
        (Wrapping, "eZxI86SnAux0YILDiIp8-g"),
        (BlindIndex, "8ny1iYpnuJpBWSl0b43Ryw"),
        (CodeDigest, "qZYlExihhsoXwbtKeS0v5A"),
        (Csrf, "-xMk5O6gVdrdrWU1mrZZjA"),
        (AuditChain, "noMmCAR5Olt090SEmpqMPQ"),
        (Pepper, "dVkVaiylPQWcyj7Z9C6mdQ"),
    ] {
        assert_eq!(id(&keys(), purpose), known, "{purpose}");
    }
}

#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
#[test]
fn tokens_are_signed_by_choice_with_a_key_pair() {
    let pair = || keys().with_token_signing(Algorithm::EdDsa).unwrap();
    let (a, b) = (pair(), pair());
    let (a, b) = (a.ring(TokenSigning).unwrap().primary(), b.ring(TokenSigning).unwrap().primary());
    assert_eq!((a.algorithm(), a.public_jwk()), (Some(Algorithm::EdDsa), b.public_jwk()));
    let mut signed = SignatureBytes::new();
    a.signature().unwrap().1.sign(b"m", &mut signed).unwrap();
    assert!(b.signature().unwrap().1.verify(b"m", signed.as_slice()));
    // The seed is not the HS256 secret: one key, one algorithm.
    let root = extract(decode(HEX).unwrap().expose_secret()).unwrap();
    let bytes = |kind: &[u8]| *bits(root.expose_bytes(), "token_signing", kind).unwrap().expose_bytes();
    assert_ne!(bytes(b"EdDSA"), bytes(b"HS256"));
    for other in [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256] {
        assert!(keys().with_token_signing(other).is_err(), "{other}");
    }
}

#[test]
fn old_roots_are_accepted() {
    let (old, new) =
        (keys(), DerivedKeys::new(&vec![1; 31].into_iter().chain(1..=9).collect::<Vec<u8>>().into()));
    let bytes = |secret: &str| decode(secret).unwrap();
    let both = new.unwrap().with_accepted_root(&bytes(HEX)).unwrap();
    for purpose in KeyPurpose::ALL {
        assert_ne!(id(&both, *purpose), id(&old, *purpose));
        assert!(both.ring(*purpose).unwrap().find(&id(&old, *purpose)).is_some(), "{purpose}");
    }
    let error = both.with_accepted_root(&bytes(HEX)).unwrap_err();
    assert_eq!(error.field(), ROOT, "twice the same");
}

#[test]
fn a_root_is_written_in_several_ways() {
    let same = id(&keys(), Sealing);
    for (name, text) in [
        ("upper case", HEX.to_uppercase()),
        ("white space around", format!(" {HEX}\n")),
        ("base64url", "H5w7el0uj0Bhx6m-U9AoT_HmyKKQe10-Ckxp0bcvWOM".to_owned()),
        ("with padding", "H5w7el0uj0Bhx6m-U9AoT_HmyKKQe10-Ckxp0bcvWOM=".to_owned()),
        ("base64", "H5w7el0uj0Bhx6m+U9AoT/HmyKKQe10+Ckxp0bcvWOM=".to_owned()),
    ] {
        assert_eq!(id(&DerivedKeys::from_text(&text.into()).unwrap(), Sealing), same, "{name}");
    }
}

// ASVS 13.3.1
#[test]
fn what_is_no_root_is_refused_and_not_quoted() {
    for (name, text) in [
        ("empty", ""),
        ("a word", "canary"),
        ("too short", "1f9c3b7a5d2e8f4061c7a9be53d0284f"),
        ("31 bytes", "canarybase64canarybase64canarybase64abcde"),
        ("not base64", "canary canary canary canary canary canary canary"),
        ("mixed alphabets", "H5w7el0uj0Bhx6m-U9AoT/HmyKKQe10-CkxpcanarycOM"),
        ("zeros", "0000000000000000000000000000000000000000000000000000000000000000"),
        ("zeros in base64", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("a pattern", "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc"),
        ("a placeholder", "changeme0changeme1changeme2changeme3canarycan"),
        ("a tutorial's", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
        ("a public key", "-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEAcanary"),
    ] {
        let error = DerivedKeys::from_text(&text.into()).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("canary") && told.contains("openssl rand"), "{name}: {told}");
    }
    for (name, bytes) in [("31 random bytes", (1..32).collect::<Vec<u8>>()), ("one byte", vec![9; 40])] {
        assert!(DerivedKeys::new(&bytes.into()).is_err(), "{name}");
    }
}

#[test]
fn the_variable_is_named() {
    // Cargo sets it for every test.
    for (name, problem) in
        [("CARGO_PKG_VERSION", "has fewer than 32 bytes"), ("PORTCULLIS_NOT_SET", "is not set")]
    {
        let error = DerivedKeys::from_env(name).unwrap_err();
        assert_eq!((error.field(), error.to_string().contains(problem)), (name, true), "{error}");
        assert!(!error.to_string().contains(env!("CARGO_PKG_VERSION")));
    }
}

// ASVS 11.4.4
#[test]
fn passphrases_are_stretched_enough() {
    let phrase = |text: &str| Passphrase::new(text.into(), *b"a salt of 16 byt");
    let good = || phrase("correct horse battery staple").unwrap();
    for (m, t, stands) in [
        (47_104, 1, true),
        (47_103, 1, false),
        (19_456, 2, true),
        (19_455, 2, false),
        (19_455, 16, false),
        (19_456, 17, false),
        (1_048_577, 2, false),
        (u32::MAX, u32::MAX, false),
        (65_536, 0, false),
    ] {
        assert_eq!(good().with_cost(m, t).is_ok(), stands, "m={m} t={t}");
    }
    assert!(phrase("14 characters!").is_err());
    assert!(
        Passphrase::new(
            "correct horse battery staple".into(),
            *b"15 bytes of salt".first_chunk::<15>().unwrap()
        )
        .is_err()
    );
    let least = || good().with_cost(19_456, 2).unwrap();
    let sealing = |phrase: &Passphrase| id(&DerivedKeys::from_passphrase(phrase).unwrap(), Sealing);
    let same = sealing(&least());
    assert_eq!(sealing(&least()), same);
    let other = |text: &str, salt: &[u8; 16]| {
        Passphrase::new(text.into(), *salt).unwrap().with_cost(19_456, 2).unwrap()
    };
    assert_ne!(sealing(&other("correct horse battery stable", b"a salt of 16 byt")), same);
    assert_ne!(sealing(&other("correct horse battery staple", b"A salt of 16 byt")), same);
    assert_ne!(sealing(&good().with_cost(19_457, 2).unwrap()), same);
    assert!(!format!("{:?} {:?}", good(), keys()).contains("horse"));
}

#[test]
fn nothing_prints_the_root() {
    let told = format!("{:?}", keys());
    assert!(told.contains("REDACTED") && !told.contains("31, 156") && !told.contains("1f9c"), "{told}");
}
