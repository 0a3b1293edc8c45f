//! What requests have in common that are counted together: [`RateKey`].

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderName;

use super::request::RateRequest;
use crate::error::{ConfigError, Result};
use crate::network::ClientAddress;
use crate::principal::{Principal, PrincipalKind};

/// A household, a phone or a server has a /64 of IPv6 ([RFC 6177]), so its addresses are one client.
///
/// [RFC 6177]: https://www.rfc-editor.org/rfc/rfc6177
const IPV6_PREFIX: u8 = 64;

/// By what requests are counted.
///
/// | key | counts together | where it is not known |
/// |---|---|---|
/// | [`address`](Self::address) | an IPv4 address, a /64 of IPv6 | all requests of unknown address |
/// | [`principal`](Self::principal) | tenant, kind and subject | by address |
/// | [`api_key`](Self::api_key) | one API key of a subject | by principal |
/// | [`tenant`](Self::tenant) | the principal's tenant | all requests without a principal |
/// | [`header`](Self::header) | values of a header | all requests without it |
/// | [`from_fn`](Self::from_fn), [`from_async_fn`](Self::from_async_fn) | what the function says | |
///
/// [`and`](Self::and) combines: requests are counted together that agree in both. Each part has a place of its own in the
/// key, so no two combinations are the same by accident.
///
/// A client chooses its headers: a limit by a header alone is none. Combine it, or use it behind something that vouches
/// for the header.
///
/// ```
/// use http::HeaderName;
/// use portcullis::rate_limit::RateKey;
///
/// let by_address_and_device = RateKey::address().and(RateKey::header(HeaderName::from_static("x-device")));
/// let by_first_segment = RateKey::from_fn(|request, key| {
///     key.text(request.uri().path().split('/').nth(1).unwrap_or_default());
/// });
/// # let _ = (by_address_and_device, by_first_segment);
/// ```
#[derive(Clone, Debug)]
pub struct RateKey(Vec<Part>);

#[derive(Clone)]
enum Part {
    Address { ipv6_prefix: u8 },
    Principal,
    ApiKey,
    Tenant,
    Header(HeaderName),
    Function(Arc<Function>),
    Late(Arc<LateFunction>),
}

