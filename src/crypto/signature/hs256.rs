//! HMAC with SHA-256 (RFC 2104), verified in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Signature;
use crate::error::Result;

/// The state after the key was absorbed; wiped when dropped.
pub(crate) struct Hs256(Hmac<Sha256>);

impl Hs256 {
    /// Takes a key of any length; whether it is good enough is judged elsewhere. `None` never happens with HMAC.
    pub(crate) fn new(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// The MAC of the concatenated parts.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Signature for Hs256 {
    fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.mac(&[message]));
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // Exactly 32 bytes, compared in constant time: a truncated MAC is none.
        self.0.clone().chain_update(message).verify_slice(signature).is_ok()
    }
}
