//! The path: what is refused, and the one spelling of the rest.

use std::fmt::Write as _;

use super::rule::{FirewallRule, Relaxed};
use crate::path::{decode, is_unreserved, unescape};

/// The canonical spelling of a path if it has another one.
///
/// What is unreserved is decoded, other escapes are in upper case (RFC 3986 section 6.2.2), and what is neither reserved nor
/// unreserved - `"`, `<`, `|` and the like, and bytes beyond ASCII - is encoded. Escapes of reserved characters stay:
/// `%40` and `@` are two paths (section 2.2).
pub(super) fn canonical(path: &str, relaxed: Relaxed) -> Result<Option<String>, FirewallRule> {
    if is_plain(path) {
        return Ok(None);
    }
    let canonical = resolve(&spell(path, relaxed)?, relaxed)?;
    Ok((canonical != path).then_some(canonical))
}

/// Whether it is canonical already and breaks no rule: most paths are, and for them this is all.
fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let (mut length, mut dots) = (0_usize, 0_usize);
    for byte in rest.bytes() {
        match byte {
            b'/' if length == 0 || (dots == length && length <= 2) => return false,
            b'/' => (length, dots) = (0, 0),
            b'.' => (length, dots) = (length + 1, dots + 1),
            _ if is_segment_byte(byte) => length += 1,
            _ => return false,
        }
    }
    length == 0 || dots != length || length > 2
}

/// `pchar` of RFC 3986 section 3.3, without escapes and the semicolon.
const fn is_segment_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

fn spell(path: &str, relaxed: Relaxed) -> Result<String, FirewallRule> {
    use FirewallRule::{
        Backslash, EncodedControl, EncodedNull, EncodedPercent, EncodedPeriod, EncodedSlash, MalformedEscape,
        NonAscii, Semicolon,
    };
    let mut spelled = String::with_capacity(path.len());
    let mut beyond_ascii = false;
    let mut rest = path.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (plain, tail) = unescape(rest).ok_or(MalformedEscape)?;
                rest = tail;
                match plain {
                    b'.' => relaxed.refuse(EncodedPeriod)?,
                    b'/' => relaxed.refuse(EncodedSlash)?,
                    b'\\' => relaxed.refuse(Backslash)?,
                    b'%' => relaxed.refuse(EncodedPercent)?,
                    b';' => relaxed.refuse(Semicolon)?,
                    0 => relaxed.refuse(EncodedNull)?,
                    _ if plain.is_ascii_control() => relaxed.refuse(EncodedControl)?,
                    _ => beyond_ascii |= !plain.is_ascii(),
                }
                if is_unreserved(plain) {
                    spelled.push(char::from(plain));
                } else {
                    escape(&mut spelled, plain);
                }
            }
            b';' => {
                relaxed.refuse(Semicolon)?;
                spelled.push(';');
            }
            b'/' => spelled.push('/'),
            byte if is_segment_byte(*byte) => spelled.push(char::from(*byte)),
            byte => {
                match byte {
                    b'\\' => relaxed.refuse(Backslash)?,
                    0 => relaxed.refuse(EncodedNull)?,
                    _ if byte.is_ascii_control() => relaxed.refuse(EncodedControl)?,
                    _ if !byte.is_ascii() => relaxed.refuse(NonAscii)?,
                    _ => {}
                }
                beyond_ascii |= !byte.is_ascii();
                escape(&mut spelled, *byte);
            }
        }
    }
    if beyond_ascii {
        check_text(&spelled, relaxed)?;
    }
    Ok(spelled)
}

fn escape(spelled: &mut String, byte: u8) {
    // Writing to a string doesn't fail.
    let _ = write!(spelled, "%{byte:02X}");
}

/// What the escapes say as text.
fn check_text(spelled: &str, relaxed: Relaxed) -> Result<(), FirewallRule> {
    let text = decode(spelled).unwrap_or_default();
    if std::str::from_utf8(&text).is_err() {
        relaxed.refuse(FirewallRule::InvalidUtf8)?;
    }
    for character in String::from_utf8_lossy(&text).chars() {
        match character {
            '\u{85}' | '\u{2028}' | '\u{2029}' => relaxed.refuse(FirewallRule::EncodedLineSeparator)?,
            '\u{80}'..='\u{9f}' => relaxed.refuse(FirewallRule::EncodedControl)?,
            _ => {}
        }
    }
    Ok(())
}

