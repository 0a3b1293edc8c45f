//! Rings derived in the token.

use std::sync::Arc;

use hkdf::Hkdf;
use portcullis::TenantId;
use portcullis::backend::pkcs11::Pkcs11Keys;
use portcullis::crypto::sealed::{FieldContext, NonceMode, SealAlgorithm, Sealer};
use portcullis::crypto::{Key, KeyProvider, KeyPurpose, KeyState, Keyring, StaticKeys};
use portcullis::error::ErrorKind;
use portcullis::id::KeyId;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use super::token::{bytes, root, told, with_token};

fn symmetric() -> impl Iterator<Item = KeyPurpose> {
    KeyPurpose::ALL.iter().copied().filter(|purpose| *purpose != KeyPurpose::TokenSigning)
}

fn material(ring: &Keyring) -> String {
    StaticKeys::danger_new(ring.clone()).expose_private_json().expose_secret().to_owned()
}

fn ids(ring: &Keyring) -> Vec<String> {
    ring.ids().map(ToString::to_string).collect()
}

fn sealer(ring: &Keyring) -> Sealer {
    Sealer::new(ring, SealAlgorithm::default(), NonceMode::default()).unwrap()
}

/// Another implementation of the same, over a root that is known.
#[test]
fn a_derived_key_is_hkdf_expand_of_the_root() {
    with_token("keys::a_derived_key_is_hkdf_expand_of_the_root", async |token| {
        token.add(&root(&[1], 1));
        let keys = Pkcs11Keys::open(&token.module().await, "root").await.unwrap();
        let mut seen = std::collections::HashSet::new();
        for purpose in symmetric() {
            let name = purpose.as_str().as_bytes();
            let mut info = b"portcullis pkcs11 derive key v1".to_vec();
            info.extend((name.len() as u64).to_be_bytes());
            info.extend(name);
            let mut derived = vec![0; 32];
            Hkdf::<Sha256>::from_prk(&bytes(1)).unwrap().expand(&info, &mut derived).unwrap();
            assert!(seen.insert(derived.clone()), "{purpose} has the key of another purpose");
            let key = Key::from_bytes(purpose, &SecretSlice::from(derived)).unwrap();
            let want = Keyring::new(key.with_id(KeyId::parse("01").unwrap())).unwrap();
            let ring = keys.keyring(purpose).await.unwrap();
            assert_eq!(material(&ring), material(&want), "{purpose}");
        }
    });
}

#[test]
fn signing_keys_are_not_offered() {
    with_token("keys::signing_keys_are_not_offered", async |token| {
        token.add(&root(&[1], 1));
        let keys = Pkcs11Keys::open(&token.module().await, "root").await.unwrap();
        let error = keys.keyring(KeyPurpose::TokenSigning).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("another provider"));
    });
}

/// Keys made by the commands of the documentation, in another process, while this one runs.
#[test]
fn a_new_root_is_noticed_without_a_restart() {
    with_token("keys::a_new_root_is_noticed_without_a_restart", async |token| {
        let keygen = |id: &str| {
            let kind = ["--keygen", "--key-type", "GENERIC:32", "--usage-sign", "--sensitive", "--private"];
            token.tool(&[&kind[..], &["--label", "root", "--id", id]].concat());
        };
        keygen("05");
        let keys = Pkcs11Keys::open(&token.module().await, "root").await.unwrap();
        let first = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        assert_eq!(ids(&first), ["05"]);
        assert!(
            Arc::ptr_eq(&first, &keys.keyring(KeyPurpose::Sealing).await.unwrap()),
            "nothing has changed"
        );
        let tenant = TenantId::default();
        let context = FieldContext::new(&tenant, "notes", "body", "1");
        let old = sealer(&first).seal(&context, b"dear diary").unwrap();

        keygen("09");
        let second = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        assert_eq!(ids(&second), ["09", "05"]);
        assert_eq!(second.record(first.primary().id()).unwrap().state(), KeyState::Deactivated);
        assert_eq!(ids(&keys.keyring(KeyPurpose::BlindIndex).await.unwrap()), ["09", "05"]);
        assert_eq!(sealer(&second).open(&context, &old).unwrap().expose_secret(), b"dear diary");
        assert!(sealer(&second).needs_reseal(&old));
        let new = sealer(&second).seal(&context, b"dear diary").unwrap();
        assert!(sealer(&first).open(&context, &new).is_err(), "another root, another key");

        token.remove("root", &[5]);
        let third = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        assert_eq!(ids(&third), ["09"]);
        assert!(sealer(&third).open(&context, &old).is_err(), "its root is gone");
        assert!(sealer(&third).open(&context, &new).is_ok());
        assert!(Arc::ptr_eq(&third, &keys.keyring(KeyPurpose::Sealing).await.unwrap()));
    });
}

#[test]
fn the_greatest_id_is_primary() {
    with_token("keys::the_greatest_id_is_primary", async |token| {
        let module = token.module().await;
        for id in [&[0x02][..], &[0x00, 0x01], &[0x10], &[0x00, 0x00], &[0xff], &[7; 32]] {
            token.add(&root(id, id[0]));
        }
        let keys = Pkcs11Keys::open(&module, "root").await.unwrap();
        let ring = keys.keyring(KeyPurpose::Pepper).await.unwrap();
        assert_eq!(ids(&ring), [&"07".repeat(32), "0001", "0000", "ff", "10", "02"]);
    });
}

/// The ring that was given out stays in use; what must not be used is never given out.
#[test]
fn a_rotation_that_cannot_stand_is_refused() {
    with_token("keys::a_rotation_that_cannot_stand_is_refused", async |token| {
        token.add(&root(&[1], 1));
        let keys = Pkcs11Keys::open(&token.module().await, "root").await.unwrap();
        let before = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        for (name, key, problem) in [
            (
                "extractable",
                root(&[2], 2).with(cryptoki::object::Attribute::Extractable(true)),
                "may be extracted",
            ),
            ("the same id twice", root(&[1], 3), "more than once"),
        ] {
            token.add(&key);
            let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{name}");
            assert!(told(&error).contains(problem), "{name}: {error:?}");
            token.remove_all("root");
            token.add(&root(&[1], 1));
        }
        assert!(
            Arc::ptr_eq(&before, &keys.keyring(KeyPurpose::Sealing).await.unwrap()),
            "the same key again"
        );

        token.remove_all("root");
        token.add(&root(&[1], 9));
        let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
        assert!(told(&error).contains("another one than before"), "{error:?}");
        token.remove_all("root");
        let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(told(&error).contains("is not in the token"), "{error:?}");
    });
}
