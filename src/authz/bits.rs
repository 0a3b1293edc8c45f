//! Sets of small numbers.

/// A set of small numbers: up to 256 of them inline, more on the heap. Asking takes the same time however many there
/// are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bits {
    Inline([u64; Self::WORDS]),
    Heap(Box<[u64]>),
}

impl Bits {
    const WORDS: usize = 4;

    /// An empty set with room for numbers below `bound`.
    pub(super) fn with_room_for(bound: usize) -> Self {
        let words = bound.div_ceil(64);
        if words <= Self::WORDS { Self::Inline([0; Self::WORDS]) } else { Self::Heap(vec![0; words].into()) }
    }

    /// Adds a number. One there is no room for is left out.
    pub(super) fn insert(&mut self, number: usize) {
        if let Some(word) = self.words_mut().get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.words().get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Adds every number of another set with the same room.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= other;
        }
    }

    fn words(&self) -> &[u64] {
        match self {
            Self::Inline(words) => words,
            Self::Heap(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Inline(words) => words,
            Self::Heap(words) => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_set(
            bound in 1_usize..2000,
            left in prop::collection::vec(0_usize..2000, 0..40),
            right in prop::collection::vec(0_usize..2000, 0..40),
        ) {
            let of = |numbers: &[usize]| {
                let mut bits = Bits::with_room_for(bound);
                numbers.iter().filter(|number| **number < bound).for_each(|number| bits.insert(*number));
                bits
            };
            let mut both = of(&left);
            both.absorb(&of(&right));
            let model: BTreeSet<_> = left.iter().chain(&right).filter(|number| **number < bound).collect();
            for number in 0..2200 {
                prop_assert_eq!(both.contains(number), model.contains(&number));
            }
        }
    }
}
