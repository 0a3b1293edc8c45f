//! How paths and queries spell bytes: percent-encoding, and the one spelling of a path that every reader understands alike
//! ([RFC 3986 section 6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)).

/// The byte of the escape whose two digits come first in `rest`, which begins behind the `%`, and what follows it.
pub(crate) fn unescape(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [high, low, rest @ ..] => Some((digit(*high)? * 16 + digit(*low)?, rest)),
        _ => None,
    }
}

/// What a text stands for. `None` if an escape is malformed.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut rest, mut plain) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let Some((byte, tail)) = rest.split_first() {
        let (byte, tail) = if *byte == b'%' { unescape(tail)? } else { (*byte, tail) };
        plain.push(byte);
        rest = tail;
    }
    Some(plain)
}

/// What a text stands for where a malformed escape is taken for itself, as parsers of forms do.
pub(crate) fn decode_leniently(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, tail) = rest.split_first()?;
        let (byte, tail) =
            if *first == b'%' { unescape(tail).unwrap_or((*first, tail)) } else { (*first, tail) };
        rest = tail;
        Some(byte)
    })
}

/// What means the same whether it is encoded or not (RFC 3986 section 2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a path has one spelling: no dot segments, no empty segments but the last, nothing encoded that need not be,
/// escapes in upper case, nothing beyond ASCII, and no encoded slash, backslash or control character.
pub(crate) fn is_canonical_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if (segment.is_empty() && !last) || segment == "." || segment == ".." {
            return false;
        }
    }
    let mut rest = path.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let lower = tail.iter().take(2).any(u8::is_ascii_lowercase);
                let Some((plain, tail)) = unescape(tail).filter(|_| !lower) else { return false };
                if is_unreserved(plain) || plain.is_ascii_control() || plain == b'/' || plain == b'\\' {
                    return false;
                }
                rest = tail;
            }
            b'\\' => return false,
            _ if byte.is_ascii_control() || !byte.is_ascii() => return false,
            _ => {}
        }
    }
    true
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_escape_stands_for() {
        for (text, strict, lenient) in [
            ("a%2Fb", Some(&b"a/b"[..]), &b"a/b"[..]),
            ("%c3%A4", Some(b"\xc3\xa4"), b"\xc3\xa4"),
            ("%252e", Some(b"%2e"), b"%2e"),
            ("", Some(b""), b""),
            ("a%", None, b"a%"),
            ("a%4", None, b"a%4"),
            ("%4g%41", None, b"%4gA"),
            ("%%41", None, b"%A"),
            ("%+1", None, b"%+1"),
        ] {
            assert_eq!(decode(text).as_deref(), strict, "{text}");
            assert_eq!(decode_leniently(text).collect::<Vec<_>>(), lenient, "{text}");
        }
    }

    #[test]
    fn which_paths_have_one_spelling() {
        for (path, want) in [
            ("/", true),
            ("/a/b/", true),
            ("/.well-known/x", true),
            ("/a...b/..c", true),
            ("/%C3%A4%25%3A", true),
            ("", false),
            ("*", false),
            ("a", false),
            ("//", false),
            ("/a//", false),
            ("/a/./b", false),
            ("/..", false),
            ("/%c3%A4", false),
            ("/%7E", false),
            ("/%2F", false),
            ("/%5C", false),
            ("/%7F", false),
            ("/%", false),
            ("/%4", false),
            ("/a\\b", false),
            ("/\u{e4}", false),
        ] {
            assert_eq!(is_canonical_path(path), want, "{path}");
        }
    }
}
