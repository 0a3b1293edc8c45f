//! What can't stand is told at start-up, by name, and without a secret.

use cryptoki::object::{Attribute, KeyType};
use portcullis::backend::pkcs11::{Pkcs11Keys, Pkcs11Module, Pkcs11Wrap};
use portcullis::crypto::seal::SymmetricKey;
use portcullis::crypto::{KeyProvider, KeyPurpose, KeyWrap};
use portcullis::error::{ConfigError, StartError};
use secrecy::SecretString;

use super::token::{LABEL, NewKey, PIN, bytes, root, told, with_configured, with_token, wrapping};

fn config<T: std::fmt::Debug>(outcome: Result<T, StartError>) -> ConfigError {
    match outcome {
        Err(StartError::Config(error)) => error,
        other => panic!("no configuration error: {other:?}"),
    }
}

// ASVS 13.3.1
#[test]
fn a_module_that_cannot_stand() {
    with_token("setup::a_module_that_cannot_stand", async |token| {
        let text_file = token.folder.join("softhsm2.conf");
        let library = &token.shared_object;
        let no_module = std::env::current_exe().unwrap();
        let pin = || SecretString::from(PIN);
        let module =
            |path: &std::path::Path| Pkcs11Module::builder(path).with_token_label(LABEL).with_pin(pin());
        let wrong = "4711-nachtigall";
        for (name, builder, field, problem) in [
            ("bare name", module("libsofthsm2.so".as_ref()), "pkcs#11 module", "not absolute"),
            ("no file", module("/nowhere/lib.so".as_ref()), "pkcs#11 module", "cannot be found"),
            ("no library", module(&text_file), "pkcs#11 module", "cannot be loaded"),
            ("no module", module(&no_module), "pkcs#11 module", "cannot be loaded"),
            ("unnamed", Pkcs11Module::builder(library).with_pin(pin()), "pkcs#11 token", "not named"),
            ("empty name", module(library).with_token_label(""), "pkcs#11 token", "empty name"),
            (
                "no such label",
                module(library).with_token_label("other"),
                "pkcs#11 token with the label `other`",
                "not in any slot",
            ),
            (
                "another serial",
                module(library).with_token_serial("0123"),
                "pkcs#11 token with the label `app` with the serial number `0123`",
                "not in any slot",
            ),
            (
                "two of one label",
                module(library).with_token_label("twin"),
                "pkcs#11 token with the label `twin`",
                "with_token_serial",
            ),
            ("no pin", Pkcs11Module::builder(library).with_token_label(LABEL), "pkcs#11 pin", "missing"),
            ("empty pin", module(library).with_pin("".into()), "pkcs#11 pin", "missing"),
            ("wrong pin", module(library).with_pin(wrong.into()), "pkcs#11 pin", "refused by the token"),
            ("no time", module(library).with_timeout(std::time::Duration::ZERO), "pkcs#11 timeout", "zero"),
        ] {
            let printed = format!("{builder:?}");
            assert!(!printed.contains(PIN) && !printed.contains(wrong), "{printed}");
            let error = config(builder.build().await);
            assert_eq!(error.field(), field, "{name}");
            assert!(error.to_string().contains(problem), "{name}: {error}");
            assert!(!told(&error).contains(wrong), "{name}: {error}");
        }
        let error = config(Pkcs11Module::builder("lib.so").build().await);
        assert_eq!(error.others().len(), 2, "all at once: {error}");

        let pkcs11 = token.pkcs11();
        let slots = pkcs11.get_slots_with_initialized_token().unwrap();
        let info = slots.into_iter().map(|slot| pkcs11.get_token_info(slot).unwrap());
        let serial = info.into_iter().find(|info| info.label() == "twin").unwrap().serial_number().to_owned();
        Pkcs11Module::builder(library).with_token_serial(serial).with_pin(pin()).build().await.unwrap();
    });
}

