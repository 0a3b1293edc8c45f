//! Which texts count as equal.

use crate::fold::folded;

/// Longest text that is normalized without asking for memory, in bytes.
const SHORT: usize = 128;

/// Which texts a [`BlindIndex`](super::BlindIndex) takes for equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Normalization {
    /// Those of the same bytes.
    #[default]
    Exact,
    /// Those that look the same, as user names do: case, composed and decomposed accents, compatibility forms such as
    /// full-width letters are folded (Unicode compatibility caseless matching, definition D146). Nothing is trimmed.
    ///
    /// Unicode never changes the folding of a character it has assigned. A later version may assign more of them: reindex
    /// rows with such characters if the version changes.
    CaseFolded,
}

/// A text in normal form.
pub(super) enum Normal<'a> {
    AsIs(&'a [u8]),
    Short([u8; SHORT], usize),
    Long(String),
}

impl Normalization {
    /// Whether two texts are the same in this form: what a look-up with a truncated index has to ask of each value it
    /// found and opened.
    ///
    /// ```
    /// use portcullis::crypto::blind_index::Normalization;
    ///
    /// assert!(Normalization::CaseFolded.alike("Straße", "STRASSE"));
    /// assert!(!Normalization::Exact.alike("Ada", "ada"));
    /// ```
    #[must_use]
    pub fn alike(self, a: &str, b: &str) -> bool {
        self.normal(a).bytes() == self.normal(b).bytes()
    }

    pub(super) fn normal(self, text: &str) -> Normal<'_> {
        match self {
            Self::Exact => Normal::AsIs(text.as_bytes()),
            Self::CaseFolded if !text.is_ascii() => fold_unicode(text),
            Self::CaseFolded if text.bytes().any(|b| b.is_ascii_uppercase()) => fold_ascii(text),
            Self::CaseFolded => Normal::AsIs(text.as_bytes()),
        }
    }

    /// Part of what a key is derived from. Never reused.
    pub(super) const fn id(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::CaseFolded => 1,
        }
    }
}

impl Normal<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::AsIs(bytes) => bytes,
            Self::Short(bytes, length) => bytes.get(..*length).unwrap_or_default(),
            Self::Long(text) => text.as_bytes(),
        }
    }
}

fn fold_ascii(text: &str) -> Normal<'static> {
    let mut short = [0; SHORT];
    let Some(room) = short.get_mut(..text.len()) else { return Normal::Long(text.to_ascii_lowercase()) };
    room.copy_from_slice(text.as_bytes());
    room.make_ascii_lowercase();
    Normal::Short(short, text.len())
}

fn fold_unicode(text: &str) -> Normal<'static> {
    let mut short = [0; SHORT];
    let mut length = 0;
    for c in folded(text) {
        match short.get_mut(length..) {
            Some(room) if room.len() >= c.len_utf8() => length += c.encode_utf8(room).len(),
            _ => return Normal::Long(folded(text).collect()),
        }
    }
    Normal::Short(short, length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_the_same() {
        for (name, a, b, same) in [
            ("case", "Ada@Example.COM", "aDA@example.com", true),
            ("composed, decomposed", "\u{e9}mile", "e\u{301}MILE", true),
            ("sharp s", "stra\u{df}e", "STRASSE", true),
            ("capital sharp s", "STRA\u{1e9e}E", "strasse", true),
            ("full width", "\u{ff21}\u{ff44}a", "ada", true),
            ("Kelvin sign", "\u{212a}elvin", "kelvin", true),
            ("ligature", "\u{fb01}n", "FIN", true),
            ("final sigma", "\u{3a3}\u{3c2}", "\u{3c3}\u{3c3}", true),
            ("dotless i", "m\u{131}ke", "mike", false),
            ("Cyrillic a", "\u{430}da", "ada", false),
            ("a space", "ada ", "ada", false),
            ("an accent", "emile", "\u{e9}mile", false),
        ] {
            assert_eq!(Normalization::CaseFolded.alike(a, b), same, "{name}");
            assert!(!Normalization::Exact.alike(a, b), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whichever way is taken - as it is, on the stack, on the heap - the form is that of Unicode.
        #[test]
        fn every_way_gives_the_same(text in prop_oneof!["[a-z]{0,200}", "[ -~]{0,200}", "\\PC{0,200}", any::<String>()]) {
            let want: String = folded(&text).collect();
            let (folded, exact) = (Normalization::CaseFolded.normal(&text), Normalization::Exact.normal(&text));
            prop_assert_eq!(folded.bytes(), want.as_bytes());
            prop_assert_eq!(exact.bytes(), text.as_bytes());
        }
    }
}
