use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde::de::value::{BytesDeserializer, Error as ValueError, SeqDeserializer};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::*;
use crate::TenantId;
use crate::crypto::seal::OpenError;
use crate::crypto::{Key, KeyPurpose, Keyring};
use crate::error::StartError;
use crate::id::KeyId;

const TEXT: &[u8] = b"attack at dawn, not at noon";

fn key(id: &str) -> Key {
    Key::generate_for(KeyPurpose::Sealing).unwrap().with_id(KeyId::parse(id).unwrap())
}

fn ring(primary: &Key, accepted: &[&Key]) -> Keyring {
    accepted
        .iter()
        .fold(Keyring::new(primary.clone()).unwrap(), |ring, key| ring.with_accepted((*key).clone()).unwrap())
}

fn sealer(ring: &Keyring, algorithm: SealAlgorithm) -> Sealer {
    Sealer::new(ring, algorithm, NonceMode::Counter).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// What opens `bytes`, as stored and as text, in a place.
fn outcome(sealer: &Sealer, place: &FieldContext<'_>, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    let opened = Sealed::from_bytes(bytes)
        .and_then(|sealed| sealer.open(place, &sealed))
        .map(|text| text.expose_secret().to_vec());
    let as_text = sealer.open_text(place, &Sealed::text(bytes)).map(|text| text.expose_secret().to_vec());
    assert_eq!(opened, as_text, "both forms open alike");
    opened
}

#[test]
fn f8_every_flip_cut_and_extension_is_refused_alike() {
    let (primary, accepted) = (key("one"), key("two"));
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    for algorithm in SealAlgorithm::ALL {
        let here = sealer(&ring(&primary, &[&accepted]), *algorithm);
        // Sealed here, under the cached schedule, and by another process.
        for maker in [&here, &sealer(&ring(&primary, &[]), *algorithm)] {
            let stored = maker.seal(&place, TEXT).unwrap();
            let bytes = stored.as_bytes();
            assert_eq!(outcome(&here, &place, bytes).as_deref(), Ok(TEXT));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(outcome(&here, &place, &flipped), Err(OpenError), "{algorithm} bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(
                    outcome(&here, &place, &bytes[..length]),
                    Err(OpenError),
                    "{algorithm} cut {length}"
                );
            }
            for more in [&b"\0"[..], b"\x01", bytes] {
                assert_eq!(outcome(&here, &place, &[bytes, more].concat()), Err(OpenError), "{algorithm}");
                assert_eq!(outcome(&here, &place, &[more, bytes].concat()), Err(OpenError), "{algorithm}");
            }
        }
    }
}

#[test]
fn f8_every_flip_cut_and_extension_of_the_text_is_refused_alike() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    for algorithm in SealAlgorithm::ALL {
        let here = sealer(&ring(&key("one"), &[]), *algorithm);
        // Each of the three ways base64 can end.
        for length in 20..23 {
            let text = here.seal_text(&place, &TEXT[..length]).unwrap();
            assert!(here.open_text(&place, &text).is_ok());
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                // What isn't text can't be passed at all.
                let Ok(flipped) = String::from_utf8(flipped) else { continue };
                assert_eq!(
                    here.open_text(&place, &flipped).map(drop),
                    Err(OpenError),
                    "{algorithm} bit {bit}"
                );
            }
            for cut in 0..text.len() {
                assert_eq!(here.open_text(&place, &text[..cut]).map(drop), Err(OpenError), "cut to {cut}");
            }
            let standard = text.replace('-', "+").replace('_', "/");
            for other in [
                format!("{text}="),
                format!("{text}=="),
                format!("{text}A"),
                format!("{text}AAAA"),
                format!("{text}\n"),
                format!(" {text}"),
                text.replacen("pc1.", "pc2.", 1),
                text.replacen("pc1.", "PC1.", 1),
                text.replacen("pc1.", "pc1", 1),
                text.replacen("pc1.", "", 1),
                if standard == text { String::new() } else { standard },
            ] {
                assert_eq!(here.open_text(&place, &other).map(drop), Err(OpenError), "{other:?}");
            }
        }
    }
}

