//! Whose word on where a request came from counts.

use http::{HeaderMap, HeaderName};

use super::forwarded::{self, Element};
use crate::error::ConfigError;
use crate::network::{ClientAddress, Network};

pub(crate) const FORWARDED: HeaderName = http::header::FORWARDED;
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// More proxies than anybody has in a row.
const MAX_HOPS: usize = 32;

/// Proxies in front of the service, and the one header in which they say for whom they ask.
///
/// ```
/// use portcullis::context::TrustedProxies;
///
/// assert!(TrustedProxies::forwarded(["10.0.0.0/8", "2001:db8::7"]).is_ok());
/// // Who trusts everybody believes every client.
/// assert!(TrustedProxies::x_forwarded_for(["0.0.0.0/0"]).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: Header,
}

#[derive(Clone, Copy, Debug, Default)]
enum Header {
    #[default]
    Forwarded,
    XForwardedFor,
}

/// What the proxies say of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) client: ClientAddress,
    /// Whether it came over TLS, if they say so.
    pub(super) secure: Option<bool>,
}

impl TrustedProxies {
    /// No proxies: the client is who is on the other end of the connection.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Proxies in these networks, which write `Forwarded` (RFC 7239). `X-Forwarded-*` is not read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is none, if one is no [`Network`], or if one is every address there is.
    pub fn forwarded<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Self, ConfigError> {
        Ok(Self { networks: parse(networks)?, header: Header::Forwarded })
    }

    /// Proxies in these networks, which write `X-Forwarded-For` and `X-Forwarded-Proto`. `Forwarded` is not read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is none, if one is no [`Network`], or if one is every address there is.
    pub fn x_forwarded_for<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        Ok(Self { networks: parse(networks)?, header: Header::XForwardedFor })
    }

    /// Whether this is one of them.
    pub(super) fn trusts(&self, address: ClientAddress) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The first on the way who is none of them, starting from a peer who is.
    pub(super) fn first_hop(&self, peer: ClientAddress, headers: &HeaderMap) -> Hop {
        match self.header {
            Header::Forwarded => {
                let lines = headers.get_all(FORWARDED).iter().rev();
                let elements = lines.flat_map(|line| forwarded::from_the_right(line.as_bytes()));
                self.walk_elements(peer, elements)
            }
            Header::XForwardedFor => {
                let (client, hops) = self.walk_addresses(peer, listed(headers, &X_FORWARDED_FOR));
                Hop { client, secure: scheme_at(headers, hops) }
            }
        }
    }

    fn walk_elements<'a>(&self, peer: ClientAddress, elements: impl Iterator<Item = &'a [u8]>) -> Hop {
        let mut hop = Hop { client: peer, secure: None };
        for element in elements.take(MAX_HOPS) {
            let Some(Element { node, secure }) = forwarded::parse(element) else { break };
            hop.secure = secure;
            let Some(client) = node.and_then(forwarded::node) else { break };
            hop.client = client;
            if !self.trusts(client) {
                break;
            }
        }
        hop
    }

    /// The client, and how many entries that took.
    fn walk_addresses<'a>(
        &self,
        peer: ClientAddress,
        entries: impl Iterator<Item = &'a [u8]>,
    ) -> (ClientAddress, usize) {
        let (mut client, mut hops) = (peer, 0);
        for address in entries.take(MAX_HOPS).map_while(forwarded::node) {
            client = address;
            hops += 1;
            if !self.trusts(client) {
                break;
            }
        }
        (client, hops)
    }
}

/// The members of a list, over all its lines, the last one first.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
}

/// What was said of the channel to the client `hops` proxies away: in its place in the list, or in the only entry, which
/// the first proxy wrote and the others left alone.
fn scheme_at(headers: &HeaderMap, hops: usize) -> Option<bool> {
    let mut entries = listed(headers, &X_FORWARDED_PROTO);
    let nearest = entries.next()?;
    let entry = match hops {
        0 | 1 => Some(nearest),
        _ => match entries.next() {
            None => Some(nearest),
            Some(second) if hops == 2 => Some(second),
            Some(_) => entries.nth(hops.saturating_sub(3)),
        },
    };
    Some(entry.is_some_and(forwarded::is_https))
}

fn parse<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Vec<Network>, ConfigError> {
    let mut parsed = Vec::new();
    for text in networks {
        let (text, field) = (text.as_ref(), || format!("trusted proxy `{}`", text.as_ref()));
        let network = Network::parse(text).map_err(|cause| {
            ConfigError::new(
                field(),
                cause.to_string(),
                "write a network such as `10.0.0.0/8`, or an address",
            )
        })?;
        if network.is_everybody() {
            return Err(ConfigError::new(
                field(),
                "is everybody, so that every client could say where it is",
                "list the networks of your proxies",
            ));
        }
        parsed.push(network);
    }
    if parsed.is_empty() {
        return Err(ConfigError::new(
            "trusted proxies",
            "are none",
            "list their networks, or leave them out with `TrustedProxies::none()`",
        ));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack log H6: however long the header, only what trusted proxies wrote, and one entry more, is looked at.
    #[test]
    fn the_walk_ends_with_the_trusted_proxies() {
        let proxies = TrustedProxies::x_forwarded_for(["10.0.0.0/8"]).unwrap();
        let peer = ClientAddress::new("10.0.0.1".parse().unwrap());
        for (name, entry, trusted, want) in [
            ("one proxy", &b"192.0.2.7"[..], 0_usize, 1),
            ("three proxies", b"192.0.2.7", 2, 3),
            ("garbage", b"garbage", 2, 3),
            ("proxies all the way", b"10.0.0.9", 0, MAX_HOPS),
        ] {
            let mut looked_at = 0;
            let near = std::iter::repeat_n(&b"10.0.0.2"[..], trusted);
            let entries = near.chain(std::iter::repeat_n(entry, 100_000)).inspect(|_| looked_at += 1);
            proxies.walk_addresses(peer, entries);
            assert_eq!(looked_at, want, "{name}");
        }
        let mut looked_at = 0;
        let elements = std::iter::repeat_n(&b"for=192.0.2.7"[..], 100_000).inspect(|_| looked_at += 1);
        proxies.walk_elements(peer, elements);
        assert_eq!(looked_at, 1);
    }

    #[test]
    fn networks_that_cannot_be_trusted() {
        for (networks, want) in [
            (&["10.0.0.1/8"][..], "trusted proxy `10.0.0.1/8`: has address bits"),
            (&["proxy"], "trusted proxy `proxy`: does not begin"),
            (&["10.0.0.0/8", "::/0"], "trusted proxy `::/0`: is everybody"),
            (&["0.0.0.0/0"], "trusted proxy `0.0.0.0/0`: is everybody"),
            (&[], "trusted proxies: are none"),
        ] {
            for refused in [TrustedProxies::forwarded(networks), TrustedProxies::x_forwarded_for(networks)] {
                let error = refused.unwrap_err().to_string();
                assert!(error.starts_with(want), "{error}");
            }
        }
    }
}
