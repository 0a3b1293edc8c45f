//! Types a body may have.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::error::ConfigError;

/// A list of media types. Exactly one `Content-Type` must name one of them; parameters such as `charset` change
/// nothing.
///
/// A list without `text/plain`, `multipart/form-data` and `application/x-www-form-urlencoded` also means that no form of
/// another site's page gets in, nor a script without a preflight (ASVS 3.5.2).
#[derive(Clone, Debug)]
#[must_use]
pub struct ContentTypes {
    list: Vec<String>,
    json_suffix: bool,
}

impl ContentTypes {
    /// `application/json`.
    pub fn json() -> Self {
        Self { list: vec!["application/json".to_owned()], json_suffix: false }
    }

    /// These types.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for what is not `type/subtype`: a wildcard, a parameter, an empty list.
    pub fn new(types: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, ConfigError> {
        let list: Vec<String> = types.into_iter().map(|name| name.into().to_ascii_lowercase()).collect();
        if let Some(name) = list.iter().find(|name| name.contains('*') || !is_essence(name.as_bytes())) {
            return Err(ConfigError::new(
                format!("content type `{name}`"),
                "is not a type and a subtype",
                "write it as `application/json`, without wildcards and parameters",
            ));
        }
        if list.is_empty() {
            return Err(ConfigError::new(
                "content types",
                "are an empty list",
                "name one, or set no list to accept every type",
            ));
        }
        Ok(Self { list, json_suffix: false })
    }

    /// Also types such as `application/merge-patch+json` (RFC 6839 section 3.1).
    pub fn allow_json_suffix(mut self) -> Self {
        self.json_suffix = true;
        self
    }

    /// Whether a body with these headers is let in.
    #[must_use]
    pub fn accept(&self, headers: &HeaderMap) -> bool {
        let Some(essence) = essence(headers) else { return false };
        let listed = self.list.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(essence));
        listed || (self.json_suffix && has_json_suffix(essence))
    }
}

/// Type and subtype, if there is exactly one `Content-Type`.
pub(super) fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let essence = value.as_bytes().split(|byte| *byte == b';').next()?.trim_ascii();
    is_essence(essence).then_some(essence)
}

pub(super) fn has_json_suffix(essence: &[u8]) -> bool {
    let (name, suffix) = essence.split_at(essence.len().saturating_sub(5));
    suffix.eq_ignore_ascii_case(b"+json") && !name.ends_with(b"/")
}

/// Two tokens (RFC 9110 section 8.3.1).
fn is_essence(text: &[u8]) -> bool {
    let token = |part: &[u8]| {
        !part.is_empty()
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    let mut parts = text.split(|byte| *byte == b'/');
    matches!((parts.next(), parts.next(), parts.next()), (Some(a), Some(b), None) if token(a) && token(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    // ASVS 3.5.2
    #[test]
    fn what_is_accepted() {
        let json = ContentTypes::json();
        let suffix = ContentTypes::json().allow_json_suffix();
        let two = ContentTypes::new(["Application/JSON", "text/csv"]).unwrap();
        for (name, values, want) in [
            ("plain", &["application/json"][..], [true, true, true]),
            ("other case", &["Application/Json"], [true, true, true]),
            ("a parameter", &["application/json; charset=utf-8"], [true, true, true]),
            ("spaces", &[" application/json ;charset=utf-8"], [true, true, true]),
            ("an empty parameter", &["application/json;"], [true, true, true]),
            ("the other", &["text/csv"], [false, false, true]),
            ("suffix", &["application/problem+json"], [false, true, false]),
            ("suffix alone", &["application/+json"], [false, false, false]),
            ("suffix further in", &["application/a+json+xml"], [false, false, false]),
            ("none", &[], [false, false, false]),
            ("empty", &[""], [false, false, false]),
            ("twice", &["application/json", "application/json"], [false, false, false]),
            ("two in one", &["application/json, text/plain"], [false, false, false]),
            ("another first", &["text/plain;application/json"], [false, false, false]),
            ("another before", &["text/plain, application/json"], [false, false, false]),
            ("longer", &["application/jsonx"], [false, false, false]),
            ("shorter", &["application/"], [false, false, false]),
            ("three parts", &["application/json/x"], [false, false, false]),
            ("a form", &["application/x-www-form-urlencoded"], [false, false, false]),
            ("multipart", &["multipart/form-data; boundary=x"], [false, false, false]),
            ("wildcard", &["*/*"], [false, false, false]),
            ("quoted", &["\"application/json\""], [false, false, false]),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!([&json, &suffix, &two].map(|types| types.accept(&headers)), want, "{name}");
        }
    }

    #[test]
    fn a_list_that_says_nothing_is_refused() {
        for types in [&[][..], &["*/*"], &["text/*"], &["json"], &["text/plain; charset=utf-8"], &[""]] {
            assert!(ContentTypes::new(types.iter().copied()).is_err(), "{types:?}");
        }
    }
}