// ASVS 13.3.3
#[test]
fn a_key_that_cannot_stand() {
    with_token("setup::a_key_that_cannot_stand", async |token| {
        let module = token.module().await;
        let sized = |key: NewKey, size: usize| NewKey { bytes: bytes(1)[..size].to_vec(), ..key };
        let typed = |key: NewKey, key_type| NewKey { key_type, ..key };
        let rows = [
            ("missing", None, None, "is not in the token"),
            (
                "extractable",
                Some(root(&[1], 1).with(Attribute::Extractable(true))),
                Some(wrapping(&[1], 1).with(Attribute::Extractable(true))),
                "may be extracted",
            ),
            (
                "not sensitive",
                Some(root(&[1], 1).with(Attribute::Sensitive(false))),
                Some(wrapping(&[1], 1).with(Attribute::Sensitive(false))),
                "may be read",
            ),
            (
                "public",
                Some(root(&[1], 1).with(Attribute::Private(false))),
                Some(wrapping(&[1], 1).with(Attribute::Private(false))),
                "without the pin",
            ),
            ("short", Some(sized(root(&[1], 1), 31)), Some(sized(wrapping(&[1], 1), 16)), "another length"),
            (
                "of another type",
                Some(typed(root(&[1], 1), KeyType::AES)),
                Some(typed(wrapping(&[1], 1), KeyType::GENERIC_SECRET)),
                "another type",
            ),
            ("nameless", Some(root(&[], 1)), Some(wrapping(&[], 1)), "has no id"),
            ("with a long name", Some(root(&[1; 33], 1)), Some(wrapping(&[1; 33], 1)), "more than 32 bytes"),
            (
                "of another use",
                Some(root(&[1], 1).with(Attribute::Sign(false))),
                Some(wrapping(&[1], 1).with(Attribute::Wrap(false))),
                "may not",
            ),
            ("of half a use", None, Some(wrapping(&[1], 1).with(Attribute::Unwrap(false))), "may not unwrap"),
        ];
        for (name, root_key, wrapping_key, problem) in rows {
            root_key.iter().chain(&wrapping_key).for_each(|key| token.add(key));
            for (what, error) in [
                ("root", (root_key.is_some() || name == "missing").then_some(())),
                ("wrap", (wrapping_key.is_some() || name == "missing").then_some(())),
            ] {
                let Some(()) = error else { continue };
                let error = match what {
                    "root" => config(Pkcs11Keys::open(&module, what).await),
                    _ => config(Pkcs11Wrap::open(&module, what).await),
                };
                assert!(error.field().contains(&format!("pkcs#11 key `{what}`")), "{name}, {what}: {error}");
                assert!(error.to_string().contains(problem), "{name}, {what}: {error}");
            }
            token.remove_all("root");
            token.remove_all("wrap");
        }
        token.add(&root(&[1], 1));
        token.add(&root(&[1], 2));
        assert!(config(Pkcs11Keys::open(&module, "root").await).to_string().contains("more than once"));
    });
}

#[test]
fn a_token_that_lacks_a_mechanism() {
    let without = "slots.mechanisms = CKM_SHA_1,CKM_AES_CBC\n";
    with_configured("setup::a_token_that_lacks_a_mechanism", without, async |token| {
        token.add(&root(&[1], 1));
        token.add(&wrapping(&[1], 1));
        let module = token.module().await;
        let error = config(Pkcs11Keys::open(&module, "root").await);
        assert!(error.to_string().contains("CKM_SHA256_HMAC"), "{error}");
        let error = config(Pkcs11Wrap::open(&module, "wrap").await);
        assert!(error.to_string().contains("CKM_AES_KEY_WRAP"), "{error}");
    });
}

/// ASVS 11.7.2
#[test]
fn nothing_secret_is_printed() {
    with_token("setup::nothing_secret_is_printed", async |token| {
        token.add(&root(&[1], 1));
        token.add(&wrapping(&[1], 1));
        let module = token.module().await;
        let keys = Pkcs11Keys::open(&module, "root").await.unwrap();
        let wrap = Pkcs11Wrap::open(&module, "wrap").await.unwrap();
        let ring = keys.keyring(KeyPurpose::Sealing).await.unwrap();
        let data_key = SymmetricKey::generate().unwrap();
        let wrapped = wrap.wrap(&data_key).await.unwrap();
        let printed = format!("{module:?} {module:#?} {keys:?} {wrap:?} {ring:?} {wrapped:?}");
        assert!(printed.contains(LABEL) && printed.contains("root"), "{printed}");
        for secret in [&bytes(1)[..], data_key.expose_bytes(), wrapped.bytes()] {
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let decimal = secret.iter().take(6).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            for form in [hex.as_str(), decimal.as_str(), PIN] {
                assert!(!printed.to_lowercase().contains(form), "{printed}");
            }
        }
    });
}
