//! Bytes that are needed for a moment.

use std::io;

use zeroize::Zeroize as _;

/// Collects bytes: the first `N` in place, more of them on the heap.
pub(crate) struct Scratch<const N: usize> {
    here: [u8; N],
    length: usize,
    /// All of them, once they are too many.
    heap: Vec<u8>,
}

impl<const N: usize> Scratch<N> {
    pub(crate) fn new() -> Self {
        Self { here: [0; N], length: 0, heap: Vec::new() }
    }

    /// Inlined, so that what is known to be short is copied without a call.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        match self.here.get_mut(self.length..self.length + bytes.len()) {
            Some(room) if self.heap.is_empty() => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            _ => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.heap.is_empty() {
            self.heap.reserve(2 * N + bytes.len());
            self.heap.extend_from_slice(self.here.get(..self.length).unwrap_or_default());
        }
        self.heap.extend_from_slice(bytes);
    }

    /// For what others should not find when the moment is over.
    pub(crate) fn wipe(&mut self) {
        self.here.zeroize();
        self.heap.zeroize();
        self.length = 0;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.heap.is_empty() { self.here.get(..self.length).unwrap_or_default() } else { &self.heap }
    }
}

impl<const N: usize> io::Write for Scratch<N> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_there_is_no_more_room() {
        for pieces in [&[][..], &[0], &[7, 1], &[8], &[9], &[8, 0, 1], &[8, 8, 30], &[3, 6, 0, 2]] {
            let mut scratch = Scratch::<8>::new();
            let mut want = Vec::new();
            for (number, length) in pieces.iter().enumerate() {
                let piece = vec![u8::try_from(number).unwrap() + 1; *length];
                scratch.extend(&piece);
                want.extend(piece);
                assert_eq!(scratch.as_slice(), want, "{pieces:?}");
            }
            assert_eq!(scratch.heap.is_empty(), want.len() <= 8, "{pieces:?}");
            scratch.wipe();
            assert_eq!((scratch.as_slice(), scratch.here), (&[][..], [0; 8]), "{pieces:?}");
        }
    }
}
