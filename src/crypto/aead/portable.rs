//! RustCrypto, for targets without a C compiler.

use aes_gcm::Aes256Gcm;
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};

use super::{Schedule, SealAlgorithm, TAG_BYTES};

pub(crate) enum Portable {
    ChaCha20Poly1305(ChaCha20Poly1305),
    Aes256Gcm(Box<Aes256Gcm>),
}

impl Schedule for Portable {
    fn new(algorithm: SealAlgorithm, subkey: &[u8; 32]) -> Option<Self> {
        Some(match algorithm {
            SealAlgorithm::XChaCha20Poly1305 => Self::ChaCha20Poly1305(ChaCha20Poly1305::new(subkey.into())),
            SealAlgorithm::Xaes256Gcm => Self::Aes256Gcm(Box::new(Aes256Gcm::new(subkey.into()))),
        })
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let tag = match self {
            Self::ChaCha20Poly1305(cipher) => {
                cipher.encrypt_inout_detached(&nonce.into(), aad, text.into()).ok()?
            }
            Self::Aes256Gcm(cipher) => cipher.encrypt_inout_detached(&nonce.into(), aad, text.into()).ok()?,
        };
        Some(tag.into())
    }

    fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        text: &mut [u8],
    ) -> Option<()> {
        let buffer = InOutBuf::new(ciphertext, text).ok()?;
        match self {
            Self::ChaCha20Poly1305(cipher) => {
                cipher.decrypt_inout_detached(&nonce.into(), aad, buffer, tag.into()).ok()
            }
            Self::Aes256Gcm(cipher) => {
                cipher.decrypt_inout_detached(&nonce.into(), aad, buffer, tag.into()).ok()
            }
        }
    }
}
