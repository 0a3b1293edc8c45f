//! Where a page comes from: [`Origin`], exactly.
//!
//! Most holes in trusting other sites were comparisons that knew less about URLs than a browser does: a suffix, a prefix,
//! a pattern. So an origin is read once, strictly, and brought into the one spelling browsers send; after that, equal
//! means equal bytes.
//!
//! ```
//! use portcullis::origin::{InvalidOrigin, Origin};
//!
//! let app = Origin::parse("https://Bücher.example:443")?;
//! assert_eq!(app.as_str(), "https://xn--bcher-kva.example");
//! // What a browser sends is compared as it is.
//! assert!(app.is(b"https://xn--bcher-kva.example"));
//! assert!(!app.is(b"https://xn--bcher-kva.example.evil.example"));
//!
//! assert_eq!(Origin::parse("https://app.example/"), Err(InvalidOrigin::Path));
//! assert_eq!(Origin::parse("null"), Err(InvalidOrigin::Null));
//! # Ok::<(), InvalidOrigin>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// Scheme, host and port of a page, in the spelling of the `Origin` header ([RFC 6454] section 6, [WHATWG HTML]).
///
/// `http` and `https` only. The scheme and the host are in lower case, names in other scripts in their ASCII form
/// ([UTS 46]), IPv6 addresses compressed and in brackets; the port is left out where it is the scheme's own.
///
/// [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454#section-6
/// [WHATWG HTML]: https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
/// [UTS 46]: https://www.unicode.org/reports/tr46/
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

/// Why a text is not an [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrigin {
    /// `null`: what browsers send for sandboxed frames, local files and some redirects. Anybody can make one.
    #[error("is `null`, which every sandboxed frame and local file can send")]
    Null,
    /// It holds `*`.
    #[error("holds a wildcard, but origins are compared exactly")]
    Wildcard,
    /// It holds white space, a control character, a backslash or a percent sign.
    #[error("holds white space, a control character, a backslash or a percent sign")]
    Character,
    /// It does not begin with `http://` or `https://`.
    #[error("does not begin with `http://` or `https://`")]
    Scheme,
    /// A user name stands before the host.
    #[error("has a user name before the host")]
    UserInfo,
    /// Something follows host and port; a single slash is something.
    #[error("has a path, a query or a fragment")]
    Path,
    /// The host is missing, or is neither a name nor an address.
    #[error("has no host that is a name or an address")]
    Host,
    /// What follows the host is not a port from 1 to 65535 without leading zeros.
    #[error("has a port that is not 1 to 65535")]
    Port,
}

impl Origin {
    /// Reads an origin as a person would write it in a configuration.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] for anything else than scheme, host and port.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "null" {
            return Err(InvalidOrigin::Null);
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\' || c == '%') {
            return Err(InvalidOrigin::Character);
        }
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin::Scheme)?;
        let (scheme, usual) = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => ("https", 443),
            _ if scheme.eq_ignore_ascii_case("http") => ("http", 80),
            _ => return Err(InvalidOrigin::Scheme),
        };
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidOrigin::Path);
        }
        if rest.contains('@') {
            return Err(InvalidOrigin::UserInfo);
        }
        // A colon inside of brackets belongs to the address.
        let at = rest.find(']').map_or(0, |bracket| bracket.saturating_add(1));
        let (bracketed, after) = rest.split_at_checked(at).ok_or(InvalidOrigin::Host)?;
        let (name, port) = match after.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port).ok_or(InvalidOrigin::Port)?)),
            None => (after, None),
        };
        let host = if bracketed.is_empty() {
            parse_name(name).ok_or(InvalidOrigin::Host)?
        } else if name.is_empty() {
            parse_bracketed(bracketed).ok_or(InvalidOrigin::Host)?
        } else {
            return Err(InvalidOrigin::Host);
        };
        Ok(Self(match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}").into(),
            None => format!("{scheme}://{host}").into(),
        }))
    }

    /// Its one spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the value of an `Origin` header is this origin. A browser sends the one spelling and no other.
    #[must_use]
    pub fn is(&self, header: &[u8]) -> bool {
        self.0.as_bytes() == header
    }

    /// Whether pages of it come over TLS. What comes without can be changed by anybody on the way.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Host and port as a `Host` header has them: without the port where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

/// Some origins, compared exactly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Arc<[Origin]>);

impl Origins {
    pub(crate) fn contains(&self, header: &[u8]) -> bool {
        self.position(header).is_some()
    }

    pub(crate) fn position(&self, header: &[u8]) -> Option<usize> {
        self.0.iter().position(|origin| origin.is(header))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Origin> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        Self(origins.into_iter().collect())
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

/// A DNS name, or an IPv4 address in its plain form.
fn parse_name(text: &str) -> Option<String> {
    let name = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Verify)
        .ok()?
        .into_owned();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    if !name.bytes().all(plain) {
        return None;
    }
    // A browser reads a name whose last label is a number as an address, `0x7f000001` and `017700000001` too.
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let numeric = number(last) || last.starts_with("0x");
    if numeric { name.parse::<Ipv4Addr>().ok().map(|address| address.to_string()) } else { Some(name) }
}

fn parse_bracketed(text: &str) -> Option<String> {
    let address: Ipv6Addr = text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    // `std` ends a mapped address in dotted form, where browsers write two groups.
    Some(match IpAddr::V6(address).to_canonical() {
        IpAddr::V4(_) => {
            let [.., high, low] = address.segments();
            format!("[::ffff:{high:x}:{low:x}]")
        }
        IpAddr::V6(_) => format!("[{address}]"),
    })
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::parse(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, want) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("https://app.example:80", "https://app.example:80"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("https://app.example:65535", "https://app.example:65535"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://a_b.example", "https://a_b.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
            ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
            ("https://good。example", "https://good.example"),
            ("https://ｇood.example", "https://good.example"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("https://[::1]", "https://[::1]"),
            ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
            ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
            ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
        ] {
            let origin = Origin::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(origin.as_str(), want, "{text}");
            assert_eq!(Origin::parse(want).as_ref(), Ok(&origin), "{text}");
            assert!(origin.is(want.as_bytes()), "{text}");
            assert_eq!(want.split_once("//").map(|(_, rest)| rest), Some(origin.authority()), "{text}");
            assert_eq!(origin.is_secure(), want.starts_with("https"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(https?:?/{0,3})?\\PC{0,20}(:[0-9]{0,6})?") {
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(origin.as_str()), Ok(origin.clone()));
                prop_assert!(origin.as_str().bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
