//! Typed ciphertext: what a column holds instead of a value.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Sealed;
use crate::crypto::seal::OpenError;

/// A sealed `T`. Only its bytes are read and written - by serde, and by `sqlx` with a database feature -; the value
/// comes out of a [`Vault`](crate::vault::Vault), for the place it was sealed for.
///
/// Two of them say nothing about each other: equal values are sealed into different bytes.
pub struct Encrypted<T> {
    sealed: Sealed,
    of: PhantomData<fn() -> T>,
}

impl<T> Encrypted<T> {
    /// Takes `sealed` for a sealed `T`; whether it is one shows when it is opened.
    #[must_use]
    pub const fn new(sealed: Sealed) -> Self {
        Self { sealed, of: PhantomData }
    }

    /// The sealed bytes.
    #[must_use]
    pub const fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// The sealed bytes.
    #[must_use]
    pub fn into_sealed(self) -> Sealed {
        self.sealed
    }
}

impl<T> Clone for Encrypted<T> {
    fn clone(&self) -> Self {
        Self::new(self.sealed.clone())
    }
}

impl<T> fmt::Debug for Encrypted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encrypted").field(&self.sealed).finish()
    }
}

/// The text form.
impl<T> fmt::Display for Encrypted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sealed.fmt(f)
    }
}

/// Reads the text form.
impl<T> FromStr for Encrypted<T> {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        text.parse().map(Self::new)
    }
}

impl<T> Serialize for Encrypted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sealed.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Encrypted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sealed::deserialize(deserializer).map(Self::new)
    }
}
