//! Passwords: hashing, verification and the policy for new ones.

use std::fmt;

/// A password hash as stored: a PHC string, or a legacy bcrypt string. Redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As read back from a store. What is not a known hash simply never verifies.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// As written to a store. Look for this name to see every place that reads a hash.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(REDACTED)")
    }
}
