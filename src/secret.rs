//! Secrets we mint: random, redacted, digested at rest, compared in constant time.
//!
//! A [`Secret`] is 256 random bits and is handed out once. What a store keeps is its [`Digest`], which opens
//! nothing. The two are different types, so one cannot be stored or shown in place of the other.
//!
//! ```
//! use portcullis::secret::{DigestPurpose, OpaqueToken};
//! use secrecy::ExposeSecret;
//!
//! let token = OpaqueToken::mint()?;
//! let stored = token.secret().digest(DigestPurpose::RefreshToken);
//!
//! let presented = OpaqueToken::parse(token.to_text().expose_secret()).unwrap();
//! assert!(presented.secret().digest(DigestPurpose::RefreshToken).matches(&stored));
//! // A digest made for one purpose never matches one made for another.
//! assert!(!presented.secret().digest(DigestPurpose::ApiKey).matches(&stored));
//! assert_eq!(format!("{:?}", token.secret()), "Secret(REDACTED)");
//! # Ok::<(), portcullis::error::Error>(())
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::Error;
use crate::id::TokenId;

/// Length of a [`Secret`] as text: 32 bytes in base64url without padding.
const SECRET_TEXT_LEN: usize = 43;

/// 256 random bits that prove possession. Wiped when dropped, never printed (ASVS 11.5.1).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A fresh secret from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if it has none to give.
    pub fn mint() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the text form: exactly 43 characters of canonical base64url. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_TEXT_LEN {
            return None;
        }
        // The decoder insists on room for a whole quantum, one byte more than comes out.
        let mut bytes = Zeroizing::new([0_u8; 33]);
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes[..]).ok()?;
        let exact: [u8; 32] = bytes.get(..written)?.try_into().ok()?;
        Some(Self(exact))
    }

    /// Exactly 32 bytes, such as those [`expose_bytes`](Self::expose_bytes) gave. `None` for any other number.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// What a store keeps instead of the secret.
    #[must_use]
    pub fn digest(&self, purpose: DigestPurpose) -> Digest {
        let label = purpose.label();
        let mut hasher = Sha256::new();
        hasher.update((label.len() as u64).to_be_bytes());
        hasher.update(label);
        hasher.update(self.0);
        Digest(hasher.finalize().into())
    }

    /// The bytes, for deriving keys. Look for this name to see every place that reads a secret.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(REDACTED)")
    }
}

/// What a digest is for. Part of what is hashed, so digests of different purposes never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestPurpose {
    /// Refresh tokens.
    RefreshToken,
    /// Session cookies.
    Session,
    /// API keys.
    ApiKey,
    /// One-time links and codes.
    OneTimeToken,
}

impl DigestPurpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::RefreshToken => b"portcullis refresh token",
            Self::Session => b"portcullis session",
            Self::ApiKey => b"portcullis api key",
            Self::OneTimeToken => b"portcullis one-time token",
        }
    }
}

/// SHA-256 of a [`Secret`] under a purpose. Not secret; fit for a store.
///
/// Deliberately without `PartialEq`: [`matches`](Self::matches) is the one comparison.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// As read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As written to a store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// `<id>.<secret>`: found by its id, proved by its secret.
#[derive(Clone, Debug)]
pub struct OpaqueToken {
    id: TokenId,
    secret: Secret,
}

impl OpaqueToken {
    /// A fresh id and a fresh secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if the operating system has none to give.
    pub fn mint() -> Result<Self, Error> {
        Ok(Self { id: TokenId::mint()?, secret: Secret::mint()? })
    }

    /// Puts a token together again from its parts.
    #[must_use]
    pub fn from_parts(id: TokenId, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// Reads what a client presented. `None` if it has not the form of a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        // The ids of tokens are minted here; their form is fixed, and an id never contains the separator.
        if id.len() != 22 {
            return None;
        }
        Some(Self { id: TokenId::parse(id).ok()?, secret: Secret::parse(secret)? })
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// The half that proves.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The text to hand to the client, once.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut text = String::with_capacity(self.id.as_str().len() + 1 + SECRET_TEXT_LEN);
        text.push_str(self.id.as_str());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(self.secret.0, &mut text);
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn text_and_back() {
        let token = OpaqueToken::mint().unwrap();
        let text = token.to_text();
        let back = OpaqueToken::parse(text.expose_secret()).unwrap();
        assert_eq!(back.id(), token.id());
        assert_eq!(back.secret().expose_bytes(), token.secret().expose_bytes());
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        let token = OpaqueToken::mint().unwrap().to_text();
        let text = token.expose_secret();
        let mut flipped = text.to_owned();
        // The last character carries four bits and two that must be zero.
        let last = flipped.pop().unwrap();
        let sloppy = char::from_u32(last as u32 + 1).unwrap();
        flipped.push(sloppy);
        for bad in [
            "",
            ".",
            "a.b",
            &format!("{text}="),
            &format!(" {text}"),
            &format!("{text}\n"),
            &text.replace('.', ".."),
            &text.replace('.', ""),
            &text[1..],
            &flipped,
        ] {
            assert!(OpaqueToken::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_printed() {
        let token = OpaqueToken::mint().unwrap();
        let text = token.to_text();
        let (_, secret) = text.expose_secret().split_once('.').unwrap();
        assert!(!format!("{token:?} {text:?}").contains(secret));
        assert_eq!(format!("{:?}", token.secret().digest(DigestPurpose::Session)), "Digest(..)");
    }
}