type Function = dyn Fn(&RateRequest<'_>, &mut KeyWriter<'_>) + Send + Sync;
type LateFunction = dyn Fn(&RateRequest<'_>) -> LatePart + Send + Sync;

/// A part of a key that is waited for.
pub(super) type LatePart = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send>>;

impl RateKey {
    /// By the client's address, IPv6 by /64.
    #[must_use]
    pub fn address() -> Self {
        Self(vec![Part::Address { ipv6_prefix: IPV6_PREFIX }])
    }

    /// By the client's address, IPv6 by its first `bits` bits, 1 to 128.
    #[must_use]
    pub fn address_with_ipv6_prefix(bits: u8) -> Self {
        Self(vec![Part::Address { ipv6_prefix: bits }])
    }

    /// By who asks; anonymous requests by address.
    #[must_use]
    pub fn principal() -> Self {
        Self(vec![Part::Principal])
    }

    /// By the API key that was presented, so that each key of a subject has a quota of its own; other requests by
    /// principal.
    #[must_use]
    pub fn api_key() -> Self {
        Self(vec![Part::ApiKey])
    }

    /// By the principal's tenant.
    #[must_use]
    pub fn tenant() -> Self {
        Self(vec![Part::Tenant])
    }

    /// By all values of a header, byte for byte.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self(vec![Part::Header(name)])
    }

    /// By whatever the function writes.
    pub fn from_fn<F>(function: F) -> Self
    where
        F: Fn(&RateRequest<'_>, &mut KeyWriter<'_>) + Send + Sync + 'static,
    {
        Self(vec![Part::Function(Arc::new(function))])
    }

    /// By what a future answers that the function makes. It fails as a shared store fails: see
    /// [`allow_on_outage`](super::RateLimitBuilder::allow_on_outage).
    pub fn from_async_fn<F, Fut>(function: F) -> Self
    where
        F: Fn(&RateRequest<'_>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>>> + Send + 'static,
    {
        Self(vec![Part::Late(Arc::new(move |request: &RateRequest<'_>| Box::pin(function(request))))])
    }

    /// By both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether it says less as long as nobody knows who asks.
    pub(super) fn needs_principal(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Principal | Part::ApiKey | Part::Tenant))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let prefix =
            |part: &Part| matches!(part, Part::Address { ipv6_prefix } if !(1..=128).contains(ipv6_prefix));
        if self.0.iter().any(prefix) {
            return Err(ConfigError::new(
                "IPv6 prefix",
                "is not 1 to 128 bits",
                "use 64, or 56 for whole sites",
            ));
        }
        Ok(())
    }

    /// Whether a request without an address is counted by that.
    pub(super) fn misses_address(&self, request: &RateRequest<'_>) -> bool {
        let anonymous = request.principal().is_none_or(Principal::is_anonymous);
        request.client().is_none()
            && self.0.iter().any(|part| match part {
                Part::Address { .. } => true,
                Part::Principal | Part::ApiKey => anonymous,
                _ => false,
            })
    }

    /// Whether a part of it is waited for.
    pub(super) fn is_late(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Late(_)))
    }

    /// The parts that are waited for, in their order.
    pub(super) fn late(&self, request: &RateRequest<'_>) -> Vec<LatePart> {
        let late = self.0.iter().filter_map(|part| match part {
            Part::Late(function) => Some(function(request)),
            _ => None,
        });
        late.collect()
    }

    /// Writes the parts that are known at once. What is written has one meaning: each part begins with a word that says
    /// which it is, and what can be of any length with its length.
    #[inline]
    pub(super) fn write(&self, request: &RateRequest<'_>, sink: &mut impl Sink) {
        for part in &self.0 {
            match part {
                Part::Address { ipv6_prefix } => address(request.client(), *ipv6_prefix, sink),
                Part::Principal => principal(request, false, sink),
                Part::ApiKey => principal(request, true, sink),
                Part::Tenant => match request.principal() {
                    Some(principal) => {
                        sink.word(tag(TENANT));
                        sink.bytes(principal.tenant().as_str().as_bytes());
                    }
                    None => sink.word(tag(UNKNOWN_TENANT)),
                },
                Part::Header(name) => {
                    let values = request.headers().get_all(name);
                    sink.word(tag(HEADER) | values.iter().count() as u64);
                    values.iter().for_each(|value| sink.bytes(value.as_bytes()));
                }
                Part::Function(function) => {
                    sink.word(tag(FUNCTION));
                    function(request, &mut KeyWriter(sink));
                    // Else a part that follows could be mistaken for more of this one.
                    sink.word(tag(END));
                }
                Part::Late(_) => {}
            }
        }
    }
}

const IPV4: u8 = 4;
const IPV6: u8 = 6;
const UNKNOWN_ADDRESS: u8 = 7;
const PRINCIPAL: u8 = 8;
const API_KEY: u8 = 9;
const TENANT: u8 = 10;
const UNKNOWN_TENANT: u8 = 11;
const HEADER: u8 = 12;
const FUNCTION: u8 = 13;
const WRITTEN_NUMBER: u8 = 14;
const WRITTEN_BYTES: u8 = 15;
const END: u8 = 16;

const fn tag(part: u8) -> u64 {
    (part as u64) << 56
}

#[inline]
fn address(client: Option<ClientAddress>, ipv6_prefix: u8, sink: &mut impl Sink) {
    match client.map(ClientAddress::ip) {
        Some(IpAddr::V4(address)) => sink.word(tag(IPV4) | u64::from(address.to_bits())),
        Some(IpAddr::V6(address)) => {
            let beyond = u128::MAX.checked_shr(u32::from(ipv6_prefix)).unwrap_or(0);
            let masked = address.to_bits() & !beyond;
            let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
            sink.word(tag(IPV6) | u64::from(ipv6_prefix));
            sink.word(half(masked >> 64));
            if ipv6_prefix > 64 {
                sink.word(half(masked));
            }
        }
        None => sink.word(tag(UNKNOWN_ADDRESS)),
    }
}

fn principal(request: &RateRequest<'_>, by_key: bool, sink: &mut impl Sink) {
    let known = request.principal().and_then(|principal| Some((principal, principal.subject()?)));
    let Some((principal, subject)) = known else {
        return address(request.client(), IPV6_PREFIX, sink);
    };
    let token = principal.token().filter(|_| by_key && principal.kind() == PrincipalKind::ApiKey);
    let kind = match principal.kind() {
        PrincipalKind::Anonymous => 0,
        PrincipalKind::User => 1,
        PrincipalKind::ApiKey => 2,
        PrincipalKind::Service => 3,
    };
    sink.word(tag(if token.is_some() { API_KEY } else { PRINCIPAL }) | kind);
    sink.bytes(principal.tenant().as_str().as_bytes());
    sink.bytes(subject.as_str().as_bytes());
    if let Some(token) = token {
        sink.bytes(token.as_str().as_bytes());
    }
}

/// Where a key is written to: a hash, or bytes.
pub(super) trait Sink {
    fn word(&mut self, word: u64);

    /// With their length, so that `ab`, `c` is not `a`, `bc`.
    fn bytes(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn word(&mut self, word: u64) {
        self.extend(word.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.extend(bytes);
    }
}

/// What the function of [`RateKey::from_fn`] writes to. What is written in another order, or split in another way, is
/// another key.
pub struct KeyWriter<'a>(&'a mut dyn Sink);

impl KeyWriter<'_> {
    /// A text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.word(tag(WRITTEN_BYTES));
        self.0.bytes(bytes);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.0.word(tag(WRITTEN_NUMBER));
        self.0.word(number);
    }
}

impl fmt::Debug for KeyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyWriter(..)")
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { ipv6_prefix } => write!(f, "address (IPv6 by /{ipv6_prefix})"),
            Self::Principal => f.write_str("principal"),
            Self::ApiKey => f.write_str("API key"),
            Self::Tenant => f.write_str("tenant"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Function(_) => f.write_str("function"),
            Self::Late(_) => f.write_str("async function"),
        }
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
