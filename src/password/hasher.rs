//! Argon2id for new hashes; Argon2 and bcrypt for stored ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::PasswordHash;
use super::arena::Arenas;
use super::stored::{Argon2Hash, BCRYPT_MAX_BYTES, MAX_M_KIB, MAX_P, MAX_T, Stored, affordable};
use crate::error::{ConfigError, Error, ErrorKind, Result};

/// No password longer than this many bytes is hashed or ever verifies. 256 code points always fit.
pub const MAX_PASSWORD_BYTES: usize = 1024;

const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

/// Least memory (KiB) for a number of passes: the rows OWASP calls equal (Password Storage Cheat Sheet).
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// What came of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It is the password.
    Match {
        /// The hash was made with another algorithm or other parameters: hash the password again and store that.
        needs_rehash: bool,
    },
    /// It is not; or there is no hash, or one that nothing can match.
    Mismatch,
}

impl Verification {
    /// Whether it is the password.
    #[must_use]
    pub fn is_match(self) -> bool {
        matches!(self, Self::Match { .. })
    }
}

/// Hashes with Argon2id and verifies what earlier parameters, other libraries and bcrypt have left behind.
///
/// New hashes are PHC strings with a 16-byte salt and a 32-byte tag. Verified are Argon2id, Argon2i and Argon2d,
/// versions 1.0 and 1.3, up to 256 MiB, 16 passes, 16 lanes and 1 GiB written in all; and bcrypt (`$2a$`, `$2b$`,
/// `$2y$`) up to cost 14, which always `needs_rehash`. bcrypt ends a password at the first NUL or after 72 bytes,
/// so a password with a NUL or of more bytes never verifies against such a hash.
///
/// Calls take tens of milliseconds and the memory of one arena; from async code use [`Passwords`](super::Passwords).
/// Working memory is reused between calls and wiped after each. Clones share it.
#[derive(Clone, Debug)]
pub struct Argon2Hasher {
    params: Params,
    arenas: Arc<Arenas>,
    computations: Arc<AtomicU64>,
}

impl Argon2Hasher {
    /// 19 MiB, 2 passes, 1 lane.
    #[must_use]
    pub fn new() -> Self {
        Self::from_params(Params::DEFAULT)
    }

    /// Memory in KiB, passes, lanes.
    ///
    /// # Errors
    ///
    /// Below what OWASP recommends (46 MiB for 1 pass, 19 MiB for 2, 12 MiB for 3, 9 MiB for 4, 7 MiB for 5 or
    /// more), or above what verification accepts.
    pub fn with_params(m_kib: u32, t: u32, p: u32) -> Result<Self, ConfigError> {
        if !OWASP.iter().any(|&(m_min, t_min)| m_kib >= m_min && t >= t_min) {
            return Err(ConfigError::new(
                "argon2 parameters",
                format!("m={m_kib} KiB with t={t} is too little work"),
                "use at least m=19456, t=2",
            ));
        }
        Self::checked(m_kib, t, p)
    }

    /// Any parameters Argon2 allows: fast, and useless against an attacker who got hold of the hashes.
    ///
    /// # Errors
    ///
    /// Parameters that Argon2 does not allow, or above what verification accepts.
    #[cfg(any(test, feature = "test-util"))]
    pub fn danger_weak(m_kib: u32, t: u32, p: u32) -> Result<Self, ConfigError> {
        Self::checked(m_kib, t, p)
    }

    fn checked(m_kib: u32, t: u32, p: u32) -> Result<Self, ConfigError> {
        let params = Params::new(m_kib, t, p, None).ok().filter(|_| affordable(m_kib, t, p));
        params.map(Self::from_params).ok_or_else(|| {
            ConfigError::new(
                "argon2 parameters",
                format!("m={m_kib} KiB, t={t}, p={p} is out of range"),
                format!(
                    "use m from 8 x p to {MAX_M_KIB}, t from 1 to {MAX_T}, p from 1 to {MAX_P}, m x t up to 1 GiB"
                ),
            )
        })
    }

