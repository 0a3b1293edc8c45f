//! Header values that every answer shares.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

/// All texts together, in bytes: somebody who makes new ones again and again is not followed for ever.
const MOST: usize = 256 * 1024;

/// The same value as text that lasts as long as the process. Cloning it touches no counter that all threads share, as
/// answers on many CPUs would otherwise do for each of their headers. Equal texts are kept once. Beyond 256 KiB in all
/// values stay what they are, and so do those that are marked sensitive.
pub(crate) fn lasting(value: HeaderValue) -> HeaderValue {
    static KEPT: Mutex<Texts> = Mutex::new(Texts { all: BTreeSet::new(), bytes: 0 });

    KEPT.lock().unwrap_or_else(PoisonError::into_inner).keep(value)
}

struct Texts {
    all: BTreeSet<&'static str>,
    bytes: usize,
}

impl Texts {
    fn keep(&mut self, value: HeaderValue) -> HeaderValue {
        let Ok(text) = value.to_str() else { return value };
        if value.is_sensitive() {
            return value;
        }
        if let Some(text) = self.all.get(text) {
            return HeaderValue::from_static(text);
        }
        if text.len() > MOST - self.bytes {
            return value;
        }
        let text: &'static str = Box::leak(text.into());
        self.bytes += text.len();
        self.all.insert(text);
        HeaderValue::from_static(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_text() {
        let mut texts = Texts { all: BTreeSet::new(), bytes: 0 };
        let mut keep = |text: &str| texts.keep(HeaderValue::from_str(text).unwrap());
        let (one, other) = (keep("one"), keep("one"));
        assert_eq!(one, "one");
        assert_eq!(one.as_bytes().as_ptr(), other.as_bytes().as_ptr());
        for text in ["", "a\tb ~", "other"] {
            assert_eq!(keep(text), text);
        }
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(lasting(odd.clone()), odd);
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        assert!(lasting(secret).is_sensitive());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut texts = Texts { all: BTreeSet::new(), bytes: 0 };
        for number in 0..600 {
            let text = format!("{number:01000}");
            assert_eq!(texts.keep(HeaderValue::from_str(&text).unwrap()), text.as_str());
        }
        assert_eq!((texts.all.len(), texts.bytes), (262, 262_000));
    }
}
