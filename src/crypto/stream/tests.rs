//! What opens, and everything that must not.

use std::io;

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::header::{CHUNK_BYTES, Header, MAX_CHUNK_BYTES, MAX_HEADER_BYTES};
use super::*;
use crate::crypto::seal::OpenError;
use crate::crypto::{Algorithm, Key, KeyPurpose, Keyring};
use crate::error::ErrorKind;
use crate::id::KeyId;

const CONTEXT: &[u8] = b"tenant-1/backups/monday";
/// The header of a stream under a key whose id has 22 characters.
pub(super) const HEADER: usize = 3 + 22 + 4 + 19;

pub(super) fn ring() -> Keyring {
    Keyring::new(Key::from_bytes(KeyPurpose::Sealing, &(1..=32).collect::<Vec<u8>>().into()).unwrap())
        .unwrap()
}

pub(super) fn text(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn sealed(plaintext: &[u8], chunk_bytes: u32) -> Vec<u8> {
    now(async {
        let mut writer = SealedWriter::with_chunk_bytes(Vec::new(), &ring(), CONTEXT, chunk_bytes).unwrap();
        writer.write_all(plaintext).await.unwrap();
        writer.shutdown().await.unwrap();
        writer.into_inner()
    })
}

/// What was handed out, and how it ended.
fn opened_by(ring: &Keyring, context: &[u8], sealed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let mut out = Vec::new();
    let mut reader = OpenReader::new(sealed, ring, context).unwrap();
    let end = now(reader.read_to_end(&mut out)).map(drop);
    (out, end)
}

pub(super) fn opened(sealed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    opened_by(&ring(), CONTEXT, sealed)
}

/// It ends with the one error, and before it not a byte was handed out that isn't the plaintext's.
#[track_caller]
fn refused(name: &str, (out, end): (Vec<u8>, io::Result<()>), plaintext: &[u8]) -> usize {
    let error = end.expect_err(name);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
    assert_eq!(error.get_ref().and_then(|inner| inner.downcast_ref()), Some(&OpenError), "{name}");
    assert!(plaintext.starts_with(&out), "{name}");
    out.len()
}

#[test]
fn what_was_sealed_opens() {
    for chunk_bytes in [1, 16, CHUNK_BYTES] {
        let n = chunk_bytes as usize;
        for length in [0, 1, n - 1, n, n + 1, 2 * n - 1, 2 * n, 2 * n + 1, 5 * n] {
            let sealed = sealed(&text(length), chunk_bytes);
            let chunks = length.div_ceil(n).max(1);
            assert_eq!(sealed.len(), HEADER + length + 16 * chunks, "{length} in chunks of {n}");
            let (out, end) = opened(&sealed);
            end.unwrap();
            assert_eq!(out, text(length), "{length} in chunks of {n}");
        }
    }
    assert_ne!(sealed(b"same", 16), sealed(b"same", 16));
}

/// The page's words, written down a second time over the bare crates.
#[test]
fn the_format_is_as_documented() {
    let sealed = sealed(b"abcdefghij", 4);
    let (header, body) = sealed.split_at(HEADER);
    let ring = ring();
    let id = ring.primary().id().as_str().as_bytes();
    assert_eq!(header[..HEADER - 19], [&[1, 1, 22], id, &[0, 0, 0, 4]].concat());

    let part = |bytes: &[u8]| [&(bytes.len() as u64).to_be_bytes()[..], bytes].concat();
    let bound = [&part(header)[..], CONTEXT].concat();
    let info = [&b"portcullis derive key v1"[..], &part(b"stream"), &part(&bound)].concat();
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, &(1..=32).collect::<Vec<u8>>()).expand(&info, &mut key).unwrap();
    let cipher = XChaCha20Poly1305::new(&key.into());

    let mut want = Vec::new();
    for (number, chunk, last) in [(0, &b"abcd"[..], 0), (1, b"efgh", 0), (2, b"ij", 1)] {
        let nonce = [&header[HEADER - 19..], &[0, 0, 0, number, last]].concat();
        want.extend(cipher.encrypt(&XNonce::try_from(&nonce[..]).unwrap(), chunk).unwrap());
    }
    assert_eq!(body, want);
}

