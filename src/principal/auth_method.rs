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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

impl AuthMethod {
    /// The method of this name in RFC 8176, or `fed`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "pwd" => Self::Password,
            "otp" => Self::Otp,
            "hwk" => Self::HardwareKey,
            "swk" => Self::SoftwareKey,
            "pin" => Self::Pin,
            "mfa" => Self::MultiFactor,
            "fed" => Self::Federated,
            _ => return None,
        })
    }
}

/// From its name as a string. What serde would derive takes `{"pwd": null}` as well.
impl<'de> Deserialize<'de> for AuthMethod {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::named(&name)
            .ok_or_else(|| serde::de::Error::custom("no method of authentication that is known"))
    }
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
    fn a_method_is_its_name_and_nothing_else() {
        use AuthMethod as M;
        for method in
            [M::Password, M::Otp, M::HardwareKey, M::SoftwareKey, M::Pin, M::MultiFactor, M::Federated]
        {
            let json = serde_json::to_string(&method).unwrap();
            assert_eq!(serde_json::from_str::<M>(&json).unwrap(), method, "{json}");
            assert!(serde_json::from_str::<M>(&format!("{{{json}:null}}")).is_err(), "an object: {json}");
            assert!(serde_json::from_str::<M>(&json.to_uppercase()).is_err(), "{json}");
        }
    }

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
