//! Data keys wrapped in the token.

use std::num::NonZeroUsize;
use std::sync::Arc;

use portcullis::backend::pkcs11::{Pkcs11Keys, Pkcs11Wrap};
use portcullis::crypto::envelope::{CacheLimits, DataKeys, RingWrap};
use portcullis::crypto::seal::SymmetricKey;
use portcullis::crypto::{Key, KeyProvider, KeyPurpose, KeyWrap, Keyring, UnwrapError, WrappedKey};
use portcullis::id::KeyId;
use secrecy::{ExposeSecret, SecretSlice};

use super::token::{bytes, root, with_token, wrapping};

fn is_refused(outcome: Result<SymmetricKey, UnwrapError>) -> bool {
    matches!(outcome, Err(UnwrapError::Refused(_)))
}

/// The bytes are AES-256-KW: what the token wraps, the ring unwraps under the same key, and the other way round.
/// ASVS 11.3.3
#[test]
fn token_and_ring_unwrap_each_other() {
    with_token("wrap::token_and_ring_unwrap_each_other", async |token| {
        token.add(&wrapping(&[1], 1));
        let wrap = Pkcs11Wrap::open(&token.module().await, "wrap").await.unwrap();
        let key = Key::from_bytes(KeyPurpose::Wrapping, &SecretSlice::from(bytes(1).to_vec())).unwrap();
        let ring = RingWrap::new(Keyring::new(key.with_id(KeyId::parse("01").unwrap())).unwrap()).unwrap();
        let data_key = SymmetricKey::generate().unwrap();
        let wrapped = wrap.wrap(&data_key).await.unwrap();
        assert_eq!(wrapped, ring.wrap(&data_key).await.unwrap());
        assert_eq!(ring.unwrap(&wrapped).await.unwrap().expose_bytes(), data_key.expose_bytes());
        assert_eq!(wrap.unwrap(&wrapped).await.unwrap().expose_bytes(), data_key.expose_bytes());
        assert_eq!(token.passing(), 0, "a data key was left in the token");
    });
}

/// As the documentation says to make it.
#[test]
fn a_key_made_by_the_tool_wraps_and_rotates() {
    with_token("wrap::a_key_made_by_the_tool_wraps_and_rotates", async |token| {
        let keygen = |id: &str| {
            let kind = ["--keygen", "--key-type", "AES:32", "--usage-wrap", "--sensitive", "--private"];
            token.tool(&[&kind[..], &["--label", "wrap", "--id", id]].concat());
        };
        keygen("01");
        let wrap = Arc::new(Pkcs11Wrap::open(&token.module().await, "wrap").await.unwrap());
        let keys = DataKeys::new(wrap.clone()).with_limits(CacheLimits::NONE);
        let sealed = keys.seal(b"notes/1", b"dear diary").await.unwrap();
        assert!(wrap.is_current(sealed.key()).await.unwrap());

        keygen("02");
        assert!(!wrap.is_current(sealed.key()).await.unwrap());
        assert_eq!(keys.open(b"notes/1", &sealed).await.unwrap().expose_secret(), b"dear diary");
        let rewrapped = sealed.with_key(keys.rewrap(sealed.key()).await.unwrap().unwrap()).unwrap();
        assert_eq!(rewrapped.key().by().as_str(), "02");

        token.remove("wrap", &[1]);
        assert!(is_refused(wrap.unwrap(sealed.key()).await), "its key is gone");
        assert_eq!(keys.open(b"notes/1", &rewrapped).await.unwrap().expose_secret(), b"dear diary");
    });
}

#[test]
fn f8_what_was_changed_does_not_unwrap() {
    with_token("wrap::f8_what_was_changed_does_not_unwrap", async |token| {
        token.add(&wrapping(&[1], 1));
        token.add(&wrapping(&[2], 2));
        let wrap = Pkcs11Wrap::open(&token.module().await, "wrap").await.unwrap();
        let data_key = SymmetricKey::generate().unwrap();
        let wrapped = wrap.wrap(&data_key).await.unwrap();
        let (by, whole) = (wrapped.by(), wrapped.bytes());
        assert_eq!(by.as_str(), "02");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(is_refused(wrap.unwrap(&WrappedKey::new(by.clone(), flipped)).await), "bit {bit}");
        }
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(is_refused(wrap.unwrap(&WrappedKey::new(by.clone(), cut)).await), "cut to {length}");
        }
        let longer = [whole, &[0; 8]].concat();
        assert!(is_refused(wrap.unwrap(&WrappedKey::new(by.clone(), longer)).await), "longer");
        for id in ["01", "03", "002", "2", "0002", "0x02", "AB", "root"] {
            let by = KeyId::parse(id).unwrap();
            assert!(is_refused(wrap.unwrap(&WrappedKey::new(by, whole)).await), "by {id}");
        }
        assert_eq!(wrap.unwrap(&wrapped).await.unwrap().expose_bytes(), data_key.expose_bytes());
        assert_eq!(token.passing(), 0, "a data key was left in the token");
    });
}

/// A data key of another size is none, well wrapped or not.
#[test]
fn a_key_of_another_size_does_not_unwrap() {
    with_token("wrap::a_key_of_another_size_does_not_unwrap", async |token| {
        use cryptoki::mechanism::Mechanism;
        use cryptoki::object::Attribute;
        token.add(&wrapping(&[1], 1));
        let wrap = Pkcs11Wrap::open(&token.module().await, "wrap").await.unwrap();
        let session = token.session();
        let by = session.find_objects(&[Attribute::Label(b"wrap".to_vec())]).unwrap()[0];
        for (size, length) in [(16, 24), (24, 32), (40, 48)] {
            let object = session
                .create_object(&[
                    Attribute::Class(cryptoki::object::ObjectClass::SECRET_KEY),
                    Attribute::KeyType(cryptoki::object::KeyType::GENERIC_SECRET),
                    Attribute::Extractable(true),
                    Attribute::Sensitive(false),
                    Attribute::Value(vec![7; size]),
                ])
                .unwrap();
            let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, by, object).unwrap();
            assert_eq!(wrapped.len(), length);
            let wrapped = WrappedKey::new(KeyId::parse("01").unwrap(), wrapped);
            assert!(is_refused(wrap.unwrap(&wrapped).await), "{size} bytes");
        }
    });
}

#[test]
fn thirty_two_tasks_at_once() {
    with_token("wrap::thirty_two_tasks_at_once", async |token| {
        token.add(&wrapping(&[1], 1));
        token.add(&root(&[1], 2));
        let module = token.builder().with_max_sessions(NonZeroUsize::new(3).unwrap()).build().await.unwrap();
        let wrap = Arc::new(Pkcs11Wrap::open(&module, "wrap").await.unwrap());
        let keys = Arc::new(Pkcs11Keys::open(&module, "root").await.unwrap());
        let sealing = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (wrap, keys, sealing) = (wrap.clone(), keys.clone(), sealing.clone());
                tokio::spawn(async move {
                    for _ in 0..8 {
                        let key = SymmetricKey::generate().unwrap();
                        let wrapped = wrap.wrap(&key).await.unwrap();
                        assert_eq!(wrap.unwrap(&wrapped).await.unwrap().expose_bytes(), key.expose_bytes());
                        let broken = WrappedKey::new(wrapped.by().clone(), [1; 40]);
                        assert!(is_refused(wrap.unwrap(&broken).await));
                        assert!(Arc::ptr_eq(&sealing, &keys.keyring(KeyPurpose::Sealing).await.unwrap()));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(token.passing(), 0, "a data key was left in the token");
    });
}
