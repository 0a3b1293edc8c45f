//! Cross-origin resource sharing: which other sites' pages may call this service and read what it answers ([Fetch]).
//!
//! Nothing is allowed until it is named. Origins are compared exactly ([`Origin`]): no patterns, no suffixes, no `null`,
//! nothing reflected that was not on the list, and `*` never beside credentials. What contradicts itself is not built.
//!
//! 1. A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) is answered here, with 204, before
//!    anybody asks who you are. Any other `OPTIONS` goes on.
//! 2. An origin that is not allowed gets the same answers without CORS headers, and the browser keeps the page from
//!    reading them. The request itself **goes on** unless it is a preflight: CORS says who may read, not who may ask.
//!    Against forged requests there is [`csrf`](crate::csrf).
//! 3. Every answer says `Vary: Origin`, in addition to what it says already, so that no cache gives one origin's answer
//!    to another. Refusals from further in carry the headers too, so that a page can read a 401.
//! 4. On answers to requests with an `Origin`, the headers are this module's alone: what a handler wrote about origins,
//!    credentials and exposed headers is removed.
//!
//! Behind it stands `tower_http::cors`, with a configuration that was checked first.
//!
//! *What a proxy can break.* A proxy that drops `Vary`, answers `OPTIONS` itself, or adds CORS headers of its own.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Method, Request, Response, header};
//! use http_body_util::Full;
//! use portcullis::cors::{Cors, CorsLayer};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let cors = Cors::builder()
//!     .allow_origin("https://app.example")
//!     .allow_credentials()
//!     .allow_methods([Method::PUT, Method::DELETE])
//!     .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
//!     .build()?;
//! assert!(Cors::builder().allow_any_origin().allow_credentials().build().is_err());
//!
//! let service = CorsLayer::new(cors).layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//! }));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for (origin, allowed) in [("https://app.example", true), ("https://app.example.evil.example", false)] {
//!     let request = Request::put("/").header(header::ORIGIN, origin).body(()).unwrap();
//!     let response = service.clone().oneshot(request).await?;
//!     assert_eq!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
//!     assert_eq!(response.headers()[header::VARY], "origin");
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! # Ok::<(), portcullis::ConfigError>(())
//! ```
//!
//! [Fetch]: https://fetch.spec.whatwg.org/#http-cors-protocol
//! [`Origin`]: crate::origin::Origin

mod builder;
mod decide;
mod layer;

pub use builder::CorsBuilder;
pub use decide::{Cors, CorsDecision, CorsHeaders};
pub use layer::{CorsLayer, CorsService, ResponseFuture};
