//! What a limit sees of a request: [`RateRequest`].

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};

use crate::network::ClientAddress;
use crate::principal::Principal;
use crate::request_context::RequestContext;
use crate::time::Timestamp;

/// A request as far as limits go by it: when, from where, by whom, and its head.
#[derive(Clone, Copy, Debug)]
pub struct RateRequest<'a> {
    received: Timestamp,
    client: Option<ClientAddress>,
    principal: Option<&'a Principal>,
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RateRequest<'a> {
    /// A request with the [`RequestContext`] and the [`Principal`] in its extensions, if they are there. Without a
    /// context, its time is `now` and nobody knows its address.
    pub fn new<B>(request: &'a Request<B>, now: impl FnOnce() -> Timestamp) -> Self {
        Self::from_head(request.method(), request.uri(), request.headers(), request.extensions(), now)
    }

    /// As [`new`](Self::new), from the head alone.
    pub fn of_parts(parts: &'a Parts, now: impl FnOnce() -> Timestamp) -> Self {
        Self::from_head(&parts.method, &parts.uri, &parts.headers, &parts.extensions, now)
    }

    fn from_head(
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
        now: impl FnOnce() -> Timestamp,
    ) -> Self {
        let context = extensions.get::<RequestContext>();
        Self {
            received: context.map_or_else(now, RequestContext::received),
            client: context.and_then(RequestContext::client),
            principal: extensions.get::<Principal>(),
            method,
            uri,
            headers,
            extensions,
        }
    }

    /// The same request by this principal, where it is known but not in the extensions yet.
    #[must_use]
    pub fn with_principal(self, principal: &'a Principal) -> Self {
        Self { principal: Some(principal), ..self }
    }

    /// When it arrived.
    #[must_use]
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// The client's address, if it is known.
    #[must_use]
    pub fn client(&self) -> Option<ClientAddress> {
        self.client
    }

    /// Who asks, if authentication comes before the limit. Anonymous is a principal too.
    #[must_use]
    pub fn principal(&self) -> Option<&'a Principal> {
        self.principal
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// What is asked for.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The headers, which the client wrote.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What outer layers found out.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}
