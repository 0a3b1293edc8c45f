//! The headers of an answer, with places kept for those that most answers have.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::add_vary;

/// As many bits tell which of them are there.
pub(super) const MAX_EXPECTED: usize = 16;
const _: () = assert!(MAX_EXPECTED <= u16::BITS as usize);

/// What a table has of its own, and for what it has places.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// What stands there besides.
    fixed: Names,
    /// At most [`MAX_EXPECTED`].
    expected: Vec<HeaderName>,
    /// What `Vary` says, so that it need not be read.
    varies: Vec<HeaderName>,
}

impl Places {
    /// Of a table that has none yet and says that an answer depends on this.
    pub(super) fn none_in(table: &HeaderMap, varies: Vec<HeaderName>) -> Self {
        Self { fixed: Names::new(table.keys().cloned().collect()), expected: Vec::new(), varies }
    }

    /// Makes one more, unless the name has a line or a place, or there are too many.
    pub(super) fn keep(&mut self, table: &mut HeaderMap, name: HeaderName) {
        if self.expected.len() < MAX_EXPECTED && !table.contains_key(&name) {
            table.insert(name.clone(), HeaderValue::from_static(""));
            self.expected.push(name);
        }
    }
}

/// Where an answer's headers are said, but for those that are fixed or removed by name.
pub(crate) struct Lines<'a> {
    map: &'a mut HeaderMap,
    places: &'a Places,
    /// A bit for each place in which something is said.
    said: u16,
    removed: &'a Names,
}

impl<'a> Lines<'a> {
    /// INVARIANT: `map` is a clone of the table in which the places were made, perhaps with more behind.
    #[inline]
    pub(super) fn new(map: &'a mut HeaderMap, places: &'a Places, removed: &'a Names) -> Self {
        Self { map, places, said: 0, removed }
    }

    /// An answer that has no places.
    pub(crate) fn of(map: &'a mut HeaderMap) -> Self {
        static NO_PLACES: Places = Places { fixed: Names::none(), expected: Vec::new(), varies: Vec::new() };
        static NO_NAMES: Names = Names::none();
        Self::new(map, &NO_PLACES, &NO_NAMES)
    }

    /// Adds a line, unless what it says is fixed. Where there are some of this name already, it is one more.
    pub(crate) fn add(&mut self, name: HeaderName, value: HeaderValue) {
        if self.is_removed(&name) {
            return;
        }
        if let Err(value) = self.place(&name, value)
            && !self.places.fixed.contains(&name)
        {
            // A table that is full of 24 000 headers takes no more.
            let _ = self.map.try_append(name, value);
        }
    }

    /// Says what the answer depends on, unless it says so already.
    pub(crate) fn vary(&mut self, name: &HeaderName) {
        let known = self.places.varies.contains(name) || self.is_removed(&VARY);
        if !known && self.place(&VARY, HeaderValue::from(name.clone())).is_err() {
            add_vary(self.map, name);
        }
    }

    #[inline]
    pub(super) fn is_removed(&self, name: &HeaderName) -> bool {
        self.removed.contains(name)
    }

    /// Puts a value into the place that is kept for it; gives it back if there is none, or there is something in it.
    #[inline]
    pub(super) fn place(&mut self, name: &HeaderName, value: HeaderValue) -> Result<(), HeaderValue> {
        let at = self.places.expected.iter().position(|expected| expected == name);
        let Some(bit) = at.map(|at| 1_u16 << at).filter(|bit| self.said & bit == 0) else {
            return Err(value);
        };
        match self.map.get_mut(name) {
            Some(place) => {
                *place = value;
                self.said |= bit;
                Ok(())
            }
            None => Err(value),
        }
    }

    /// For further lines of what is there.
    pub(super) fn map(&mut self) -> &mut HeaderMap {
        self.map
    }

    /// Gives up the places that nothing came for.
    #[inline]
    pub(super) fn close(self) {
        for (at, name) in self.places.expected.iter().enumerate() {
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

    const fn none() -> Self {
        Self { names: Vec::new(), lengths: 0 }
    }

    #[inline]
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

    /// Each value comes to the name it was said of, and what is fixed stays.
    #[test]
    fn every_value_finds_its_place() {
        let names = [CONTENT_TYPE, VARY, ETAG, CONTENT_LENGTH];
        for said in 0..16 {
            let mut table = HeaderMap::new();
            table.insert("fixed", HeaderValue::from_static("fixed"));
            let mut places = Places::none_in(&table, Vec::new());
            names.iter().for_each(|name| places.keep(&mut table, name.clone()));
            places.keep(&mut table, HeaderName::from_static("fixed"));
            let removed = Names::new(Vec::new());
            let mut lines = Lines::new(&mut table, &places, &removed);
            lines.add(HeaderName::from_static("other"), HeaderValue::from_static("other"));
            lines.add(HeaderName::from_static("fixed"), HeaderValue::from_static("another"));
            let said_of = |at: &usize| said & (1 << at) != 0;
            for at in (0..4).filter(said_of) {
                lines.add(names[at].clone(), HeaderValue::from(at));
                lines.add(names[at].clone(), HeaderValue::from_static("more"));
            }
            lines.close();
            assert_eq!(table.len(), 2 + 2 * (0..4).filter(said_of).count(), "{table:?}");
            for (at, name) in names.iter().enumerate() {
                let values: Vec<_> = table.get_all(name).iter().cloned().collect();
                let want = [HeaderValue::from(at), HeaderValue::from_static("more")];
                assert_eq!(values, if said_of(&at) { &want[..] } else { &[] }, "{said}");
            }
        }
    }

    /// Places are few; what has none is said all the same.
    #[test]
    fn more_than_there_are_places_for() {
        let names: Vec<_> =
            (0..20).map(|at| HeaderName::from_bytes(format!("x-{at}").as_bytes()).unwrap()).collect();
        let mut table = HeaderMap::new();
        let mut places = Places::none_in(&table, Vec::new());
        names.iter().for_each(|name| places.keep(&mut table, name.clone()));
        assert_eq!((places.expected.len(), table.len()), (MAX_EXPECTED, MAX_EXPECTED));
        let removed = Names::new(vec![names[3].clone(), names[19].clone()]);
        let mut lines = Lines::new(&mut table, &places, &removed);
        names.iter().enumerate().for_each(|(at, name)| lines.add(name.clone(), HeaderValue::from(at)));
        lines.close();
        for (at, name) in names.iter().enumerate() {
            let want = (!removed.contains(name)).then(|| HeaderValue::from(at));
            assert_eq!(table.get(name), want.as_ref(), "{name}");
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
            let mut places = Places::none_in(&map, Vec::new());
            places.keep(&mut map, VARY);
            let removed = Names::new(Vec::new());
            let mut lines = Lines::new(&mut map, &places, &removed);
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
