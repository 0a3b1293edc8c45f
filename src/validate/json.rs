//! JSON, read strictly.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use http::HeaderMap;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::content_type::{essence, has_json_suffix};
use crate::rejection::{Reason, Rejection, RejectionCode};

/// What JSON is read: at first 64 KiB, 32 deep, 10 000 elements, `application/json`.
///
/// No object may name a member twice, wherever in the document and whatever type it is read into: two readers of such a
/// document see different values (ASVS 1.5.3). axum's `StrictJson` takes the limits from the request's extensions, so that
/// a route or a whole router can have its own.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct JsonLimits {
    max_bytes: usize,
    max_depth: usize,
    max_elements: usize,
    suffix: bool,
}

impl JsonLimits {
    /// The defaults.
    pub const fn new() -> Self {
        Self { max_bytes: 64 * 1024, max_depth: 32, max_elements: 10_000, suffix: false }
    }

    /// Largest document in bytes.
    pub const fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How many arrays and objects may lie in each other; at most 127, whatever is set.
    pub const fn with_max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = if max_depth > 127 { 127 } else { max_depth };
        self
    }

    /// How many items of arrays and members of objects there may be in all.
    pub const fn with_max_elements(mut self, max_elements: usize) -> Self {
        self.max_elements = max_elements;
        self
    }

    /// Also types such as `application/merge-patch+json`.
    pub const fn allow_json_suffix(mut self) -> Self {
        self.suffix = true;
        self
    }

    /// Largest document in bytes.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether a body with these headers is JSON: exactly one `Content-Type`. Parameters such as `charset` change
    /// nothing, JSON is UTF-8 (RFC 8259 section 8.1).
    #[must_use]
    pub fn accept(&self, headers: &HeaderMap) -> bool {
        let json = |essence: &[u8]| {
            essence.eq_ignore_ascii_case(b"application/json") || (self.suffix && has_json_suffix(essence))
        };
        essence(headers).is_some_and(json)
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] that repeats nothing of it: 413 if it is too large, 400 if it isn't JSON, 422 if it crosses another
    /// limit (the reason says which), names a member twice, or doesn't fit the type.
    pub fn read<T: DeserializeOwned>(&self, document: &[u8]) -> Result<T, Rejection> {
        if document.len() > self.max_bytes {
            return Err(Rejection::new(RejectionCode::BodyTooLarge));
        }
        self.scan(document)?;
        serde_json::from_slice(document).map_err(|cause| refused(&cause))
    }

    /// Before any of it becomes a value: most types would ignore what this looks for.
    fn scan(&self, document: &[u8]) -> Result<(), Rejection> {
        let mut scan = Scan { max_depth: self.max_depth, left: self.max_elements, found: None };
        let mut reader = serde_json::Deserializer::from_slice(document);
        let result =
            Element { scan: &mut scan, depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end());
        let Err(cause) = result else { return Ok(()) };
        let limit = |limit: usize| u32::try_from(limit).ok();
        let (code, limit) = match scan.found {
            None => return Err(refused(&cause)),
            Some(Found::Deep) => ("too_deep", limit(self.max_depth)),
            Some(Found::Many) => ("too_many_elements", limit(self.max_elements)),
            Some(Found::Twice) => ("duplicate_name", None),
        };
        let reason = Reason { field: "body", code, limit };
        Err(Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason]))
    }
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self::new()
    }
}

fn refused(cause: &serde_json::Error) -> Rejection {
    Rejection::new(match cause.classify() {
        Category::Data => RejectionCode::ValidationFailed,
        _ => RejectionCode::Malformed,
    })
}

struct Scan {
    max_depth: usize,
    left: usize,
    found: Option<Found>,
}

enum Found {
    Deep,
    Many,
    Twice,
}

impl Scan {
    fn stop<E: serde::de::Error>(&mut self, found: Found) -> E {
        self.found = Some(found);
        E::custom("stopped")
    }

    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(self.stop(Found::Many)),
        }
        Ok(())
    }
}

/// Any value, at some depth. Nothing of it is kept.
struct Element<'a> {
    scan: &'a mut Scan,
    depth: usize,
}

impl Element<'_> {
    fn inner<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        let depth = self.depth.saturating_add(1);
        if depth > self.scan.max_depth { Err(self.scan.stop(Found::Deep)) } else { Ok(depth) }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        while seq.next_element_seed(Element { scan: &mut *self.scan, depth })?.is_some() {
            self.scan.count()?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        // Hashed with random keys: nobody can choose names that collide.
        let mut names = HashSet::new();
        while let Some(name) = map.next_key_seed(Name)? {
            self.scan.count()?;
            if !names.insert(name) {
                return Err(self.scan.stop(Found::Twice));
            }
            map.next_value_seed(Element { scan: &mut *self.scan, depth })?;
        }
        Ok(())
    }
}

