//! User names and e-mail addresses: what is one, and when two are the same.
//!
//! Two names are the same if they look the same: case, composed and decomposed accents, compatibility forms such as
//! full-width letters and the Kelvin sign are folded (Unicode compatibility caseless matching, definition D146).
//! The canonical form is compared and never shown; mail goes to the address as it was written at registration.

use unicode_normalization::UnicodeNormalization as _;

use crate::fold::folded;
use crate::rejection::Reason;
use crate::store::{LoginKey, LoginName};

/// Longest user name in code points.
pub const MAX_USERNAME_CHARS: usize = 64;
/// Longest e-mail address in bytes (RFC 5321 section 4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Longest local part in bytes (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// What is looked up of an identifier that is no name at all.
const MAX_LOOKUP_BYTES: usize = 1024;

/// Reads a user name: 1 to 64 letters, digits and `. _ -`, beginning with a letter or digit.
///
/// There is no `@` in a user name, so it can't be mistaken for an e-mail address at sign-in.
///
/// # Errors
///
/// The [`Reason`] why it is not one.
pub(super) fn username(text: &str) -> Result<LoginName, Reason> {
    let reason = |code, limit| Reason { field: "username", code, limit };
    // Composed first: an accent on its own is not a letter, the letter with its accent is.
    let composed: String = text.nfc().take(MAX_USERNAME_CHARS + 1).collect();
    match composed.chars().next() {
        None => return Err(reason("too_short", Some(1))),
        Some(first) if !first.is_alphanumeric() => return Err(reason("invalid_character", None)),
        Some(_) => {}
    }
    if composed.chars().count() > MAX_USERNAME_CHARS {
        return Err(reason("too_long", u32::try_from(MAX_USERNAME_CHARS).ok()));
    }
    if !composed.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return Err(reason("invalid_character", None));
    }
    Ok(LoginName { canonical: fold(&composed), text: text.to_owned() })
}

/// Reads an e-mail address: `local@domain`, no quotes, comments, lists, address literals or control characters
/// (ASVS 1.3.11). The domain is compared in its ASCII form.
///
/// # Errors
///
/// The [`Reason`] why it is not one.
pub(super) fn email(text: &str) -> Result<LoginName, Reason> {
    let invalid = Reason { field: "email", code: "invalid_email", limit: None };
    if text.len() > MAX_EMAIL_BYTES {
        return Err(Reason { code: "too_long", limit: u32::try_from(MAX_EMAIL_BYTES).ok(), ..invalid });
    }
    let (local, domain) = text.split_once('@').ok_or(invalid)?;
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    let local_ok =
        !local.is_empty() && local.len() <= MAX_LOCAL_BYTES && !dots(local) && local.chars().all(in_local);
    if !local_ok {
        return Err(invalid);
    }
    let domain = ascii_domain(domain).ok_or(invalid)?;
    let local = fold(local);
    // Folding must not bring about what was just ruled out, such as the at sign of another width.
    if local.is_empty() || dots(&local) || !local.chars().all(in_local) {
        return Err(invalid);
    }
    Ok(LoginName { canonical: format!("{local}@{domain}"), text: text.to_owned() })
}

/// What to look up for whatever was typed at sign-in. Every text has a key, so that what is no name at all takes the
/// same path as a name nobody has.
#[must_use]
pub(crate) fn login_key(identifier: &str) -> LoginKey {
    if let Ok(name) = email(identifier) {
        return LoginKey::email(&name.canonical);
    }
    match username(identifier) {
        Ok(name) => LoginKey::username(&name.canonical),
        // A space never occurs in a canonical user name: this key finds nobody.
        Err(_) => {
            let end = identifier.floor_char_boundary(MAX_LOOKUP_BYTES);
            LoginKey::username(&format!(" {}", identifier.get(..end).unwrap_or_default()))
        }
    }
}

fn fold(text: &str) -> String {
    folded(text).collect()
}

