//! The stored form.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crypto::aead::{OVERHEAD, SealAlgorithm};
use crate::crypto::seal::OpenError;
use crate::error::Result;
use crate::id::{KeyId, MAX_KEY_ID_BYTES};

const TEXT_PREFIX: &str = "pc1.";
/// Algorithm and length of the key id.
const FIXED: usize = 2;
pub(super) const MAX_HEADER: usize = FIXED + MAX_KEY_ID_BYTES;

/// A sealed value as it is stored: ciphertext that names its key.
///
/// Not secret. One that exists has the right form, which says nothing about whether it opens. Serde writes text where
/// the format is text, and bytes elsewhere.
///
/// ```
/// # use portcullis::crypto::sealed::{FieldContext, NonceMode, SealAlgorithm, Sealed, Sealer};
/// # use portcullis::crypto::{Key, KeyPurpose, Keyring};
/// # let ring = Keyring::new(Key::generate_for(KeyPurpose::Sealing)?)?;
/// # let sealer = Sealer::new(&ring, SealAlgorithm::default(), NonceMode::default())?;
/// # let tenant = portcullis::TenantId::default();
/// # let place = FieldContext::new(&tenant, "notes", "body", "note-1");
/// let sealed = sealer.seal(&place, b"attack at dawn")?;
/// assert_eq!(sealed.key_id(), ring.primary().id().as_str());
/// assert_eq!(Sealed::from_bytes(sealed.as_bytes().to_vec())?, sealed);
/// assert!(sealed.to_string().starts_with("pc1."));
/// assert_eq!(sealed.to_string().parse::<Sealed>()?, sealed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(
    // INVARIANT: `split` is `Some`.
    Vec<u8>,
);

/// The parts of the stored form.
pub(super) struct Parts<'a> {
    pub(super) algorithm: SealAlgorithm,
    pub(super) key_id: &'a str,
    /// All that comes before the nonce.
    pub(super) header: &'a [u8],
    /// Nonce, ciphertext and tag.
    pub(super) body: &'a [u8],
}

impl Sealed {
    /// As read from a column of bytes.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it has not the form of a sealed value. It is the same error as for one that does not open,
    /// for whoever can damage the one can damage the other.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, OpenError> {
        let bytes = bytes.into();
        split(&bytes).ok_or(OpenError)?;
        Ok(Self(bytes))
    }

    /// As written to a column of bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The id of the key it claims to be under: 1 to 64 of `A-Z a-z 0-9 _ -`, trusted only once it has opened.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.parts().map_or("", |parts| parts.key_id)
    }

    /// The algorithm it claims to be made with.
    #[must_use]
    pub fn algorithm(&self) -> SealAlgorithm {
        self.parts().map_or_else(SealAlgorithm::default, |parts| parts.algorithm)
    }

    pub(super) fn parts(&self) -> Option<Parts<'_>> {
        split(&self.0)
    }

    /// A value whose header is written, with room for the rest.
    pub(super) fn begin(algorithm: SealAlgorithm, key_id: &KeyId, plaintext: usize) -> Option<Vec<u8>> {
        let id = key_id.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(FIXED + id.len() + OVERHEAD + plaintext);
        bytes.push(algorithm.id());
        bytes.push(u8::try_from(id.len()).ok()?);
        bytes.extend_from_slice(id);
        Some(bytes)
    }

    /// The value begun by [`begin`](Self::begin), to which nonce, ciphertext and tag were added.
    pub(super) fn finish(bytes: Vec<u8>) -> Self {
        debug_assert!(split(&bytes).is_some());
        Self(bytes)
    }

    /// The text form, in one allocation.
    ///
    /// Encoding 4 KiB takes `base64` as long as encrypting them. Texts of others are left to its safe code: see
    /// `from_str`.
    pub(super) fn text(bytes: &[u8]) -> String {
        let encoder = base64_simd::URL_SAFE_NO_PAD;
        let mut text = String::with_capacity(TEXT_PREFIX.len() + encoder.encoded_length(bytes.len()));
        text.push_str(TEXT_PREFIX);
        encoder.encode_append(bytes, &mut text);
        text
    }
}

fn split(bytes: &[u8]) -> Option<Parts<'_>> {
    let (&[algorithm, id_length], rest) = bytes.split_first_chunk::<FIXED>()?;
    let algorithm = SealAlgorithm::from_id(algorithm)?;
    let (id, body) = rest.split_at_checked(id_length.into())?;
    let key_id = std::str::from_utf8(id).ok().filter(|id| KeyId::accepts(id))?;
    let header = bytes.get(..FIXED + id.len())?;
    (body.len() >= OVERHEAD).then_some(Parts { algorithm, key_id, header, body })
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Self::text(&self.0))
    }
}

impl FromStr for Sealed {
    type Err = OpenError;

    /// Reads the text form, of which each value has exactly one.
    fn from_str(text: &str) -> Result<Self, OpenError> {
        let encoded = text.strip_prefix(TEXT_PREFIX).ok_or(OpenError)?;
        Self::from_bytes(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| OpenError)?)
    }
}

/// No ciphertext either: a log is no place for it, and it is long.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id())
            .field("bytes", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&Self::text(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Form)
        } else {
            deserializer.deserialize_byte_buf(Form)
        }
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Sealed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sealed value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sealed, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Sealed, E> {
        Sealed::from_bytes(bytes).map_err(E::custom)
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Sealed, E> {
        Sealed::from_bytes(bytes).map_err(E::custom)
    }

    /// Formats without a type for bytes write a sequence.
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Sealed, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        Sealed::from_bytes(bytes).map_err(de::Error::custom)
    }
}
