//! Which host a request is for.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::request::Parts;

use super::rule::{FirewallRule, Relaxed};

/// A host that is answered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowedHost {
    name: Box<str>,
    port: Option<u16>,
}

impl AllowedHost {
    /// `None` if it is no host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Authority { name, port } = Authority::parse(text)?;
        Some(Self { name: name.into(), port })
    }

    fn is(&self, asked: Authority<'_>) -> bool {
        Authority { name: &self.name, port: self.port }.is_same(asked)
    }
}

/// `host [ ":" port ]` of RFC 3986 section 3.2, without a user.
#[derive(Clone, Copy, Debug)]
struct Authority<'a> {
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                let name = text.strip_suffix(port)?;
                (name, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (name, port) =
                    text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                if name.is_empty() || !name.bytes().all(fits) {
                    return None;
                }
                (name, port)
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Self { name, port })
    }

    /// The ports of HTTP go without saying.
    fn is_same(self, other: Self) -> bool {
        let spoken = |port: Option<u16>| port.filter(|port| !matches!(port, 80 | 443));
        self.name.eq_ignore_ascii_case(other.name) && spoken(self.port) == spoken(other.port)
    }
}

/// Whether the request is for one of these hosts, or, where there are none, for any one.
pub(super) fn check(parts: &Parts, relaxed: Relaxed, allowed: &[AllowedHost]) -> Result<(), FirewallRule> {
    let mut lines = parts.headers.get_all(HOST).iter();
    let header = lines.next().map(http::HeaderValue::as_bytes).filter(|value| !value.is_empty());
    if lines.next().is_some() {
        return Err(FirewallRule::DuplicateHeader);
    }
    let header = header.map(parsed).transpose()?;
    let target = parts.uri.authority().map(|target| parsed(target.as_str().as_bytes())).transpose()?;
    if let (Some(header), Some(target)) = (header, target)
        && !header.is_same(target)
    {
        relaxed.refuse(FirewallRule::HostMismatch)?;
    }
    let is_allowed = |asked: Authority<'_>| allowed.iter().any(|host| host.is(asked));
    let mut named = [header, target].into_iter().flatten().peekable();
    if !allowed.is_empty() && (named.peek().is_none() || !named.all(is_allowed)) {
        return Err(FirewallRule::Host);
    }
    Ok(())
}

fn parsed(text: &[u8]) -> Result<Authority<'_>, FirewallRule> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(Authority::parse).ok_or(FirewallRule::HostSyntax)
}
