//! Authentication of requests: who is asking.
//!
//! An [`AuthScheme`] is one way in: it finds its credential, verifies it and says how to challenge. [`AuthenticateLayer`]
//! asks the schemes in order:
//!
//! 1. The first scheme that finds its credential decides alone. A bad credential is refused; no other scheme is tried.
//! 2. An `Authorization` header that no scheme claims is refused with 401 `scheme_unsupported`.
//! 3. A principal of another tenant meets 404.
//! 4. Nothing presented: the anonymous [`Principal`](crate::Principal). Whether that is enough is for authorization to say.
//!
//! The principal goes into the request's extensions, in place of any that was there. `Authorization` is marked sensitive,
//! so that it does not appear in `Debug` output further in (RFC 9110 section 11.6.2).
//!
//! A proxy that consumes `Authorization` itself, or adds one of its own, changes who is asking: let it pass through.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use portcullis::authn::{AuthenticateLayer, BearerScheme};
//! use portcullis::principal::{Principal, Verified};
//! use portcullis::token::{TokenRefusal, VerifyAccessToken};
//! use portcullis::{Subject, TenantId};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! /// The token service does this for real.
//! struct OneToken;
//!
//! impl VerifyAccessToken for OneToken {
//!     fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
//!         let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
//!         if token == "for-ada" { Ok(Verified::vouch(ada)) } else { Err(TokenRefusal::Invalid) }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let hello = service_fn(async |request: Request<()>| {
//!     let principal = request.extensions().get::<Principal>().unwrap();
//!     let name = principal.subject().map_or("stranger", |subject| subject.as_str());
//!     Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("hello {name}"))))
//! });
//! let service = AuthenticateLayer::new(BearerScheme::new(OneToken)).layer(hello);
//!
//! let request = Request::get("/").header("authorization", "Bearer for-ada").body(()).unwrap();
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello ada");
//!
//! let request = Request::get("/").header("authorization", "Bearer forged").body(()).unwrap();
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 401);
//! assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
//! # Ok::<(), Infallible>(()) }).unwrap();
//! ```

mod bearer;
mod layer;
mod scheme;

pub use bearer::BearerScheme;
pub use layer::{Authenticate, AuthenticateLayer, ResponseFuture};
pub use scheme::{AuthScheme, Outcome, SchemeFuture};

pub(crate) use layer::{Authentication, Schemes, conceal};
