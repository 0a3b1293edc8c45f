//! Sealing what doesn't fit into memory: files, backups, exports.
//!
//! A [`SealedWriter`] encrypts what is written to it, an [`OpenReader`] decrypts it again; both hold one chunk of 64 KiB
//! in memory, whatever the length. It is the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, [Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance](https://eprint.iacr.org/2015/189)) in the form with a
//! big-endian counter of 32 bits, over XChaCha20-Poly1305:
//!
//! ```text
//! header  version (1 byte, 1) | algorithm (1 byte, 1) | length of the key id (1 byte) | key id
//!         | plaintext bytes in a chunk (4 bytes, big-endian) | nonce prefix (19 random bytes)
//! chunk   ciphertext and tag (plaintext + 16 bytes), under nonce prefix | chunk number (4 bytes) | 1 if last else 0
//! ```
//!
//! All chunks but the last are full, and the last one is empty only if the whole stream is. So a plaintext of `n` bytes
//! takes `n` and 16 for each 64 KiB begun, after at most 90 bytes of header. The length is not hidden.
//!
//! # What holds
//!
//! 1. Each stream has a key of its own, derived from the ring's primary key, the whole header and your context
//!    (HKDF-SHA-256, each part hashed with its length). So no chunk opens in another stream, after a change to the header,
//!    or under another context, and chunks carry no associated data of their own.
//! 2. A chunk is decrypted only once its tag has been verified; before that, none of its bytes are handed out.
//! 3. The chunk number is in the nonce: chunks that were swapped, repeated or left out don't open.
//! 4. The end is in the nonce of the last chunk: a stream that was cut off, between two chunks too, or has anything
//!    behind its end, doesn't open. The reader says end of file after the last chunk and not before.
//! 5. Whatever is wrong - the key, the context, the header, a chunk, the end - is one error: [`io::Error`] of kind
//!    [`InvalidData`](std::io::ErrorKind::InvalidData) around [`OpenError`](crate::crypto::seal::OpenError). After it
//!    the reader gives nothing but it.
//! 6. A header is not trusted with memory: chunks above 1 MiB are refused.
//!
//! # What you must do
//!
//! **Read to the end before you act.** A reader hands out the beginning of a stream before anybody can know whether its
//! end is there. Write to a temporary file and rename it once the reader has said end of file, don't pipe into something
//! that can't be taken back.
//!
//! **Shut the writer down.** The last chunk is written by [`shutdown`]; a writer that is just dropped leaves a stream that
//! doesn't open, which is right after an error and a loss otherwise. Flushing writes out chunks that are full and
//! leaves the one begun in memory.
//!
//! The context says where the stream belongs, such as tenant, table and row, or a file's name. It is not stored; keep its
//! parts apart from each other, by a separator that can't stand in them.
//!
//! ```
//! use portcullis::crypto::stream::{OpenReader, SealedWriter};
//! use portcullis::crypto::{Key, KeyPurpose, Keyring};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let keys = Keyring::new(Key::generate_for(KeyPurpose::Sealing)?)?;
//! let mut file = Vec::new();
//!
//! let mut writer = SealedWriter::new(&mut file, &keys, b"tenant-1/backups/monday")?;
//! writer.write_all(b"attack at dawn").await?;
//! writer.shutdown().await?; // Without this the file doesn't open.
//!
//! let mut text = String::new();
//! let mut reader = OpenReader::new(&file[..], &keys, b"tenant-1/backups/monday")?;
//! reader.read_to_string(&mut text).await?;
//! assert_eq!(text, "attack at dawn");
//!
//! // Another place, or an end that is missing.
//! for (sealed, context) in [(&file[..], &b"tenant-2/backups/monday"[..]), (&file[..60], b"tenant-1/backups/monday")] {
//!     let mut reader = OpenReader::new(sealed, &keys, context)?;
//!     let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
//!     assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! [`io::Error`]: std::io::Error
//! [`shutdown`]: https://docs.rs/tokio/latest/tokio/io/trait.AsyncWriteExt.html#method.shutdown

mod block;
mod chunks;
#[cfg(test)]
mod flow_tests;
mod header;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::OpenReader;
pub use writer::SealedWriter;
