//! HMAC with SHA-256 (RFC 2104, FIPS 198-1), verified in constant time.
//!
//! What a key does to SHA-256's state is computed once: the two blocks a key makes are absorbed when it is taken. A
//! message then costs one compression for each of its blocks, one for its end and one for the outer hash.

use std::slice;

use sha2::block_api::compress256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::{Signature, SignatureBytes};
use crate::error::Result;

const BLOCK: usize = 64;
/// Where the length of a message stands in its last block.
const LENGTH_AT: usize = BLOCK - 8;

/// FIPS 180-4 section 5.3.3.
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The end of every outer hash: after a block of the key stand the 32 bytes of the inner one. FIPS 180-4 section 5.1.1.
const LAST: Block = {
    let mut block = [0; BLOCK];
    block[32] = 0x80;
    // 96 bytes, in bits.
    [block[62], block[63]] = (96_u16 * 8).to_be_bytes();
    block
};

type State = [u32; 8];
type Block = [u8; BLOCK];

/// The states after the key was absorbed; wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Hs256 {
    inner: State,
    outer: State,
}

impl Hs256 {
    /// Takes a key of any length; whether it is good enough is judged elsewhere.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        if secret.len() <= BLOCK {
            copy(&mut key, 0, secret);
        } else {
            let mut scratch = Zeroizing::new([0; BLOCK]);
            let mut state = Zeroizing::new(INITIAL);
            hash(&mut state, 0, &[secret], &mut scratch);
            write(&state, key.as_mut_slice());
        }
        let mut this = Self { inner: INITIAL, outer: INITIAL };
        for (state, mask) in [(&mut this.inner, 0x36), (&mut this.outer, 0x5c)] {
            key.iter_mut().for_each(|byte| *byte ^= mask);
            compress256(state, slice::from_ref(&*key));
            key.iter_mut().for_each(|byte| *byte ^= mask);
        }
        this
    }

    /// The MAC of the concatenated parts.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let (mut mac, mut state) = ([0; 32], self.state(parts));
        write(&state, &mut mac);
        state.zeroize();
        mac
    }

    /// The MAC as SHA-256 has it.
    fn state(&self, parts: &[&[u8]]) -> State {
        let (mut inner, mut block) = (self.inner, [0; BLOCK]);
        hash(&mut inner, BLOCK, parts, &mut block);
        // The end of a message may be worth as much as its MAC.
        block.zeroize();
        let mut last = LAST;
        write(&inner, &mut last);
        inner.zeroize();
        let mut outer = self.outer;
        compress256(&mut outer, slice::from_ref(&last));
        if let Some(digest) = last.first_chunk_mut::<32>() {
            digest.zeroize();
        }
        outer
    }
}

impl Signature for Hs256 {
    fn sign(&self, message: &[u8], out: &mut SignatureBytes) -> Result<()> {
        out.extend(&self.mac(&[message]));
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // Exactly 32 bytes, compared in constant time: a truncated MAC is none.
        let Ok(signature) = <&[u8; 32]>::try_from(signature) else { return false };
        let (theirs, _) = signature.as_chunks::<4>();
        let theirs: [u32; 8] =
            std::array::from_fn(|at| theirs.get(at).map_or(0, |word| u32::from_be_bytes(*word)));
        let mut ours = self.state(&[message]);
        let equal = ours[..].ct_eq(&theirs[..]).into();
        // Ours would be the signature of whatever was presented.
        ours.zeroize();
        equal
    }
}

/// Ends a hash that has absorbed so many bytes in whole blocks: with these parts, padding and length. The last of the parts
/// is left in `block`.
fn hash(state: &mut State, before: usize, parts: &[&[u8]], block: &mut Block) {
    let (mut total, mut held) = (before as u64, 0);
    for part in parts {
        total = total.wrapping_add(part.len() as u64);
        let missing = if held == 0 { 0 } else { BLOCK - held };
        let (head, rest) = part.split_at_checked(missing).unwrap_or((part, &[]));
        copy(block, held, head);
        held += head.len();
        if held == BLOCK {
            compress256(state, slice::from_ref(block));
            held = 0;
        }
        if held == 0 {
            let (blocks, rest) = rest.as_chunks();
            compress256(state, blocks);
            copy(block, 0, rest);
            held = rest.len();
        }
    }
    if let Some([mark, zeros @ ..]) = block.get_mut(held..) {
        *mark = 0x80;
        zeros.fill(0);
    }
    if held >= LENGTH_AT {
        compress256(state, slice::from_ref(block));
        block.fill(0);
    }
    let bits = total.wrapping_mul(8);
    copy(block, LENGTH_AT, &bits.to_be_bytes());
    compress256(state, slice::from_ref(block));
}

fn copy(block: &mut Block, at: usize, bytes: &[u8]) {
    if let Some(room) = block.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}

/// Big-endian, at the beginning.
fn write(state: &State, out: &mut [u8]) {
    let (words, _) = out.as_chunks_mut();
    words.iter_mut().zip(state).for_each(|(to, word)| *to = word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    /// The same by somebody else.
    fn theirs(key: &[u8], message: &[u8]) -> [u8; 32] {
        Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
    }

    /// Every place where a block, its padding or a key can end.
    #[test]
    fn every_length_of_key_and_message() {
        let bytes: Vec<u8> = (0..=255).cycle().take(400).collect();
        for length in 0..400 {
            let (some, all) = (&bytes[..length], &bytes[..]);
            for (key, message) in [(some, &all[..100]), (&all[..32], some), (some, some)] {
                assert_eq!(Hs256::new(key).mac(&[message]), theirs(key, message), "{length}");
            }
        }
    }

    /// Lengths in bits that need more than two bytes, and more than four.
    #[test]
    fn long_messages() {
        let piece = vec![0xab; 1 << 20];
        for parts in [vec![&piece[..9_000]], vec![piece.as_slice(); 513]] {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
            parts.iter().for_each(|part| mac.update(part));
            let want: [u8; 32] = mac.finalize().into_bytes().into();
            assert_eq!(Hs256::new(b"key").mac(&parts), want, "{} parts", parts.len());
        }
    }

    /// RFC 4231 section 4.3 and 4.7 (test cases 2 and 6).
    #[test]
    fn published_vectors() {
        let long = [0xaa; 131];
        for (key, message, want) in [
            (
                &b"Jefe"[..],
                &b"what do ya want for nothing?"[..],
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let mac: String = Hs256::new(key).mac(&[message]).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(mac, want);
        }
    }

    /// Every bit of a signature counts, and so does its length.
    #[test]
    fn only_the_signature_itself_is_accepted() {
        let key = Hs256::new(&[7; 32]);
        let right = key.mac(&[b"message"]);
        assert!(key.verify(b"message", &right));
        for bit in 0..256 {
            let mut wrong = right;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(b"message", &wrong), "bit {bit}");
        }
        assert!((0..32).all(|length| !key.verify(b"message", &right[..length])), "cut");
        assert!(!key.verify(b"message", &[&right[..], &[0]].concat()), "longer");
        assert!(!key.verify(b"massage", &right) && !Hs256::new(&[8; 32]).verify(b"message", &right));
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// However a message is cut, the MAC is that of the whole.
        #[test]
        fn as_another_implementation_has_it(
            key in bytes(),
            message in bytes(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|ends| &message[ends[0]..ends[1]]).collect();
            let ours = Hs256::new(&key);
            let want = theirs(&key, &message);
            prop_assert_eq!(ours.mac(&parts), want);
            prop_assert!(ours.verify(&message, &want));
        }
    }
}
