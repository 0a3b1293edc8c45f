//! A field of a row, sealed as text and opened again, beside what one would write by hand.

use aws_lc_rs::aead as aws;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, AeadInOut as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis::TenantId;
use portcullis::crypto::blind_index::{BlindIndexer, Normalization};
use portcullis::crypto::sealed::{FieldContext, NonceMode, SealAlgorithm, Sealer};
use portcullis::crypto::{Key, KeyPurpose, Keyring};

use sha2::Sha256;

use crate::measure::Table;

const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const PLACE: &[u8] = b"default\0notes\0body\0note-4711";
const BASE: &str = "by hand: header, OS nonce, chacha20poly1305, base64";

pub fn seal_32() -> Table {
    sealing("seal 32 B as text", 32)
}

pub fn seal_256() -> Table {
    sealing("seal 256 B as text", 256)
}

pub fn seal_4096() -> Table {
    sealing("seal 4 KiB as text", 4096)
}

pub fn open_32() -> Table {
    opening("open 32 B of text", 32)
}

pub fn open_256() -> Table {
    opening("open 256 B of text", 256)
}

pub fn open_4096() -> Table {
    opening("open 4 KiB of text", 4096)
}

/// What a sealed value is found by, beside the one MAC it can't do without.
pub fn index() -> Table {
    const BASE: &str = "one HMAC-SHA-256 (hmac crate, key set up)";
    let value = "ada.lovelace@example.com";
    let mut table = Table::new("blind index of an e-mail address", BASE);
    let mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("takes any key");
    let message = format!("default\0\0\0\0\0\0\0\0{value}");
    table.row(BASE, || mac.clone().chain_update(&message).finalize().into_bytes());
    let tenant = TenantId::default();
    for (name, normalization) in
        [("portcullis, exact", Normalization::Exact), ("portcullis, case folded", Normalization::CaseFolded)]
    {
        let ring = Keyring::new(Key::generate_for(KeyPurpose::BlindIndex).expect("there is randomness"));
        let indexer = BlindIndexer::new(&ring.expect("makes indexes")).expect("is for indexes");
        let index = indexer.column("users", "email").with_normalization(normalization).build().expect("fits");
        table.row(name, || index.index(&tenant, value));
    }
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &KEY);
    table.row("one HMAC-SHA-256 (aws-lc-rs)", || aws_lc_rs::hmac::sign(&key, message.as_bytes()));
    table
}

fn sealing(title: &'static str, length: usize) -> Table {
    let text = vec![b'x'; length];
    let mut table = Table::new(title, BASE);
    let by_hand = XChaCha20Poly1305::new(&KEY.into());
    table.row(BASE, || hand_seal(&by_hand, &text));
    let tenant = TenantId::default();
    let place = FieldContext::new(&tenant, "notes", "body", "note-4711");
    for (name, algorithm, mode) in OURS {
        let sealer = sealer(&ring(), algorithm, mode);
        table.row(name, || sealer.seal_text(&place, &text));
    }
    table.row("raw chacha20poly1305: X, fixed nonce, no text", || {
        by_hand.encrypt(&XNonce::from([7; 24]), Payload { msg: &text, aad: PLACE })
    });
    for (name, algorithm) in RAW {
        let key = raw(algorithm);
        table.row(name, || {
            let mut sealed = Vec::with_capacity(text.len() + 16);
            sealed.extend_from_slice(&text);
            let nonce = aws::Nonce::assume_unique_for_key([7; 12]);
            key.seal_in_place_append_tag(nonce, aws::Aad::from(PLACE), &mut sealed).expect("is not too long");
            sealed
        });
    }
    let fernet = fernet::Fernet::new(&fernet::Fernet::generate_key()).expect("is a key");
    table.row("fernet (OpenSSL)", || fernet.encrypt(&text));
    table.row("naive envelope: a new key for each value, wrapped", || envelope_seal(&by_hand, &text));
    table
}

fn opening(title: &'static str, length: usize) -> Table {
    let text = vec![b'x'; length];
    let mut table = Table::new(title, BASE);
    let by_hand = XChaCha20Poly1305::new(&KEY.into());
    let stored = hand_seal(&by_hand, &text);
    table.row(BASE, || hand_open(&by_hand, &stored));
    let tenant = TenantId::default();
    let place = FieldContext::new(&tenant, "notes", "body", "note-4711");
    for (name, algorithm, mode) in OURS {
        let sealer = sealer(&ring(), algorithm, mode);
        let stored = sealer.seal_text(&place, &text).expect("is sealed");
        table.row(name, || sealer.open_text(&place, &stored).expect("opens"));
    }
    for (name, algorithm) in [
        ("portcullis, XChaCha, sealed before a restart", SealAlgorithm::XChaCha20Poly1305),
        ("portcullis, XAES, sealed before a restart", SealAlgorithm::Xaes256Gcm),
    ] {
        let ring = ring();
        let stored = sealer(&ring, algorithm, NonceMode::Counter).seal_text(&place, &text).expect("is sealed");
        let sealer = sealer(&ring, algorithm, NonceMode::Counter);
        table.row(name, || sealer.open_text(&place, &stored).expect("opens"));
    }
    let nonce = XNonce::from([7; 24]);
    let sealed = by_hand.encrypt(&nonce, Payload { msg: &text, aad: PLACE }).expect("is sealed");
    table.row("raw chacha20poly1305: X, fixed nonce, no text", || {
        by_hand.decrypt(&nonce, Payload { msg: &sealed, aad: PLACE }).expect("opens")
    });
    for (name, algorithm) in RAW {
        let key = raw(algorithm);
        let nonce = || aws::Nonce::assume_unique_for_key([7; 12]);
        let mut sealed = text.clone();
        key.seal_in_place_append_tag(nonce(), aws::Aad::from(PLACE), &mut sealed).expect("is not too long");
        table.row(name, || {
            let mut opened = sealed.clone();
            key.open_in_place(nonce(), aws::Aad::from(PLACE), &mut opened).expect("opens");
            opened
        });
    }
    let fernet = fernet::Fernet::new(&fernet::Fernet::generate_key()).expect("is a key");
    let token = fernet.encrypt(&text);
    table.row("fernet (OpenSSL)", || fernet.decrypt(&token).expect("opens"));
    let stored = envelope_seal(&by_hand, &text);
    table.row("naive envelope: a new key for each value, wrapped", || envelope_open(&by_hand, &stored));
    table
}

