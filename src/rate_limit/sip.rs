//! A keyed hash of what is counted, so that nobody outside can choose two keys that meet: SipHash ([paper]).
//!
//! Written here because the standard library doesn't promise which hash its own is, nor takes a key. It reads whole words:
//! an address is one or two.
//!
//! [paper]: https://www.aumasson.jp/siphash/siphash.pdf

use std::hash::Hasher;

use super::key::Sink;
use crate::siphash::{keyed, round};

/// 128 bits that nobody outside knows.
#[derive(Clone, Copy)]
pub(super) struct SipKey(u64, u64);

impl SipKey {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(getrandom::u64()?, getrandom::u64()?))
    }

    #[inline]
    pub(super) fn hasher(self) -> Sip13 {
        Sip::new(self)
    }
}

/// SipHash-1-3, as `HashMap` uses: one round a word, three at the end.
pub(super) type Sip13 = Sip<1, 3>;

pub(super) struct Sip<const WORD: usize, const END: usize> {
    v: [u64; 4],
    words: u64,
}

impl<const WORD: usize, const END: usize> Sip<WORD, END> {
    #[inline]
    fn new(SipKey(k0, k1): SipKey) -> Self {
        let v = keyed(k0, k1);
        Self { v, words: 0 }
    }

    #[inline]
    fn absorb(&mut self, word: u64) {
        let [_, _, _, v3] = &mut self.v;
        *v3 ^= word;
        for _ in 0..WORD {
            round(&mut self.v);
        }
        let [v0, ..] = &mut self.v;
        *v0 ^= word;
    }
}

impl<const WORD: usize, const END: usize> Hasher for Sip<WORD, END> {
    /// Whole words, then a last one that holds how many bytes it has: `a` and `a\0` differ.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let last = rest.iter().rev().fold(rest.len() as u64, |word, byte| (word << 8) | u64::from(*byte));
        self.write_u64(last);
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.words = self.words.wrapping_add(1);
        self.absorb(n);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // SipHash's own ending for a message of whole words: nothing but its length in bytes.
        let mut end = Self { v: self.v, words: self.words };
        end.absorb(self.words.wrapping_mul(8) << 56);
        let [_, _, v2, _] = &mut end.v;
        *v2 ^= 0xff;
        for _ in 0..END {
            round(&mut end.v);
        }
        end.v.into_iter().fold(0, |hash, v| hash ^ v)
    }
}

impl<const WORD: usize, const END: usize> Sink for Sip<WORD, END> {
    #[inline]
    fn word(&mut self, word: u64) {
        self.write_u64(word);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.write_u64(bytes.len() as u64);
        self.write(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: u64) -> impl Iterator<Item = u64> {
        (0..n).map(|i| i.wrapping_mul(0x0123_4567_89ab_cdef))
    }

    #[test]
    fn the_published_vectors() {
        // The reference implementation's, for messages 00 01 02 .. of whole words under the key 00 01 .. 0f.
        let key = SipKey(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let message: Vec<u8> = (0..24).collect();
        for (length, want) in
            [(0, 0x726f_db47_dd0e_0e31_u64), (8, 0x93f5_f579_9a93_2462), (16, 0x3f2a_cc7f_57c2_9bdb)]
        {
            let mut sip = Sip::<2, 4>::new(key);
            for word in message[..length].as_chunks::<8>().0 {
                sip.write_u64(u64::from_le_bytes(*word));
            }
            assert_eq!(format!("{:016x}", sip.finish()), format!("{want:016x}"), "{length} bytes");
        }
    }

    #[test]
    fn the_standard_librarys_hash_says_the_same() {
        #[expect(deprecated, reason = "the one SipHash-2-4 at hand")]
        use std::hash::{DefaultHasher, SipHasher};
        for n in 0..20 {
            let (k0, k1) = (n * 77, u64::MAX - n);
            #[expect(deprecated, reason = "the one SipHash-2-4 at hand")]
            let mut theirs = SipHasher::new_with_keys(k0, k1);
            let mut ours = Sip::<2, 4>::new(SipKey(k0, k1));
            let (mut theirs13, mut ours13) = (DefaultHasher::new(), Sip13::new(SipKey(0, 0)));
            for word in words(n) {
                theirs.write(&word.to_le_bytes());
                theirs13.write(&word.to_le_bytes());
                ours.write_u64(word);
                ours13.write_u64(word);
            }
            assert_eq!(ours.finish(), theirs.finish(), "2-4, {n} words");
            assert_eq!(ours13.finish(), theirs13.finish(), "1-3, {n} words");
        }
    }

    #[test]
    fn what_differs_hashes_differently() {
        let key = SipKey(1, 2);
        let mut seen = std::collections::HashSet::new();
        let texts: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"a", b"a\0", b"abcdefgh", b"abcdefgh\0", b"abcdefg", b"abcdefg\0"];
        for text in texts {
            let mut sip = key.hasher();
            sip.write(text);
            assert!(seen.insert(sip.finish()), "{text:?}");
        }
        let mut other = SipKey(1, 3).hasher();
        other.write(b"a");
        assert!(seen.insert(other.finish()), "the key counts");
    }
}
