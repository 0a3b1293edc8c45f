//! What limits have said about one request.

use crate::rate_limit::RateDecision;

/// A limit of the gate, by its place.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) enum Place {
    /// Among those of the outer half.
    Outer(usize),
    /// Among those that need a principal.
    Inner(usize),
}

/// A limit, and what it said.
#[derive(Debug)]
pub(in crate::gate) struct Asked {
    pub(super) place: Place,
    pub(super) decision: RateDecision,
}

/// What the limits said that were asked, in their order. Most requests meet one, for which nothing is allocated.
#[derive(Debug, Default)]
pub(super) struct Taken {
    first: Option<Asked>,
    more: Vec<Asked>,
}

impl Taken {
    pub(super) fn push(&mut self, asked: Asked) {
        match &self.first {
            None => self.first = Some(asked),
            Some(_) => self.more.push(asked),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Asked> {
        self.first.iter_mut().chain(&mut self.more)
    }
}

impl Extend<Asked> for Taken {
    fn extend<I: IntoIterator<Item = Asked>>(&mut self, asked: I) {
        asked.into_iter().for_each(|asked| self.push(asked));
    }
}
