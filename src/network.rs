//! Where a request comes from: [`ClientAddress`], [`Network`] to compare it with, and [`Connection`], by which a server says
//! what it knows.
//!
//! An IPv4 address that IPv6 carries (`::ffff:192.0.2.1`, as a socket for both reports it) is the IPv4 address, on both
//! sides of the comparison. `0.0.0.0/0` is every IPv4 address, `::/0` every IPv6 address, neither is both.
//!
//! ```
//! use portcullis::network::{ClientAddress, Network};
//!
//! let office: Network = "192.0.2.0/24".parse()?;
//! let client = ClientAddress::new("::ffff:192.0.2.7".parse().unwrap());
//! assert!(office.contains(client));
//! assert_eq!(client.to_string(), "192.0.2.7");
//! assert!("192.0.2.7/24".parse::<Network>().is_err());
//! # Ok::<(), portcullis::network::InvalidNetwork>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The address of the client of a request, as far as the service can know it: that of the connection, or, behind proxies
/// of yours, what the outermost of them saw. [`context`](crate::context) finds it out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address in its one spelling: without IPv6 around an IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

/// Port and zone are left out.
impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip())
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAddress({})", self.0)
    }
}

/// What a server knows of the connection a request came on. It puts one into the extensions of each request, so that
/// [`context`](crate::context) finds it; axum does so itself with `into_make_service_with_connect_info::<SocketAddr>()`.
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use portcullis::network::Connection;
///
/// // `(stream, peer) = listener.accept().await?`, then in the service of the connection:
/// let peer: SocketAddr = "192.0.2.7:50000".parse().unwrap();
/// let mut request = Request::new(());
/// request.extensions_mut().insert(Connection::new(peer).with_tls(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    peer: SocketAddr,
    tls: bool,
}

impl Connection {
    /// From this address, not over TLS.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        Self { peer, tls: false }
    }

    /// Whether the server ended TLS on it.
    #[must_use]
    pub fn with_tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Who is on the other end: the client, or a proxy.
    #[must_use]
    pub fn peer(self) -> SocketAddr {
        self.peer
    }

    /// Whether the server ended TLS on it.
    #[must_use]
    pub fn is_tls(self) -> bool {
        self.tls
    }
}

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNetwork {
    /// What stands before the slash is no address.
    #[error("does not begin with an IPv4 or IPv6 address")]
    Address,
    /// What stands behind the slash is no length for such an address.
    #[error("has a length that is not 0 to 32 for IPv4, 0 to 128 for IPv6")]
    Length,
    /// The address has bits beyond the length.
    #[error("has address bits beyond its length")]
    HostBits,
}