    fn from_params(params: Params) -> Self {
        let keep = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let arenas = Arc::new(Arenas::new(params.block_count(), keep));
        Self { params, arenas, computations: Arc::default() }
    }

    /// Hashes a new password under a fresh salt. Apply a [`PasswordPolicy`](super::PasswordPolicy) first.
    ///
    /// # Errors
    ///
    /// [`Internal`](ErrorKind::Internal) for an empty password or one of more than [`MAX_PASSWORD_BYTES`] bytes, which every
    /// policy refuses; [`Entropy`](ErrorKind::Entropy) and [`Overloaded`](ErrorKind::Overloaded) if salt or memory
    /// can't be had.
    pub fn hash(&self, password: &SecretString) -> Result<PasswordHash> {
        let password = acceptable(password).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a password reached the hasher past its policy")
        })?;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let mut tag = Zeroizing::new([0; TAG_BYTES]);
        self.compute(&self.current(), password, &salt, &mut *tag)?;

        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let tag = Zeroizing::new(STANDARD_NO_PAD.encode(*tag));
        let salt = STANDARD_NO_PAD.encode(salt);
        Ok(PasswordHash(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${}", *tag)))
    }

    /// Compares a password with a stored hash, in one computation whatever the two are.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) if memory can't be had.
    pub fn verify(&self, password: &SecretString, hash: &PasswordHash) -> Result<Verification> {
        match Stored::parse(hash.expose()) {
            Some(Stored::Argon2(stored)) => self.verify_argon2(password, &stored),
            Some(Stored::Bcrypt(stored)) => self.verify_bcrypt(password, stored),
            None => self.verify_absent(password),
        }
    }

    /// What [`verify`](Self::verify) costs, where there is no hash to compare with. Always a mismatch.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) if memory can't be had.
    pub fn verify_absent(&self, password: &SecretString) -> Result<Verification> {
        let mut tag = Zeroizing::new([0; TAG_BYTES]);
        let password = acceptable(password).unwrap_or_default();
        self.compute(&self.current(), password, &[0; SALT_BYTES], &mut *tag)?;
        std::hint::black_box(&tag);
        Ok(Verification::Mismatch)
    }

    /// How many hashes were computed so far, for whatever reason. Each call above adds exactly one.
    #[must_use]
    pub fn computations(&self) -> u64 {
        self.computations.load(Ordering::Relaxed)
    }

    /// The most memory that computations held at once so far, in KiB.
    #[must_use]
    pub fn peak_memory_kib(&self) -> usize {
        self.arenas.peak()
    }

    fn verify_argon2(&self, password: &SecretString, stored: &Argon2Hash) -> Result<Verification> {
        let password = acceptable(password);
        let argon2 = Argon2::new(stored.algorithm, stored.version, stored.params.clone());
        let mut tag = Zeroizing::new(vec![0; stored.tag.len()]);
        self.compute(&argon2, password.unwrap_or_default(), &stored.salt, &mut tag)?;
        let same = bool::from(tag.ct_eq(stored.tag.as_bytes()));
        if same && password.is_some() {
            return Ok(Verification::Match { needs_rehash: !self.is_current(stored) });
        }
        Ok(Verification::Mismatch)
    }

    fn verify_bcrypt(&self, password: &SecretString, stored: &str) -> Result<Verification> {
        // To bcrypt `a`, `a\0` followed by `a`, and 72 bytes with any ending look alike.
        let eligible = acceptable(password)
            .filter(|password| password.len() <= BCRYPT_MAX_BYTES && !password.contains(&0));
        let Ok(same) = bcrypt::verify(eligible.unwrap_or_default(), stored) else {
            // It errs without computing, on stray bits in the last characters of salt and digest.
            return self.verify_absent(password);
        };
        self.computations.fetch_add(1, Ordering::Relaxed);
        if same && eligible.is_some() {
            return Ok(Verification::Match { needs_rehash: true });
        }
        Ok(Verification::Mismatch)
    }

    fn current(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    fn is_current(&self, stored: &Argon2Hash) -> bool {
        let same = |a: &Params, b: &Params| {
            (a.m_cost(), a.t_cost(), a.p_cost()) == (b.m_cost(), b.t_cost(), b.p_cost())
        };
        stored.algorithm == Algorithm::Argon2id
            && stored.version == Version::V0x13
            && same(&stored.params, &self.params)
            && stored.salt.len() >= SALT_BYTES
            && stored.tag.len() == TAG_BYTES
    }

    fn compute(&self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8], tag: &mut [u8]) -> Result<()> {
        let arena = self.arenas.take(argon2.params().block_count())?;
        self.computations.fetch_add(1, Ordering::Relaxed);
        argon2.hash_password_into_with_memory(password, salt, tag, arena).map_err(|source| {
            Error::new(ErrorKind::Internal, "a password hash could not be computed")
                .with_source(source.to_string())
        })
    }
}

