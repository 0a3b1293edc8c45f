//! What stands in the column beside the sealed one.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of the short name of a key.
pub(super) const TAG_BYTES: usize = 4;
const MAC_BYTES: usize = 32;
const MAX_BYTES: usize = TAG_BYTES + MAC_BYTES;
/// The longest value in base64url, without padding.
const MAX_TEXT: usize = MAX_BYTES.div_ceil(3) * 4;

/// What a value is found by: 4 bytes that name the key in this column, then the MAC as far as it is kept.
///
/// All values of a column have the same length. As text it is base64url without padding, 48 characters if nothing is cut
/// off. Compare and index it as bytes, or as text in a binary collation. It is as public as the database it stands in, so
/// it is compared there in whatever time that takes; no secret hangs on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexValue {
    bytes: [u8; MAX_BYTES],
    length: u8,
}

/// Bytes or a text that no index has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the value of a blind index")]
pub struct InvalidIndexValue;

impl IndexValue {
    pub(super) fn new(tag: [u8; TAG_BYTES], mac: &[u8; MAC_BYTES], bits: u16) -> Self {
        let kept = usize::from(bits.div_ceil(8)).min(MAC_BYTES);
        let mut value = [0; MAX_BYTES];
        if let Some((name, rest)) = value.split_first_chunk_mut() {
            *name = tag;
            if let (Some(to), Some(from)) = (rest.get_mut(..kept), mac.get(..kept)) {
                to.copy_from_slice(from);
            }
        }
        if let (Some(last), used @ 1..) = (value.get_mut(TAG_BYTES + kept - 1), bits % 8) {
            *last &= u8::MAX << (8 - used);
        }
        Self { bytes: value, length: u8::try_from(TAG_BYTES + kept).unwrap_or(u8::MAX) }
    }

    /// Reads [`as_bytes`](Self::as_bytes) back.
    ///
    /// # Errors
    ///
    /// [`InvalidIndexValue`] if it has not 5 to 36 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidIndexValue> {
        if bytes.len() <= TAG_BYTES {
            return Err(InvalidIndexValue);
        }
        let mut value = [0; MAX_BYTES];
        value.get_mut(..bytes.len()).ok_or(InvalidIndexValue)?.copy_from_slice(bytes);
        Ok(Self { bytes: value, length: u8::try_from(bytes.len()).map_err(|_| InvalidIndexValue)? })
    }

    /// The value, for a column of bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(super) fn is_of(&self, tag: [u8; TAG_BYTES]) -> bool {
        self.bytes.starts_with(&tag)
    }
}

impl AsRef<[u8]> for IndexValue {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for IndexValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(self.as_bytes(), &URL_SAFE_NO_PAD).fmt(f)
    }
}

impl FromStr for IndexValue {
    type Err = InvalidIndexValue;

    fn from_str(text: &str) -> Result<Self, InvalidIndexValue> {
        if text.len() > MAX_TEXT {
            return Err(InvalidIndexValue);
        }
        let mut bytes = [0; MAX_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| InvalidIndexValue)?;
        Self::from_bytes(bytes.get(..length).unwrap_or_default())
    }
}

impl fmt::Debug for IndexValue {
    /// Without the value: a log with it would tell which rows are equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexValue").field("bytes", &self.length).finish_non_exhaustive()
    }
}

impl Serialize for IndexValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IndexValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
