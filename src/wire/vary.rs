//! What an answer depends on.

use bytes::Bytes;
use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds a name to `Vary` unless it is there already, in whatever case and however many fields
/// ([RFC 9110 section 12.5.5](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5)). Nothing that is there is lost.
pub(crate) fn add_vary(headers: &mut HeaderMap, name: &HeaderName) {
    let listed = |value: &HeaderValue| {
        names(value.as_bytes())
            .any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    if !headers.get_all(VARY).iter().any(listed) {
        // A table that is full of 24 000 headers takes no more.
        let _ = headers.try_append(VARY, HeaderValue::from(name.clone()));
    }
}

/// What is there already, and what of `ours` is missing, in one value. Names are compared without regard to case and
/// white space; `*` already says more than any name.
pub(crate) fn merge_vary<'a>(
    theirs: impl Iterator<Item = &'a HeaderValue>,
    ours: &HeaderValue,
) -> HeaderValue {
    let mut text: Vec<u8> = Vec::with_capacity(2 * ours.len());
    for value in theirs {
        append(&mut text, value.as_bytes().trim_ascii());
    }
    if names(&text).any(|name| name == b"*") {
        return HeaderValue::from_static("*");
    }
    let theirs = text.len();
    for name in names(ours.as_bytes()) {
        let said = text.get(..theirs).unwrap_or_default();
        if !names(said).any(|other| other.eq_ignore_ascii_case(name)) {
            append(&mut text, name);
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| ours.clone())
}

fn names(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

fn append(text: &mut Vec<u8>, part: &[u8]) {
    if !text.is_empty() && !part.is_empty() {
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use http::header::ORIGIN;

    use super::*;

    /// Threat H1.
    #[test]
    fn vary_is_merged_and_never_replaced() {
        for (name, before, want) in [
            ("none", &[][..], &["origin"][..]),
            ("another", &["Accept-Encoding"], &["Accept-Encoding", "origin"]),
            ("there", &["Origin"], &["Origin"]),
            ("other case, spaces, tabs", &["accept ,\tORIGIN , cookie"], &["accept ,\tORIGIN , cookie"]),
            ("in the second field", &["Cookie", "origin"], &["Cookie", "origin"]),
            ("everything", &["*"], &["*"]),
            ("part of a name", &["X-Origin, Origin-Agent"], &["X-Origin, Origin-Agent", "origin"]),
            ("empty", &[""], &["", "origin"]),
            ("not text", &["\u{fc}"], &["\u{fc}", "origin"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            add_vary(&mut headers, &ORIGIN);
            add_vary(&mut headers, &ORIGIN);
            let got: Vec<_> = headers.get_all(VARY).iter().map(HeaderValue::as_bytes).collect();
            let want: Vec<_> = want.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_stands_twice() {
        let ours = HeaderValue::from_static("authorization, cookie, origin");
        for (name, theirs, want) in [
            ("none", vec![], "authorization, cookie, origin"),
            ("another", vec!["Accept-Encoding"], "Accept-Encoding, authorization, cookie, origin"),
            ("one of ours", vec!["Cookie"], "Cookie, authorization, origin"),
            ("white space and case", vec![" ORIGIN ,\tcookie"], "ORIGIN ,\tcookie, authorization"),
            ("two lines", vec!["Accept", "Origin"], "Accept, Origin, authorization, cookie"),
            ("all of ours", vec!["Cookie,Origin,Authorization"], "Cookie,Origin,Authorization"),
            ("everything", vec!["*"], "*"),
            ("everything, late", vec!["Accept", "Cookie, *"], "*"),
            ("empty", vec![""], "authorization, cookie, origin"),
            ("no name at all", vec!["cook ie"], "cook ie, authorization, cookie, origin"),
        ] {
            let theirs: Vec<_> = theirs.into_iter().map(HeaderValue::from_static).collect();
            assert_eq!(merge_vary(theirs.iter(), &ours), want, "{name}");
        }
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(merge_vary([&odd].into_iter(), &ours).as_bytes(), b"\xff, authorization, cookie, origin");
    }
}
