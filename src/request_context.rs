//! What is known of a request before anybody asks who sent it: [`RequestContext`].

use crate::id::RequestId;
use crate::network::ClientAddress;
use crate::time::Timestamp;

/// What the outermost layer found out about a request, in its extensions, for everything further in: layers, policies,
/// handlers, audit. [`ContextLayer`](crate::context::ContextLayer) puts it there.
///
/// ```
/// use portcullis::network::ClientAddress;
/// use portcullis::time::{Clock, SystemClock};
/// use portcullis::{RequestContext, RequestId};
///
/// let id = RequestId::parse("7f3c").unwrap();
/// let context = RequestContext::new(id, SystemClock::new().now())
///     .with_client(ClientAddress::new("192.0.2.7".parse().unwrap()))
///     .with_secure(true);
/// assert!(context.is_secure());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    id: RequestId,
    received: Timestamp,
    client: Option<ClientAddress>,
    secure: bool,
    trusted_proxy: bool,
}

impl RequestContext {
    /// A request from an unknown address over an unprotected channel.
    #[must_use]
    pub fn new(id: RequestId, received: Timestamp) -> Self {
        Self { id, received, client: None, secure: false, trusted_proxy: false }
    }

    /// Who is calling. Never a header that a client can write.
    #[must_use]
    pub fn with_client(mut self, client: ClientAddress) -> Self {
        self.client = Some(client);
        self
    }

    /// Whether it came over TLS, as the connection or a trusted proxy says.
    #[must_use]
    pub fn with_secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether a trusted proxy handed it over, so that what only a proxy may say can be believed.
    #[must_use]
    pub fn with_trusted_proxy(mut self, trusted: bool) -> Self {
        self.trusted_proxy = trusted;
        self
    }

    /// The name of the request in logs and audit events.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// When it arrived: the one clock read of a request.
    #[must_use]
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// Who is calling, if that is known.
    #[must_use]
    pub fn client(&self) -> Option<ClientAddress> {
        self.client
    }

    /// Whether it came over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether a trusted proxy handed it over.
    #[must_use]
    pub fn is_from_trusted_proxy(&self) -> bool {
        self.trusted_proxy
    }
}
