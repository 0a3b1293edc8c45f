//! From a key and the first bytes of a nonce to a subkey.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use chacha20::{R20, hchacha};
use zeroize::{Zeroize as _, Zeroizing};

use super::{NONCE_BYTES, SealAlgorithm};
use crate::crypto::symmetric_key::SymmetricKey;

pub(super) enum Subkeys {
    HChaCha20(SymmetricKey),
    Xaes { aes: Box<Aes256>, k1: Zeroizing<u128> },
}

impl Subkeys {
    pub(super) fn new(algorithm: SealAlgorithm, key: &SymmetricKey) -> Self {
        match algorithm {
            SealAlgorithm::XChaCha20Poly1305 => Self::HChaCha20(key.clone()),
            SealAlgorithm::Xaes256Gcm => {
                let aes = Box::new(Aes256::new(key.expose_bytes().into()));
                // K1 of CMAC (RFC 4493): doubled in GF(2^128), without a branch on a secret bit.
                let mut block = [0; 16].into();
                aes.encrypt_block(&mut block);
                let l = Zeroizing::new(u128::from_be_bytes(block.0));
                block.0.zeroize();
                let k1 = Zeroizing::new((*l << 1) ^ (0x87 * (*l >> 127)));
                Self::Xaes { aes, k1 }
            }
        }
    }

    pub(super) fn algorithm(&self) -> SealAlgorithm {
        match self {
            Self::HChaCha20(_) => SealAlgorithm::XChaCha20Poly1305,
            Self::Xaes { .. } => SealAlgorithm::Xaes256Gcm,
        }
    }

    /// The subkey for nonces that begin with this; XAES looks at the first 12 bytes only.
    pub(super) fn of(&self, prefix: &[u8; 16]) -> Option<Zeroizing<[u8; 32]>> {
        let mut subkey = Zeroizing::new([0; 32]);
        match self {
            Self::HChaCha20(key) => {
                let mut derived = hchacha::<R20>(key.expose_bytes().into(), prefix.into());
                subkey.copy_from_slice(&derived);
                derived.0.zeroize();
            }
            Self::Xaes { aes, k1 } => {
                let start = prefix.first_chunk::<12>()?;
                for (half, number) in subkey.chunks_exact_mut(16).zip([1, 2]) {
                    let mut message = [0; 16];
                    message[..4].copy_from_slice(&[0, number, b'X', 0]);
                    message[4..].copy_from_slice(start);
                    let mut block = (u128::from_be_bytes(message) ^ **k1).to_be_bytes().into();
                    aes.encrypt_block(&mut block);
                    half.copy_from_slice(&block);
                    block.0.zeroize();
                }
            }
        }
        Some(subkey)
    }

    /// The nonce under the subkey.
    pub(super) fn rest(&self, nonce: &[u8; NONCE_BYTES]) -> Option<[u8; 12]> {
        let mut rest = *nonce.last_chunk::<12>()?;
        if matches!(self, Self::HChaCha20(_)) {
            rest[..4].fill(0);
        }
        Some(rest)
    }
}
