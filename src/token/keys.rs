//! The keys of a ring together with what their tokens begin with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::{Key, KeyPurpose, Keyring};
use crate::error::ConfigError;

/// A ring in force.
pub(super) struct Keys {
    ring: Arc<Keyring>,
    /// The first segment of what each key mints, in base64url, the primary key's first.
    minted: Vec<(String, Key)>,
    generation: u64,
}

impl Keys {
    /// # Errors
    ///
    /// [`ConfigError`] if the ring is not for signing tokens.
    pub(super) fn new(ring: Arc<Keyring>) -> Result<Self, ConfigError> {
        /// Rings of one process, told apart also after one is gone and another stands in its place.
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);

        if ring.purpose() != KeyPurpose::TokenSigning {
            return Err(ConfigError::new(
                "keyring",
                "is not for signing tokens",
                "use a key made by `Key::generate` or `Key::hmac_secret`",
            ));
        }
        let minted = ring.keys().filter_map(|key| Some((header(key)?, key.clone()))).collect();
        Ok(Self { ring, minted, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed) })
    }

    pub(super) fn ring(&self) -> &Arc<Keyring> {
        &self.ring
    }

    /// Another number for every ring that was ever put in force.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The first segment of what the primary key mints.
    pub(super) fn header(&self) -> Option<&str> {
        self.minted.first().map(|(header, _)| header.as_str())
    }

    /// The key that mints tokens with exactly this first segment. It names the key, its algorithm and the type of our
    /// tokens and nothing else, so there is nothing left to read in it.
    pub(super) fn recognize(&self, header: &str) -> Option<&Key> {
        self.minted.iter().find(|(minted, _)| minted == header).map(|(_, key)| key)
    }

    #[cfg(test)]
    pub(super) fn minted_by(&self, id: &crate::id::KeyId) -> Option<&str> {
        self.minted.iter().find(|(_, key)| key.id() == id).map(|(header, _)| header.as_str())
    }
}

fn header(key: &Key) -> Option<String> {
    let algorithm = key.algorithm()?;
    // Neither name needs escaping: both are of letters, digits, `-` and `_`.
    let header = format!(r#"{{"alg":"{algorithm}","kid":"{}","typ":"at+jwt"}}"#, key.id());
    Some(URL_SAFE_NO_PAD.encode(header))
}