fn in_local(c: char) -> bool {
    c.is_alphanumeric()
        || unicode_normalization::char::is_combining_mark(c)
        || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fine = ascii.len() <= 253 && ascii.contains('.') && ascii.split('.').all(label);
    // An address such as 192.0.2.1 is not a domain.
    let numeric = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (fine && !numeric).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_username() {
        for (text, want) in [
            ("ada", Ok(())),
            ("Ada.Lovelace-2_x", Ok(())),
            ("\u{e9}mile", Ok(())),
            ("e\u{301}mile", Ok(())),
            ("\u{5d0}\u{5d1}", Ok(())),
            ("", Err("too_short")),
            (".ada", Err("invalid_character")),
            ("ada lovelace", Err("invalid_character")),
            ("ada@example.com", Err("invalid_character")),
            ("ada\0", Err("invalid_character")),
            ("ada\u{200d}", Err("invalid_character")),
            ("ada\u{202e}", Err("invalid_character")),
            ("\u{1f600}", Err("invalid_character")),
        ] {
            assert_eq!(username(text).map(drop).map_err(|reason| reason.code), want, "{text:?}");
        }
        assert!(username(&"a".repeat(64)).is_ok());
        assert_eq!(username(&"a".repeat(65)).unwrap_err().code, "too_long");
    }

    #[test]
    fn twins_are_one_name() {
        for (a, b, same) in [
            ("Ada", "aDA", true),
            ("\u{e9}mile", "e\u{301}MILE", true),
            ("\u{ff41}da", "ada", true),
            ("\u{212a}elvin", "kelvin", true),
            ("\u{17f}am", "sam", true),
            ("stra\u{df}e", "STRASSE", true),
            ("\u{fb01}n", "fin", true),
            // The dotless i is a letter of its own; so are letters of other scripts.
            ("m\u{131}ke", "mike", false),
            ("\u{430}da", "ada", false),
        ] {
            let (a, b) = (username(a).unwrap(), username(b).unwrap());
            assert_eq!(a.canonical == b.canonical, same, "{} {}", a.text, b.text);
        }
    }

    #[test]
    fn what_is_an_email_address() {
        for (text, canonical) in [
            ("Ada@Example.COM", Some("ada@example.com")),
            ("a+b@x.org", Some("a+b@x.org")),
            ("j\u{f6}rg@b\u{fc}cher.example", Some("jo\u{308}rg@xn--bcher-kva.example")),
            ("a@x.com,b@y.com", None),
            ("a@x.com\r\nBcc: b@y.com", None),
            ("a@x.com\0", None),
            ("a@b@c.com", None),
            ("\"a\"@x.com", None),
            ("a b@x.com", None),
            ("<a@x.com>", None),
            ("a@[192.0.2.1]", None),
            ("a@192.0.2.1", None),
            ("a@localhost", None),
            ("@x.com", None),
            ("a@", None),
            ("a..b@x.com", None),
            ("a@x..com", None),
            ("a@-x.com", None),
            ("a\u{ff20}b@x.com", None),
            ("a\u{2025}b@x.com", None),
        ] {
            assert_eq!(email(text).ok().map(|name| name.canonical).as_deref(), canonical, "{text:?}");
        }
        assert!(email(&format!("{}@{}.com", "a".repeat(64), "b".repeat(63))).is_ok());
        assert!(email(&format!("{}@x.com", "a".repeat(65))).is_err());
    }

    proptest! {
        #[test]
        fn canonical_forms_are_stable(text in "\\PC{0,40}") {
            if let Ok(name) = username(&text) {
                prop_assert_eq!(fold(&name.canonical), name.canonical);
            }
            if let Ok(name) = email(&text) {
                let again = email(&name.canonical);
                prop_assert_eq!(again.map(|again| again.canonical), Ok(name.canonical));
            }
        }

        #[test]
        fn every_text_has_a_key(text in any::<String>()) {
            let key = login_key(&text);
            prop_assert!(key.bytes().len() <= 8192);
        }
    }
}
