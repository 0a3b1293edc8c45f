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
    /// A bit for each of them that is said, in `places` or in the map.
    said: u16,
    /// What goes into the map in one pass, without looking for each name.
    places: [Option<HeaderValue>; MAX_EXPECTED],
    removed: Option<&'a Names>,
}

impl<'a> Lines<'a> {
    /// INVARIANT: `map` has exactly one value for each name that is expected, which means nothing yet, and there are at
    /// most [`MAX_EXPECTED`].
    pub(super) fn new(map: &'a mut HeaderMap, expected: &'a [HeaderName], removed: &'a Names) -> Self {
        Self { expected, removed: Some(removed), ..Self::of(map) }
    }

    /// An answer that has no places.
    pub(crate) fn of(map: &'a mut HeaderMap) -> Self {
        Self { map, expected: &[], said: 0, places: [const { None }; MAX_EXPECTED], removed: None }
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
        if self.is_removed(&VARY) || self.place(&VARY, HeaderValue::from(name.clone())).is_ok() {
            return;
        }
        let said = self.at(&VARY).and_then(|at| self.places.get_mut(at)?.take());
        if let (Some(said), Some(place)) = (said, self.map.get_mut(VARY)) {
            *place = said;
        }
        add_vary(self.map, name);
    }

    pub(super) fn is_removed(&self, name: &HeaderName) -> bool {
        self.removed.is_some_and(|removed| removed.contains(name))
    }

    /// Keeps a value for its place; gives it back if there is none, or something was said there.
    pub(super) fn place(&mut self, name: &HeaderName, value: HeaderValue) -> Result<(), HeaderValue> {
        match self.at(name).and_then(|at| Some((1_u16 << at, self.places.get_mut(at)?))) {
            Some((bit, place)) if self.said & bit == 0 => {
                *place = Some(value);
                self.said |= bit;
                Ok(())
            }
            _ => Err(value),
        }
    }

    fn at(&self, name: &HeaderName) -> Option<usize> {
        self.expected.iter().position(|expected| expected == name)
    }

    /// For further lines of what is there.
    pub(super) fn map(&mut self) -> &mut HeaderMap {
        self.map
    }

    /// Puts what was said into its places, and gives up the others.
    pub(super) fn close(mut self) {
        // They were made in this order, so each is met in turn.
        let mut places = self.expected.iter().zip(&mut self.places).peekable();
        for (name, value) in self.map.iter_mut() {
            if let Some((_, place)) = places.next_if(|(expected, _)| *expected == name)
                && let Some(said) = place.take()
            {
                *value = said;
            }
        }
        for (at, (name, place)) in self.expected.iter().zip(self.places).enumerate() {
            if self.said & (1 << at) == 0 {
                self.map.remove(name);
            } else if let (Some(said), Some(value)) = (place, self.map.get_mut(name)) {
                *value = said;
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

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};

    use super::*;

    /// In whatever order places stand, each value comes to the name it was said of.
    #[test]
    fn every_value_finds_its_place() {
        let names = [CONTENT_TYPE, VARY, ETAG, CONTENT_LENGTH];
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]];
        for (order, said) in orders.into_iter().flat_map(|order| (0..16).map(move |said| (order, said))) {
            let mut map = HeaderMap::new();
            map.insert("fixed", HeaderValue::from_static("fixed"));
            for at in order {
                map.insert(names[at].clone(), HeaderValue::from_static(""));
            }
            let removed = Names::new(Vec::new());
            let mut lines = Lines::new(&mut map, &names, &removed);
            lines.add(HeaderName::from_static("other"), HeaderValue::from_static("other"));
            let said_of = |at: &usize| said & (1 << at) != 0;
            for at in (0..4).filter(said_of) {
                lines.add(names[at].clone(), HeaderValue::from(at));
                lines.add(names[at].clone(), HeaderValue::from_static("more"));
            }
            lines.close();
            assert_eq!(map.len(), 2 + 2 * (0..4).filter(said_of).count(), "{map:?}");
            for at in 0..4 {
                let values: Vec<_> = map.get_all(&names[at]).iter().cloned().collect();
                let want = [HeaderValue::from(at), HeaderValue::from_static("more")];
                assert_eq!(values, if said_of(&at) { &want[..] } else { &[] }, "{order:?} {said}");
            }
        }
    }

    #[test]
    fn what_it_depends_on_is_said_once() {
        for (theirs, further, want) in [
            (None, None, &["origin"][..]),
            (Some("Accept"), None, &["Accept", "origin"]),
            (Some("Accept"), Some("Origin"), &["Accept", "Origin"]),
            (Some("*"), None, &["*"]),
        ] {
            let mut map = HeaderMap::new();
            map.insert(VARY, HeaderValue::from_static(""));
            let removed = Names::new(Vec::new());
            let mut lines = Lines::new(&mut map, &[VARY], &removed);
            for value in theirs.into_iter().chain(further) {
                lines.add(VARY, HeaderValue::from_static(value));
            }
            lines.vary(&http::header::ORIGIN);
            lines.vary(&http::header::ORIGIN);
            lines.close();
            assert_eq!(map.get_all(VARY).iter().collect::<Vec<_>>(), want, "{theirs:?}");
        }
    }
}
