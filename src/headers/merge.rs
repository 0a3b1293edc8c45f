//! What becomes of the headers of a handler.

use http::header::{CACHE_CONTROL, Entry, HeaderMap, SET_COOKIE, STRICT_TRANSPORT_SECURITY, VARY};
use http::{HeaderName, HeaderValue};

use super::lines::Lines;
use crate::wire::merge_vary;

/// Caches in between follow these before `Cache-Control` (RFC 9213).
pub(super) static TARGETED: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// Our headers of an answer while those of the handler come in.
pub(super) struct Merge<'a> {
    pub(super) kept: &'a [HeaderName],
    pub(super) keeps_caching: bool,
    pub(super) removes_hsts: bool,
    pub(super) no_store: bool,
    pub(super) lines: Lines<'a>,
}

impl Merge<'_> {
    /// Takes the handler's headers or leaves them. Whether there is a cookie among them.
    #[inline]
    pub(super) fn take_all(&mut self, theirs: HeaderMap) -> bool {
        let has_lines = theirs.len() > theirs.keys_len();
        let mut sets_cookie = false;
        // The name whose further lines come along.
        let mut open: Option<HeaderName> = None;
        for (name, value) in theirs {
            match name {
                Some(name) => {
                    sets_cookie |= name == SET_COOKIE;
                    let further = has_lines.then(|| name.clone());
                    open = if self.take(name, value) { further } else { None };
                }
                None => {
                    if let Some(name) = &open {
                        let _ = self.lines.map().try_append(name.clone(), value);
                    }
                }
            }
        }
        sets_cookie
    }

    /// Takes the first line of a header of the handler, or leaves it; whether further lines come along.
    #[inline]
    fn take(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        let value = match self.lines.place(&name, value) {
            Ok(()) => return true,
            Err(value) => value,
        };
        if self.lines.is_removed(&name)
            || (self.removes_hsts && name == STRICT_TRANSPORT_SECURITY)
            || (self.no_store && TARGETED.contains(&name) && !self.keeps_caching)
        {
            return false;
        }
        // A table that is full of 24 000 headers takes no more; they are the handler's own.
        let Ok(entry) = self.lines.map().try_entry(name) else { return false };
        let mut entry = match entry {
            Entry::Vacant(entry) => return entry.try_insert(value).is_ok(),
            Entry::Occupied(entry) => entry,
        };
        let replaces = if *entry.key() == CACHE_CONTROL {
            says_no_store(&value) || self.keeps_caching
        } else if *entry.key() == VARY {
            let merged = merge_vary([&value].into_iter(), entry.get());
            entry.insert(merged);
            return true;
        } else {
            self.kept.contains(entry.key()) && !value.as_bytes().trim_ascii().is_empty()
        };
        if replaces {
            entry.insert(value);
        }
        replaces
    }
}

pub(super) fn says_no_store(value: &HeaderValue) -> bool {
    value.as_bytes().split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(b"no-store"))
}
