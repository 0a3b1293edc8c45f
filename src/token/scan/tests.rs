//! The scanner against the strict reader: it knows less, and never anything else.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Principal;
use crate::token::read;
use crate::token::write::tests::by_serde;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://api.example";

/// Reads a text both ways. Returns whether it was scanned.
fn scanned(text: &str) -> bool {
    let Some(scanned) = claims(text, ISSUER, AUDIENCE) else { return false };
    let fast = scanned.to_claims();
    for tenant in [TenantId::default(), TenantId::parse("acme").unwrap()] {
        let bearer = scanned.to_bearer(&tenant);
        assert_eq!(bearer.is_some(), fast.is_some(), "{text}");
        let Some(bearer) = bearer else { return false };
        let strict = read::claims(text, ISSUER, AUDIENCE).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert_eq!(fast.as_ref(), Some(&strict), "{text}");
        let Times { iat, exp, nbf } = scanned.times();
        assert_eq!((iat, exp, nbf), (strict.iat, strict.exp, strict.nbf), "{text}");
        let slow = Principal::from(strict.into_bearer(text.into()));
        assert_eq!(Principal::from(bearer).everything(), slow.everything(), "{text}");
    }
    true
}

fn written(claims: &Claims) -> String {
    by_serde(claims, ISSUER, AUDIENCE)
}

fn least() -> Claims {
    let at = Timestamp::from_secs;
    Claims::new("ada".parse().unwrap(), "t1".parse().unwrap(), at(1_767_225_600), at(1_767_226_200))
}

fn minted() -> impl Strategy<Value = Claims> {
    let id = || "[a-zA-Z0-9_.:@+/-]{1,24}";
    let methods = prop::sample::subsequence(AuthMethod::ALL, 0..=AuthMethod::ALL.len());
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z \u{e9}\u{7f}]{0,9}".prop_map(Value::from),
        Just(Value::Null),
    ];
    (
        (id(), id(), prop::option::of(id()), prop::option::of(id()), any::<(u32, u32)>()),
        (0..=MAX_NUMERIC_DATE, 0..=MAX_NUMERIC_DATE, prop::option::of(0..=MAX_NUMERIC_DATE)),
        (prop::collection::vec("[a-z\u{e9}: ]{1,12}", 0..12), methods),
        prop::option::of(prop::collection::vec("[!#-\\[\\]-~]{1,8}", 0..12)),
        prop::collection::btree_map("[a-z]{6,9}", value, 0..6),
    )
        .prop_map(
            |((sub, jti, sid, tid, (security, grants)), (iat, exp, nbf), (roles, amr), scope, extra)| {
                Claims {
                    sub: sub.parse().unwrap(),
                    jti: jti.parse().unwrap(),
                    iat,
                    exp,
                    nbf,
                    sid: sid.map(|sid| sid.parse().unwrap()),
                    tid: tid.map(|tid| tid.parse().unwrap()).unwrap_or_default(),
                    epoch: Epoch { security, grants },
                    roles,
                    scope,
                    auth_time: nbf,
                    amr,
                    act: None,
                    extra: extra.into_iter().collect(),
                }
            },
        )
}

/// A member as somebody might write it, right or wrong.
fn member() -> impl Strategy<Value = String> {
    let name = prop::sample::select(
        RESERVED.into_iter().chain(["x", "", "\\u0069ss", "note", "x\u{7f}"]).collect::<Vec<_>>(),
    );
    let values = [
        "0",
        "-0",
        "-1",
        "00",
        "01",
        "1.0",
        "1e3",
        "5",
        "253402300799",
        "253402300800",
        "1767225600",
        "999999999999999999",
        "1000000000000000000",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "null",
        "true",
        "false",
        "nul",
        "[]",
        "[1,2]",
        "[4294967295,0]",
        "[4294967296,0]",
        "[1]",
        "[1,2,3]",
        "[\"user\",\"a b\"]",
        "[\"\"]",
        "[\"a\\n\"]",
        "[\"\u{85}\"]",
        "[\"pwd\",\"otp\"]",
        "[\"pwd\",\"pwd\"]",
        "[\"x5\"]",
        "[\"pwd\",]",
        "\"\"",
        "\"ada\"",
        "\"a b\"",
        "\"a  b\"",
        "\" a\"",
        "\"a\\u0062\"",
        "\"tab\there\"",
        "\"\u{e9}\"",
        "\"https://id.example\"",
        "\"https://api.example\"",
        "[\"https://api.example\"]",
        "{\"sub\":\"eve\"}",
        "{}",
        "[[]]",
    ];
    let value = prop::sample::select(values.to_vec());
    let space = prop::sample::select(vec!["", "", "", "", "", "", " ", "\n"]);
    (name, space, value).prop_map(|(name, space, value)| format!("\"{name}\":{space}{value}"))
}

