//! How often somebody may ask: quotas, by address or principal, in memory of a fixed size or in a shared store.
//!
//! 1. A [`RateLimit`] finds the request's [`RateKey`]: the client's address, the principal, or whatever you name.
//! 2. It takes the request's cost from each [`Quota`] of that key, or from none of them. The rule is the generic cell rate
//!    algorithm: a burst at once, then steadily one after the other.
//! 3. It refuses with 429, `Retry-After` of at least a second, after which the request passes, and the code
//!    `rate_limited`. Nothing behind it runs.
//! 4. Every answer, refusals included, carries `RateLimit-Policy` and `RateLimit`
//!    ([draft-ietf-httpapi-ratelimit-headers-10]): what the quotas are, how much is left (`r`), and in how many seconds all
//!    of it is back, or, of a quota that refused, in how many the request would pass (`t`).
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use portcullis::network::ClientAddress;
//! use portcullis::rate_limit::{Quota, RateLimit, RateLimitLayer};
//! use portcullis::time::{Clock, ManualClock};
//! use portcullis::{RequestContext, RequestId};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let limit = RateLimit::builder("api")
//!     .add_quota(Quota::per_minute(2))
//!     .add_quota(Quota::per_hour(1000))
//!     .build()?;
//! let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new())));
//! let service = RateLimitLayer::new(limit).layer(handler);
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let clock = ManualClock::default();
//! for (status, left) in [(200, 1), (200, 0), (429, 0)] {
//!     let client = ClientAddress::new("192.0.2.7".parse().unwrap());
//!     let mut request = Request::new(());
//!     // What the outermost layer does.
//!     let context = RequestContext::new(RequestId::parse("r-1").unwrap(), clock.now()).with_client(client);
//!     request.extensions_mut().insert(context);
//!     let answer = service.clone().oneshot(request).await?;
//!     assert_eq!(answer.status(), status);
//!     assert_eq!(answer.headers()["ratelimit-policy"], "\"api-minute\";q=2;w=60, \"api-hour\";q=1000;w=3600");
//!     assert!(answer.headers()["ratelimit"].to_str().unwrap().starts_with(&format!("\"api-minute\";r={left};t=")));
//!     assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
//! }
//! # Ok::<(), Infallible>(()) }).unwrap();
//! # Ok::<(), portcullis::ConfigError>(())
//! ```
//!
//! # Where it counts
//!
//! By itself, in this process: a [`RateTable`] for each quota, whose page says what it may get wrong and how seldom. Memory
//! doesn't grow, whoever comes. N instances let N times the quota pass, and a restart forgets.
//! [`with_store`](RateLimitBuilder::with_store) counts in a [`RateStore`](crate::store::RateStore) that instances share;
//! while that is out of reach, requests are answered 503, or pass if
//! [`allow_on_outage`](RateLimitBuilder::allow_on_outage) says so.
//!
//! # Deployment caveat
//!
//! A limit by address is worth what the address is worth. It comes from the [`RequestContext`](crate::RequestContext);
//! where that has none, all requests are counted together - so that nobody passes uncounted - and the log says so once.
//! Behind a proxy that isn't configured as trusted, all clients have the proxy's address and share its quota. Limits by
//! address protect what is expensive; what protects an account is a count of its own ([`Backoff`]).
//!
//! [draft-ietf-httpapi-ratelimit-headers-10]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10

mod backoff;
mod builder;
mod decision;
mod future;
mod gcra;
mod key;
mod layer;
mod limit;
mod quota;
mod request;
mod sip;
mod table;
mod ticks;

pub use backoff::{Backoff, StrikeRow, Strikes};
pub use builder::RateLimitBuilder;
pub(crate) use decision::{RATE_LIMIT_FIELDS, RateDecision, RateVerdict};
pub use future::ResponseFuture;
pub use key::{KeyWriter, RateKey};
pub use layer::{RateLimitLayer, RateLimited};
pub use limit::{RateLimit, Tier};
pub use quota::{Arrival, Quota, Taken};
pub use request::RateRequest;
pub use table::RateTable;
