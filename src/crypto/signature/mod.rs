//! Signatures: one private trait, two backends and HMAC.
//!
//! Keys are parsed once, when they are made. A backend reads the native form of a private key: PKCS#8 for Ed25519 and
//! P-256, PKCS#1 for RSA.

mod hs256;

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "aws-lc")]
use aws_lc as backend;

// With both features on, AWS-LC is used and this is compiled for the differential test only.
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc"))))]
mod portable;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc")))]
use portable as backend;

#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
mod absent;
#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
use absent as backend;

#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::algorithm::Algorithm;
use crate::crypto::public_key::PublicKey;
use crate::crypto::scratch::Scratch;
use crate::error::{ConfigError, Result};
#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
use crate::error::{Error, ErrorKind};

pub(crate) use hs256::Hs256;

/// A key and its one algorithm.
pub(crate) trait Signature: Send + Sync {
    /// Appends the signature of `message` to `out`.
    fn sign(&self, message: &[u8], out: &mut SignatureBytes) -> Result<()>;

    /// Whether `signature` is one of `message`. Takes constant time where a secret is involved.
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// Room for a signature; one by RSA needs memory of its own.
pub(crate) type SignatureBytes = Scratch<64>;

/// Why bytes do not become a key: the problem and the cure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable(pub(super) &'static str, pub(super) &'static str);

impl Unusable {
    pub(super) fn for_field(self, field: &'static str) -> ConfigError {
        ConfigError::new(field, self.0, self.1)
    }

    /// Bytes that no backend can read as a private key of this kind.
    pub(super) const fn private(algorithm: Algorithm) -> Self {
        Self(
            "is not a private key of the kind the algorithm needs",
            match algorithm {
                Algorithm::EdDsa => "make one with `openssl genpkey -algorithm ed25519`",
                Algorithm::Es256 => {
                    "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
                }
                _ => "make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`",
            },
        )
    }

    /// Bytes that no backend can read as a public key of this kind.
    pub(super) const fn public(algorithm: Algorithm) -> Self {
        Self(
            "is not a valid public key of the kind the algorithm needs",
            match algorithm {
                Algorithm::EdDsa => "use an Ed25519 key",
                Algorithm::Es256 => "use a P-256 key",
                Algorithm::Hs256 => "use `Key::hmac_secret` for HS256",
                _ => "use an RSA key",
            },
        )
    }
}

/// What a backend makes of a private key.
pub(crate) struct Pair {
    pub(super) signature: Box<dyn Signature>,
    pub(super) public: PublicKey,
}

/// A new private key in its native form.
pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    backend::generate(algorithm)
}

/// A key that signs and verifies.
pub(super) fn signing(algorithm: Algorithm, native: &[u8]) -> Result<Pair, Unusable> {
    let pair = backend::signing(algorithm, native)?;
    pair.public.check_signing()?;
    Ok(pair)
}

/// A key that only verifies.
pub(super) fn verifying(algorithm: Algorithm, public: &PublicKey) -> Result<Box<dyn Signature>, Unusable> {
    public.check()?;
    backend::verifying(algorithm, public)
}

#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
fn only_verifies() -> Error {
    Error::new(ErrorKind::Internal, "the key only verifies")
}

#[cfg(any(feature = "aws-lc", feature = "rust-crypto"))]
fn cannot_sign<E>(_: E) -> Error {
    // The cause of a failed signature may depend on the key; it is not passed on.
    Error::new(ErrorKind::Internal, "the signature could not be made")
}

impl fmt::Debug for dyn Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}
