//! The origin rule: requests that a browser sends on behalf of another site change nothing here.
//!
//! A browser adds cookies to a request whoever's page made it. But it also says where the request comes from, in
//! `Sec-Fetch-Site` ([Fetch Metadata]) and `Origin` ([RFC 6454]), which no page can forge. For each request, in this order:
//!
//! 1. `GET`, `HEAD` and `OPTIONS` pass. They must change nothing (ASVS 3.5.3).
//! 2. With a credential the page itself must have put there - `Authorization`, or a header named with
//!    [`add_credential_header`](OriginRuleBuilder::add_credential_header) - it passes: another site's page needs a
//!    preflight for that ([`cors`](crate::cors)). `Basic`, `Digest`, `NTLM` and `Negotiate`, which browsers send by
//!    themselves as they do cookies, don't count.
//! 3. `Sec-Fetch-Site` says `same-origin` or `none` (typed, a bookmark): it passes. Anything else, `same-site`
//!    included, is refused unless `Origin` is one that was allowed.
//! 4. Without `Sec-Fetch-Site` (old browsers, and plain HTTP), `Origin` must be this service's own or one that was
//!    allowed. `null` is neither.
//! 5. With neither, no browser of the last years sent it: it passes unless it brings a cookie.
//!
//! What is refused is 403, `cross_origin`. Sign-in needs this as much as what comes after it: a form on another site must
//! not sign its visitors in as somebody else (login CSRF), and there is no cookie yet that could protect them.
//!
//! *Own origin.* With [`with_public_origin`](OriginRuleBuilder::with_public_origin) it is that and nothing else. Without,
//! it is what the request is addressed to (`:authority`, else `Host`), by any scheme, and by `https` alone where the
//! [`RequestContext`](crate::RequestContext) says the request came over TLS.
//!
//! *What a proxy can break.* One that rewrites `Host` needs the public origin configured; one that drops `Origin` or
//! `Sec-Fetch-Site` takes the protection away. *What a page can break:* `Referrer-Policy: no-referrer` turns the `Origin`
//! of a page's own forms into `null`; browsers with `Sec-Fetch-Site` are not affected.
//!
//! WebSocket handshakes are `GET` and pass: compare their `Origin` where they are accepted.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis::csrf::{OriginLayer, OriginRule};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let rule = OriginRule::builder()
//!     .with_public_origin("https://api.example")
//!     .allow_origin("https://app.example")
//!     .build()?;
//! let service = OriginLayer::new(rule).layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//! }));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for (site, origin, status) in [
//!     ("same-origin", "https://api.example", 200),
//!     ("same-site", "https://app.example", 200),
//!     ("cross-site", "https://evil.example", 403),
//! ] {
//!     let request = Request::post("/sign-in").header("sec-fetch-site", site).header("origin", origin);
//!     let response = service.clone().oneshot(request.body(()).unwrap()).await?;
//!     assert_eq!(response.status(), status);
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! # Ok::<(), portcullis::ConfigError>(())
//! ```
//!
//! [Fetch Metadata]: https://www.w3.org/TR/fetch-metadata/
//! [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454#section-7

mod builder;
mod decide;
mod layer;

pub use builder::OriginRuleBuilder;
pub use decide::{CrossOrigin, OriginRule};
pub use layer::{OriginChecked, OriginLayer, ResponseFuture};
