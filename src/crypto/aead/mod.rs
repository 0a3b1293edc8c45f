//! Authenticated encryption under nonces of 192 bits.
//!
//! Both algorithms are made alike: the key and the first bytes of the nonce give a subkey, and what is left of the
//! nonce is that of an everyday AEAD of 96 bits under this subkey. In [`NonceMode::Counter`] those first bytes stay
//! the same, so the subkey's schedule is computed once. A subkey then serves as long as the process: AES-256-GCM stays
//! within 2^-32 of ideal for 2^48 blocks (4 PiB).
//!
//! | | subkey | then |
//! |---|---|---|
//! | XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) | HChaCha20 of 16 bytes | ChaCha20-Poly1305 (RFC 8439) |
//! | XAES-256-GCM (C2SP) | CMAC-based KDF of 12 bytes (NIST SP 800-108) | AES-256-GCM (NIST SP 800-38D) |
//!
//! The everyday AEAD comes from AWS-LC (feature `aws-lc`) or from RustCrypto; the bytes are the same.

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod nonce;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;
mod subkey;
#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::{ExposeSecretMut as _, SecretSlice};
use zeroize::Zeroize as _;

pub use self::nonce::NonceMode;
use self::nonce::Nonces;
use self::subkey::Subkeys;
use crate::crypto::seal::OpenError;
use crate::crypto::symmetric_key::SymmetricKey;
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "aws-lc")]
type Native = aws_lc::AwsLc;
#[cfg(not(feature = "aws-lc"))]
type Native = portable::Portable;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// How much longer a sealed text is than the text.
pub(crate) const OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

/// With which algorithm values are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealAlgorithm {
    /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha). Fast and constant in time on every machine.
    #[default]
    XChaCha20Poly1305,
    /// XAES-256-GCM (C2SP): AES-256-GCM under a derived key, where a policy asks for AES (ASVS 11.3.2).
    Xaes256Gcm,
}

impl SealAlgorithm {
    /// Every algorithm there is.
    pub const ALL: &'static [Self] = &[Self::XChaCha20Poly1305, Self::Xaes256Gcm];

    /// The name, as in an inventory of what is encrypted how.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XChaCha20Poly1305 => "XChaCha20-Poly1305",
            Self::Xaes256Gcm => "XAES-256-GCM",
        }
    }

    /// The number a sealed value starts with. Never reused.
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::XChaCha20Poly1305 => 1,
            Self::Xaes256Gcm => 2,
        }
    }

    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.id() == id)
    }
}

impl fmt::Display for SealAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One key under one algorithm. Deliberately not `Clone`: two counters that start alike would repeat nonces.
pub(crate) struct Cipher<S = Native> {
    subkeys: Subkeys,
    nonces: Nonces,
    /// For the nonces made here, whose prefix never changes; `None` if there is no such prefix.
    own: Option<S>,
}

/// An AEAD with nonces of 96 bits under one subkey, the schedule of which is computed.
pub(crate) trait Schedule: Sized {
    fn new(algorithm: SealAlgorithm, subkey: &[u8; 32]) -> Option<Self>;

    /// Encrypts in place and returns the tag. `None` if `text` is too long, which may be left half encrypted.
    fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_BYTES]>;

    /// Decrypts into `text`, of the same length. `None` if the tag doesn't fit; `text` may then hold anything.
    fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        text: &mut [u8],
    ) -> Option<()>;
}

impl<S: Schedule> Cipher<S> {
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`] if the operating system supplies no randomness for the prefix of the nonces.
    pub(crate) fn new(algorithm: SealAlgorithm, key: &SymmetricKey, mode: NonceMode) -> Result<Self> {
        Self::assemble(algorithm, key, Nonces::new(mode)?)
    }

    /// Appends `nonce | ciphertext | tag` to `out`, or nothing. `out` grows at most once, and by exactly that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`] without randomness for the nonce; [`ErrorKind::Internal`] if the counter ran out or
    /// the plaintext is longer than the algorithm takes (256 and 64 GiB).
    pub(crate) fn seal_into(&self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.seal_with(&self.nonces.next()?, aad, plaintext, out)
    }

    /// Opens `nonce | ciphertext | tag`.
    ///
    /// # Errors
    ///
    /// [`OpenError`], whatever the reason.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError)?;
        // In the box that wipes it before the first byte is decrypted: it never moves, and what a failure leaves goes.
        let mut plaintext = SecretSlice::from(vec![0; ciphertext.len()].into_boxed_slice());
        let text = plaintext.expose_secret_mut();
        self.under(nonce, |schedule, nonce| schedule.open(nonce, aad, ciphertext, tag, text))
            .ok_or(OpenError)?;
        Ok(plaintext)
    }

    fn assemble(algorithm: SealAlgorithm, key: &SymmetricKey, nonces: Nonces) -> Result<Self> {
        let subkeys = Subkeys::new(algorithm, key);
        let unusable = || Error::new(ErrorKind::Internal, "the schedule of a key could not be computed");
        let own =
            nonces.prefix().map(|prefix| schedule(&subkeys, prefix).ok_or_else(unusable)).transpose()?;
        Ok(Self { subkeys, nonces, own })
    }

    /// The nonce must be new for this key, always: that's why nothing outside this module calls it.
    fn seal_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        out.reserve_exact(OVERHEAD + plaintext.len());
        out.extend_from_slice(nonce);
        out.extend_from_slice(plaintext);
        let tag = out
            .get_mut(start + NONCE_BYTES..)
            .and_then(|text| self.under(nonce, |schedule, nonce| schedule.seal(nonce, aad, text)));
        if let Some(tag) = tag {
            out.extend_from_slice(&tag);
            return Ok(());
        }
        if let Some(plain) = out.get_mut(start..) {
            plain.zeroize();
        }
        out.truncate(start);
        Err(Error::new(ErrorKind::Internal, "the plaintext is too long to be sealed"))
    }

    /// Finds or computes the schedule for this nonce, and hands it on with what is left of the nonce.
    fn under<T>(&self, nonce: &[u8; NONCE_BYTES], step: impl FnOnce(&S, [u8; 12]) -> Option<T>) -> Option<T> {
        let prefix = nonce.first_chunk::<16>()?;
        let rest = self.subkeys.rest(nonce)?;
        match &self.own {
            Some(own) if self.nonces.prefix() == Some(prefix) => step(own, rest),
            _ => step(&schedule(&self.subkeys, prefix)?, rest),
        }
    }
}

fn schedule<S: Schedule>(subkeys: &Subkeys, prefix: &[u8; 16]) -> Option<S> {
    S::new(subkeys.algorithm(), &*subkeys.of(prefix)?)
}

impl<S> fmt::Debug for Cipher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("algorithm", &self.subkeys.algorithm())
            .field("key", &"REDACTED")
            .finish_non_exhaustive()
    }
}
