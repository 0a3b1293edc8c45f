//! [`DerivedKeys`]: a key for every purpose, from one root secret.

mod passphrase;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::crypto::algorithm::{Algorithm, KeyPurpose};
use crate::crypto::der;
use crate::crypto::key::Key;
use crate::crypto::keyring::Keyring;
use crate::crypto::provider::{KeyProvider, pick};
use crate::crypto::seal::SymmetricKey;
use crate::crypto::weak_secret::weakness;
use crate::error::{ConfigError, Result};

pub use passphrase::Passphrase;

/// A key for every purpose, derived from one root secret by HKDF-SHA-256 (RFC 5869). The same root gives the same keys on
/// every instance and at every start, so there is nothing to keep but the root.
///
/// What is derived is named by its purpose and its algorithm, each hashed with its length: no two names give the same key,
/// and from none of the keys can another one or the root be found. Tokens are signed with HS256 unless
/// [`with_token_signing`](Self::with_token_signing) says otherwise.
///
/// To rotate, make a new root the first one and let the old one be accepted everywhere until nothing is left that was
/// made under it. Keys from a root have no times, and whoever has the root has them all: a
/// [`KeyFile`](super::KeyFile) rotates purpose by purpose.
///
/// ```
/// use portcullis::crypto::{DerivedKeys, KeyPurpose};
/// use portcullis::secret::Secret;
///
/// let root = || Secret::mint().map(|secret| secret.expose_bytes().to_vec().into());
/// let (new, old) = (root()?, root()?);
/// let before = DerivedKeys::new(&old)?;
/// let keys = DerivedKeys::new(&new)?.with_accepted_root(&old)?;
/// let sealing = keys.ring(KeyPurpose::Sealing).unwrap();
/// assert!(sealing.find(before.ring(KeyPurpose::Sealing).unwrap().primary().id().as_str()).is_some());
///
/// // What is no secret is refused.
/// assert!(DerivedKeys::new(&vec![7; 32].into()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DerivedKeys {
    roots: Vec<SymmetricKey>,
    signing: Algorithm,
    rings: Vec<Arc<Keyring>>,
}

impl DerivedKeys {
    /// Keys from a root secret: at least 32 bytes from a random generator, in their raw form.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has fewer than 32 bytes, repeats a short pattern, is a published example or a placeholder, or
    /// is an asymmetric key.
    pub fn new(root: &SecretSlice<u8>) -> Result<Self, ConfigError> {
        Self::from_roots(vec![extract(root.expose_secret())?], Algorithm::Hs256)
    }

    /// Keys from a root secret as text: base64 or base64url, or hexadecimal, of at least 32 bytes, such as the output of
    /// `openssl rand -base64 32`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the text has not that form, or as for [`new`](Self::new). The text is never part of it.
    pub fn from_text(root: &SecretString) -> Result<Self, ConfigError> {
        Self::new(&decode(root.expose_secret())?)
    }

    /// Keys from a root secret in an environment variable, in the form of [`from_text`](Self::from_text).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable if it is not set, or as for [`from_text`](Self::from_text). Its value is never
    /// part of it.
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        let text = match std::env::var(name) {
            Ok(text) => SecretString::from(text),
            Err(std::env::VarError::NotPresent) => {
                return Err(ConfigError::new(name.to_owned(), "is not set", RANDOM));
            }
            Err(std::env::VarError::NotUnicode(value)) => {
                drop(Zeroizing::new(value.into_encoded_bytes()));
                return Err(unreadable().with_field(name.to_owned()));
            }
        };
        Self::from_text(&text).map_err(|error| error.with_field(name.to_owned()))
    }

    /// Keys from a passphrase, **for development**: what people can remember, others can guess. It takes as long as
    /// `passphrase` says.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is not the memory for it.
    pub fn from_passphrase(passphrase: &Passphrase) -> Result<Self, ConfigError> {
        Self::from_roots(vec![extract(&passphrase.stretch()?[..])?], Algorithm::Hs256)
    }

    /// Reads what was made under another root, too.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), or if it is a root already.
    pub fn with_accepted_root(self, root: &SecretSlice<u8>) -> Result<Self, ConfigError> {
        let Self { mut roots, signing, .. } = self;
        roots.push(extract(root.expose_secret())?);
        Self::from_roots(roots, signing)
    }

    /// The same for a root as text, in the form of [`from_text`](Self::from_text).
    ///
    /// # Errors
    ///
    /// As for the two.
    pub fn with_accepted_text(self, root: &SecretString) -> Result<Self, ConfigError> {
        self.with_accepted_root(&decode(root.expose_secret())?)
    }

    /// Signs tokens with HS256 or EdDSA. Keys of the other algorithms can't be derived.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for any other algorithm, or without a crypto backend for EdDSA.
    pub fn with_token_signing(self, algorithm: Algorithm) -> Result<Self, ConfigError> {
        Self::from_roots(self.roots, algorithm)
    }

    /// The ring for this purpose.
    #[must_use]
    pub fn ring(&self, purpose: KeyPurpose) -> Option<&Arc<Keyring>> {
        self.rings.iter().find(|ring| ring.purpose() == purpose)
    }

    fn from_roots(roots: Vec<SymmetricKey>, signing: Algorithm) -> Result<Self, ConfigError> {
        let ring = |purpose: &KeyPurpose| {
            let mut ring: Option<Keyring> = None;
            for root in &roots {
                let key = derive(root, *purpose, signing)?;
                ring = Some(match ring {
                    None => Keyring::new(key)?,
                    Some(ring) => ring.with_accepted(key).map_err(|error| error.with_field(ROOT))?,
                });
            }
            ring.map(Arc::new).ok_or_else(|| ConfigError::new(ROOT, "is missing", RANDOM))
        };
        let rings = KeyPurpose::ALL.iter().map(ring).collect::<Result<_, _>>()?;
        Ok(Self { roots, signing, rings })
    }
}

