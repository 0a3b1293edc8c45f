//! The headers of an answer, with places kept for those that most answers have.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::add_vary;

/// As many bits tell which of them are there.
pub(super) const MAX_EXPECTED: usize = 16;

/// Where an answer's headers are said, and none is said that has to be left out.
pub(crate) struct Lines<'a> {
    map: &'a mut HeaderMap,
    expected: &'a [HeaderName],
    /// A bit for each of them that has its value.
    said: u16,
    removed: Option<&'a Names>,
}

impl<'a> Lines<'a> {
    /// INVARIANT: `map` has exactly one value for each name that is expected, which means nothing yet, and there are at
    /// most [`MAX_EXPECTED`].
    pub(super) fn new(map: &'a mut HeaderMap, expected: &'a [HeaderName], removed: &'a Names) -> Self {
        Self { map, expected, said: 0, removed: Some(removed) }
    }

    /// An answer that has no places.
    pub(crate) fn of(map: &'a mut HeaderMap) -> Self {
        Self { map, expected: &[], said: 0, removed: None }
    }

    /// Adds a line. Where there are some of this name already, it is one more.
    pub(crate) fn add(&mut self, name: HeaderName, value: HeaderValue) {
        if self.is_removed(&name) {
            return;
        }
        if let Err(value) = self.place(&name, value) {
            // A table that is full of 24 000 headers takes no more.
            let _ = self.map.try_append(name, value);
        }
    }

    /// Says what the answer depends on, unless it says so already.
    pub(crate) fn vary(&mut self, name: &HeaderName) {
        if !self.is_removed(&VARY) && self.place(&VARY, HeaderValue::from(name.clone())).is_err() {
            add_vary(self.map, name);
        }
    }

    pub(super) fn is_removed(&self, name: &HeaderName) -> bool {
        self.removed.is_some_and(|removed| removed.contains(name))
    }

    /// Puts a value into the place that is kept for it; gives it back if there is none, or there is something in it.
    pub(super) fn place(&mut self, name: &HeaderName, value: HeaderValue) -> Result<(), HeaderValue> {
        let Some(at) = self.expected.iter().position(|expected| expected == name) else { return Err(value) };
        match self.map.get_mut(name) {
            Some(place) if self.said & (1 << at) == 0 => {
                *place = value;
                self.said |= 1 << at;
                Ok(())
            }
            _ => Err(value),
        }
    }

    pub(super) fn map(&mut self) -> &mut HeaderMap {
        self.map
    }

    /// Gives up the places that nothing came for.
    pub(super) fn close(self) {
        for (at, name) in self.expected.iter().enumerate() {
            if self.said & (1 << at) == 0 {
                self.map.remove(name);
            }
        }
    }
}

/// Names to look for among a handler's, nearly all of which have another length.
#[derive(Clone, Debug)]
pub(super) struct Names {
    names: Vec<HeaderName>,
    /// A bit for each length there is; all from 63 on share one.
    lengths: u64,
}

impl Names {
    pub(super) fn new(names: Vec<HeaderName>) -> Self {
        let lengths = names.iter().fold(0, |lengths, name| lengths | Self::bit(name));
        Self { names, lengths }
    }

    pub(super) fn contains(&self, name: &HeaderName) -> bool {
        self.lengths & Self::bit(name) != 0 && self.names.contains(name)
    }

    fn bit(name: &HeaderName) -> u64 {
        1 << name.as_str().len().min(63)
    }
}
