//! Wrapped keys and envelopes as bytes.

use std::fmt;

use crate::crypto::WrappedKey;
use crate::crypto::seal::OpenError;
use crate::error::{Error, ErrorKind, Result};
use crate::id::KeyId;

const VERSION: u8 = 1;

/// A sealed value and, before it, the wrapped key that opens it.
///
/// ```text
/// version (1 byte, 1) | length of id (1 byte) | id of the wrapping key | length of wrapped key (2 bytes, big end first)
/// | wrapped key | body, sealed with the data key
/// ```
///
/// The body is bound to its context and to this version, not to the wrapped key: under another data key it doesn't open
/// anyway, and so the key can be [wrapped anew](super::DataKeys::rewrap) without touching the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    key: WrappedKey,
    /// Where the body begins.
    body: usize,
}

impl Envelope {
    /// Reads the bytes of an envelope. Whether it opens only its data key can tell.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if they don't have that form.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, OpenError> {
        let (key, body) = read(&bytes)?;
        let body = bytes.len() - body.len();
        Ok(Self { bytes, key, body })
    }

    pub(super) fn new(key: WrappedKey, body: &[u8]) -> Result<Self> {
        let mut bytes = Vec::with_capacity(encoded_len(&key) + body.len());
        write(&key, &mut bytes)?;
        let at = bytes.len();
        bytes.extend_from_slice(body);
        Ok(Self { bytes, key, body: at })
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The wrapped data key.
    #[must_use]
    pub fn key(&self) -> &WrappedKey {
        &self.key
    }

    /// The same value with its data key wrapped anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if the wrapped key has more than 65 535 bytes.
    pub fn with_key(&self, key: WrappedKey) -> Result<Self> {
        Self::new(key, self.body())
    }

    /// What is sealed with the data key.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Envelope {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("by", self.key.by())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl WrappedKey {
    /// The bytes to store where one data key serves many values: those of an [`Envelope`] without a body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if the wrapped key has more than 65 535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(encoded_len(self));
        write(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads [`to_bytes`](Self::to_bytes) back.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the bytes don't have that form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenError> {
        match read(bytes)? {
            (key, []) => Ok(key),
            _ => Err(OpenError),
        }
    }
}

fn encoded_len(key: &WrappedKey) -> usize {
    4 + key.by().as_str().len() + key.bytes().len()
}

fn write(key: &WrappedKey, out: &mut Vec<u8>) -> Result<()> {
    let too_long = |_| Error::new(ErrorKind::Internal, "a wrapped key is too long to be stored");
    let id = key.by().as_str().as_bytes();
    out.push(VERSION);
    out.push(u8::try_from(id.len()).map_err(too_long)?);
    out.extend_from_slice(id);
    out.extend_from_slice(&u16::try_from(key.bytes().len()).map_err(too_long)?.to_be_bytes());
    out.extend_from_slice(key.bytes());
    Ok(())
}

fn read(bytes: &[u8]) -> Result<(WrappedKey, &[u8]), OpenError> {
    let (&[version, id_length], rest) = bytes.split_first_chunk().ok_or(OpenError)?;
    let (id, rest) = rest.split_at_checked(usize::from(id_length)).ok_or(OpenError)?;
    let (length, rest) = rest.split_first_chunk().ok_or(OpenError)?;
    let (key, body) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(OpenError)?;
    let by = std::str::from_utf8(id).ok().and_then(|id| KeyId::parse(id).ok()).ok_or(OpenError)?;
    if version != VERSION {
        return Err(OpenError);
    }
    Ok((WrappedKey::new(by, key), body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_stays() {
        let key = WrappedKey::new(KeyId::parse("k-1").unwrap(), *b"wrapped");
        let envelope = Envelope::new(key.clone(), b"body").unwrap();
        assert_eq!(envelope.as_bytes(), b"\x01\x03k-1\x00\x07wrappedbody");
        assert_eq!(key.to_bytes().unwrap(), b"\x01\x03k-1\x00\x07wrapped");
        assert!(WrappedKey::from_bytes(envelope.as_bytes()).is_err(), "a body is none of it");
        let long = WrappedKey::new(KeyId::parse("k-1").unwrap(), vec![0; 65_536]);
        assert!(long.to_bytes().is_err() && envelope.with_key(long).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn envelopes_read_back(
            id in "[A-Za-z0-9_-]{1,64}",
            wrapped in prop::collection::vec(any::<u8>(), 0..300),
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let key = WrappedKey::new(KeyId::parse(&id).unwrap(), wrapped);
            let envelope = Envelope::new(key.clone(), &body).unwrap();
            let again = Envelope::from_bytes(envelope.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&again, &envelope);
            prop_assert_eq!((again.key(), again.body()), (&key, &body[..]));
            prop_assert_eq!(WrappedKey::from_bytes(&key.to_bytes().unwrap()), Ok(key));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            if let Ok(envelope) = Envelope::from_bytes(bytes.clone()) {
                let again = envelope.with_key(envelope.key().clone()).unwrap();
                prop_assert_eq!(again.as_bytes(), bytes);
            }
        }
    }
}