// ASVS 11.3.3
#[test]
fn f8_flipping_any_bit_fails() {
    // In one chunk a longer chunk size would change nothing, if the header weren't bound.
    for length in [0, 3, 10] {
        let plaintext = text(length);
        let sealed = sealed(&plaintext, 4);
        assert_eq!(opened(&sealed).0, plaintext);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let out = refused(&format!("bit {bit}"), opened(&flipped), &plaintext);
            // Whole chunks before the damage, and nothing of the damaged one.
            let chunk = (bit / 8).checked_sub(HEADER).map_or(0, |at| at / 20);
            assert_eq!(out, chunk * 4, "bit {bit} of {length}");
        }
    }
}

#[test]
fn f8_every_truncation_fails() {
    for length in [0, 1, 4, 10, 12] {
        let plaintext = text(length);
        let sealed = sealed(&plaintext, 4);
        for cut in 0..sealed.len() {
            refused(&format!("{length} cut to {cut}"), opened(&sealed[..cut]), &plaintext);
        }
    }
}

#[test]
fn f8_chunks_stay_where_they_are() {
    let plaintext = text(18);
    let sealed = sealed(&plaintext, 4);
    let (header, body) = sealed.split_at(HEADER);
    let chunks: Vec<&[u8]> = body.chunks(20).collect();
    let [a, b, c, d, last] = chunks[..] else { panic!("five chunks") };
    let other = self::sealed(&plaintext, 4);
    let (other_header, other_body) = other.split_at(HEADER);
    let theirs: Vec<&[u8]> = other_body.chunks(20).collect();
    assert_eq!(opened(&[header, a, b, c, d, last].concat()).0, plaintext);
    for (name, parts) in [
        ("swapped", vec![header, b, a, c, d, last]),
        ("swapped in the middle", vec![header, a, c, b, d, last]),
        ("repeated", vec![header, a, a, b, c, d, last]),
        ("repeated over another", vec![header, a, a, c, d, last]),
        ("the first left out", vec![header, b, c, d, last]),
        ("one left out", vec![header, a, b, d, last]),
        ("the last left out", vec![header, a, b, c, d]),
        ("only the last", vec![header, last]),
        ("only the header", vec![header]),
        ("last before the end", vec![header, a, b, c, last, d]),
        ("last twice", vec![header, a, b, c, d, last, last]),
        ("a byte behind", vec![header, a, b, c, d, last, b"\0"]),
        ("a full chunk behind", vec![header, a, b, c, d, last, a]),
        ("itself behind", vec![header, a, b, c, d, last, &sealed]),
        ("header twice", vec![header, header, a, b, c, d, last]),
        ("first chunk of another", vec![header, theirs[0], b, c, d, last]),
        ("end of another", vec![header, a, b, c, theirs[3], theirs[4]]),
        ("last chunk of another", vec![header, a, b, c, d, theirs[4]]),
        ("header of another", vec![other_header, a, b, c, d, last]),
        ("another behind", vec![header, a, b, c, d, last, &other]),
    ] {
        refused(name, opened(&parts.concat()), &plaintext);
    }
}

/// Only who has the key could write it, and still: one plaintext, one way to cut it up.
#[test]
fn an_empty_chunk_stands_alone() {
    use super::chunks::Chunks;
    let ring = ring();
    let header = Header::mint(ring.primary().id().clone(), 4).unwrap();
    let mut sealed = header.to_bytes();
    let mut chunks = Chunks::new(ring.primary(), &header, &sealed, CONTEXT).unwrap();
    for (chunk, last) in [(&b"abcd"[..], false), (b"", true)] {
        let mut buffer = chunk.to_vec();
        chunks.seal(&mut buffer, last).unwrap();
        sealed.extend(buffer);
    }
    assert_eq!(refused("empty last", opened(&sealed), b"abcd"), 4);
}

