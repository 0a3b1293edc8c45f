//! What a new password must be like.

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::MAX_PASSWORD_BYTES;
use crate::error::{ConfigError, Result};
use crate::rejection::Reason;

/// No policy accepts fewer code points (ASVS 6.2.1).
const MIN_LENGTH_FLOOR: u32 = 8;
/// No policy refuses this many (ASVS 6.2.9).
const MAX_LENGTH_FLOOR: u32 = 64;
/// No policy accepts more: 256 code points are at most [`MAX_PASSWORD_BYTES`] bytes.
const MAX_LENGTH_CEILING: u32 = 256;

/// The rules for new passwords. Lengths are in Unicode code points.
///
/// | reason code | means | limit |
/// |---|---|---|
/// | `too_short` | fewer code points than the policy asks for | that number |
/// | `too_long` | more than the policy allows | that number |
/// | `missing_uppercase`, `missing_lowercase`, `missing_digit`, `missing_special` | no such character | |
/// | `context_word` | the user's own name or address, or a repetition of it | |
///
/// Stored passwords are never checked: a policy that becomes stricter locks nobody out.
///
/// ```
/// use portcullis::password::PasswordPolicy;
///
/// let reasons = PasswordPolicy::composition().check(&"weak".into(), &[]).unwrap_err();
/// let codes: Vec<_> = reasons.iter().map(|reason| reason.code).collect();
/// assert_eq!(codes, ["too_short", "missing_uppercase", "missing_digit", "missing_special"]);
/// assert_eq!(reasons[0].limit, Some(8));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    min: u32,
    max: u32,
    uppercase: bool,
    lowercase: bool,
    digit: bool,
    special: bool,
}

impl PasswordPolicy {
    /// 15 to 256 code points, no rules of composition (NIST SP 800-63B-4 section 3.1.1.2).
    #[must_use]
    pub const fn nist() -> Self {
        let (min, max) = (15, MAX_LENGTH_CEILING);
        Self { min, max, uppercase: false, lowercase: false, digit: false, special: false }
    }

    /// As [`nist`](Self::nist) with 8 code points: where a second factor is always asked for.
    #[must_use]
    pub const fn nist_with_mfa() -> Self {
        Self { min: 8, ..Self::nist() }
    }

    /// 8 code points with an upper-case letter, a lower-case letter, a digit and another character: what older rules ask
    /// for, and weaker than length.
    #[must_use]
    pub const fn composition() -> Self {
        Self { min: 8, max: MAX_LENGTH_CEILING, uppercase: true, lowercase: true, digit: true, special: true }
    }

    /// Asks for this many code points.
    ///
    /// # Errors
    ///
    /// Below 8, or above the maximum.
    pub fn with_min_length(mut self, min: u32) -> Result<Self, ConfigError> {
        if !(MIN_LENGTH_FLOOR..=self.max).contains(&min) {
            let (problem, cure) =
                (format!("{min} is out of range"), format!("use {MIN_LENGTH_FLOOR} to {}", self.max));
            return Err(ConfigError::new("minimum password length", problem, cure));
        }
        self.min = min;
        Ok(self)
    }

    /// Allows this many code points.
    ///
    /// # Errors
    ///
    /// Below 64 or the minimum, or above 256.
    pub fn with_max_length(mut self, max: u32) -> Result<Self, ConfigError> {
        let least = MAX_LENGTH_FLOOR.max(self.min);
        if !(least..=MAX_LENGTH_CEILING).contains(&max) {
            let (problem, cure) =
                (format!("{max} is out of range"), format!("use {least} to {MAX_LENGTH_CEILING}"));
            return Err(ConfigError::new("maximum password length", problem, cure));
        }
        self.max = max;
        Ok(self)
    }

    /// Whether an upper-case letter is asked for.
    #[must_use]
    pub const fn with_uppercase(mut self, required: bool) -> Self {
        self.uppercase = required;
        self
    }

    /// Whether a lower-case letter is asked for.
    #[must_use]
    pub const fn with_lowercase(mut self, required: bool) -> Self {
        self.lowercase = required;
        self
    }

    /// Whether a digit is asked for.
    #[must_use]
    pub const fn with_digit(mut self, required: bool) -> Self {
        self.digit = required;
        self
    }

    /// Whether a character that is neither letter nor digit is asked for.
    #[must_use]
    pub const fn with_special(mut self, required: bool) -> Self {
        self.special = required;
        self
    }

    /// The least number of code points.
    #[must_use]
    pub const fn min_length(&self) -> u32 {
        self.min
    }

    /// The greatest number of code points.
    #[must_use]
    pub const fn max_length(&self) -> u32 {
        self.max
    }