/// The name of a member, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    /// What reading says: 200, or the status with the reason.
    fn read<T: DeserializeOwned>(limits: JsonLimits, document: &[u8]) -> (u16, &'static str) {
        match limits.read::<T>(document) {
            Ok(_) => (200, ""),
            Err(rejection) => {
                (rejection.status(), rejection.reasons().first().map_or("", |reason| reason.code))
            }
        }
    }

    // ASVS 1.5.2, 1.5.3
    #[test]
    fn depth_length_and_names_are_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        let long = |length: usize| format!("[{}]", vec!["1"; length].join(","));
        let names = |count: usize| {
            let members: Vec<_> = (0..count).map(|name| format!("\"{name}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        for (name, document, want) in [
            ("a number", "1".to_owned(), (200, "")),
            ("deepest", nested(32), (200, "")),
            ("too deep", nested(33), (422, "too_deep")),
            ("much too deep", "[".repeat(60_000), (422, "too_deep")),
            ("deepest object", objects(32), (200, "")),
            ("too deep an object", objects(33), (422, "too_deep")),
            ("longest", long(10_000), (200, "")),
            ("too long", long(10_001), (422, "too_many_elements")),
            ("too long in pieces", format!("[{},{}]", long(5000), long(5000)), (422, "too_many_elements")),
            ("most members", names(5000), (200, "")),
            ("a name twice", "{\"a\":1,\"a\":1}".to_owned(), (422, "duplicate_name")),
            ("twice, escaped", "{\"a\":1,\"\\u0061\":2}".to_owned(), (422, "duplicate_name")),
            ("twice, further in", "[{\"b\":{\"a\":1,\"c\":2,\"a\":3}}]".to_owned(), (422, "duplicate_name")),
            ("the same at two places", "[{\"a\":{\"a\":1}},{\"a\":1}]".to_owned(), (200, "")),
            ("too large", " ".repeat(64 * 1024) + "1", (413, "")),
            ("nothing", String::new(), (400, "")),
            ("cut", "{\"a\":[1".to_owned(), (400, "")),
            ("two documents", "1 2".to_owned(), (400, "")),
            ("byte order mark", "\u{feff}1".to_owned(), (400, "")),
            ("not a number", "NaN".to_owned(), (400, "")),
            ("no finite number", "1e999".to_owned(), (400, "")),
            ("half a pair", "\"\\ud800\"".to_owned(), (400, "")),
            ("comment", "1//".to_owned(), (400, "")),
            ("trailing comma", "[1,]".to_owned(), (400, "")),
        ] {
            assert_eq!(read::<Value>(JsonLimits::new(), document.as_bytes()), want, "{name}");
        }
        assert_eq!(read::<Value>(JsonLimits::new(), b"\"\xff\""), (400, ""), "not UTF-8");
    }

    #[test]
    fn what_the_type_ignores_is_looked_at_too() {
        #[derive(Deserialize)]
        struct Lax {
            #[serde(rename = "a")]
            _a: u8,
        }
        for (document, want) in [
            ("{\"a\":1,\"b\":{\"c\":1}}", (200, "")),
            ("{\"a\":1,\"b\":{\"c\":1,\"c\":2}}", (422, "duplicate_name")),
            ("{\"a\":1,\"b\":1,\"b\":2}", (422, "duplicate_name")),
            ("{\"a\":\"1\"}", (422, "")),
        ] {
            assert_eq!(read::<Lax>(JsonLimits::new(), document.as_bytes()), want, "{document}");
        }
    }

    #[test]
    fn limits_can_be_chosen() {
        let limits = JsonLimits::new().with_max_bytes(10).with_max_depth(1).with_max_elements(2);
        assert_eq!(read::<Value>(limits, b"[1,2]"), (200, ""));
        assert_eq!(read::<Value>(limits, b"[1,2,3]"), (422, "too_many_elements"));
        assert_eq!(read::<Value>(limits, b"[[1]]"), (422, "too_deep"));
        assert_eq!(read::<Value>(limits, b"           "), (413, ""));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_ne!(read::<Value>(JsonLimits::new().with_max_depth(usize::MAX), deep.as_bytes()).0, 200);
    }

    proptest! {
        #[test]
        fn no_document_panics(document in "[\\[\\]{}\",:0-9a\\\\u.e+\\- \\PC]{0,60}") {
            let strict = read::<Value>(JsonLimits::new(), document.as_bytes());
            let lax = serde_json::from_str::<Value>(&document).is_ok();
            prop_assert!(lax || strict.0 != 200, "{document} is read, but is no JSON");
            prop_assert!(!lax || matches!(strict, (200, "") | (422, "duplicate_name" | "too_deep")));
        }

        #[test]
        fn no_bytes_panic(document in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read::<Value>(JsonLimits::new(), &document);
        }
    }
}