impl Default for Argon2Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of a password, unless there are none or too many.
fn acceptable(password: &SecretString) -> Option<&[u8]> {
    let bytes = password.expose_secret().as_bytes();
    (1..=MAX_PASSWORD_BYTES).contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_and_says_how_it_was_made() {
        let hasher = Argon2Hasher::new();
        let password = SecretString::from("correct horse");
        let (one, two) = (hasher.hash(&password).unwrap(), hasher.hash(&password).unwrap());
        assert_ne!(one, two, "the salt is fresh each time");
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
        assert_eq!(hasher.verify(&password, &one).unwrap(), Verification::Match { needs_rehash: false });
        assert_eq!(hasher.verify(&"correct horsf".into(), &one).unwrap(), Verification::Mismatch);
        assert_eq!(hasher.computations(), 4);
        assert_eq!(hasher.peak_memory_kib(), 19_456);
    }

    #[test]
    fn only_the_current_parameters_need_no_rehash() {
        let password = SecretString::from("correct horse");
        let weak = |m, t, p| Argon2Hasher::danger_weak(m, t, p).unwrap();
        let current = weak(64, 2, 2);
        for (m, t, p, needs_rehash) in
            [(64, 2, 2, false), (32, 2, 2, true), (128, 2, 2, true), (64, 1, 2, true), (64, 2, 1, true)]
        {
            let hash = weak(m, t, p).hash(&password).unwrap();
            let found = current.verify(&password, &hash).unwrap();
            assert_eq!(found, Verification::Match { needs_rehash }, "m={m}, t={t}, p={p}");
        }
    }

    #[test]
    fn weak_or_absurd_parameters_do_not_start() {
        for (m, t, p, ok) in [
            (19_456, 2, 1, true),
            (47_104, 1, 1, true),
            (12_288, 3, 1, true),
            (9_216, 4, 1, true),
            (7_168, 5, 1, true),
            (65_536, 3, 4, true),
            (262_144, 4, 16, true),
            (19_455, 2, 1, false),
            (47_103, 1, 1, false),
            (12_287, 3, 1, false),
            (9_215, 4, 1, false),
            (7_167, 16, 1, false),
            (19_456, 0, 1, false),
            (19_456, 2, 0, false),
            (262_145, 2, 1, false),
            (262_144, 5, 1, false),
            (19_456, 17, 1, false),
            (19_456, 2, 17, false),
            (u32::MAX, u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(Argon2Hasher::with_params(m, t, p).is_ok(), ok, "m={m}, t={t}, p={p}");
        }
    }

    #[test]
    fn nothing_is_printed() {
        let hash = Argon2Hasher::danger_weak(8, 1, 1).unwrap().hash(&"correct horse".into()).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(REDACTED)");
    }
}
