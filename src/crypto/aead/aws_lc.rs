//! AWS-LC, which wipes its schedules when it frees them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{Schedule, SealAlgorithm, TAG_BYTES};

pub(crate) struct AwsLc(LessSafeKey);

impl Schedule for AwsLc {
    fn new(algorithm: SealAlgorithm, subkey: &[u8; 32]) -> Option<Self> {
        let algorithm = match algorithm {
            SealAlgorithm::XChaCha20Poly1305 => &CHACHA20_POLY1305,
            SealAlgorithm::Xaes256Gcm => &AES_256_GCM,
        };
        Some(Self(LessSafeKey::new(UnboundKey::new(algorithm, subkey).ok()?)))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        text: &mut [u8],
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, text).ok()
    }
}
