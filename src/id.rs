//! Identifiers. Public, printable, never secret: knowing one opens nothing.
//!
//! An identifier is 1 to 128 bytes of ASCII letters, digits and `-_.:@+/`, so it can stand in a store key, a log
//! line, a URL path segment after encoding, and a JWT without escaping. Parsing and minting are the only ways in; a
//! value that exists is valid. Two identifiers are the same if their bytes are: there is no folding of case.
//!
//! ```
//! use portcullis::Subject;
//! use portcullis::id::InvalidId;
//!
//! let yours = Subject::parse("employee:4711").unwrap();
//! let fresh = Subject::mint()?;
//! assert_ne!(yours, fresh);
//! assert_eq!(Subject::parse("4711'; --"), Err(InvalidId::Character));
//! # Ok::<(), portcullis::Error>(())
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// Longest identifier in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// It is empty.
    #[error("an identifier is not empty")]
    Empty,
    /// It is longer than allowed.
    #[error("an identifier has at most {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// It contains a character outside the allowed set.
    #[error("an identifier has only ASCII letters, digits and `-_.:@+/`")]
    Character,
}

fn check(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > max {
        return Err(InvalidId::TooLong { max });
    }
    if text.bytes().all(allowed) { Ok(()) } else { Err(InvalidId::Character) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, max: $max:expr, of: $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Short);

        impl $name {
            /// Checks and takes over an identifier.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] if it is empty, too long or has a character outside the allowed set.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text, $max, $allowed)?;
                Ok(Self(text.into()))
            }

            /// A new identifier of 128 random bits in base64url.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if the operating system has none to give.
            pub fn mint() -> Result<Self, Error> {
                let mut bytes = [0_u8; 16];
                getrandom::fill(&mut bytes)?;
                Ok(Self(Short::minted(bytes)))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_common(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@' | b'+' | b'/')
}

/// Longest identifier of a key in bytes.
pub(crate) const MAX_KEY_ID_BYTES: usize = 64;

fn is_of_key_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

id! {
    /// Who acts: the stable identifier of a user, key or service, JWT `sub` (RFC 7519 section 4.1.2). Never reused.
    Subject, max: MAX_ID_BYTES, of: is_common
}
id! {
    /// Whose data: part of every store key.
    TenantId, max: MAX_ID_BYTES, of: is_common
}
id! {
    /// The public half of a long-lived token, JWT `jti` for access tokens.
    TokenId, max: MAX_ID_BYTES, of: is_common
}
id! {
    /// One sign-in and all the tokens that came of it, claim `sid`.
    FamilyId, max: MAX_ID_BYTES, of: is_common
}
id! {
    /// Which key, JOSE `kid`: at most 64 of `A-Z a-z 0-9 _ -`. Only ever looked up, never used in a path or query.
    KeyId, max: MAX_KEY_ID_BYTES, of: is_of_key_id
}
id! {
    /// One request, for finding everything that was logged about it.
    RequestId, max: MAX_ID_BYTES, of: is_common
}

impl KeyId {
    /// Whether this is an identifier of a key, without making one.
    pub(crate) fn accepts(text: &str) -> bool {
        check(text, MAX_KEY_ID_BYTES, is_of_key_id).is_ok()
    }

    /// The name of a key after a digest of its contents: 22 characters of base64url.
    pub(crate) fn from_digest(digest: [u8; 16]) -> Self {
        Self(Short::minted(digest))
    }
}

impl RequestId {
    /// Of bits that nobody else has, in base64url.
    pub(crate) fn from_bits(bits: [u8; 16]) -> Self {
        Self(Short::minted(bits))
    }

    /// The name of a request that has none.
    pub(crate) fn unnamed() -> Self {
        Self("unnamed".into())
    }
}

impl Default for TenantId {
    /// The one tenant of an application without tenants: `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

/// As long as the identifiers that are minted.
const SHORT: usize = 22;

/// Text that needs no memory of its own as long as it is short: there are some of them in every token, and a new one in
/// every request.
#[derive(Clone)]
enum Short {
    /// The first so many of these.
    Here(u8, [u8; SHORT]),
    Shared(Arc<str>),
}

impl Short {
    /// 128 bits in base64url, which fit exactly.
    fn minted(bits: [u8; 16]) -> Self {
        // What is not written stays an identifier.
        let mut text = [b'A'; SHORT];
        let _ = URL_SAFE_NO_PAD.encode_slice(bits, &mut text);
        Self::Here(22, text)
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Here(length, text) => text.get(..usize::from(*length)).unwrap_or_default(),
            Self::Shared(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for Short {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(text.len()), bytes.get_mut(..text.len())) {
            (Ok(length), Some(room)) => {
                room.copy_from_slice(text.as_bytes());
                Self::Here(length, bytes)
            }
            _ => Self::Shared(text.into()),
        }
    }
}

impl Deref for Short {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Here(..) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for Short {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Short {}

impl PartialOrd for Short {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Short {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Short {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_identifier() {
        for (text, want) in [
            ("a", Ok(())),
            ("user:42@example.com/x+y_z-1", Ok(())),
            ("", Err(InvalidId::Empty)),
            ("a b", Err(InvalidId::Character)),
            ("a\0", Err(InvalidId::Character)),
            ("a\n", Err(InvalidId::Character)),
            ("\u{e9}", Err(InvalidId::Character)),
            ("a'--", Err(InvalidId::Character)),
        ] {
            assert_eq!(Subject::parse(text).map(drop), want, "{text:?}");
        }
        assert!(Subject::parse(&"a".repeat(128)).is_ok());
        assert_eq!(Subject::parse(&"a".repeat(129)), Err(InvalidId::TooLong { max: 128 }));
    }

    #[test]
    fn a_key_id_has_no_path_or_query_characters() {
        for text in ["../../dev/null", "a'or'1", "a.b", "a/b", "a:b"] {
            assert_eq!(KeyId::parse(text), Err(InvalidId::Character), "{text}");
        }
        assert_eq!(KeyId::parse(&"k".repeat(65)), Err(InvalidId::TooLong { max: 64 }));
    }

    #[test]
    fn deserializing_checks_too() {
        assert!(serde_json::from_str::<Subject>("\"a\\u0000\"").is_err());
        assert_eq!(serde_json::from_str::<Subject>("\"a\"").unwrap(), Subject::parse("a").unwrap());
    }

    /// Whether it needs memory of its own shows nowhere.
    #[test]
    fn short_and_long_identifiers_are_alike() {
        let hash = |of: &dyn Fn(&mut std::hash::DefaultHasher)| {
            let mut hasher = std::hash::DefaultHasher::new();
            of(&mut hasher);
            hasher.finish()
        };
        let lengths = [1, 2, 21, 22, 23, 128];
        let texts: Vec<_> =
            ["a", "b", "ab"].iter().flat_map(|t| lengths.map(|n| t.repeat(n)[..n].to_owned())).collect();
        for one in &texts {
            let id = Subject::parse(one).unwrap();
            assert_eq!(
                (id.as_str(), id.to_string(), format!("{id:?}")),
                (one.as_str(), one.clone(), format!("Subject({one})"))
            );
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{one}\""));
            assert_eq!(hash(&|hasher| id.hash(hasher)), hash(&|hasher| one.hash(hasher)), "{one}");
            for other in &texts {
                let other_id = Subject::parse(other).unwrap();
                assert_eq!(
                    (id == other_id, id.cmp(&other_id)),
                    (one == other, one.cmp(other)),
                    "{one} {other}"
                );
            }
        }
        assert!(matches!(RequestId::unnamed().0, Short::Here(..)) && size_of::<Option<Subject>>() == 24);
        assert!(matches!(Subject::mint().unwrap().0, Short::Here(22, _)));
        assert!(matches!(Subject::parse(&texts[4]).unwrap().0, Short::Shared(_)));
    }

    #[test]
    fn minted_identifiers_differ_and_parse() {
        let (a, b) = (Subject::mint().unwrap(), Subject::mint().unwrap());
        assert_ne!(a, b);
        assert_eq!(Subject::parse(a.as_str()).unwrap(), a);
        assert_eq!(a.as_str().len(), 22);
    }
}