#[async_trait]
impl KeyProvider for DerivedKeys {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        pick(&self.rings, purpose)
    }
}

const ROOT: &str = "root secret";
const RANDOM: &str = "use at least 32 random bytes, such as the output of `openssl rand -base64 32`";

/// All that is kept of a root, whatever its length.
fn extract(root: &[u8]) -> Result<SymmetricKey, ConfigError> {
    if let Some((problem, _)) = weakness(root) {
        return Err(ConfigError::new(ROOT, problem, RANDOM));
    }
    bits(root, "root secret", b"")
}

fn derive(root: &SymmetricKey, purpose: KeyPurpose, signing: Algorithm) -> Result<Key, ConfigError> {
    let bytes = |kind: &str| bits(root.expose_bytes(), purpose.as_str(), kind.as_bytes());
    match (purpose, signing) {
        (KeyPurpose::TokenSigning, Algorithm::Hs256) => {
            Key::from_bytes(purpose, &bytes("HS256")?.expose_bytes().to_vec().into())
        }
        (KeyPurpose::TokenSigning, Algorithm::EdDsa) => {
            let pkcs8 = der::ed25519_pkcs8(bytes("EdDSA")?.expose_bytes());
            Key::from_pkcs8(Algorithm::EdDsa, &pkcs8).map_err(|error| error.for_field("derived key"))
        }
        (KeyPurpose::TokenSigning, _) => Err(ConfigError::new(
            "derived key",
            "cannot be of this algorithm",
            "use HS256 or EdDSA, or a key file",
        )),
        _ => Ok(Key::symmetric(purpose, bytes("")?)),
    }
}

fn bits(secret: &[u8], purpose: &str, kind: &[u8]) -> Result<SymmetricKey, ConfigError> {
    SymmetricKey::derive(secret, &format!("derived keys: {purpose}"), kind)
        .map_err(|error| ConfigError::new("derived key", error.to_string(), "report this"))
}

fn decode(text: &str) -> Result<SecretSlice<u8>, ConfigError> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let text = text.trim();
    // A placeholder can be base64 too.
    if let Some((problem, _)) = weakness(text.as_bytes()) {
        return Err(ConfigError::new(ROOT, problem, RANDOM));
    }
    let is_hex =
        text.len() >= 64 && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hex {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.last()?)?);
        let mut bytes = Vec::with_capacity(text.len() / 2);
        pairs.filter_map(byte).for_each(|byte| bytes.push(byte));
        bytes
    } else {
        // One allocation of the size it keeps, so that no half is left behind.
        let engine = if text.contains(['+', '/']) { STANDARD } else { URL_SAFE };
        engine.decode(text).map_err(|_| unreadable())?
    };
    Ok(Zeroizing::new(bytes).to_vec().into())
}

fn unreadable() -> ConfigError {
    ConfigError::new(ROOT, "is neither base64 nor hexadecimal", RANDOM)
}

#[cfg(test)]
mod tests;
