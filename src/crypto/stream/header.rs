//! The head of a stream: which key, how long a chunk is, and where its nonces start.

use crate::crypto::seal::OpenError;
use crate::error::Result;
use crate::id::KeyId;

/// Random bytes in front of the counter and the last flag, in a nonce of 24 bytes.
pub(super) const NONCE_PREFIX_BYTES: usize = 19;
/// Plaintext in a chunk. At 2^32 chunks, a stream holds 256 TiB.
pub(super) const CHUNK_BYTES: u32 = 64 << 10;
/// The largest chunk a header may ask for.
pub(super) const MAX_CHUNK_BYTES: u32 = 1 << 20;
/// Up to the length of the key id, which says how long the header is.
pub(super) const START_BYTES: usize = 3;
pub(super) const MAX_HEADER_BYTES: usize = fixed_bytes() + 64;

const VERSION: u8 = 1;
/// STREAM with a big-endian counter of 32 bits over XChaCha20-Poly1305.
const STREAM_BE32_XCHACHA20_POLY1305: u8 = 1;

pub(super) struct Header {
    pub(super) key_id: KeyId,
    pub(super) chunk_bytes: u32,
    pub(super) nonce_prefix: [u8; NONCE_PREFIX_BYTES],
}

impl Header {
    /// The head of a new stream.
    pub(super) fn mint(key_id: KeyId, chunk_bytes: u32) -> Result<Self> {
        let mut nonce_prefix = [0; NONCE_PREFIX_BYTES];
        getrandom::fill(&mut nonce_prefix)?;
        Ok(Self { key_id, chunk_bytes, nonce_prefix })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let id = self.key_id.as_str().as_bytes();
        // A key id has at most 64 bytes.
        let length = u8::try_from(id.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(MAX_HEADER_BYTES);
        bytes.extend_from_slice(&[VERSION, STREAM_BE32_XCHACHA20_POLY1305, length]);
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&self.chunk_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.nonce_prefix);
        bytes
    }

    /// How long the header is that starts so.
    pub(super) fn length(start: &[u8]) -> Result<usize, OpenError> {
        let &[VERSION, STREAM_BE32_XCHACHA20_POLY1305, id] = start else { return Err(OpenError) };
        let length = fixed_bytes() + usize::from(id);
        if id == 0 || length > MAX_HEADER_BYTES { Err(OpenError) } else { Ok(length) }
    }

    /// Reads a header of exactly this [`length`](Self::length). Nothing in it is authentic yet.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, OpenError> {
        let (_, rest) = bytes.split_at_checked(START_BYTES).ok_or(OpenError)?;
        let (rest, nonce_prefix) = rest.split_last_chunk().ok_or(OpenError)?;
        let (id, chunk_bytes) = rest.split_last_chunk().ok_or(OpenError)?;
        let id = std::str::from_utf8(id).map_err(|_| OpenError)?;
        let chunk_bytes = u32::from_be_bytes(*chunk_bytes);
        if chunk_bytes == 0 || chunk_bytes > MAX_CHUNK_BYTES {
            return Err(OpenError);
        }
        let key_id = KeyId::parse(id).map_err(|_| OpenError)?;
        Ok(Self { key_id, chunk_bytes, nonce_prefix: *nonce_prefix })
    }
}

const fn fixed_bytes() -> usize {
    START_BYTES + size_of::<u32>() + NONCE_PREFIX_BYTES
}