#[test]
fn f9_nothing_opens_elsewhere() {
    let (acme, evil) = (tenant("acme"), tenant("evil"));
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    for algorithm in SealAlgorithm::ALL {
        let here = sealer(&ring(&key("one"), &[]), *algorithm);
        let stored = here.seal(&place, TEXT).unwrap();
        assert!(here.open(&place, &stored).is_ok());
        for (name, elsewhere) in [
            ("tenant", FieldContext::new(&evil, "notes", "body", "r1")),
            ("table", FieldContext::new(&acme, "drafts", "body", "r1")),
            ("column", FieldContext::new(&acme, "notes", "title", "r1")),
            ("row", FieldContext::new(&acme, "notes", "body", "r2")),
            ("swapped", FieldContext::new(&acme, "body", "notes", "r1")),
            ("shifted", FieldContext::new(&acme, "note", "sbody", "r1")),
            ("longer", FieldContext::new(&acme, "notes", "body", "r1\0")),
            ("no row", FieldContext::new(&acme, "notes", "body", "")),
            ("case", FieldContext::new(&acme, "Notes", "body", "r1")),
        ] {
            assert_eq!(outcome(&here, &elsewhere, stored.as_bytes()), Err(OpenError), "{algorithm} {name}");
        }
        let nowhere = FieldContext::new(&acme, "notes", "body", "");
        assert!(here.seal(&nowhere, TEXT).is_err(), "a row without an id");
        assert!(here.seal_text(&nowhere, TEXT).is_err());
    }
}

#[test]
fn f8_key_ids_and_algorithms_cannot_be_swapped() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    let (one, two) = (key("one"), key("two"));
    for algorithm in SealAlgorithm::ALL {
        let here = sealer(&ring(&one, &[&two]), *algorithm);
        let bytes = here.seal(&place, TEXT).unwrap().into_bytes();
        assert_eq!(&bytes[1..5], b"\x03one");
        let renamed = |id: &[u8]| {
            let length = u8::try_from(id.len()).unwrap();
            [&bytes[..1], &[length], id, &bytes[5..]].concat()
        };
        assert_eq!(outcome(&here, &place, &renamed(b"one")).as_deref(), Ok(TEXT));
        for id in [&b"two"[..], b"six", b"", b"o", b"onee", b"o/e", b"\xff\xff\xff", &[b'k'; 64], &[b'k'; 65]]
        {
            assert_eq!(outcome(&here, &place, &renamed(id)), Err(OpenError), "{algorithm} {id:?}");
        }
        // The same material under another id is another key.
        let alias = one.clone().with_id(KeyId::parse("six").unwrap());
        let aliased = sealer(&ring(&alias, &[&one]), *algorithm);
        assert_eq!(outcome(&aliased, &place, &renamed(b"six")), Err(OpenError));
        assert_eq!(outcome(&aliased, &place, &bytes).as_deref(), Ok(TEXT));
        for number in (0..=u8::MAX).filter(|number| *number != bytes[0]) {
            let other = [&[number], &bytes[1..]].concat();
            assert_eq!(outcome(&here, &place, &other), Err(OpenError), "{algorithm} as {number}");
        }
        let stranger = sealer(&ring(&two, &[]), *algorithm);
        assert_eq!(outcome(&stranger, &place, &bytes), Err(OpenError), "not in the ring");
    }
}

// ASVS 11.2.2
#[test]
fn any_key_and_algorithm_of_the_ring_opens() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    let (old, new) = (key("old"), key("new"));
    let [chacha, aes] = [SealAlgorithm::XChaCha20Poly1305, SealAlgorithm::Xaes256Gcm];
    let now = sealer(&ring(&new, &[&old]), chacha);
    for (name, by, algorithm, stale) in [
        ("as now", &new, chacha, false),
        ("other algorithm", &new, aes, true),
        ("other key", &old, chacha, true),
        ("both", &old, aes, true),
    ] {
        for mode in [NonceMode::Counter, NonceMode::Random] {
            let maker = Sealer::new(&ring(by, &[]), algorithm, mode).unwrap();
            let stored = maker.seal(&place, TEXT).unwrap();
            assert_eq!(now.open(&place, &stored).unwrap().expose_secret(), TEXT, "{name} {mode:?}");
            assert_eq!(now.needs_reseal(&stored), stale, "{name}");
            assert_eq!((stored.key_id(), stored.algorithm()), (by.id().as_str(), algorithm), "{name}");
        }
    }
}

#[test]
fn equal_plaintexts_look_different() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    for algorithm in SealAlgorithm::ALL {
        for mode in [NonceMode::Counter, NonceMode::Random] {
            let here = Sealer::new(&ring(&key("one"), &[]), *algorithm, mode).unwrap();
            // From the ciphertext on; nonces differ anyway.
            let seen: HashSet<_> =
                (0..200).map(|_| here.seal(&place, TEXT).unwrap().as_bytes()[29..].to_vec()).collect();
            assert_eq!(seen.len(), 200, "{algorithm} {mode:?}");
        }
    }
}

