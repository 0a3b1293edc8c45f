//! Rows that Python encrypted open here, and the specification's own vectors.
//!
//! `interop/fixtures_fernet.json` holds test keys and rows made by `python3 interop/fernet.py >
//! interop/fixtures_fernet.json` with cryptography 50.0.2. The vectors are `generate.json`, `verify.json` and
//! `invalid.json` of <https://github.com/fernet/spec>.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use portcullis::crypto::fernet::{FernetReader, PASSPHRASE_ROUNDS};
use portcullis::time::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::Value;

fn fixtures() -> Value {
    serde_json::from_str(include_str!("interop/fixtures_fernet.json")).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn with_key(key: &str) -> FernetReader {
    FernetReader::from_key(&key.into()).unwrap()
}

fn from_passphrase(fixture: &Value) -> FernetReader {
    assert_eq!(fixture["rounds"], PASSPHRASE_ROUNDS);
    let salt = text(fixture, "salt").as_bytes();
    FernetReader::from_passphrase(&text(fixture, "secret").into(), salt, PASSPHRASE_ROUNDS).unwrap()
}

#[track_caller]
fn all_open(reader: &FernetReader, rows: &Value) {
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 8);
    for row in rows {
        let stored = text(row, "stored");
        let (plaintext, time) = reader.open_with_time(stored).unwrap();
        assert_eq!(plaintext.expose_secret(), text(row, "text").as_bytes(), "{stored}");
        assert_eq!(time, Timestamp::from_secs(row["time"].as_i64().unwrap()), "{stored}");
    }
}

#[test]
fn rows_under_a_passphrase() {
    let fixture = &fixtures()["passphrase"];
    all_open(&from_passphrase(fixture), &fixture["rows"]);
    // The passphrase is this key, and another one isn't.
    all_open(&with_key(text(fixture, "key")), &fixture["rows"]);
    let salt = text(fixture, "salt").as_bytes();
    let secret = text(fixture, "secret");
    for (name, secret, salt, rounds) in [
        ("another secret", "correct horse battery stable", salt, PASSPHRASE_ROUNDS),
        ("another salt", secret, b"other_salt", PASSPHRASE_ROUNDS),
        ("other rounds", secret, salt, PASSPHRASE_ROUNDS - 1),
    ] {
        let reader = FernetReader::from_passphrase(&secret.into(), salt, rounds).unwrap();
        for row in fixture["rows"].as_array().unwrap() {
            assert!(reader.open(text(row, "stored")).is_err(), "{name}");
        }
    }
}

#[test]
fn rows_before_and_after_a_rotation() {
    let fixture = &fixtures()["rotation"];
    let (old, new) = (with_key(text(fixture, "old")), with_key(text(fixture, "new")));
    for reader in [new.clone().add_keys(old.clone()), old.clone().add_keys(new.clone())] {
        all_open(&reader, &fixture["before"]);
        all_open(&reader, &fixture["after"]);
    }
    for (reader, rows) in [(new, &fixture["before"]), (old, &fixture["after"])] {
        for row in rows.as_array().unwrap() {
            assert!(reader.open(text(row, "stored")).is_err());
        }
    }
}

/// In the bytes of the token and in the text, of which not every bit means something in careless base64.
#[test]
fn f8_flipping_any_bit_of_a_fernet_row_fails() {
    let fixture = &fixtures()["passphrase"];
    let reader = with_key(text(fixture, "key"));
    for row in fixture["rows"].as_array().unwrap().iter().take(7) {
        let outer = text(row, "stored").as_bytes();
        let inner = URL_SAFE.decode(outer).unwrap();
        let token = URL_SAFE.decode(&inner).unwrap();
        let flips = |bytes: &[u8], wrap: &dyn Fn(&[u8]) -> Option<String>| {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let opens = wrap(&flipped).is_some_and(|text| reader.open(&text).is_ok());
                assert!(!opens, "bit {bit} of {row}");
            }
            assert!(reader.open(&wrap(bytes).unwrap()).is_ok());
        };
        flips(&token, &|token| Some(URL_SAFE.encode(token)));
        flips(&token, &|token| Some(URL_SAFE.encode(URL_SAFE.encode(token))));
        flips(&inner, &|inner| String::from_utf8(inner.to_vec()).ok());
        flips(&inner, &|inner| Some(URL_SAFE.encode(inner)));
        flips(outer, &|outer| String::from_utf8(outer.to_vec()).ok());
        for cut in 0..outer.len() {
            assert!(reader.open(&text(row, "stored")[..cut]).is_err(), "cut to {cut}");
        }
    }
}

/// The specification's vectors. Two of its invalid ones are only too old or too new: a row at rest has no time to
/// live, so they open, and their time can be read.
#[test]
fn vectors_of_the_specification() {
    const SECRET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    let reader = with_key(SECRET);
    for (name, token, want) in [
        (
            "generate, verify",
            "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==",
            Some((&b"hello"[..], 499_162_800)),
        ),
        (
            "incorrect mac",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
            None,
        ),
        ("too short", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==", None),
        (
            "invalid base64",
            "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
            None,
        ),
        (
            "payload size not multiple of block size",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
            None,
        ),
        (
            "payload padding error",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
            None,
        ),
        (
            "far-future TS (unacceptable clock skew)",
            "gAAAAAAdwStRAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw==",
            Some((b"", 499_198_801)),
        ),
        (
            "expired TTL",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
            Some((b"", 499_162_801)),
        ),
        (
            "incorrect IV (causes padding error)",
            "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
            None,
        ),
    ] {
        let opened = reader.open_with_time(token).ok();
        let opened = opened.as_ref().map(|(plaintext, time)| (plaintext.expose_secret(), time.as_secs()));
        assert_eq!(opened, want, "{name}");
    }
}
