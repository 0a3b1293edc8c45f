//! SipHash-2-4 with 128 bits of output ([paper], and the authors' `siphash.c` for the longer output): a pseudo-random
//! function of a text under a key of 128 bits.
//!
//! [paper]: https://www.aumasson.jp/siphash/siphash.pdf

use crate::siphash::{keyed, round};

/// 128 bits that nobody outside this process knows, drawn when it is made.
#[derive(Clone, Copy)]
pub(super) struct Secret(u64, u64);

impl Secret {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(getrandom::u64()?, getrandom::u64()?))
    }

    pub(super) fn name(self, text: &[u8]) -> [u64; 2] {
        let Self(k0, k1) = self;
        let mut v = keyed(k0, k1);
        let [_, v1, ..] = &mut v;
        *v1 ^= 0xee;
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            absorb(&mut v, u64::from_le_bytes(*word));
        }
        let rest = rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        absorb(&mut v, rest | (text.len() as u64) << 56);
        let [_, _, v2, _] = &mut v;
        *v2 ^= 0xee;
        let first = squeeze(&mut v);
        let [_, v1, ..] = &mut v;
        *v1 ^= 0xdd;
        [first, squeeze(&mut v)]
    }
}

#[inline]
fn absorb(v: &mut [u64; 4], word: u64) {
    let [_, _, _, v3] = v;
    *v3 ^= word;
    round(v);
    round(v);
    let [v0, ..] = v;
    *v0 ^= word;
}

fn squeeze(v: &mut [u64; 4]) -> u64 {
    for _ in 0..4 {
        round(v);
    }
    v.iter().fold(0, |all, v| all ^ v)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenSSL has them (`openssl mac -macopt size:16 SIPHASH`), for 00 01 02 .. under the key 00 01 .. 0f.
    #[test]
    fn the_published_vectors() {
        let secret = Secret(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        for (length, want) in [
            (0, "a3817f04ba25a8e66df67214c7550293"),
            (1, "da87c1d86b99af44347659119b22fc45"),
            (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
            (8, "3b62a9ba6258f5610f83e264f31497b4"),
            (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
            (16, "6ee2a4ca67b054bbfd3315bf85230577"),
            (63, "5150d1772f50834a503e069a973fbd7c"),
            (392, "3adef707fd37e028700f2edb83d1281b"),
        ] {
            let text: Vec<u8> = (0..=255).cycle().take(length).collect();
            let bytes: Vec<u8> = secret.name(&text).into_iter().flat_map(u64::to_le_bytes).collect();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, want, "{length} bytes");
        }
    }

    #[test]
    fn the_secret_counts_and_is_drawn_anew() {
        let [a, b] = [Secret::random().unwrap(), Secret::random().unwrap()];
        assert_ne!(a.name(b"token"), b.name(b"token"));
        assert_eq!(a.name(b"token"), a.name(b"token"));
        assert_ne!(Secret(1, 2).name(b""), Secret(1, 3).name(b""));
        assert_ne!(Secret(1, 2).name(b""), Secret(0, 2).name(b""));
    }
}
