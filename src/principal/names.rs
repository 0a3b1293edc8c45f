//! Names and other small things without a box for each of them.

use std::fmt;
use std::sync::Arc;

/// Up to `N` small values in place, more of them on the heap. `N` is at most 255.
#[derive(Clone, Debug)]
pub(crate) enum Few<T, const N: usize> {
    /// The first so many of these.
    Here([T; N], u8),
    /// All of these.
    Heap(Vec<T>),
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// None yet. Until there are more, `filler` stands in their places.
    pub(crate) const fn new(filler: T) -> Self {
        Self::Here([filler; N], 0)
    }

    pub(crate) fn push(&mut self, value: T) {
        match self {
            Self::Here(held, count) => match held.get_mut(usize::from(*count)) {
                Some(place) => {
                    *place = value;
                    *count += 1;
                }
                None => {
                    let mut all = held.to_vec();
                    all.push(value);
                    *self = Self::Heap(all);
                }
            },
            Self::Heap(all) => all.push(value),
        }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Here(held, count) => held.get(..usize::from(*count)).unwrap_or(held),
            Self::Heap(all) => all,
        }
    }

    pub(crate) fn all(filler: T, values: impl IntoIterator<Item = T>) -> Self {
        let mut few = Self::new(filler);
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

/// Where a name stands in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// `None` if the text is too long for spans.
    pub(crate) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: start.try_into().ok()?, end: end.try_into().ok()? })
    }

    /// Where it begins, in bytes.
    pub(crate) fn start(self) -> usize {
        self.start.into()
    }

    /// The name in the text it is a span of; nothing in any other.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start.into()..self.end.into()).unwrap_or_default()
    }
}

/// Where several names stand in a text.
pub(crate) type Spans = Few<Span, 8>;

impl Spans {
    pub(crate) const NONE: Self = Self::new(Span { start: 0, end: 0 });
}

/// Names, each on its own or as they stand in a text that is kept anyhow.
#[derive(Clone)]
pub(crate) enum Names {
    Listed(Vec<Arc<str>>),
    Within(Arc<str>, Spans),
}

impl Names {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (listed, text, spans) = match self {
            Self::Listed(names) => (names.as_slice(), "", [].as_slice()),
            Self::Within(text, spans) => ([].as_slice(), text.as_ref(), spans.as_slice()),
        };
        listed.iter().map(AsRef::as_ref).chain(spans.iter().map(move |span| span.of(text)))
    }
}

impl<R: Into<Arc<str>>> FromIterator<R> for Names {
    fn from_iter<I: IntoIterator<Item = R>>(names: I) -> Self {
        Self::Listed(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text they stand in stays out of logs.
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_become_many() {
        for count in 0..12_u8 {
            let few = Few::<u8, 4>::all(0, 1..=count);
            assert_eq!(few.as_slice(), (1..=count).collect::<Vec<_>>());
            assert_eq!(matches!(few, Few::Heap(_)), count > 4, "{count}");
        }
    }

    #[test]
    fn names_are_the_same_either_way() {
        let text: Arc<str> = "admin,\u{e9}diteur,".into();
        let spans = [(0, 5), (6, 14), (15, 15), (7, 9), (0, 99)].map(|(a, b)| Span::new(a, b).unwrap());
        let within = Names::Within(text, Spans::all(Span { start: 0, end: 0 }, spans));
        let listed: Names = ["admin", "\u{e9}diteur", "", "", ""].into_iter().collect();
        assert_eq!(within.iter().collect::<Vec<_>>(), listed.iter().collect::<Vec<_>>());
        assert_eq!(format!("{within:?}"), format!("{listed:?}"));
        assert!(Span::new(0, 65536).is_none());
    }
}