#[test]
fn only_the_right_key_and_context_open() {
    let plaintext = text(10);
    let sealed = sealed(&plaintext, 4);
    let own = ring().primary().clone();
    let other = Key::generate_for(KeyPurpose::Sealing).unwrap();
    let alone = |key: &Key| Keyring::new(key.clone()).unwrap();
    for (name, ring, opens) in [
        ("accepted", alone(&other).with_accepted(own.clone()).unwrap(), true),
        ("left out", alone(&other), false),
        ("another under its name", alone(&other.clone().with_id(own.id().clone())), false),
        ("under another name", alone(&own.clone().with_id(KeyId::parse("renamed").unwrap())), false),
    ] {
        let (out, end) = opened_by(&ring, CONTEXT, &sealed);
        if opens {
            assert_eq!((out, end.is_ok()), (plaintext.clone(), true), "{name}");
        } else {
            assert_eq!(refused(name, (out, end), &plaintext), 0);
        }
    }
    for context in [&b""[..], b"tenant-2/backups/monday", b"tenant-1/backups/monday\0", &CONTEXT[1..]] {
        assert_eq!(refused("context", opened_by(&ring(), context, &sealed), &plaintext), 0);
    }
    // Bytes moved from the end of the header to the start of the context.
    let context = [&sealed[HEADER - 1..HEADER], CONTEXT].concat();
    assert_eq!(refused("moved", opened_by(&ring(), &context, &sealed), &plaintext), 0);
}

#[test]
fn a_ring_for_something_else_is_told_at_once() {
    let signing = Keyring::new(Key::generate(Algorithm::Hs256).unwrap()).unwrap();
    let error = SealedWriter::new((), &signing, b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(OpenReader::new(&b""[..], &signing, b"").unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn a_hostile_header_is_not_trusted_with_memory() {
    let ring = ring();
    let id = ring.primary().id().as_str().as_bytes().to_vec();
    let head = |version: u8, algorithm: u8, length: u8, id: &[u8], chunk_bytes: u32| {
        [&[version, algorithm, length], id, &chunk_bytes.to_be_bytes(), &[9; 200]].concat()
    };
    for (name, header, most) in [
        ("version", head(2, 1, 22, &id, 4), 4 << 10),
        ("algorithm", head(1, 2, 22, &id, 4), 4 << 10),
        ("no key id", head(1, 1, 0, b"", 4), 4 << 10),
        ("long key id", head(1, 1, 65, &[b'a'; 65], 4), 4 << 10),
        ("longest key id", head(1, 1, 255, &[b'a'; 255], 4), 4 << 10),
        ("key id is no text", head(1, 1, 2, b"\xff\xff", 4), 4 << 10),
        ("key id is no name", head(1, 1, 2, b"/.", 4), 4 << 10),
        ("unknown key id", head(1, 1, 2, b"ab", 4), 4 << 10),
        ("no chunk", head(1, 1, 22, &id, 0), 4 << 10),
        ("chunk above the limit", head(1, 1, 22, &id, MAX_CHUNK_BYTES + 1), 4 << 10),
        ("endless chunk", head(1, 1, 22, &id, u32::MAX), 4 << 10),
        ("largest chunk", head(1, 1, 22, &id, MAX_CHUNK_BYTES), 4 << 10 | 1 << 20),
    ] {
        let mut reader = OpenReader::new(&header[..], &ring, CONTEXT).unwrap();
        let (runtime, mut end) = (tokio::runtime::Builder::new_current_thread().build().unwrap(), None);
        let measured = allocation_counter::measure(|| {
            end = Some(runtime.block_on(reader.read_u8()).map(drop));
        });
        refused(name, (Vec::new(), end.unwrap()), b"");
        assert!(measured.bytes_max <= most, "{name}: {} bytes", measured.bytes_max);
    }
    assert_eq!(head(1, 1, 64, &[b'a'; 64], 4).len() - 200 + 19, MAX_HEADER_BYTES);
}

#[test]
fn nothing_is_printed() {
    let ring = ring();
    let writer = SealedWriter::new((), &ring, b"secret context").unwrap();
    let reader = OpenReader::new((), &ring, b"secret context").unwrap();
    assert_eq!(
        format!("{writer:?} {reader:?}"),
        "SealedWriter { inner: (), .. } OpenReader { inner: (), .. }"
    );
}