#[test]
fn what_is_minted_is_scanned() {
    let full = least()
        .with_tenant("acme".parse().unwrap())
        .with_family("f1".parse().unwrap())
        .with_roles(["user", "\u{e9}diteur"])
        .with_scopes(["tasks:read", "tasks:write"])
        .with_auth_methods([AuthMethod::Password, AuthMethod::Otp])
        .with_auth_time(Timestamp::from_secs(1_767_225_600))
        .with_not_before(Timestamp::from_secs(1_767_225_600));
    for (name, claims, want) in [
        ("least", least(), true),
        ("full", full.clone(), true),
        ("no scope at all", least().with_scopes([""; 0]), true),
        ("plain claims", full.clone().with_extra("plan", "gold".into()).unwrap(), true),
        ("a nested claim", full.clone().with_extra("plan", json!(["gold"])).unwrap(), false),
        ("an escape", least().with_extra("plan", "\"".into()).unwrap(), false),
        ("an actor", full.with_actor(crate::principal::Actor { sub: "eve".parse().unwrap() }), false),
    ] {
        assert_eq!(scanned(&written(&claims)), want, "{name}");
    }
}

#[test]
fn what_is_handed_over() {
    let good = written(&least().with_roles(["user"]).with_extra("plan", 1.into()).unwrap());
    assert!(scanned(&good));
    for (name, from, to) in [
        ("white space", "\"sub\":", "\"sub\": "),
        ("white space before", "{\"iss", " {\"iss"),
        ("another issuer", "id.example", "id.example.org"),
        ("an escape", "\"ada\"", "\"\\u0061da\""),
        ("no identifier", "\"ada\"", "\"a da\""),
        ("a fraction", "1767225600", "1767225600.0"),
        ("an exponent", "1767225600", "1767225600e0"),
        ("a leading zero", "1767225600", "01767225600"),
        ("a comma too much", "}", ",}"),
        ("a comma missing", ",\"sub\"", "\"sub\""),
        ("something behind", "}", "}}"),
        ("white space behind", "}", "} "),
        ("twice", "\"sub\":\"ada\"", "\"sub\":\"ada\",\"sub\":\"ada\""),
        ("twice, of the application", "\"plan\":1", "\"plan\":1,\"plan\":1"),
        ("a proof of possession", "\"plan\"", "\"cnf\""),
        ("no name", "\"plan\"", "\"\""),
        ("no role", "\"user\"", "\"\""),
        ("missing", "\"sub\":\"ada\",", ""),
        ("too late", "1767226200", "253402300800"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{name}");
        assert!(!scanned(&text), "{name}");
    }
    let many = (0..9).fold(least(), |claims, n| claims.with_extra(format!("x{n}"), n.into()).unwrap());
    assert!(!scanned(&written(&many)), "many claims of the application's");
}

/// Each byte at each place, among bytes that are hard to tell from those looked for, and after one that was found.
#[test]
fn the_end_of_a_string_is_found_wherever_it_stands() {
    let by_byte = |bytes: &[u8]| bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
    for filler in [b'a', b'!', b'#', b' ', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
        for length in 0..20 {
            let plain = vec![filler; length];
            assert_eq!(plain_length(&plain), None, "{filler} {length}");
            for at in 0..length {
                for byte in 0..=255 {
                    let mut bytes = plain.clone();
                    bytes[at] = byte;
                    assert_eq!(plain_length(&bytes), by_byte(&bytes), "{bytes:?}");
                    *bytes.last_mut().unwrap() = b'"';
                    assert_eq!(plain_length(&bytes), by_byte(&bytes), "{bytes:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_end_of_a_string_is_found_in_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40), add in 0..0xe0_u8) {
        // Fewer of them are control characters.
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte.saturating_add(add)).collect();
        let want = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
        prop_assert_eq!(plain_length(&bytes), want);
    }

    #[test]
    fn minted_claims_are_read_alike(claims in minted()) {
        let text = written(&claims);
        let plain = !text.contains('\\') && claims.extra.values().all(|value| value.as_i64().is_none_or(|n| n.unsigned_abs() < 1_000_000_000_000_000_000));
        prop_assert_eq!(scanned(&text), plain);
        prop_assert_eq!(read::claims(&text, ISSUER, AUDIENCE), Ok(claims));
    }

    #[test]
    fn changed_claims_are_read_alike(
        claims in minted(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, "[]{}\",:0-9a-e\\\\ .-]{0,2}"), 1..4),
    ) {
        let mut text = written(&claims);
        for (at, cut, put) in edits {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len() + 1);
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
            text = chars.into_iter().collect();
        }
        scanned(&text);
    }

    #[test]
    fn any_members_are_read_alike(members in prop::collection::vec(member(), 0..6), base in any::<bool>(), after in 0..2_usize) {
        let least = written(&least());
        let mut text = members.join(",");
        if base {
            text = format!("{},{text}", &least[1..least.len() - 1]);
        }
        scanned(&format!("{{{}}}{}", text.trim_end_matches(','), " ".repeat(after)));
    }

    #[test]
    fn any_text_is_read_alike(text in "\\PC{0,60}", json in "[]{}\",:a-z0-9 \\\\]{0,60}") {
        scanned(&text);
        scanned(&json);
    }
}
