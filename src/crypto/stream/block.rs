//! The one buffer of a stream.

use aead_stream::aead::{Buffer, Error};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of fixed capacity that chunks are encrypted and decrypted in. Never moves, so it leaves no copies; wiped when
/// dropped.
pub(super) struct Block {
    bytes: Zeroizing<Box<[u8]>>,
    len: usize,
}

impl Block {
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: Zeroizing::new(vec![0; capacity].into_boxed_slice()), len: 0 }
    }

    /// What is not filled yet.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    /// `count` more bytes were put into [`space`](Self::space).
    pub(super) fn grow(&mut self, count: usize) {
        self.len = self.len.saturating_add(count).min(self.bytes.len());
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }

    /// Takes over as many bytes as there is room for before `limit`, and says how many.
    pub(super) fn fill(&mut self, from: &[u8], limit: usize) -> usize {
        let room = limit.min(self.bytes.len()).saturating_sub(self.len);
        let taken = from.get(..room).unwrap_or(from);
        // Fits: it is no longer than the room.
        self.extend_from_slice(taken).map_or(0, |()| taken.len())
    }

    pub(super) fn pop(&mut self) -> Option<u8> {
        let last = self.as_ref().last().copied()?;
        self.len -= 1;
        Some(last)
    }

    /// Starts again with `first`, which may be absent. The rest is overwritten by what comes.
    pub(super) fn restart(&mut self, first: Option<u8>) {
        self.len = 0;
        self.fill(first.as_slice(), 1);
    }

    pub(super) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Block {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl Buffer for Block {
    fn extend_from_slice(&mut self, other: &[u8]) -> Result<(), Error> {
        let to = self.space().get_mut(..other.len()).ok_or(Error)?;
        to.copy_from_slice(other);
        self.grow(other.len());
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}
