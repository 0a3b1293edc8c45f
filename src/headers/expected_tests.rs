//! Headers that a place is kept for.

use super::*;

/// Whether a place was kept for a header shows in no answer.
#[test]
fn what_is_expected_is_not_seen() {
    let more = ["x-request-id", "etag", "server", "vary", "cache-control", "x-one", "x-two"];
    let never = ["set-cookie", "strict-transport-security", "cdn-cache-control", "surrogate-control"];
    let (typed, sized) = (("content-type", "text/plain"), ("content-length", "1"));
    for (name, builder) in [
        ("api", SecurityHeaders::api()),
        ("html", SecurityHeaders::html()),
        ("removed", SecurityHeaders::api().remove_header("content-type").remove_header("x-request-id")),
        ("custom", SecurityHeaders::api().with_custom("x-request-id", "custom")),
    ] {
        let few = builder.build().unwrap();
        let many = few.clone().expecting(never.into_iter().chain(more).map(HeaderName::from_static));
        assert!(few.values().eq(many.values()), "{name}");
        for said in [
            &[][..],
            &[typed],
            &[sized],
            &[sized, typed],
            &[typed, ("content-type", "text/html"), sized],
            &[("x-one", "1"), ("x-one", "2"), ("x-request-id", "theirs")],
            &[("set-cookie", "a=b"), ("set-cookie", "c=d"), ("vary", "accept")],
            &[
                ("vary", "accept"),
                ("vary", "etag"),
                ("cache-control", "max-age=1"),
                ("cache-control", "public"),
            ],
            &[
                ("strict-transport-security", "max-age=0"),
                ("cdn-cache-control", "public"),
                ("surrogate-control", "x"),
            ],
            &[("server", "theirs"), ("x-frame-options", "SAMEORIGIN"), ("x-unexpected", ""), ("etag", "")],
        ] {
            for (asked, secure) in [(&[][..], true), (&[("cookie", "a=b")], false)] {
                let sorted = |headers: &SecurityHeaders| {
                    let response = answer(headers, asked, said, secure);
                    let mut lines: Vec<_> = response
                        .headers()
                        .iter()
                        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                        // A nonce is another one each time.
                        .filter(|(_, value)| !value.contains("'nonce-"))
                        .collect();
                    // Lines of one name keep their order.
                    lines.sort_by(|one, other| one.0.cmp(&other.0));
                    lines
                };
                assert_eq!(sorted(&few), sorted(&many), "{name}: {said:?}, {asked:?}");
                for plain in ["content-length", "content-type"] {
                    let is_removed = name == "removed" && plain == "content-type";
                    let want: Vec<_> = said
                        .iter()
                        .filter(|said| said.0 == plain && !is_removed)
                        .map(|said| said.1)
                        .collect();
                    assert_eq!(lines(&answer(&few, asked, said, secure), plain), want, "{name}: {said:?}");
                }
            }
        }
    }
}
