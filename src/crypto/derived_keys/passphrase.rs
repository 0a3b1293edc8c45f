//! A root from what somebody remembers.

use std::fmt;

use argon2::{Argon2, Block, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::ConfigError;

/// Least memory (KiB) for one pass and for more (ASVS 11.4.4, appendix C).
const LEAST: [(u32, u32); 2] = [(47_104, 1), (19_456, 2)];
const MAX_M_KIB: u32 = 1024 * 1024;
const MAX_T: u32 = 16;
const MIN_CHARS: usize = 15;
const MIN_SALT_BYTES: usize = 16;

/// A passphrase with its salt, and how much work it is to try one (Argon2id, one lane).
///
/// Another salt or other parameters give other keys: keep them.
#[derive(Clone)]
pub struct Passphrase {
    text: SecretString,
    salt: Vec<u8>,
    m_kib: u32,
    t: u32,
}

impl Passphrase {
    /// 64 MiB and 3 passes, as RFC 9106 section 4 recommends where memory is limited. This will stay so.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the passphrase has fewer than 15 characters, or the salt fewer than 16 bytes. The salt is no
    /// secret, but no two systems should have the same.
    pub fn new(text: SecretString, salt: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let salt = salt.into();
        if text.expose_secret().chars().count() < MIN_CHARS {
            return Err(ConfigError::new(
                "passphrase",
                "has fewer than 15 characters",
                "use some random words",
            ));
        }
        if salt.len() < MIN_SALT_BYTES {
            return Err(ConfigError::new(
                "salt",
                "has fewer than 16 bytes",
                "use `openssl rand -hex 16`, and keep it",
            ));
        }
        Ok(Self { text, salt, m_kib: 65_536, t: 3 })
    }

    /// Memory in KiB, and passes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] below 46 MiB for one pass or 19 MiB for more, above 1 GiB or 16 passes.
    pub fn with_cost(self, m_kib: u32, t: u32) -> Result<Self, ConfigError> {
        let bad = |problem, cure| {
            Err(ConfigError::new("argon2 parameters", format!("m={m_kib} KiB with t={t} {problem}"), cure))
        };
        if !LEAST.iter().any(|&(m_min, t_min)| m_kib >= m_min && t >= t_min) {
            return bad("is too little work", "use at least m=47104, t=1 or m=19456, t=2");
        }
        if m_kib > MAX_M_KIB || t > MAX_T {
            return bad("is out of range", "use at most m=1048576, t=16");
        }
        Ok(Self { m_kib, t, ..self })
    }

    pub(super) fn stretch(&self) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
        let failed = |cause: &dyn fmt::Display| {
            ConfigError::new("passphrase", format!("cannot be stretched: {cause}"), "use less memory")
        };
        let params = Params::new(self.m_kib, self.t, 1, Some(32)).map_err(|cause| failed(&cause))?;
        let mut memory = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|cause| failed(&cause))?;
        memory.resize(params.block_count(), Block::new());
        let mut root = Zeroizing::new([0; 32]);
        let done = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                self.text.expose_secret().as_bytes(),
                &self.salt,
                &mut root[..],
                &mut memory,
            );
        memory.iter_mut().for_each(|block| block.zeroize());
        done.map(|()| root).map_err(|cause| failed(&cause))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("m_kib", &self.m_kib).field("t", &self.t).finish_non_exhaustive()
    }
}
