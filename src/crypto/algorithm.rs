//! Names of algorithms and purposes.

use std::fmt;
use std::str::FromStr;

use crate::error::ConfigError;

/// A signature algorithm for tokens, JOSE `alg` (RFC 7518 section 3.1, RFC 8037).
///
/// There is no `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `EdDSA` with Ed25519.
    #[default]
    EdDsa,
    /// `ES256`: ECDSA over P-256 with SHA-256, signature as `r || s`.
    Es256,
    /// `PS256`: RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// `HS256`: HMAC with SHA-256. Whoever can verify can also sign.
    Hs256,
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256. Only verifies, for tokens that others signed.
    Rs256,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: &'static [Self] = &[Self::EdDsa, Self::Es256, Self::Ps256, Self::Hs256, Self::Rs256];

    /// The JOSE name, as in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
        }
    }

    /// How many bytes a signature has at most.
    pub(crate) const fn longest_signature(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::EdDsa | Self::Es256 => 64,
            // RSA of 4096 bits.
            Self::Ps256 | Self::Rs256 => 512,
        }
    }

    /// Whether the same key signs and verifies.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256)
    }

    /// Whether new signatures are made with it.
    #[must_use]
    pub const fn signs(self) -> bool {
        !matches!(self, Self::Rs256)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ConfigError;

    /// Reads the JOSE name, letter by letter.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::parse(name).ok_or_else(|| {
            ConfigError::new(
                "algorithm",
                "is not one that is offered",
                "use EdDSA, ES256, PS256, HS256, or RS256 for verifying only",
            )
        })
    }
}

/// What a key is for. A key has one purpose (NIST SP 800-57 part 1 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Signing and verifying access tokens.
    TokenSigning,
    /// Encrypting fields, files and blobs at rest.
    Sealing,
    /// Wrapping data keys, which in turn encrypt.
    Wrapping,
    /// Blind indexes, by which sealed fields are found.
    BlindIndex,
    /// Digests of short one-time codes at rest.
    CodeDigest,
    /// Tokens against cross-site request forgery.
    Csrf,
    /// The chain of the audit trail.
    AuditChain,
    /// Hashing passwords with a secret that is not in the database.
    Pepper,
}

impl KeyPurpose {
    /// Every purpose there is.
    pub const ALL: &'static [Self] = &[
        Self::TokenSigning,
        Self::Sealing,
        Self::Wrapping,
        Self::BlindIndex,
        Self::CodeDigest,
        Self::Csrf,
        Self::AuditChain,
        Self::Pepper,
    ];

    /// A short stable name, as in a key file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenSigning => "token_signing",
            Self::Sealing => "sealing",
            Self::Wrapping => "wrapping",
            Self::BlindIndex => "blind_index",
            Self::CodeDigest => "code_digest",
            Self::Csrf => "csrf",
            Self::AuditChain => "audit_chain",
            Self::Pepper => "pepper",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.as_str() == name)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyPurpose {
    type Err = ConfigError;

    /// Reads [`as_str`](Self::as_str), letter by letter.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::parse(name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|purpose| purpose.as_str()).collect();
            ConfigError::new("key purpose", "is not one there is", format!("use one of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse::<Algorithm>().as_ref(), Ok(algorithm));
        }
        for purpose in KeyPurpose::ALL {
            assert_eq!(purpose.as_str().parse::<KeyPurpose>().as_ref(), Ok(purpose));
        }
        assert!("Sealing".parse::<KeyPurpose>().is_err());
        for name in ["none", "None", "NONE", "hs256", "EDDSA", "Ed25519", "HS384", "RS1", "", " EdDSA"] {
            assert!(name.parse::<Algorithm>().is_err(), "{name:?}");
        }
    }
}
