//! How somebody proved who they are, and how sure that makes us.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Subject;

/// Who acts on behalf of the subject, claim `act` (RFC 8693 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The one who really acts.
    pub sub: Subject,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident = $name:literal;)*) => {
        /// How somebody proved who they are, claim `amr` (RFC 8176).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AuthMethod {
            $($(#[$doc])* $method,)*
        }

        impl AuthMethod {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$method,)*];

            /// Its name in RFC 8176, or `fed`.
            const fn name(self) -> &'static str {
                match self { $(Self::$method => $name,)* }
            }

            /// The method of this name.
            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$method),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    /// A password.
    Password = "pwd";
    /// A one-time password, such as TOTP.
    Otp = "otp";
    /// A key in hardware, user presence tested.
    HardwareKey = "hwk";
    /// A key in software.
    SoftwareKey = "swk";
    /// User verification by PIN.
    Pin = "pin";
    /// Several factors.
    MultiFactor = "mfa";
    /// Asserted by another identity provider.
    Federated = "fed";
}

impl Serialize for AuthMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// From its name as a string. What serde would derive takes `{"pwd": null}` as well.
impl<'de> Deserialize<'de> for AuthMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = AuthMethod;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a method of authentication")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<AuthMethod, E> {
                AuthMethod::named(name).ok_or_else(|| E::invalid_value(Unexpected::Str("another"), &self))
            }
        }

        deserializer.deserialize_str(Name)
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
        for &method in M::ALL {
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
