//! Data keys wrapped in the token.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::failure::{Failure, is_of_the_session};
use super::module::Pkcs11Module;
use super::object::{Use, check_mechanism, find_all, find_one};
use super::sessions::Open;
use crate::crypto::seal::{OpenError, SymmetricKey};
use crate::crypto::{KeyWrap, UnwrapError, WrappedKey};
use crate::error::{Error, Result, StartError};
use crate::id::KeyId;

/// AES-256-KW of a key of 256 bits.
const WRAPPED_BYTES: usize = 40;

/// Wraps data keys by an AES-256 key in a token, AES-256-KW (RFC 3394; ASVS 5.0 appendix C).
///
/// Of several keys of one label that with the greatest id wraps; all unwrap what they wrapped. The id of a wrapping key is
/// its `CKA_ID` in hexadecimal digits. The bytes are those of [`RingWrap`](crate::crypto::envelope::RingWrap) under the
/// same key.
///
/// To be wrapped or unwrapped, a data key is in the token for a moment as an object of the session that ends there.
pub struct Pkcs11Wrap {
    module: Pkcs11Module,
    label: Arc<str>,
}

impl Pkcs11Wrap {
    /// The wrapping keys with this `CKA_LABEL`: AES keys of 256 bits.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] if there is none, one of them may be extracted, read, used without the PIN, or not used for
    /// wrapping and unwrapping, two have one id, or the token offers no AES-KW. [`StartError::Failed`] if the token can't be
    /// reached, or fails to unwrap what it wrapped.
    pub async fn open(module: &Pkcs11Module, label: impl Into<String>) -> Result<Self, StartError> {
        let wrap = Self { module: module.clone(), label: label.into().into() };
        let test = SymmetricKey::generate()?;
        let check = move |open: Open<'_>, label: &str| {
            check_mechanism(&open, Use::Wrapping)?;
            for by in find_all(&open, label, Use::Wrapping)? {
                if !round_trip(&open, by.handle, &test)? {
                    return Err(Failure::Broken("the pkcs#11 token does not unwrap what it wrapped"));
                }
            }
            Ok(())
        };
        wrap.call(check).await?;
        Ok(wrap)
    }

    async fn call<T: Send + 'static>(
        &self,
        mut work: impl FnMut(Open<'_>, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let label = Arc::clone(&self.label);
        self.module.call(move |open| work(open, &label)).await
    }
}

#[async_trait]
impl KeyWrap for Pkcs11Wrap {
    async fn wrap(&self, key: &SymmetricKey) -> Result<WrappedKey> {
        let key = key.clone();
        let wrapped = self.call(move |open, label| {
            let by = current(&open, label)?;
            Ok(WrappedKey::new(by.1, wrap(&open, by.0, &key)?))
        });
        Ok(wrapped.await?)
    }

    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<SymmetricKey, UnwrapError> {
        let Ok(bytes) = <[u8; WRAPPED_BYTES]>::try_from(wrapped.bytes()) else {
            return Err(OpenError.into());
        };
        let by = wrapped.by().clone();
        let unwrapped = self.call(move |open, label| match find_one(&open, label, &by, Use::Wrapping)? {
            Some(by) => unwrap_or_refuse(&open, by.handle, &bytes),
            None => Ok(None),
        });
        let key = unwrapped.await.map_err(Error::from)?;
        Ok(key.ok_or(OpenError)?)
    }

    async fn is_current(&self, wrapped: &WrappedKey) -> Result<bool> {
        let id = self.call(|open, label| Ok(current(&open, label)?.1)).await?;
        Ok(id == *wrapped.by())
    }
}

impl fmt::Debug for Pkcs11Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Wrap").field("module", &self.module).field("label", &self.label).finish()
    }
}

fn current(open: &Open<'_>, label: &str) -> Result<(ObjectHandle, KeyId), Failure> {
    let keys = find_all(open, label, Use::Wrapping)?;
    let first = keys.into_iter().next().map(|key| (key.handle, key.id));
    first.ok_or(Failure::Broken("no key wraps"))
}

fn wrap(open: &Open<'_>, by: ObjectHandle, key: &SymmetricKey) -> Result<Vec<u8>, Failure> {
    let mut template = passing();
    template.push(Attribute::Value(key.expose_bytes().to_vec()));
    let made = open.session.create_object(&template);
    template.into_iter().for_each(|attribute| {
        if let Attribute::Value(mut bytes) = attribute {
            bytes.zeroize();
        }
    });
    let object = made?;
    let wrapped = open.session.wrap_key(&Mechanism::AesKeyWrap, by, object)?;
    // After an error the session is closed, and the object with it.
    open.session.destroy_object(object)?;
    if wrapped.len() != WRAPPED_BYTES {
        return Err(Failure::Broken("the pkcs#11 token wraps in another form than AES-KW"));
    }
    Ok(wrapped)
}

/// `None` if it isn't a key of 256 bits.
fn unwrap(open: &Open<'_>, by: ObjectHandle, wrapped: &[u8]) -> Result<Option<SymmetricKey>, ModuleError> {
    let object = open.session.unwrap_key(&Mechanism::AesKeyWrap, by, wrapped, &passing())?;
    let read = open.session.get_attributes(object, &[AttributeType::Value]);
    open.session.destroy_object(object)?;
    let bytes = read?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(bytes) => Some(Zeroizing::new(bytes)),
        _ => None,
    });
    let bytes = bytes.ok_or(ModuleError::InvalidValue)?;
    Ok(<&[u8; 32]>::try_from(&bytes[..]).ok().map(SymmetricKey::from_bytes))
}

/// `None` if it doesn't unwrap.
fn unwrap_or_refuse(
    open: &Open<'_>,
    by: ObjectHandle,
    wrapped: &[u8],
) -> Result<Option<SymmetricKey>, Failure> {
    match unwrap(open, by, wrapped) {
        Ok(key) => Ok(key),
        Err(ModuleError::Pkcs11(
            RvError::WrappedKeyInvalid
            | RvError::WrappedKeyLenRange
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange,
            _,
        )) => Ok(None),
        Err(error) if is_of_the_session(&error) => Err(error.into()),
        // Some tokens, SoftHSM among them, say no more than "general error" to bytes that don't unwrap. If the same key
        // unwraps others, it was the bytes.
        Err(error) => {
            let test = SymmetricKey::generate().map_err(|_| Failure::Broken("no randomness for a test"))?;
            match round_trip(open, by, &test) {
                // Once more: what failed may have been a login that somebody else in the process has ended and begun. To refuse
                // is to say that what this key sealed is lost.
                Ok(true) => match unwrap(open, by, wrapped) {
                    Err(error) if is_of_the_session(&error) => Err(error.into()),
                    again => Ok(again.unwrap_or_default()),
                },
                _ => Err(error.into()),
            }
        }
    }
}

fn round_trip(open: &Open<'_>, by: ObjectHandle, key: &SymmetricKey) -> Result<bool, Failure> {
    let wrapped = wrap(open, by, key)?;
    let back = unwrap(open, by, &wrapped)?;
    Ok(back.is_some_and(|back| back.expose_bytes().ct_eq(key.expose_bytes()).into()))
}

/// A data key on its way through the token: gone with the session, and seen by nobody who isn't logged in.
fn passing() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}
