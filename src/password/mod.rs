//! Passwords: hashing, verification and the policy for new ones.
//!
//! | type | does | knows of async |
//! |---|---|---|
//! | [`PasswordPolicy`] | says what is wrong with a new password | no |
//! | [`Argon2Hasher`] | hashes with Argon2id; verifies Argon2 and, for migration, bcrypt | no |
//! | [`Passwords`] | runs the hasher off the async workers, bounded | yes |
//!
//! The rules, in the order they apply:
//!
//! 1. A password is taken as it is: not trimmed, not normalized, NUL allowed (ASVS 6.2.8).
//! 2. More than [`MAX_PASSWORD_BYTES`] bytes, or none, never verifies; it costs as much as any other attempt.
//! 3. Whatever the stored hash is - current, legacy, hostile, absent - a verification costs one computation
//!    (ASVS 6.3.8), and the parameters inside a stored hash are checked before memory or time is spent on them.
//! 4. A match tells whether the hash should be replaced by one with today's parameters.
//! 5. At most so many are computed at once as there are permits, and so many wait as there are places. Beyond that callers
//!    are turned away before any work is done.
//!
//! What the client sees: 422 `password_rejected` with the [reasons](PasswordPolicy) for a new password, 503 `overloaded`
//! with `Retry-After` when the queue is full, and at sign-in nothing that tells a wrong password from a missing account.
//!
//! ```
//! use portcullis::password::{Argon2Hasher, PasswordPolicy, Passwords, Verification};
//! use secrecy::SecretString;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let policy = PasswordPolicy::nist();
//! let password = SecretString::from("correct horse battery staple");
//! assert_eq!(policy.check(&password, &["alice", "alice@example.com"]), Ok(()));
//!
//! let passwords = Passwords::new(Argon2Hasher::new());
//! let stored = passwords.hash(password.clone()).await?;
//! assert!(stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
//!
//! let found = passwords.verify(password, Some(stored)).await?;
//! assert_eq!(found, Verification::Match { needs_rehash: false });
//! // No such user: the same work, the same answer as for a wrong password.
//! let nobody = passwords.verify("correct horse battery staple".into(), None).await?;
//! assert_eq!(nobody, Verification::Mismatch);
//! # Ok::<(), portcullis::Error>(()) }).unwrap();
//! ```

mod arena;
mod hasher;
mod policy;
mod queue;
mod stored;

use std::fmt;

use zeroize::Zeroize;

pub use hasher::{Argon2Hasher, MAX_PASSWORD_BYTES, Verification};
pub use policy::PasswordPolicy;
pub use queue::{Passwords, QueueStats};

/// A password hash as stored: a PHC string, or a legacy bcrypt string. Redacted in `Debug`, wiped when dropped.
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

impl Drop for PasswordHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(REDACTED)")
    }
}
