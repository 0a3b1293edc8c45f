//! What is known of a request before anybody asks who sent it: its name, when it came, from which address, and whether over
//! a secure channel.
//!
//! [`Resolver`] finds it out once, at the outermost place; everything further in reads the one
//! [`RequestContext`] in the request's extensions:
//!
//! 1. **Peer.** The [`Connection`] that the server put into the request's extensions, or axum's `ConnectInfo<SocketAddr>`.
//!    With neither the address is unknown, which the log says once; what needs it then denies.
//! 2. **Client.** The peer, unless it is one of the [`TrustedProxies`]. Of those one header is read - `Forwarded` (RFC 7239)
//!    or `X-Forwarded-For`, as configured, never both - from right to left: the first address that is no trusted proxy is
//!    the client. What is no address - garbage, `unknown`, `_hidden`, nothing - ends the walk at the last proxy that is
//!    known. An untrusted peer's headers are not looked at, so a client can write what it likes.
//! 3. **Channel.** Secure if the connection is ([`Connection::with_tls`]), or if the trusted proxy says the client's was
//!    (`proto=https`, `X-Forwarded-Proto`). The scheme in the request's own URI is the client's word and counts nothing.
//! 4. **Name.** 128 random bits. An `X-Request-Id` of a trusted proxy is kept if it is one [`RequestId`]; anybody else's is
//!    replaced. The response says it in `X-Request-Id`.
//! 5. **Time.** One read of the clock.
//!
//! **What a proxy must do.** Append to the configured header, or overwrite it, and set `X-Forwarded-Proto` where that is
//! used: a proxy that passes on what a client wrote there makes it believed. List proxies by their exact networks.
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use portcullis::RequestContext;
//! use portcullis::context::{ContextLayer, Resolver, TrustedProxies};
//! use portcullis::network::Connection;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let proxies = TrustedProxies::x_forwarded_for(["10.0.0.0/8"])?;
//! let service = ContextLayer::new(Resolver::new().with_trusted_proxies(proxies)).layer(service_fn(
//!     async |request: Request<()>| {
//!         let context = request.extensions().get::<RequestContext>().unwrap();
//!         Ok::<_, Infallible>(Response::new(context.client().unwrap().to_string()))
//!     },
//! ));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for (peer, client) in [("10.0.0.1:4711", "192.0.2.7"), ("198.51.100.1:4711", "198.51.100.1")] {
//!     let mut request = Request::get("/").header("x-forwarded-for", "203.0.113.9, 192.0.2.7").body(()).unwrap();
//!     request.extensions_mut().insert(Connection::new(peer.parse().unwrap()));
//!     let response = service.clone().oneshot(request).await?;
//!     assert!(response.headers().contains_key("x-request-id"));
//!     assert_eq!(response.into_body(), client);
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! # Ok::<(), portcullis::ConfigError>(())
//! ```

mod forwarded;
mod layer;
mod mint;
mod proxies;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::id::RequestId;
use crate::network::{ClientAddress, Connection};
use crate::request_context::RequestContext;
use crate::time::{Clock, SystemClock};

pub use layer::{ContextLayer, Contextual, ResponseFuture};
pub use proxies::TrustedProxies;

/// The header by which a request's name travels.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Finds out what is known of a request. Cheap to clone. See the [module](self).
#[derive(Clone, Debug)]
pub struct Resolver {
    proxies: TrustedProxies,
    clock: Arc<dyn Clock>,
    tls: bool,
    /// Whether it was said that there is no address.
    missed: Arc<AtomicBool>,
}

impl Resolver {
    /// Trusts no proxy, and goes by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            proxies: TrustedProxies::none(),
            clock: Arc::new(SystemClock::new()),
            tls: false,
            missed: Arc::default(),
        }
    }

    /// Whose word on where a request came from counts.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Where the time comes from: for limits, and for when a bearer token expires. So it should be the clock of whoever
    /// issues tokens here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whether every connection to this service is TLS, so that the server need not say so for each.
    #[must_use]
    pub fn with_tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// What is known of this request. A context that is there already, from further out, is the answer.
    #[must_use]
    pub fn resolve(&self, parts: &Parts) -> RequestContext {
        if let Some(known) = parts.extensions.get::<RequestContext>() {
            return known.clone();
        }
        let received = self.clock.now();
        let Some(connection) = connection(&parts.extensions) else {
            self.miss();
            return RequestContext::new(mint::request_id(received), received).with_secure(self.tls);
        };
        let peer = ClientAddress::from(connection.peer());
        let tls = self.tls || connection.is_tls();
        if !self.proxies.trusts(peer) {
            let context = RequestContext::new(mint::request_id(received), received);
            return context.with_client(peer).with_secure(tls);
        }
        let hop = self.proxies.first_hop(peer, &parts.headers);
        let id = handed_over(&parts.headers).unwrap_or_else(|| mint::request_id(received));
        RequestContext::new(id, received)
            .with_client(hop.client)
            .with_secure(hop.secure.unwrap_or(tls))
            .with_trusted_proxy(true)
    }

    fn miss(&self) {
        if !self.missed.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come without the address of their connection, so limits and rules by address cannot tell \
                 clients apart: have the server insert a `network::Connection`, or axum its `ConnectInfo<SocketAddr>`"
            );
        }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

/// The value of `X-Request-Id` on the response.
pub(crate) fn response_value(context: &RequestContext) -> Option<HeaderValue> {
    HeaderValue::from_str(context.id().as_str()).ok()
}

fn connection(extensions: &Extensions) -> Option<Connection> {
    extensions.get::<Connection>().copied().or_else(|| from_axum(extensions))
}

#[cfg(feature = "axum")]
fn from_axum(extensions: &Extensions) -> Option<Connection> {
    let info = extensions.get::<::axum::extract::ConnectInfo<std::net::SocketAddr>>()?;
    Some(Connection::new(info.0))
}

#[cfg(not(feature = "axum"))]
fn from_axum(_: &Extensions) -> Option<Connection> {
    None
}

/// The one well-formed name that a proxy gave the request.
fn handed_over(headers: &HeaderMap) -> Option<RequestId> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    RequestId::parse(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests;
