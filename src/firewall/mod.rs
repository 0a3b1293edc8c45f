//! What is no well-formed request, and the one spelling of a path.
//!
//! Routers, access maps, limits and logs go by a request's text. Where a request can be written in two ways, one of them
//! reads it differently, and there is a way around it. So the firewall stands in front of everything that matches:
//!
//! 1. it **refuses** what has no one meaning, each case a [`FirewallRule`] with a name: escapes of `/`, `\`, `%`, `.` and
//!    control characters, `;`, `//`, dot segments, bytes beyond ASCII; methods and hosts that are not listed; two of a
//!    header or query parameter that decides something; header names that differ by `_`; anything too long;
//! 2. it **rewrites** the path to its canonical form (RFC 3986 section 6.2.2): `/%61dmin` is `/admin`, `%c3` is `%C3`. The query
//!    is checked and left alone;
//! 3. it **takes out** headers that nobody outside may send: those that override method or path, those listed as
//!    [internal](FirewallBuilder::add_internal_header), and, unless a trusted proxy handed the request over
//!    ([`RequestContext::is_from_trusted_proxy`]), `Forwarded`, `X-Forwarded-*` and their kin.
//!
//! A client is told 400 `malformed_request`, 405 with `Allow`, 414, 421 or 431, and never what it sent. The log has the name
//! of the rule, and so have the response's extensions. Each rule can be relaxed by a method of [`FirewallBuilder`], but those
//! without which nothing can be told: a malformed escape in the path, a target that is no path, a host that is no host.
//!
//! **It wraps the finished router**, and stands inside [`ContextLayer`](crate::context::ContextLayer), which reads what is
//! taken out here. Under axum's `Router::layer` a layer runs after the router has matched, which is too late: rewriting
//! changes nothing of that any more, and what would take segments out is refused there whatever is allowed. `OPTIONS *`
//! passes, for whoever answers it. A path that needs no rewriting costs no allocation.
//!
//! **What a server does before.** hyper answers 400 by itself to control characters and spaces in names and targets, to
//! folded headers and to differing `Content-Length`s; merges equal ones; drops `Content-Length` beside `Transfer-Encoding`
//! (and closes the connection afterwards); cuts off a fragment (`/a#b` is `/a`); and lets a request without `Host` pass,
//! which is refused here once hosts are listed.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use portcullis::firewall::{Firewall, FirewallLayer, FirewallRule};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let firewall = Firewall::builder().add_host("api.example").allow_semicolon().build()?;
//! let service = FirewallLayer::new(firewall).layer(service_fn(async |request: Request<()>| {
//!     Ok::<_, Infallible>(Response::new(Bytes::from(request.uri().path().to_owned())))
//! }));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for (path, host, status, seen) in [
//!     ("/%61dmin;v=1", "api.example", 200, "/admin;v=1"),
//!     ("//admin", "api.example", 400, ""),
//!     ("/admin", "evil.example", 421, ""),
//! ] {
//!     let request = Request::get(path).header("host", host).body(()).unwrap();
//!     let response = service.clone().oneshot(request).await?;
//!     assert_eq!(response.status(), status, "{path}");
//!     assert_eq!(status == 200, response.extensions().get::<FirewallRule>().is_none());
//!     assert!(status != 200 || response.into_body() == seen, "{path}");
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! # Ok::<(), portcullis::ConfigError>(())
//! ```

mod builder;
mod headers;
mod host;
mod layer;
mod path;
mod query;
mod rule;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri};

use headers::HeaderRules;
use host::AllowedHost;
use rule::Relaxed;

use crate::rejection::{Rejection, RejectionCode};
use crate::request_context::RequestContext;
use crate::wire::is_routed;

pub use builder::FirewallBuilder;
pub use layer::{FirewallLayer, Firewalled, ResponseFuture};
pub use rule::FirewallRule;

/// Refuses what is not well-formed, and rewrites the rest to one spelling. See the [module](self).
#[derive(Clone, Debug)]
pub struct Firewall {
    relaxed: Relaxed,
    methods: Vec<Method>,
    /// Content of `Allow`.
    allow: Arc<str>,
    hosts: Vec<AllowedHost>,
    headers: HeaderRules,
    single_parameters: Box<[Box<str>]>,
    max_path_bytes: usize,
    max_query_bytes: usize,
}

impl Firewall {
    /// All rules, for any host.
    #[must_use]
    pub fn new() -> Self {
        FirewallBuilder::default().assemble(Vec::new())
    }

    /// All rules, to be relaxed one by one.
    pub fn builder() -> FirewallBuilder {
        FirewallBuilder::default()
    }

    /// Brings a request into its one form. A request that is refused is half-way there; answer it with
    /// [`rejection`](Self::rejection).
    ///
    /// # Errors
    ///
    /// The first [`FirewallRule`] that it breaks.
    pub fn check(&self, parts: &mut Parts) -> Result<(), FirewallRule> {
        let trusted =
            parts.extensions.get::<RequestContext>().is_some_and(RequestContext::is_from_trusted_proxy);
        let strip = self.headers.check(&parts.headers, trusted, self.relaxed)?;
        if !self.methods.contains(&parts.method) {
            return Err(FirewallRule::Method);
        }
        if let Some(path) = self.check_target(parts)? {
            rewrite(&mut parts.uri, path)?;
        }
        host::check(parts, self.relaxed, &self.hosts)?;
        if strip {
            self.headers.strip(&mut parts.headers, trusted);
        }
        Ok(())
    }

    /// What a client that broke a rule is told.
    #[must_use]
    pub fn rejection(&self, rule: FirewallRule) -> Rejection {
        let rejection = Rejection::new(rule.code());
        match rule.code() {
            RejectionCode::MethodNotAllowed => rejection.with_allow(self.allow.clone()),
            _ => rejection,
        }
    }

    /// The path in its canonical form, if it has another one.
    fn check_target(&self, parts: &Parts) -> Result<Option<String>, FirewallRule> {
        let path = parts.uri.path();
        match parts.method {
            Method::OPTIONS if path == "*" => return Ok(None),
            // Only a host and a port.
            Method::CONNECT if path.is_empty() => return Ok(None),
            _ if !path.starts_with('/') => return Err(FirewallRule::TargetForm),
            _ => {}
        }
        if path.len() > self.max_path_bytes {
            return Err(FirewallRule::PathLength);
        }
        if let Some(query) = parts.uri.query() {
            if query.len() > self.max_query_bytes {
                return Err(FirewallRule::QueryLength);
            }
            query::check(query, self.relaxed, &self.single_parameters)?;
        }
        // A router that has matched the one path must not be followed by whatever reads the other.
        let relaxed = if is_routed(parts) {
            self.relaxed.without(FirewallRule::EmptySegment).without(FirewallRule::DotSegment)
        } else {
            self.relaxed
        };
        path::canonical(path, relaxed)
    }
}

impl Default for Firewall {
    fn default() -> Self {
        Self::new()
    }
}

fn rewrite(uri: &mut Uri, mut path: String) -> Result<(), FirewallRule> {
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = std::mem::take(uri).into_parts();
    // Escapes are longer than what they stand for, so that it may have become too long for any URI.
    let rewritten =
        PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| FirewallRule::PathLength)?;
    parts.path_and_query = Some(rewritten);
    *uri = Uri::from_parts(parts).map_err(|_| FirewallRule::TargetForm)?;
    Ok(())
}

#[cfg(test)]
mod tests;