/// Addresses with the same first bits: `10.0.0.0/8`, `2001:db8::/32`, or one address ([RFC 4632], [RFC 4291]).
///
/// [RFC 4632]: https://www.rfc-editor.org/rfc/rfc4632#section-3.1
/// [RFC 4291]: https://www.rfc-editor.org/rfc/rfc4291#section-2.3
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Reads an address with or without a length. `10.0.0.1/8` is refused: it says two different things.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`] for any other text, zones (`fe80::1%eth0`) and lengths written as `08` or `+8` included.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Address)?;
        let length = match length {
            Some(length) => parse_length(length).ok_or(InvalidNetwork::Length)?,
            None => width(address),
        };
        if length > width(address) {
            return Err(InvalidNetwork::Length);
        }
        if masked(address, length) != address {
            return Err(InvalidNetwork::HostBits);
        }
        // With less than these 96 bits, the mapped range has bits beyond the length.
        let canonical = address.to_canonical();
        let length = if canonical == address { length } else { length.saturating_sub(96) };
        Ok(Self { address: canonical, length })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, client: ClientAddress) -> bool {
        client.0.is_ipv4() == self.address.is_ipv4() && masked(client.0, self.length) == self.address
    }

    /// Whether it is every address of its family.
    pub(crate) fn is_everybody(&self) -> bool {
        self.length == 0
    }
}

fn parse_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address without what lies beyond the length.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let beyond = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !beyond).into()
        }
        IpAddr::V6(address) => {
            let beyond = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & !beyond).into()
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        Self::parse(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_network() {
        use InvalidNetwork::{Address, HostBits, Length};
        for (text, want) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("10.0.0.1", Ok("10.0.0.1/32")),
            ("10.0.0.1/32", Ok("10.0.0.1/32")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::1", Ok("::1/128")),
            ("::/0", Ok("::/0")),
            ("2001:DB8:0::/48", Ok("2001:db8::/48")),
            ("::ffff:10.0.0.1", Ok("10.0.0.1/32")),
            ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
            ("::ffff:0:0/96", Ok("0.0.0.0/0")),
            ("::ffff:0:0/95", Err(HostBits)),
            ("10.0.0.1/8", Err(HostBits)),
            ("10.0.0.0/0", Err(HostBits)),
            ("255.255.255.255/31", Err(HostBits)),
            ("2001:db8::1/64", Err(HostBits)),
            ("::1/127", Err(HostBits)),
            ("10.0.0.0/33", Err(Length)),
            ("::/129", Err(Length)),
            ("::ffff:10.0.0.0/8", Err(HostBits)),
            ("10.0.0.0/", Err(Length)),
            ("10.0.0.0/08", Err(Length)),
            ("10.0.0.0/+8", Err(Length)),
            ("10.0.0.0/-1", Err(Length)),
            ("10.0.0.0/256", Err(Length)),
            ("10.0.0.0/8/8", Err(Length)),
            ("10.0.0.0/255.0.0.0", Err(Length)),
            ("", Err(Address)),
            ("/8", Err(Address)),
            ("10/8", Err(Address)),
            ("10.0.0/24", Err(Address)),
            ("010.0.0.0/8", Err(Address)),
            ("0x0a.0.0.0/8", Err(Address)),
            (" 10.0.0.0/8", Err(Address)),
            ("10.0.0.0 /8", Err(Address)),
            ("10.0.0.1:80", Err(Address)),
            ("[::1]", Err(Address)),
            ("fe80::1%eth0", Err(Address)),
            ("localhost", Err(Address)),
        ] {
            let got = Network::parse(text).map(|network| network.to_string());
            assert_eq!(got.as_deref(), want.as_ref().map(|text| *text), "{text}");
        }
    }

    #[test]
    fn who_is_in_it() {
        for (network, address, want) in [
            ("10.0.0.0/8", "10.0.0.0", true),
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "::ffff:11.0.0.1", false),
            // Not mapped: other addresses that only end in the same bits.
            ("10.0.0.0/8", "::10.0.0.1", false),
            ("10.0.0.0/8", "64:ff9b::10.0.0.1", false),
            ("10.0.0.0/8", "2002:a00:1::", false),
            ("::ffff:10.0.0.0/104", "10.9.8.7", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.128/25", "192.0.2.128", true),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::ffff:1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("0.0.0.0/0", "::", false),
            ("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("::/0", "::ffff:1.2.3.4", false),
            ("::/0", "1.2.3.4", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
            ("::1", "127.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::/33", "2001:db8:7fff:ffff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let client = ClientAddress::new(address.parse().unwrap());
            assert_eq!(Network::parse(network).unwrap().contains(client), want, "{address} in {network}");
        }
    }

    #[test]
    fn an_address_has_one_spelling() {
        let socket = |text: &str| ClientAddress::from(text.parse::<SocketAddr>().unwrap());
        assert_eq!(socket("[::ffff:10.0.0.1]:80"), socket("10.0.0.1:8080"));
        assert_eq!(socket("[fe80::1%3]:80"), socket("[fe80::1]:80"));
        assert_eq!(socket("[::ffff:10.0.0.1]:80").to_string(), "10.0.0.1");
        assert_eq!(format!("{:?}", socket("[::1]:1")), "ClientAddress(::1)");
    }
}
