//! The nonce of a request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

/// Length of 16 bytes in base64 without padding.
const LEN: usize = 22;

/// 128 bits from the operating system's generator, fresh for every request (ASVS 3.4.3, 11.5.2): scripts and styles that
/// carry it as their `nonce` attribute are the page's own.
///
/// It is in the request's extensions for templates; with feature `axum` a handler takes it as an argument. `Display` is
/// base64url, which needs no escaping anywhere in HTML. It is no secret from whoever reads the page.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CspNonce([u8; LEN]);

impl CspNonce {
    /// A fresh nonce. Layers do this; it is public for tests of templates.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if the operating system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes)?;
        let mut text = [b'A'; LEN];
        // 16 bytes are 22 characters, so nothing is left to go wrong.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        Ok(Self(text))
    }

    /// As it stands in the attribute.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: characters of base64url.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CspNonce").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // ASVS 11.5.1
    #[test]
    fn nonces_are_128_bits_and_never_the_same() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let nonce = CspNonce::generate().unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(nonce.as_str()).unwrap().len(), 16);
            assert!(seen.insert(nonce));
        }
    }
}
