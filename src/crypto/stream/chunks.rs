//! The cipher of one stream.

use aead_stream::aead::{Buffer, Error as AeadError, KeyInit as _};
use aead_stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
use chacha20poly1305::XChaCha20Poly1305;

use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::key::{Key, Material};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::SymmetricKey;
use crate::crypto::stream::header::Header;
use crate::error::{Error, ErrorKind, Result};

/// Poly1305.
pub(super) const TAG_BYTES: usize = 16;

/// The chunks of one stream, one after the other.
pub(super) struct Chunks {
    stream: StreamBE32<XChaCha20Poly1305>,
    position: u32,
}

impl Chunks {
    /// The cipher under a key that is this stream's alone. `bytes` are the header as it is written.
    pub(super) fn new(key: &Key, header: &Header, bytes: &[u8], context: &[u8]) -> Result<Self> {
        let Material::Symmetric(key) = key.material() else {
            return Err(Error::new(ErrorKind::Internal, "the key is not for sealing"));
        };
        // The header carries its length, so no bytes can move between it and the context.
        let bound = [&(bytes.len() as u64).to_be_bytes()[..], bytes, context].concat();
        let key = SymmetricKey::derive(key.expose_bytes(), "stream", &bound)?;
        let cipher = XChaCha20Poly1305::new(key.expose_bytes().into());
        Ok(Self { stream: StreamBE32::from_aead(cipher, &header.nonce_prefix.into()), position: 0 })
    }

    /// Encrypts the next chunk in place and appends its tag.
    pub(super) fn seal(&mut self, chunk: &mut dyn Buffer, last: bool) -> Result<(), AeadError> {
        let next = self.next(last)?;
        self.stream.encrypt_in_place(self.position, last, &[], chunk)?;
        self.position = next;
        Ok(())
    }

    /// Verifies the next chunk, and only then decrypts it in place.
    pub(super) fn open(&mut self, chunk: &mut dyn Buffer, last: bool) -> Result<(), AeadError> {
        let next = self.next(last)?;
        self.stream.decrypt_in_place(self.position, last, &[], chunk)?;
        self.position = next;
        Ok(())
    }

    pub(super) fn is_at_first(&self) -> bool {
        self.position == 0
    }

    /// Whether the next chunk must be the last one, because the counter ends.
    pub(super) fn is_at_end(&self) -> bool {
        self.position == u32::MAX
    }

    fn next(&self, last: bool) -> Result<u32, AeadError> {
        if last { Ok(self.position) } else { self.position.checked_add(1).ok_or(AeadError) }
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, position: u32) {
        self.position = position;
    }
}

/// A ring for another purpose is a mistake in the program, not in the data.
pub(super) fn check(ring: &Keyring) -> Result<()> {
    if ring.purpose() == KeyPurpose::Sealing {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Internal, "a stream was given a ring that is not for sealing"))
    }
}
