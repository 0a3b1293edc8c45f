//! How large, how slow, and of which type a body may be.
//!
//! [`BodyGuard`] looks at the request before anything of it is read, and [`GuardedBody`] counts while it is read:
//!
//! 1. a body of a type that is not on the list is 415 ([`ContentTypes`]; every type is accepted at first);
//! 2. a `Content-Length` above the limit is 413, and nothing further in hears of the request;
//! 3. without one, or where it isn't true, the body ends with an error at the byte that crosses the limit;
//! 4. a body that is not there in time - all of it, or the next piece of it - ends with an error;
//! 5. after 3 or 4 **the answer is 413 or 408, whatever the handler answered**: it has not seen the request as it was
//!    meant. An answer that has begun can't be taken back; there the body just ends.
//!
//! On HTTP/1 such answers say `Connection: close`, because what is left of the body is not read (RFC 9110 section 15.5.14).
//! Time is counted only while somebody waits for the client: a handler may take as long as it likes. Bytes are counted as
//! they arrive; what decompresses them further in needs a limit of its own. Slow headers are the server's part: set its
//! timeout for reading them.
//!
//! [`JsonLimits`] reads JSON: depth, number of elements, and no name twice, wherever in the document.
//!
//! *What a proxy can break.* One that buffers bodies takes the deadline over, and has a limit of its own.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use portcullis::validate::{BodyGuard, BodyGuardLayer, ContentTypes, GuardedBody};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let guard = BodyGuard::new().with_max_bytes(1024).with_content_types(ContentTypes::json());
//! let echo = async |request: Request<GuardedBody<Full<Bytes>>>| {
//!     let body = request.into_body().collect().await.map(|body| body.to_bytes());
//!     Ok::<_, Infallible>(Response::new(Full::new(body.unwrap_or_default())))
//! };
//! let service = BodyGuardLayer::new(guard).layer(service_fn(echo));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for (content_type, size, status) in
//!     [("application/json", 1024, 200), ("application/json", 1025, 413), ("text/plain", 9, 415)]
//! {
//!     let request = Request::post("/").header("content-type", content_type);
//!     let request = request.body(Full::from(vec![b'a'; size])).unwrap();
//!     assert_eq!(service.clone().oneshot(request).await?.status(), status);
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! ```

mod body;
mod content_type;
mod error;
mod guard;
mod json;
mod layer;

pub use body::GuardedBody;
pub use content_type::ContentTypes;
pub use error::BodyError;
pub use guard::{BodyGuard, BodyWatch};
pub use json::JsonLimits;
pub use layer::{BodyGuardLayer, BodyGuarded, ResponseFuture};
