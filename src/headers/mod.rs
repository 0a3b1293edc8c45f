//! Security headers: what every answer tells a browser.
//!
//! [`SecurityHeaders::api`] is for services that answer with data, [`SecurityHeaders::html`] for those that answer with
//! pages. Both send, on every answer whoever gave it:
//!
//! | header | api | html |
//! |---|---|---|
//! | `Strict-Transport-Security`, over TLS only | `max-age=63072000; includeSubDomains` | the same |
//! | `Content-Security-Policy` | `default-src 'none'; frame-ancestors 'none'` | [`Csp::html`], with a nonce for every request |
//! | `X-Content-Type-Options` | `nosniff` | the same |
//! | `X-Frame-Options` | `DENY` | the same |
//! | `Referrer-Policy` | `no-referrer` | `strict-origin-when-cross-origin` |
//! | `Cross-Origin-Opener-Policy` | `same-origin` | the same |
//! | `Cross-Origin-Resource-Policy` | `same-origin` | the same |
//! | `Permissions-Policy` | every [`Feature`] off | the same |
//! | `Origin-Agent-Cluster`, `X-DNS-Prefetch-Control`, `X-Permitted-Cross-Domain-Policies` | | `?1`, `off`, `none` |
//! | `Cache-Control`, where credentials are involved | `no-store` | the same |
//!
//! (OWASP HTTP Headers Cheat Sheet; ASVS 3.4.1 to 3.4.8, 13.4.6, 14.3.2.) The builder has a `with_` and a `without_` for each of
//! them, and for the rest of what that sheet and helmet know. `X-XSS-Protection` is only ever `0`.
//!
//! # What becomes of a handler's own headers
//!
//! 1. `Server`, `X-Powered-By` and their like are removed ([`remove_header`](SecurityHeadersBuilder::remove_header),
//!    [`allow_header`](SecurityHeadersBuilder::allow_header)).
//! 2. A Content Security Policy of the handler's is kept: it knows the page. Anything else that is set here is
//!    overridden. [`keep_existing`](SecurityHeadersBuilder::keep_existing) and
//!    [`override_existing`](SecurityHeadersBuilder::override_existing) choose differently, header by header. The same holds
//!    between two of these layers, the outer of which sees the inner's answer.
//! 3. Where the request came with `Authorization`, `Cookie` or `X-API-Key`, or the answer sets a cookie, `Cache-Control`
//!    becomes `no-store` unless it says so already, and `Vary` gets what is missing, with nothing lost. An answer that is
//!    the same for everybody says so by [`Cacheable`].
//! 4. Everything else stays as it is.
//!
//! # Where it stands
//!
//! Outermost, around the finished router, so that nothing answers without it. A panic below it is a 500 with all headers; a
//! body that breaks off has had them already. HSTS needs to know whether a request came over TLS: from the
//! [`RequestContext`](crate::RequestContext), or, without one, from the scheme in the request's URI, which HTTP/1 doesn't send. A
//! proxy that adds or replaces headers of these names has the last word.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use portcullis::headers::{CspNonce, SecurityHeaders, SecurityHeadersLayer};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let page = service_fn(async |request: Request<()>| {
//!     let nonce = request.extensions().get::<CspNonce>().unwrap();
//!     let page = format!("<!doctype html><script nonce=\"{nonce}\" src=\"/app.js\"></script>");
//!     Ok::<_, Infallible>(Response::new(Bytes::from(page)))
//! });
//! let service = SecurityHeadersLayer::new(SecurityHeaders::html().build()?).layer(page);
//!
//! let response = service.oneshot(Request::get("/").body(())?).await?;
//! let policy = response.headers()["content-security-policy"].to_str()?;
//! assert!(policy.contains("script-src 'nonce-"));
//! assert_eq!(response.headers()["x-content-type-options"], "nosniff");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod apply;
mod builder;
mod clear_site_data;
mod csp;
mod hsts;
mod layer;
mod lines;
mod merge;
mod permissions;
mod reporting;
#[cfg(test)]
mod tests;
mod value;

pub use apply::{Cacheable, Prepared, SecurityHeaders};
pub use builder::SecurityHeadersBuilder;
pub use clear_site_data::ClearSiteData;
pub use csp::{ContentSecurityPolicy, Csp, CspNonce, Directive, Source, Unsafe};
pub use hsts::Hsts;
pub use layer::{ResponseFuture, SecurityHeadersLayer, SetSecurityHeaders};
pub(crate) use lines::Lines;
pub use permissions::{Allowlist, Feature, PermissionsPolicy};
pub use reporting::ReportingEndpoints;
pub use value::{
    ContentTypeOptions, CredentialCaching, CrossDomainPolicies, DnsPrefetchControl, DownloadOptions,
    EmbedderPolicy, FrameOptions, OpenerPolicy, OriginAgentCluster, ReferrerPolicy, ResourcePolicy,
    SecurityHeader, XssProtection,
};