/// Takes out empty segments and dot segments (RFC 3986 section 5.2.4), if that is allowed.
fn resolve(spelled: &str, relaxed: Relaxed) -> Result<String, FirewallRule> {
    let rest = spelled.strip_prefix('/').ok_or(FirewallRule::TargetForm)?;
    let mut kept = Vec::new();
    let mut slash = false;
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if last => slash = true,
            "" => relaxed.refuse(FirewallRule::EmptySegment)?,
            "." | ".." => {
                relaxed.refuse(FirewallRule::DotSegment)?;
                if segment == ".." {
                    kept.pop();
                }
                slash = last;
            }
            _ if hides_dots(segment) => return Err(FirewallRule::DotSegment),
            _ => kept.push(segment),
        }
    }
    let mut path = String::with_capacity(spelled.len());
    for segment in &kept {
        path.push('/');
        path.push_str(segment);
    }
    if slash || path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

/// Whether it becomes a dot segment for whoever takes parameters off it or decodes a slash in it. Never allowed, because
/// it can't be taken out.
fn hides_dots(segment: &str) -> bool {
    segment
        .split(';')
        .flat_map(|part| part.split("%3B"))
        .flat_map(|part| part.split("%2F"))
        .flat_map(|part| part.split("%5C"))
        .any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::path::is_canonical_path;

    /// The default, and with all relaxed that rewriting can take out.
    fn rewriting() -> Relaxed {
        [
            FirewallRule::EncodedPeriod,
            FirewallRule::EmptySegment,
            FirewallRule::DotSegment,
            FirewallRule::NonAscii,
        ]
        .into_iter()
        .fold(Relaxed::default(), Relaxed::with)
    }

    fn all() -> Relaxed {
        FirewallRule::ALL.iter().copied().fold(Relaxed::default(), Relaxed::with)
    }

    #[test]
    fn the_one_spelling() {
        for (path, want) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("/.well-known/jwks.json", "/.well-known/jwks.json"),
            ("/...", "/..."),
            ("/a..", "/a.."),
            ("/%61dmin", "/admin"),
            ("/%7euser", "/~user"),
            ("/%c3%a4", "/%C3%A4"),
            ("/%C3%a4", "/%C3%A4"),
            ("/a%20b", "/a%20b"),
            ("/a%3ab", "/a%3Ab"),
            ("/a%40b@c", "/a%40b@c"),
            ("/a\"<>^`{|}b", "/a%22%3C%3E%5E%60%7B%7C%7Db"),
            // Only these need a rule relaxed.
            ("/\u{e4}", "/%C3%A4"),
            ("//", "/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/x//../a", "/a"),
        ] {
            let got = canonical(path, rewriting()).unwrap();
            assert_eq!(got.as_deref().unwrap_or(path), want, "{path}");
            assert_eq!(got.is_none(), path == want, "{path} is rewritten without need");
        }
    }

    #[test]
    fn dots_are_not_hidden_from_whoever_reads_further() {
        for path in
            ["/a/..;/b", "/a/..;x=y/b", "/a/.;/b", "/a/..%2Fb", "/a/..%5cb", "/a%2f..%2fb", "/a/%2e%2e%3b"]
        {
            assert_eq!(canonical(path, all()), Err(FirewallRule::DotSegment), "{path}");
        }
    }

    fn any_path() -> impl Strategy<Value = String> {
        let pieces = [
            "/",
            "a",
            "B",
            ".",
            "..",
            "%2e",
            "%2E",
            "%2f",
            "%2F",
            "%5c",
            "\\",
            ";",
            "%3b",
            "%25",
            "%",
            "%4",
            "%00",
            "%0a",
            "%7F",
            "%61",
            "%7e",
            "%c3%a4",
            "%C3",
            "%A4",
            "%e2%80%a8",
            "\u{e4}",
            "\u{2028}",
            "@",
            "%40",
            "|",
            " ",
            "{",
            "+",
            "~",
            "*",
        ];
        let pieces = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..10);
        pieces.prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Canonical is canonical, whatever is relaxed; and by default, and wherever rewriting alone is at work, it is what
        /// the access map takes for a path with one spelling.
        #[test]
        fn canonicalization_is_idempotent(path in any_path()) {
            for (relaxed, one_spelling) in [(Relaxed::default(), true), (rewriting(), true), (all(), false)] {
                let Ok(rewritten) = canonical(&path, relaxed) else { continue };
                let once = rewritten.unwrap_or(path.clone());
                prop_assert_eq!(canonical(&once, relaxed), Ok(None), "{} became {}", &path, &once);
                prop_assert!(!one_spelling || is_canonical_path(&once), "{} became {}", &path, &once);
                prop_assert!(once.is_ascii());
            }
        }

        /// Nothing is taken for plain that rules or spelling would have changed.
        #[test]
        fn the_short_cut_agrees(path in any_path()) {
            if is_plain(&path) {
                let spelled = spell(&path, Relaxed::default());
                prop_assert_eq!(spelled.and_then(|s| resolve(&s, Relaxed::default())), Ok(path));
            }
        }
    }
}
