//! Texts that look like a trusted origin to one reader and like another to a browser. Attack log E3.

use portcullis::cors::Cors;
use portcullis::csrf::OriginRule;
use portcullis::origin::InvalidOrigin::{
    self, Character, Host, Null, Path, Port, Scheme, UserInfo, Wildcard,
};
use portcullis::origin::Origin;

/// None of these is an origin; nobody can trust one by mistake.
const NO_ORIGINS: &[(&str, &str, InvalidOrigin)] = &[
    ("no scheme", "//evil.example", Scheme),
    ("slash and backslash", "/\\evil.example", Character),
    ("backslashes", "https:\\\\evil.example", Character),
    ("backslash behind the host", "https://good.example\\.evil.example", Character),
    ("no slashes", "https:evil.example", Scheme),
    ("one slash", "https:/evil.example", Scheme),
    ("three slashes", "https:///evil.example", Path),
    ("user name", "https://good.example@evil.example", UserInfo),
    ("user name and password", "https://good.example:443@evil.example", UserInfo),
    ("escaped slashes", "%2f%2fevil.example", Character),
    ("escaped host", "https://%65vil.example", Character),
    ("escaped at sign", "https://good.example%40evil.example", Character),
    ("script", "javascript:alert(1)", Scheme),
    ("script that looks like a URL", "javascript://good.example", Scheme),
    ("data", "data:text/html,x", Scheme),
    ("file", "file://good.example", Scheme),
    ("blob", "blob:https://good.example/1", Scheme),
    ("extension", "chrome-extension://abcdef", Scheme),
    ("websocket", "wss://good.example", Scheme),
    ("ftp", "ftp://good.example", Scheme),
    ("longer scheme", "httpss://good.example", Scheme),
    ("scheme twice", "https://https://good.example", Path),
    ("a list", "https://good.example,https://evil.example", Path),
    ("a list of hosts", "https://good.example,evil.example", Host),
    ("two in one header", "https://good.example https://evil.example", Character),
    ("tab in the scheme", "java\tscript:alert(1)", Character),
    ("tab in the host", "https://go\tod.example", Character),
    ("newline", "https://good.example\n", Character),
    ("header of its own", "https://good.example\r\nSet-Cookie: a=b", Character),
    ("nul", "https://good.example\0.evil.example", Character),
    ("leading space", " https://good.example", Character),
    ("trailing space", "https://good.example ", Character),
    ("no-break space", "https://good.example\u{a0}", Character),
    ("ideographic space", "https://good\u{3000}.example", Character),
    ("everything", "*", Wildcard),
    ("every host", "https://*", Wildcard),
    ("every subdomain", "https://*.good.example", Wildcard),
    ("every port", "https://good.example:*", Wildcard),
    ("null", "null", Null),
    ("null in capitals", "NULL", Scheme),
    ("nothing", "", Scheme),
    ("host only", "good.example", Scheme),
    ("host and port only", "good.example:443", Scheme),
    ("scheme only", "https://", Host),
    ("trailing slash", "https://good.example/", Path),
    ("path", "https://good.example/a", Path),
    ("query", "https://good.example?a", Path),
    ("fragment", "https://evil.example#good.example", Path),
    ("trailing dot", "https://good.example.", Host),
    ("leading dot", "https://.good.example", Host),
    ("two dots", "https://good..example", Host),
    ("full-width slash", "https://good.example／.evil.example", Host),
    ("a sign that decomposes to a slash", "https://good.example℀.evil.example", Host),
    ("full-width at sign", "https://good.example＠evil.example", Host),
    ("full-width percent", "https://％65vil.example", Host),
    ("broken punycode", "https://xn--a-\u{e4}.example", Host),
    ("punycode of nothing", "https://xn--.example", Host),
    ("quote", "https://good\".example", Host),
    ("apostrophe", "https://good'.example", Host),
    ("pipe", "https://good|.example", Host),
    (
        "label too long",
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
        Host,
    ),
    ("no port", "https://good.example:", Port),
    ("port 0", "https://good.example:0", Port),
    ("port with a zero", "https://good.example:0443", Port),
    ("port with a sign", "https://good.example:+443", Port),
    ("port too large", "https://good.example:65536", Port),
    ("port that overflows", "https://good.example:18446744073709552059", Port),
    ("port of letters", "https://good.example:https", Port),
    ("two ports", "https://good.example:443:80", Port),
    ("address in hex", "https://0x7f000001", Host),
    ("address in octal", "https://0177.0.0.1", Host),
    ("address as one number", "https://2130706433", Host),
    ("short address", "https://127.1", Host),
    ("address out of range", "https://256.0.0.1", Host),
    ("open bracket", "https://[::1", Port),
    ("closed bracket", "https://::1]", Host),
    ("no brackets", "https://::1", Port),
    ("empty brackets", "https://[]", Host),
    ("name in brackets", "https://[good.example]", Host),
    ("text behind brackets", "https://[::1]evil.example", Host),
    ("text before brackets", "https://evil.example[::1]", Host),
    ("zone", "https://[fe80::1%25eth0]", Character),
    ("IPv4 in brackets", "https://[127.0.0.1]", Host),
];

#[test]
fn what_is_no_origin_is_not_read_as_one() {
    for (name, text, want) in NO_ORIGINS {
        assert_eq!(Origin::parse(text), Err(*want), "{name}: {text:?}");
        assert!(Cors::builder().allow_origin(*text).build().is_err(), "{name}: allowed by CORS");
        assert!(OriginRule::builder().allow_origin(*text).build().is_err(), "{name}: trusted");
        assert!(OriginRule::builder().with_public_origin(*text).build().is_err(), "{name}: public");
    }
}

/// All of these are origins, and none of them is the one that is trusted.
#[test]
fn what_resembles_an_origin_is_another() {
    let good = Origin::parse("https://good.example").unwrap();
    for (name, text) in [
        ("suffix", "https://good.example.evil.example"),
        ("prefix", "https://evilgood.example"),
        ("subdomain", "https://sub.good.example"),
        ("parent", "https://example"),
        ("other end", "https://good.example2"),
        ("hyphen", "https://good-example"),
        ("other scheme", "http://good.example"),
        ("other port", "https://good.example:8443"),
        ("port of the other scheme", "https://good.example:80"),
        ("Cyrillic o", "https://g\u{43e}\u{43e}d.example"),
        ("Greek omicron", "https://g\u{3bf}od.example"),
        ("dotless i and the like", "https://g\u{f6}od.example"),
        ("one for l", "https://go0d.example"),
    ] {
        let other = Origin::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_ne!(other, good, "{name}");
        assert!(!good.is(text.as_bytes()) && !good.is(other.as_str().as_bytes()), "{name}");
    }
    // Other spellings of it are the same in a configuration; browsers send none of them.
    for text in
        ["HTTPS://good.example", "https://GOOD.example", "https://good.example:443", "https://ｇood.example"]
    {
        assert_eq!(Origin::parse(text).as_ref(), Ok(&good), "{text}");
        assert!(!good.is(text.as_bytes()), "{text}");
    }
}
