//! When two texts look the same.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// The form in which two texts that look the same are the same (Unicode compatibility caseless matching, definition
/// D146): case, composed and decomposed accents, compatibility forms such as full-width letters and the Kelvin sign are
/// folded. Of ASCII it is the lower case.
pub(crate) fn folded(text: &str) -> impl Iterator<Item = char> {
    // D146: NFKD(toCasefold(NFKD(toCasefold(NFD(X))))).
    text.chars().nfd().default_case_fold().nfkd().default_case_fold().nfkd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ascii_it_is_the_lower_case() {
        let ascii: String = (0..128_u8).map(char::from).collect();
        assert_eq!(folded(&ascii).collect::<String>(), ascii.to_ascii_lowercase());
    }
}
