//! Keys derived in the token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cryptoki::mechanism::Mechanism;
use secrecy::SecretSlice;
use subtle::ConstantTimeEq as _;

use super::failure::Failure;
use super::module::Pkcs11Module;
use super::object::{Use, check_mechanism, find_all};
use super::sessions::Open;
use crate::crypto::{Key, KeyProvider, KeyPurpose, Keyring};
use crate::error::{ConfigError, Error, ErrorKind, Result, StartError};

/// A ring for every purpose but signing tokens, derived from root keys in a token.
///
/// Each key is HKDF-Expand (RFC 5869 section 2.3) of a root key, over a label with the purpose and its length. That is
/// one HMAC-SHA-256, which the token computes, so the root never leaves it. Of several root keys that with the greatest id
/// gives the primary key of each ring, the others are accepted. A key's id is its root's, `CKA_ID` in hexadecimal digits.
///
/// The token is asked each time. As long as nothing changes, the very same ring comes back.
///
/// Tokens are signed by other keys, such as those of [`StaticKeys`](crate::crypto::StaticKeys): a secret that
/// this process holds in memory is no better for coming out of a token, and whoever checks signatures needs public keys.
pub struct Pkcs11Keys {
    module: Pkcs11Module,
    label: Arc<str>,
    /// What came back last, one ring for each purpose.
    last: Mutex<Vec<Arc<Keyring>>>,
}

impl Pkcs11Keys {
    /// The root keys with this `CKA_LABEL`: generic secrets of at least 256 bits.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] if there is none, one of them may be extracted, read, used without the PIN, or not used for
    /// signing, two have one id, or the token offers no HMAC-SHA-256. [`StartError::Failed`] if the token can't be reached.
    pub async fn open(module: &Pkcs11Module, label: impl Into<String>) -> Result<Self, StartError> {
        let label: Arc<str> = label.into().into();
        let keys = Self { module: module.clone(), label: Arc::clone(&label), last: Mutex::default() };
        let check = move |open: Open<'_>| {
            check_mechanism(&open, Use::Root)?;
            derive(&open, &label, KeyPurpose::Sealing).map(drop)
        };
        keys.module.call(check).await?;
        Ok(keys)
    }

    /// The ring that came back last, if this one is the same.
    fn remember(&self, ring: Keyring) -> Result<Arc<Keyring>, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = last.iter_mut().find(|known| known.purpose() == ring.purpose()) else {
            let ring = Arc::new(ring);
            last.push(Arc::clone(&ring));
            return Ok(ring);
        };
        for key in ring.keys() {
            if known.find(key.id().as_str()).is_some_and(|before| !is_same(before, key)) {
                return Err(Failure::Unfit(ConfigError::new(
                    format!("pkcs#11 key `{}` of id `{}`", self.label, key.id()),
                    "is another one than before",
                    "give every key an id of its own, and start again",
                )));
            }
        }
        if !known.ids().eq(ring.ids()) {
            *known = Arc::new(ring);
        }
        Ok(Arc::clone(known))
    }
}

#[async_trait]
impl KeyProvider for Pkcs11Keys {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        if purpose == KeyPurpose::TokenSigning {
            let message =
                "a pkcs#11 token derives no keys for signing tokens; take them from another provider";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let label = Arc::clone(&self.label);
        let ring = self.module.call(move |open| derive(&open, &label, purpose)).await?;
        Ok(self.remember(ring)?)
    }
}

impl fmt::Debug for Pkcs11Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Keys")
            .field("module", &self.module)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

fn derive(open: &Open<'_>, label: &str, purpose: KeyPurpose) -> Result<Keyring, Failure> {
    let message = message(purpose);
    let mut ring: Option<Keyring> = None;
    for root in find_all(open, label, Use::Root)? {
        let bytes = SecretSlice::from(open.session.sign(&Mechanism::Sha256Hmac, root.handle, &message)?);
        let key = Key::from_bytes(purpose, &bytes).map_err(Failure::Unfit)?.with_id(root.id);
        ring = Some(
            match ring {
                None => Keyring::new(key),
                Some(ring) => ring.with_accepted(key),
            }
            .map_err(Failure::Unfit)?,
        );
    }
    ring.ok_or(Failure::Broken("no key was derived"))
}

/// What the root signs: the `info` of HKDF-Expand and the number of its one block. The length keeps one purpose from
/// reading like another, whatever they will be called.
fn message(purpose: KeyPurpose) -> Vec<u8> {
    let purpose = purpose.as_str().as_bytes();
    let length = (purpose.len() as u64).to_be_bytes();
    [b"portcullis pkcs11 derive key v1", &length[..], purpose, &[1]].concat()
}

fn is_same(a: &Key, b: &Key) -> bool {
    a.bits().zip(b.bits()).is_some_and(|(a, b)| a.expose_bytes().ct_eq(b.expose_bytes()).into())
}
