//! Tokens that only who has the key could have made, and that are wrong all the same; texts and keys that are none.
//! Those of Python and of the specification are in `tests/it/fernet.rs`.

use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::NoPadding};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn reader() -> FernetReader {
    FernetReader::from_key(&KEY.into()).unwrap()
}

/// A token under [`KEY`]; `blocks` is the plaintext with whatever padding, `tail` stands behind the ciphertext.
fn token(version: u8, time: u64, blocks: &[u8], tail: &[u8]) -> String {
    let bytes = URL_SAFE.decode(KEY).unwrap();
    let iv = [7; 16];
    let mut ciphertext = blocks.to_vec();
    cbc::Encryptor::<aes::Aes128>::new_from_slices(&bytes[16..], &iv)
        .unwrap()
        .encrypt_padded::<NoPadding>(&mut ciphertext, blocks.len())
        .unwrap();
    signed(&[&[version][..], &time.to_be_bytes(), &iv, &ciphertext, tail].concat())
}

fn signed(body: &[u8]) -> String {
    let bytes = URL_SAFE.decode(KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&bytes[..16]).unwrap();
    mac.update(body);
    URL_SAFE.encode([body, &mac.finalize().into_bytes()].concat())
}

#[test]
fn what_has_a_mac_and_is_wrong() {
    let padded = |text: &[u8], pad: &[u8]| [text, pad].concat();
    let fine = padded(b"thirteen char", &[3; 3]);
    let none = [16; 16];
    for (name, token, want) in [
        ("as it should be", token(0x80, 5, &fine, b""), Some(&b"thirteen char"[..])),
        ("nothing", token(0x80, 5, &none, b""), Some(b"")),
        ("another version", token(0x81, 5, &fine, b""), None),
        ("no version", token(0, 5, &fine, b""), None),
        ("a time beyond all", token(0x80, u64::MAX, &fine, b""), None),
        ("no block", token(0x80, 5, b"", b""), None),
        ("half a block", token(0x80, 5, &fine, b"12345678"), None),
        ("padding of 0", token(0x80, 5, &padded(b"fifteen of them", &[0]), b""), None),
        ("padding of 17", token(0x80, 5, &[17; 32], b""), None),
        ("padding that differs", token(0x80, 5, &padded(b"thirteen char", &[3, 2, 3]), b""), None),
        ("nothing signed", signed(b""), None),
        ("version only", signed(&[0x80]), None),
        ("no iv", signed(&[&[0x80][..], &[0; 8]].concat()), None),
    ] {
        let outer = URL_SAFE.encode(&token);
        for text in [token, outer] {
            let opened = reader().open(&text);
            assert_eq!(opened.as_ref().map(ExposeSecret::expose_secret).ok(), want, "{name}");
            assert_eq!(opened.err(), want.is_none().then_some(OpenError), "{name}");
        }
    }
}

/// Only the MAC can tell: a changed time changes nothing else, a changed IV only the text.
#[test]
fn what_is_right_but_for_its_mac() {
    let good = URL_SAFE.decode(token(0x80, 5, b"fifteen letters\x01", b"")).unwrap();
    assert!(reader().open(&URL_SAFE.encode(&good)).is_ok());
    for at in [8, 9, good.len() - 32, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(reader().open(&URL_SAFE.encode(&changed)).err(), Some(OpenError), "byte {at}");
    }
}

#[test]
fn one_spelling_and_two_layers_at_most() {
    let plain = token(0x80, 5, &[16; 16], b"");
    let outer = URL_SAFE.encode(&plain);
    assert!(plain.ends_with('=') && reader().open(&plain).is_ok() && reader().open(&outer).is_ok());
    for (name, text) in [
        ("empty", String::new()),
        ("three layers", URL_SAFE.encode(&outer)),
        ("without padding", plain.trim_end_matches('=').to_owned()),
        ("without padding inside", URL_SAFE.encode(plain.trim_end_matches('='))),
        ("a line end", format!("{plain}\n")),
        ("a line end inside", URL_SAFE.encode(format!("{plain}\n"))),
        ("a blank", format!(" {plain}")),
        ("twice", format!("{plain}{plain}")),
        ("the other alphabet", "gAAAAA/+".to_owned()),
        ("not ASCII", format!("{plain}\u{e9}")),
        ("a megabyte of nothing", "A".repeat(1 << 20)),
        ("too long", "A".repeat(MAX_TEXT_BYTES + 4)),
    ] {
        assert_eq!(reader().open(&text).err(), Some(OpenError), "{name}");
    }
}

#[test]
fn the_length_is_bounded_before_any_work() {
    let text = "A".repeat(MAX_TEXT_BYTES + 1);
    let reader = reader();
    let measured = allocation_counter::measure(|| assert!(reader.open(&text).is_err()));
    assert_eq!(measured.count_total, 0);
}

#[test]
fn which_keys_can_stand() {
    for (name, key) in [
        ("empty", ""),
        ("short", "AAECAwQFBgcICQoLDA0ODw=="),
        ("long", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"),
        ("longer", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gICA="),
        ("without padding", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ("a passphrase", "correct horse battery staple"),
    ] {
        let error = FernetReader::from_key(&key.into()).unwrap_err();
        assert!(error.to_string().starts_with("fernet key: is not 32 bytes"), "{name}");
    }
    assert!(FernetReader::from_passphrase(&"".into(), b"salt", 1).is_err());
    assert!(FernetReader::from_passphrase(&"secret".into(), b"salt", 0).is_err());
    assert!(FernetReader::from_passphrase(&"secret".into(), b"", 1).is_ok());
    let printed = format!("{:?}", reader().add_keys(reader()));
    assert_eq!(printed, "FernetReader { keys: 2, .. }");
}