const OURS: [(&str, SealAlgorithm, NonceMode); 4] = [
    ("portcullis, XChaCha", SealAlgorithm::XChaCha20Poly1305, NonceMode::Counter),
    ("portcullis, XAES", SealAlgorithm::Xaes256Gcm, NonceMode::Counter),
    ("portcullis, XChaCha, OS nonces", SealAlgorithm::XChaCha20Poly1305, NonceMode::Random),
    ("portcullis, XAES, OS nonces", SealAlgorithm::Xaes256Gcm, NonceMode::Random),
];

const RAW: [(&str, &aws::Algorithm); 2] = [
    ("raw aws-lc-rs: ChaCha20-Poly1305, fixed nonce, no text", &aws::CHACHA20_POLY1305),
    ("raw aws-lc-rs: AES-256-GCM, fixed nonce, no text", &aws::AES_256_GCM),
];

fn raw(algorithm: &'static aws::Algorithm) -> aws::LessSafeKey {
    aws::LessSafeKey::new(aws::UnboundKey::new(algorithm, &KEY).expect("is a key"))
}

fn ring() -> Keyring {
    Keyring::new(Key::generate_for(KeyPurpose::Sealing).expect("there is randomness")).expect("seals")
}

fn sealer(ring: &Keyring, algorithm: SealAlgorithm, mode: NonceMode) -> Sealer {
    Sealer::new(ring, algorithm, mode).expect("the ring is for sealing")
}

const HEADER: &[u8] = b"\x01\x16abcdefghijklmnopqrstuv";

/// Whoever does it well: one buffer, encrypted in place, and the header authenticated.
fn hand_seal(cipher: &XChaCha20Poly1305, text: &[u8]) -> String {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).expect("there is randomness");
    let aad = [HEADER, PLACE].concat();
    let mut sealed = Vec::with_capacity(HEADER.len() + 24 + text.len() + 16);
    sealed.extend_from_slice(HEADER);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(text);
    let start = HEADER.len() + 24;
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), &aad, (&mut sealed[start..]).into())
        .expect("is not too long");
    sealed.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(sealed)
}

fn hand_open(cipher: &XChaCha20Poly1305, stored: &str) -> Vec<u8> {
    let sealed = URL_SAFE_NO_PAD.decode(stored).expect("is base64");
    let (header, rest) = sealed.split_at(HEADER.len());
    let (nonce, msg) = rest.split_first_chunk::<24>().expect("has a nonce");
    let aad = [header, PLACE].concat();
    cipher.decrypt(nonce.into(), Payload { msg, aad: &aad }).expect("opens")
}

fn envelope_seal(wrapping: &XChaCha20Poly1305, text: &[u8]) -> String {
    let (mut key, mut nonces) = ([0; 32], [0; 48]);
    getrandom::fill(&mut key).expect("there is randomness");
    getrandom::fill(&mut nonces).expect("there is randomness");
    let (first, second) = nonces.split_first_chunk::<24>().expect("is long enough");
    let second: &[u8; 24] = second.try_into().expect("is the rest");
    let wrapped = wrapping.encrypt(first.into(), &key[..]).expect("is not too long");
    let sealed = XChaCha20Poly1305::new(&key.into())
        .encrypt(second.into(), Payload { msg: text, aad: PLACE })
        .expect("is not too long");
    URL_SAFE_NO_PAD.encode([&nonces[..], &wrapped, &sealed].concat())
}

fn envelope_open(wrapping: &XChaCha20Poly1305, stored: &str) -> Vec<u8> {
    let sealed = URL_SAFE_NO_PAD.decode(stored).expect("is base64");
    let (first, rest) = sealed.split_first_chunk::<24>().expect("has a nonce");
    let (second, rest) = rest.split_first_chunk::<24>().expect("has another");
    let (wrapped, msg) = rest.split_at(48);
    let key = wrapping.decrypt(first.into(), wrapped).expect("opens");
    XChaCha20Poly1305::new_from_slice(&key)
        .expect("is a key")
        .decrypt(second.into(), Payload { msg, aad: PLACE })
        .expect("opens")
}
