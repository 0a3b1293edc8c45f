//! How somebody proved who they are, and how sure that makes us.

use serde::{Deserialize, Serialize};

use crate::id::Subject;

/// Who acts on behalf of the subject, claim `act` (RFC 8693 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The one who really acts.
    pub sub: Subject,
}

/// How somebody proved who they are, claim `amr` (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AuthMethod {
    /// A password.
    #[serde(rename = "pwd")]
    Password,
    /// A one-time password, such as TOTP.
    #[serde(rename = "otp")]
    Otp,
    /// A key in hardware, user presence tested.
    #[serde(rename = "hwk")]
    HardwareKey,
    /// A key in software.
    #[serde(rename = "swk")]
    SoftwareKey,
    /// User verification by PIN.
    #[serde(rename = "pin")]
    Pin,
    /// Several factors.
    #[serde(rename = "mfa")]
    MultiFactor,
    /// Asserted by another identity provider.
    #[serde(rename = "fed")]
    Federated,
}

/// Authenticator assurance level (NIST SP 800-63B-4 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assurance {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
    /// A hardware key that resists phishing, with user verification.
    Aal3,
}

impl Assurance {
    /// The level these methods reach together; `None` for no method at all.
    #[must_use]
    pub fn of(methods: &[AuthMethod]) -> Option<Self> {
        if methods.is_empty() {
            return None;
        }
        let has = |method| methods.contains(&method);
        if has(AuthMethod::HardwareKey) && has(AuthMethod::Pin) {
            Some(Self::Aal3)
        } else if has(AuthMethod::MultiFactor) || (has(AuthMethod::Password) && has(AuthMethod::Otp)) {
            Some(Self::Aal2)
        } else {
            Some(Self::Aal1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assurance_follows_the_methods() {
        use AuthMethod as M;
        for (methods, want) in [
            (&[][..], None),
            (&[M::Password], Some(Assurance::Aal1)),
            (&[M::Password, M::Otp], Some(Assurance::Aal2)),
            (&[M::Otp], Some(Assurance::Aal1)),
            (&[M::HardwareKey, M::Pin], Some(Assurance::Aal3)),
            (&[M::Federated], Some(Assurance::Aal1)),
        ] {
            assert_eq!(Assurance::of(methods), want, "{methods:?}");
        }
    }
}
