//! Reading what proxies write, from the right: there stands what the nearest of them wrote, whatever a client put to its
//! left.

use std::net::{IpAddr, Ipv6Addr};

use crate::network::ClientAddress;

/// Longer than any address with zone and port.
const MAX_NODE: usize = 96;

/// An element of `Forwarded` ([RFC 7239 section 4](https://www.rfc-editor.org/rfc/rfc7239#section-4)), as far as it matters
/// here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Parameter `for`.
    pub(super) node: Option<&'a [u8]>,
    /// Parameter `proto`.
    pub(super) secure: Option<bool>,
}

/// The elements of a line, the last one first.
pub(super) fn from_the_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (before, element) = split_last(line);
        rest = before;
        Some(element)
    })
}

/// Splits at the last comma outside quotes. A quote that never closes to the right of a comma can't have been written by
/// the proxy that wrote what stands there, so it hides nothing of it.
fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate().rev() {
        let (before, from) = line.split_at_checked(at).unwrap_or_default();
        match byte {
            b'"' if !is_escaped(before) => quoted = !quoted,
            b',' if !quoted => return (Some(before), from.get(1..).unwrap_or_default()),
            _ => {}
        }
    }
    (None, line)
}

fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads an element. `None` if it is malformed or says the same thing twice.
pub(super) fn parse(element: &[u8]) -> Option<Element<'_>> {
    let mut found = Element { node: None, secure: None };
    let mut rest = element.trim_ascii();
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix(b";") {
            rest = next.trim_ascii_start();
            continue;
        }
        let at = rest.iter().position(|byte| *byte == b'=')?;
        let (name, value) = rest.split_at_checked(at)?;
        let (value, next) = value_of(value.get(1..)?)?;
        if !name.iter().all(|byte| is_token(*byte)) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && found.node.replace(value).is_some() {
            return None;
        }
        if name.eq_ignore_ascii_case(b"proto") && found.secure.replace(is_https(value)).is_some() {
            return None;
        }
        rest = next.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b";") {
            return None;
        }
    }
    Some(found)
}

