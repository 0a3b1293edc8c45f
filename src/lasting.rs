//! Header values that every answer shares.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

/// Somebody who makes new ones again and again is not followed for ever.
const MOST: usize = 4096;

/// The same value as text that lasts as long as the process. Cloning it touches no counter that all threads share, as
/// answers on many CPUs would otherwise do for each of their headers. Equal texts are kept once; beyond 4096 different ones
/// values stay what they are.
pub(crate) fn lasting(value: HeaderValue) -> HeaderValue {
    static KEPT: Mutex<Texts> = Mutex::new(Texts(BTreeSet::new()));

    KEPT.lock().unwrap_or_else(PoisonError::into_inner).keep(value)
}

struct Texts(BTreeSet<&'static str>);

impl Texts {
    fn keep(&mut self, value: HeaderValue) -> HeaderValue {
        let Ok(text) = value.to_str() else { return value };
        match self.0.get(text) {
            Some(text) => HeaderValue::from_static(text),
            None if self.0.len() < MOST => {
                let text: &'static str = Box::leak(text.into());
                self.0.insert(text);
                HeaderValue::from_static(text)
            }
            None => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_text() {
        let mut texts = Texts(BTreeSet::new());
        let mut keep = |text: &str| texts.keep(HeaderValue::from_str(text).unwrap());
        let (one, other) = (keep("one"), keep("one"));
        assert_eq!(one, "one");
        assert_eq!(one.as_bytes().as_ptr(), other.as_bytes().as_ptr());
        for text in ["", "a\tb ~", "other"] {
            assert_eq!(keep(text), text);
        }
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(lasting(odd.clone()), odd);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut texts = Texts(BTreeSet::new());
        for number in 0..2 * MOST {
            let text = number.to_string();
            assert_eq!(texts.keep(HeaderValue::from_str(&text).unwrap()), text.as_str());
        }
        assert_eq!(texts.0.len(), MOST);
    }
}
