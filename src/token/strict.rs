//! Pieces of JSON, read strictly: one type, one spelling, no name twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::token::claims::MAX_NUMERIC_DATE;

/// How deep the application's own claims may nest.
const MAX_DEPTH: usize = 16;

/// A string and nothing that resembles one.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// Exactly this string: not an array that holds it, not another type.
pub(super) struct Exactly<'a>(pub(super) &'a str);

impl<'de> DeserializeSeed<'de> for Exactly<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Exactly<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the string expected")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text == self.0 { Ok(()) } else { Err(E::custom("another")) }
    }
}

/// A whole number of seconds from 1970 to 9999. RFC 7519 would allow fractions; we never write them.
pub(super) struct NumericDate;

impl<'de> DeserializeSeed<'de> for NumericDate {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for NumericDate {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whole seconds")
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<i64, E> {
        i64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= MAX_NUMERIC_DATE)
            .ok_or_else(|| E::custom("range"))
    }
}

/// A type whose own `Deserialize` is strict.
pub(super) struct Typed<T>(std::marker::PhantomData<T>);

impl<T> Typed<T> {
    pub(super) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<'de, T: serde::Deserialize<'de>> DeserializeSeed<'de> for Typed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// Reads an object in which no name comes twice. What serde derives for a struct takes an array of its members' values as well.
pub(super) struct Object<T>(std::marker::PhantomData<T>);

impl<T> Object<T> {
    pub(super) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<'de, T: serde::de::DeserializeOwned> DeserializeSeed<'de> for Object<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        match (Strict { depth: 2 }).deserialize(deserializer)? {
            object @ Value::Object(_) => T::deserialize(object).map_err(D::Error::custom),
            _ => Err(D::Error::custom("not an object")),
        }
    }
}

/// Any JSON in which no object names a member twice, nested at most [`MAX_DEPTH`] deep.
pub(super) struct Strict {
    /// How deep this value already lies.
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        if self.depth > MAX_DEPTH {
            return Err(A::Error::custom("too deep"));
        }
        while let Some(value) = seq.next_element_seed(Self { depth: self.depth + 1 })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        if self.depth > MAX_DEPTH {
            return Err(A::Error::custom("too deep"));
        }
        while let Some(name) = map.next_key_seed(Text)? {
            let value = map.next_value_seed(Self { depth: self.depth + 1 })?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate"));
            }
        }
        Ok(Value::Object(members))
    }
}