/// A token or a quoted string, and what follows it. Escapes in quotes are left in: no address needs one.
fn value_of(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text.strip_prefix(b"\"") {
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.iter().position(|byte| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            })?;
            let (value, rest) = quoted.split_at_checked(end)?;
            Some((value, rest.get(1..)?))
        }
        None => {
            let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
            // Some proxies don't quote `[::1]:80`, as they should.
            let end = if end == 0 && text.starts_with(b"[") {
                text.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(text.len())
            } else {
                end + text.get(end..)?.iter().take_while(|byte| matches!(byte, b':' | b'0'..=b'9')).count()
            };
            text.split_at_checked(end).filter(|(value, _)| !value.is_empty())
        }
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_https(value: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(b"https")
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`, each also in quotes, IPv6 also
/// with a zone. Port and zone are left out.
pub(super) fn node(text: &[u8]) -> Option<ClientAddress> {
    let text = text.trim_ascii();
    if text.len() > MAX_NODE {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let text = match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => text,
    };
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        IpAddr::V6(without_zone(address)?)
    } else if text.bytes().filter(|byte| *byte == b':').count() > 1 {
        IpAddr::V6(without_zone(text)?)
    } else {
        let (address, port) =
            text.split_once(':').map_or((text, None), |(address, port)| (address, Some(port)));
        if port.is_some_and(|port| !is_port(port)) {
            return None;
        }
        IpAddr::V4(address.parse().ok()?)
    };
    Some(ClientAddress::new(address))
}

fn without_zone(text: &str) -> Option<Ipv6Addr> {
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() && !zone.contains([':', '[', ']', '"']) => address,
        Some(_) => return None,
        None => text,
    };
    address.parse().ok()
}

/// Digits, or the `_hidden` form of RFC 7239 section 6.
fn is_port(text: &str) -> bool {
    let hidden = text.strip_prefix('_').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    });
    hidden || ((1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack log G5: one client, one key, however it is written; what is no address is none.
    #[test]
    fn addresses() {
        for (text, want) in [
            ("192.0.2.7", Some("192.0.2.7")),
            (" 192.0.2.7\t", Some("192.0.2.7")),
            ("192.0.2.7:443", Some("192.0.2.7")),
            ("192.0.2.7:_port", Some("192.0.2.7")),
            ("\"192.0.2.7:443\"", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("[::ffff:c000:207]:443", Some("192.0.2.7")),
            ("[::FFFF:192.0.2.7]", Some("192.0.2.7")),
            ("2001:DB8:0:0::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("\"[2001:db8::1]:443\"", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%25eth0]:80", Some("fe80::1")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("\"", None),
            ("\"192.0.2.7", None),
            ("192.0.2.7\"", None),
            ("192.0.2.007", None),
            ("0300.0.2.7", None),
            ("3221225991", None),
            ("192.0.2", None),
            ("192.0.2.7.", None),
            ("192.0.2.7%eth0", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:port", None),
            ("192.0.2.7:123456", None),
            ("192.0.2.7 192.0.2.8", None),
            ("[192.0.2.7]", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]", None),
            ("[2001:db8::1]443", None),
            ("[2001:db8::1]:", None),
            ("[2001:db8::1]:x", None),
            ("fe80::1%", None),
            ("fe80::1%a:b", None),
            ("\u{661}92.0.2.7", None),
            ("localhost", None),
        ] {
            let got = node(text.as_bytes()).map(|address| address.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
        assert_eq!(node(b"\xff"), None);
        let zone = format!("fe80::1%{}", "a".repeat(MAX_NODE));
        assert_eq!(node(zone.as_bytes()), None);
    }

    #[test]
    fn elements() {
        let element = |node: Option<&'static str>, secure| Some((node, secure));
        for (text, want) in [
            ("for=192.0.2.7", element(Some("192.0.2.7"), None)),
            ("For=192.0.2.7;Proto=HTTPS", element(Some("192.0.2.7"), Some(true))),
            (" for=\"[::1]:80\" ; proto=http;by=_x;host=a.b", element(Some("[::1]:80"), Some(false))),
            ("for=192.0.2.7:80", element(Some("192.0.2.7:80"), None)),
            ("for=[::1]:80;proto=https", element(Some("[::1]:80"), Some(true))),
            ("for=unknown;;", element(Some("unknown"), None)),
            ("proto=https", element(None, Some(true))),
            ("host=\"a;for=1.1.1.1\";for=192.0.2.7", element(Some("192.0.2.7"), None)),
            ("host=\"a\\\";for=1.1.1.1\";for=192.0.2.7", element(Some("192.0.2.7"), None)),
            ("", element(None, None)),
            ("for", None),
            ("for=", None),
            ("for=\"192.0.2.7", None),
            ("for=192.0.2.7 for=1.1.1.1", None),
            ("for=192.0.2.7;for=1.1.1.1", None),
            ("proto=http;proto=https", None),
            ("for =192.0.2.7", None),
            ("for=\"192.0.2.7\"x", None),
            ("for=a b", None),
        ] {
            let got = parse(text.as_bytes());
            let got = got.map(|e| (e.node.map(|node| std::str::from_utf8(node).unwrap()), e.secure));
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn lines_from_the_right() {
        for (line, want) in [
            ("for=a, for=b", &[" for=b", "for=a"][..]),
            ("for=\"a,b\",for=c", &["for=c", "for=\"a,b\""]),
            // A client's quote that never closes takes nothing of what the proxy added.
            ("for=\",for=b", &["for=b", "for=\""]),
            ("for=\"\\\",for=b", &["for=b", "for=\"\\\""]),
            ("for=\"\\\\\",for=b", &["for=b", "for=\"\\\\\""]),
            ("", &[""]),
            (",", &["", ""]),
        ] {
            let got: Vec<_> =
                from_the_right(line.as_bytes()).map(|e| std::str::from_utf8(e).unwrap()).collect();
            assert_eq!(got, want, "{line}");
        }
    }
}
