use proptest::prelude::*;

use super::*;
use crate::id::KeyId;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1);

fn key(name: &str) -> Key {
    Key::generate_for(KeyPurpose::BlindIndex).unwrap().with_id(KeyId::parse(name).unwrap())
}

fn ring() -> Keyring {
    let bytes: Vec<u8> = (0..32_u8).map(|i| i.wrapping_mul(7).wrapping_add(3)).collect();
    Keyring::begin(Key::from_bytes(KeyPurpose::BlindIndex, &bytes.into()).unwrap(), NOW).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn column(table: &str, column: &str) -> BlindIndexBuilder {
    BlindIndexer::new(&ring()).unwrap().column(table, column)
}

/// Computed by Python's `hmac` and `hashlib` from the same key: the form must not change.
#[test]
fn a_known_answer() {
    let exact = column("users", "email").build().unwrap();
    let value = exact.index(&TenantId::default(), "ada@example.com");
    assert_eq!(value.to_string(), "MaL0RG12q9mfnSw4RoOtg9ImL5rspr8LWVZR7AFJ51gdcxmH");
    let cut = column("users", "email").with_normalization(Normalization::CaseFolded).with_bits(20);
    let value = cut.build().unwrap().index(&TenantId::default(), "ADA@example.com");
    assert_eq!(value.to_string(), "ynAPfLHsAA");
}

#[test]
fn rows_are_found_while_keys_rotate() {
    let (ada, ben) = ("ada@example.com", "ben@example.com");
    let tenant = TenantId::default();
    for bits in [256, 20] {
        let ring = Keyring::begin(key("a"), NOW).unwrap();
        let before =
            BlindIndexer::new(&ring).unwrap().column("users", "email").with_bits(bits).build().unwrap();
        let old = before.index(&tenant, ada);
        assert!(!before.needs_reindex(&old));

        // Another instance may promote the new key first.
        let introduced = before.under(&ring.introduce(key("b"), NOW).unwrap()).unwrap();
        assert_eq!(introduced.index(&tenant, ada), old);
        let rotated = ring.introduce(key("b"), NOW).unwrap();
        let rotated = rotated.promote(&KeyId::parse("b").unwrap(), NOW).unwrap();
        assert!(introduced.under(&rotated).unwrap().index(&tenant, ada) != old);

        let ring = ring.rotate(key("b"), NOW).unwrap();
        let index = before.under(&ring).unwrap();
        let new = index.index(&tenant, ada);
        let candidates = index.candidates(&tenant, ada);
        assert_eq!(candidates, [new, old], "the old row and the new one");
        assert!(index.needs_reindex(&old) && !index.needs_reindex(&new));
        assert!(!index.candidates(&tenant, ben).contains(&old));

        for gone in [
            ring.compromise(&KeyId::parse("a").unwrap(), NOW).unwrap(),
            ring.destroy(&KeyId::parse("a").unwrap(), NOW).unwrap(),
        ] {
            let index = index.under(&gone).unwrap();
            assert_eq!(index.candidates(&tenant, ada), [new], "only what was reindexed");
            assert!(index.needs_reindex(&old));
        }
    }
}

#[test]
fn another_setting_is_another_value() {
    let tenant = TenantId::default();
    let whole = column("users", "email").build().unwrap();
    for other in [
        column("users", "email").with_bits(255),
        column("users", "email").with_bits(64),
        column("users", "email").with_normalization(Normalization::CaseFolded),
    ] {
        let other = other.build().unwrap();
        let value = other.index(&tenant, "ada");
        assert!(whole.needs_reindex(&value) && other.needs_reindex(&whole.index(&tenant, "ada")));
        assert!(!other.needs_reindex(&value));
    }
}

#[test]
fn what_looks_the_same_is_found() {
    let index = column("users", "name").with_normalization(Normalization::CaseFolded).build().unwrap();
    let of = |text: &str| index.index(&TenantId::default(), text);
    assert_eq!(of("\u{e9}MILE stra\u{df}e \u{212a} \u{ff21}"), of("e\u{301}mile STRASSE k a"));
    assert_ne!(of("m\u{131}ke"), of("mike"));
    let exact = column("users", "name").build().unwrap();
    let of = |text: &str| exact.index(&TenantId::default(), text);
    assert_ne!(of("\u{e9}"), of("e\u{301}"));
    assert_ne!(of("Ada"), of("ada"));
}

#[test]
fn f9_columns_and_tenants_never_look_equal() {
    let values = |table: &str, name: &str, tenant_name: &str, value: &str| {
        column(table, name).build().unwrap().index(&tenant(tenant_name), value)
    };
    for (name, a, b) in [
        ("column", ("users", "email", "t", "v"), ("users", "phone", "t", "v")),
        ("table", ("users", "email", "t", "v"), ("people", "email", "t", "v")),
        ("tenant", ("users", "email", "t", "v"), ("users", "email", "u", "v")),
        ("table and column", ("ab", "c", "t", "v"), ("a", "bc", "t", "v")),
        ("empty table", ("", "abc", "t", "v"), ("abc", "", "t", "v")),
        ("tenant and value", ("a", "b", "tv", "w"), ("a", "b", "t", "vw")),
        ("length as value", ("a", "b", "t", "\u{1}t"), ("a", "b", "t", "t")),
    ] {
        assert_ne!(values(a.0, a.1, a.2, a.3), values(b.0, b.1, b.2, b.3), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The parts come from one text cut at different places, so that a careless encoding would collide.
    #[test]
    fn f9_parts_cannot_be_shifted(
        whole in "[ab1]{4,12}",
        cuts in prop::array::uniform2((0..4_usize, 0..4_usize, 1..4_usize)),
    ) {
        let parts = |(a, b, c): (usize, usize, usize)| {
            let at = |at: usize| at.min(whole.len());
            let (a, b, c) = (at(a), at(a + b), at(a + b + c));
            (&whole[..a], &whole[a..b], &whole[b..c], &whole[c..])
        };
        let value = |(table, name, owner, value): (&str, &str, &str, &str)| {
            let owner = if owner.is_empty() { "x" } else { owner };
            let index = column(table, name).build().unwrap().index(&tenant(owner), value);
            (index, [table, name, owner, value].map(str::to_owned))
        };
        let [first, second] = cuts.map(|cut| value(parts(cut)));
        prop_assert_eq!(first.0 == second.0, first.1 == second.1);
    }

    #[test]
    fn values_read_back(bits in 8..=256_u16, text in any::<String>()) {
        let value = column("t", "c").with_bits(bits).build().unwrap().index(&TenantId::default(), &text);
        prop_assert_eq!(value.as_bytes().len(), 4 + usize::from(bits.div_ceil(8)), "of one length");
        prop_assert_eq!(IndexValue::from_bytes(value.as_ref()), Ok(value));
        prop_assert_eq!(value.to_string().parse(), Ok(value));
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<IndexValue>(&json).unwrap(), value);
        let spare = value.as_bytes().len() * 8 - 32 - usize::from(bits);
        prop_assert!(value.as_bytes().last().unwrap().trailing_zeros() as usize >= spare);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(value) = text.parse::<IndexValue>() {
            prop_assert_eq!(value.to_string(), text);
        }
        prop_assert_eq!(IndexValue::from_bytes(&bytes).is_ok(), (5..=36).contains(&bytes.len()));
    }
}

/// With 8 bits one value in 256 is found besides, and all 256 occur about as often.
#[test]
fn cut_values_are_spread_evenly() {
    let index = column("users", "email").with_bits(8).build().unwrap();
    let mut counts = [0_u32; 256];
    for at in 0..25_600 {
        let value = index.index(&TenantId::default(), &format!("user{at}@example.com"));
        counts[usize::from(*value.as_bytes().last().unwrap())] += 1;
    }
    // Chi-squared of 255 degrees of freedom: mean 255, standard deviation 22.6. The key is fixed, so is the outcome.
    let chi: f64 = counts.iter().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
    assert!((170.0..340.0).contains(&chi), "{chi}");
}

#[test]
fn what_can_not_stand() {
    for bits in [0, 1, 7, 257, u16::MAX] {
        assert!(column("t", "c").with_bits(bits).build().is_err(), "{bits}");
    }
    let sealing = Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap();
    assert!(BlindIndexer::new(&sealing).is_err());
    assert!(column("t", "c").build().unwrap().under(&sealing).is_err());
    // The same material under two ids would make one key out of two.
    let twice = ring();
    let again = twice.primary().clone().with_id(KeyId::parse("again").unwrap());
    let twice = twice.with_accepted(again).unwrap();
    assert!(BlindIndexer::new(&twice).unwrap().column("t", "c").build().is_err());
}

/// ASVS 16.2.5
#[test]
fn nothing_prints_keys_or_values() {
    let ring = ring();
    let index = column("users", "email").build().unwrap();
    let value = index.index(&TenantId::default(), "canary@example.com");
    let key = ring.primary().bits().unwrap().expose_bytes();
    let shown =
        format!("{index:?} {:?} {value:?} {:?}", BlindIndexer::new(&ring).unwrap(), column("users", "email"));
    for secret in [
        "canary".to_owned(),
        value.to_string(),
        format!("{:?}", value.as_bytes()),
        format!("{key:?}"),
        format!("{:?}", &key[..4]).replace(['[', ']'], ""),
    ] {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
}

#[test]
fn short_values_cost_no_memory() {
    let index = column("users", "email").with_normalization(Normalization::CaseFolded).build().unwrap();
    let tenant = TenantId::default();
    for text in ["ada@example.com", "Ada@Example.com"] {
        let measured = allocation_counter::measure(|| {
            assert!(!index.needs_reindex(&index.index(&tenant, text)));
        });
        assert_eq!(measured.count_total, 0, "{text}");
    }
    let measured = allocation_counter::measure(|| drop(index.candidates(&tenant, "Ada@Example.com")));
    assert_eq!(measured.count_total, 1);
}