    /// Looks at a new password; `context` holds the user's names and e-mail addresses (ASVS 6.2.11).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the table above.
    pub fn check(&self, password: &SecretString, context: &[&str]) -> Result<(), Vec<Reason>> {
        let password = password.expose_secret();
        let mut reasons = Vec::new();
        let mut refuse = |code, limit| reasons.push(Reason { field: "password", code, limit });

        if password.len() > MAX_PASSWORD_BYTES {
            // Nothing else is worth the time.
            refuse("too_long", Some(self.max));
            return Err(reasons);
        }
        let length = u32::try_from(password.chars().count()).unwrap_or(u32::MAX);
        if length < self.min {
            refuse("too_short", Some(self.min));
        }
        if length > self.max {
            refuse("too_long", Some(self.max));
        }
        for (required, code, class) in [
            (self.uppercase, "missing_uppercase", char::is_uppercase as fn(char) -> bool),
            (self.lowercase, "missing_lowercase", char::is_lowercase),
            (self.digit, "missing_digit", char::is_numeric),
            (self.special, "missing_special", |c| !c.is_alphanumeric()),
        ] {
            if required && !password.chars().any(class) {
                refuse(code, None);
            }
        }
        if context.iter().any(|word| is_made_of(password, word)) {
            refuse("context_word", None);
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

impl Default for PasswordPolicy {
    /// [`nist`](Self::nist).
    fn default() -> Self {
        Self::nist()
    }
}

/// Whether the password is the word, or the part of it before the `@`, once or repeated; in any case.
fn is_made_of(password: &str, word: &str) -> bool {
    let password = Zeroizing::new(caseless::default_case_fold_str(password));
    let word = caseless::default_case_fold_str(word);
    let local_part = word.rsplit_once('@').map_or(word.as_str(), |(local_part, _)| local_part);
    [word.as_str(), local_part]
        .into_iter()
        .any(|word| !password.is_empty() && !word.is_empty() && password.split(word).all(str::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(policy: &PasswordPolicy, password: &str, context: &[&str]) -> Vec<&'static str> {
        let reasons = policy.check(&password.into(), context).err().unwrap_or_default();
        reasons.into_iter().map(|reason| reason.code).collect()
    }

    #[test]
    fn length_is_counted_in_code_points() {
        let nist = PasswordPolicy::nist();
        for (name, password, want) in [
            ("nothing", String::new(), vec!["too_short"]),
            ("14", "a".repeat(14), vec!["too_short"]),
            ("15", "a".repeat(15), vec![]),
            ("14 of two bytes each", "é".repeat(14), vec!["too_short"]),
            ("15 of four bytes each", "🔑".repeat(15), vec![]),
            ("spaces count", " ".repeat(15), vec![]),
            ("NUL counts", "\0".repeat(15), vec![]),
            ("256", "a".repeat(256), vec![]),
            ("256 of four bytes each", "🔑".repeat(256), vec![]),
            ("257", "a".repeat(257), vec!["too_long"]),
            ("1025 bytes", "a".repeat(1025), vec!["too_long"]),
            ("a megabyte", "a".repeat(1 << 20), vec!["too_long"]),
        ] {
            assert_eq!(codes(&nist, &password, &[]), want, "{name}");
        }
        assert_eq!(codes(&PasswordPolicy::nist_with_mfa(), "eight ch", &[]), Vec::<&str>::new());
    }

    #[test]
    fn composition_names_every_class_that_is_missing() {
        let policy = PasswordPolicy::composition();
        for (password, want) in [
            ("Str0ng!Pass", vec![]),
            ("Ünïcödé 1ß", vec![]),
            ("weak", vec!["too_short", "missing_uppercase", "missing_digit", "missing_special"]),
            ("PASSWORD1!", vec!["missing_lowercase"]),
            ("password1!", vec!["missing_uppercase"]),
            ("Password!!", vec!["missing_digit"]),
            ("Password11", vec!["missing_special"]),
            ("Pass 1word", vec![]),
        ] {
            assert_eq!(codes(&policy, password, &[]), want, "{password}");
        }
        let relaxed =
            policy.with_uppercase(false).with_lowercase(false).with_digit(false).with_special(false);
        assert_eq!(codes(&relaxed, "anything", &[]), Vec::<&str>::new());
    }

    #[test]
    fn the_users_own_words_are_refused() {
        let policy = PasswordPolicy::nist_with_mfa();
        let context = ["Alice.Smith", "al1ce@mail.example", "", "@"];
        for (password, refused) in [
            ("alice.smith", true),
            ("ALICE.SMITHalice.smith", true),
            ("al1ce@MAIL.example", true),
            ("al1ceal1ce", true),
            ("al1ceal1ce!", false),
            ("alice.smith likes tea", false),
            ("mail.example", false),
        ] {
            assert_eq!(codes(&policy, password, &context).contains(&"context_word"), refused, "{password}");
        }
    }

    #[test]
    fn lengths_that_contradict_the_standard_or_each_other_do_not_start() {
        let nist = PasswordPolicy::nist;
        for (name, result, ok) in [
            ("minimum 7", nist().with_min_length(7), false),
            ("minimum 0", nist().with_min_length(0), false),
            ("minimum 8", nist().with_min_length(8), true),
            ("minimum 256", nist().with_min_length(256), true),
            ("minimum 257", nist().with_min_length(257), false),
            ("maximum 63", nist().with_max_length(63), false),
            ("maximum 64", nist().with_max_length(64), true),
            ("maximum 257", nist().with_max_length(257), false),
            ("minimum above maximum", nist().with_max_length(64).and_then(|p| p.with_min_length(65)), false),
            ("maximum below minimum", nist().with_min_length(100).and_then(|p| p.with_max_length(99)), false),
        ] {
            assert_eq!(result.is_ok(), ok, "{name}");
        }
    }
}
