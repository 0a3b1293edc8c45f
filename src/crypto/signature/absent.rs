//! No backend: every asymmetric algorithm is refused, naming the features that bring it.

use zeroize::Zeroizing;

use super::{Pair, Signature, Unusable};
use crate::crypto::algorithm::Algorithm;
use crate::crypto::public_key::PublicKey;

const NO_BACKEND: Unusable = Unusable(
    "needs a crypto backend",
    "enable feature `aws-lc` (default) or `rust-crypto` of portcullis, or use HS256",
);

pub(super) fn generate(_: Algorithm) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    Err(NO_BACKEND)
}

pub(super) fn signing(_: Algorithm, _: &[u8]) -> Result<Pair, Unusable> {
    Err(NO_BACKEND)
}

pub(super) fn verifying(_: Algorithm, _: &PublicKey) -> Result<Box<dyn Signature>, Unusable> {
    Err(NO_BACKEND)
}
