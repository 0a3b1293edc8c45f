//! The rule as a function.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::OriginRuleBuilder;
use crate::origin::{Origin, Origins};
use crate::rejection::{Rejection, RejectionCode};
use crate::request_context::RequestContext;

/// Which requests of other sites' pages may change something. See the [module](super).
#[derive(Clone, Debug, Default)]
pub struct OriginRule {
    own: Origins,
    allowed: Origins,
    credential_headers: Vec<HeaderName>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CrossOrigin {
    /// `Sec-Fetch-Site` names another site or origin, or says what no browser says.
    #[error("sent on behalf of another origin, by `Sec-Fetch-Site`")]
    Site,
    /// `Origin` is neither ours nor allowed.
    #[error("sent on behalf of another origin, by `Origin`")]
    Origin,
    /// `Origin` is `null`.
    #[error("sent on behalf of an origin that the browser keeps secret")]
    Null,
    /// A cookie came without a word about where from.
    #[error("sent with a cookie, without a word about where it comes from")]
    Unknown,
}

/// All that is refused looks the same.
impl From<CrossOrigin> for Rejection {
    fn from(_: CrossOrigin) -> Self {
        Self::new(RejectionCode::CrossOrigin)
    }
}

impl OriginRule {
    /// Trusts nobody but the service itself, by the name it is addressed with, at first.
    pub fn builder() -> OriginRuleBuilder {
        OriginRuleBuilder::default()
    }

    pub(super) fn new(own: Vec<Origin>, allowed: Vec<Origin>, credential_headers: Vec<HeaderName>) -> Self {
        Self { own: own.into_iter().collect(), allowed: allowed.into_iter().collect(), credential_headers }
    }

    /// Decides about a request by its method, headers and, where no public origin is configured, its address.
    ///
    /// # Errors
    ///
    /// [`CrossOrigin`] if it may have been forged by another site.
    pub fn decide(&self, request: &Parts) -> Result<(), CrossOrigin> {
        // Not `Method::is_safe`, which counts `TRACE`.
        if matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let headers = &request.headers;
        if self.has_explicit_credential(headers) {
            return Ok(());
        }
        match (only(headers, &SEC_FETCH_SITE), only(headers, &ORIGIN)) {
            (One(site), _) if matches!(site.as_bytes(), b"same-origin" | b"none") => Ok(()),
            (One(_) | Many, One(origin)) if self.allowed.contains(origin.as_bytes()) => Ok(()),
            (One(_) | Many, _) => Err(CrossOrigin::Site),
            (Zero, One(origin)) if origin == "null" => Err(CrossOrigin::Null),
            (Zero, One(origin)) if self.allowed.contains(origin.as_bytes()) => Ok(()),
            (Zero, One(origin)) if self.is_own(origin, request) => Ok(()),
            (Zero, One(_) | Many) => Err(CrossOrigin::Origin),
            (Zero, Zero) if headers.contains_key(COOKIE) => Err(CrossOrigin::Unknown),
            (Zero, Zero) => Ok(()),
        }
    }

    /// Whether this origin's pages may change something.
    pub(crate) fn allows(&self, origin: &Origin) -> bool {
        self.allowed.iter().any(|allowed| allowed == origin)
    }

    fn has_explicit_credential(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter().peekable();
        let authorization = values.peek().is_some() && values.all(is_explicit);
        authorization || self.credential_headers.iter().any(|name| headers.contains_key(name))
    }

    fn is_own(&self, header: &HeaderValue, request: &Parts) -> bool {
        if !self.own.is_empty() {
            return self.own.contains(header.as_bytes());
        }
        let Some(origin) = header.to_str().ok().and_then(|text| Origin::parse(text).ok()) else {
            return false;
        };
        // What is behind TLS must not trust its own name without.
        let secure = request.extensions.get::<RequestContext>().is_some_and(RequestContext::is_secure);
        if !origin.is(header.as_bytes()) || (secure && !origin.is_secure()) {
            return false;
        }
        addressed_to(request).is_some_and(|authority| {
            let scheme = if origin.is_secure() { "https" } else { "http" };
            Origin::parse(&format!("{scheme}://{authority}")) == Ok(origin)
        })
    }
}

/// The target's authority goes before `Host` (RFC 9112 section 3.2.2).
fn addressed_to(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => match only(&request.headers, &HOST) {
            One(host) => host.to_str().ok(),
            Zero | Many => None,
        },
    }
}

/// Schemes whose credentials a browser remembers and sends by itself.
fn is_explicit(authorization: &HeaderValue) -> bool {
    const AMBIENT: [&[u8]; 4] = [b"basic", b"digest", b"ntlm", b"negotiate"];
    let scheme = authorization.as_bytes().trim_ascii_start().split(u8::is_ascii_whitespace).next();
    !AMBIENT.iter().any(|ambient| scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(ambient)))
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How often a header is there that must be there once.
enum Occurs<'a> {
    Zero,
    One(&'a HeaderValue),
    Many,
}
use Occurs::{Many, One, Zero};

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Occurs<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Zero,
        (Some(value), None) => One(value),
        (Some(_), Some(_)) => Many,
    }
}
