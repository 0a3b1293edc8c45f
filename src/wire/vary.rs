//! What an answer depends on.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds a name to `Vary` unless it is there already, in whatever case and however many fields
/// ([RFC 9110 section 12.5.5](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5)). Nothing that is there is lost.
pub(crate) fn add_vary(headers: &mut HeaderMap, name: &HeaderName) {
    let listed = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    if !headers.get_all(VARY).iter().any(listed) {
        headers.append(VARY, HeaderValue::from(name.clone()));
    }
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
}