#[test]
fn two_allocations_for_a_text_one_for_bytes() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "0f8fad5b-d9cb-469f-a165-70867728950e");
    for algorithm in SealAlgorithm::ALL {
        // An id of the usual length.
        let here =
            sealer(&Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap(), *algorithm);
        for length in [0, 32, 256, 4096] {
            let plaintext = vec![b'x'; length];
            let counted = |step: &dyn Fn()| allocation_counter::measure(step).count_total;
            assert_eq!(counted(&|| drop(here.seal(&place, &plaintext).unwrap())), 1, "{length} as bytes");
            assert_eq!(counted(&|| drop(here.seal_text(&place, &plaintext).unwrap())), 2, "{length} as text");
            let stored = here.seal(&place, &plaintext).unwrap();
            let opened = usize::from(length > 0) as u64;
            assert_eq!(counted(&|| drop(here.open(&place, &stored).unwrap())), opened, "{length} opened");
        }
    }
}

#[test]
fn rings_for_other_purposes_are_refused() {
    let hmac = Key::hmac_secret_text(&"4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE".into()).unwrap();
    let refused = Sealer::new(&Keyring::new(hmac).unwrap(), SealAlgorithm::default(), NonceMode::Random);
    assert!(matches!(refused, Err(StartError::Config(_))));
}

#[test]
fn nothing_is_printed() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    let here = sealer(&ring(&key("one"), &[&key("two")]), SealAlgorithm::default());
    let stored = here.seal(&place, TEXT).unwrap();
    assert_eq!(format!("{stored:?}"), "Sealed { key_id: \"one\", bytes: 72, .. }");
    assert_eq!(
        format!("{here:?}"),
        "Sealer { algorithm: XChaCha20Poly1305, primary: KeyId(one), keys: [KeyId(one), KeyId(two)], .. }"
    );
    assert!(!format!("{:?}", here.open(&place, &stored).unwrap()).contains("attack"));
}

/// A format without text.
struct Binary<'a>(&'a [u8]);

impl<'de> Deserializer<'de> for Binary<'_> {
    type Error = ValueError;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_bytes(self.0)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn serde_moves_text_or_bytes() {
    let acme = tenant("acme");
    let place = FieldContext::new(&acme, "notes", "body", "r1");
    let here = sealer(&ring(&key("one"), &[]), SealAlgorithm::default());
    let stored = here.seal(&place, TEXT).unwrap();
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(json, format!("\"{stored}\""));
    assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), stored);
    assert!(serde_json::from_str::<Sealed>("\"pc1.AA\"").is_err());
    assert!(serde_json::from_str::<Sealed>("[1, 2]").is_err());
    let bytes = stored.as_bytes();
    assert_eq!(Sealed::deserialize(Binary(bytes)).unwrap(), stored);
    assert!(Sealed::deserialize(Binary(&bytes[..40])).is_err());
    assert_eq!(Sealed::deserialize(BytesDeserializer::<ValueError>::new(bytes)).unwrap(), stored);
    let items = SeqDeserializer::<_, ValueError>::new(bytes.iter().copied());
    assert_eq!(Sealed::deserialize(items).unwrap(), stored);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Written by one crate and read by another.
    #[test]
    fn the_text_is_base64url(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        prop_assert_eq!(Sealed::text(&bytes), format!("pc1.{}", URL_SAFE_NO_PAD.encode(&bytes)));
    }

    #[test]
    fn f10_arbitrary_bytes_and_texts_never_open_or_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        algorithm in 0..4_u8,
        id in "[a-z/]{0,5}",
        text in "(pc1\\.)?[A-Za-z0-9_=.-]{0,120}",
    ) {
        let acme = tenant("acme");
        let place = FieldContext::new(&acme, "notes", "body", "r1");
        let here = sealer(&ring(&key("one"), &[]), SealAlgorithm::default());
        // Also with a header that is right as far as it goes.
        let with_header =
            [&[algorithm, u8::try_from(id.len()).unwrap()], id.as_bytes(), &bytes].concat();
        let known = [&b"\x01\x03one"[..], &bytes].concat();
        for bytes in [bytes, with_header, known] {
            prop_assert_eq!(outcome(&here, &place, &bytes), Err(OpenError));
            if let Ok(sealed) = Sealed::from_bytes(&bytes[..]) {
                prop_assert!(KeyId::parse(sealed.key_id()).is_ok());
                prop_assert_eq!(sealed.to_string().parse::<Sealed>().unwrap(), sealed);
            }
        }
        prop_assert_eq!(here.open_text(&place, &text).map(drop), Err(OpenError));
    }
}
