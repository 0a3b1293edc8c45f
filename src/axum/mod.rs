//! The adapter for axum 0.8: [`GateRouter`], extractors, ready-made endpoints, and responses for rejections.
//!
//! 1. [`Gate::router`](crate::gate::Gate::router) takes route, handler and rule together, so none can be forgotten.
//!    [`finish`](GateRouter::finish) checks them all and closes the router into a [`GateService`], to which nothing can
//!    be added. Whose rules stand in one table adds routes with [`mapped`](GateRouter::mapped) instead.
//! 2. What it has no route for is 404; a route that has other methods is 405 with `Allow`; a handler that panics is 500.
//!    All of them are problems (RFC 9457), as the refusals of the rules are.
//! 3. A handler that takes a [`Principal`](crate::Principal) gets somebody who has proved who they are, or is 401; with
//!    `Option<Principal>` it gets `None` for anonymous. [`Claims`] reads the token's claims into a type of yours,
//!    [`StrictJson`] a body, [`CspNonce`](crate::headers::CspNonce) the nonce of a page.
//! 4. A handler may return `Result<_, Rejection>`.
//!
//! On a route with [`Rule::public`](crate::authz::Rule::public) there is no principal to take: that is a mistake of the
//! application's, answered with 500 and explained in the log.
//!
//! [`Gate::layer`](crate::gate::Gate::layer) goes onto a router that is already there; its page says what it leaves out.
//!
//! ```
//! use axum::body::Body;
//! use axum::extract::Path;
//! use http::{Method, Request};
//! use portcullis::Principal;
//! use portcullis::authz::{Role, RoleModel, Rule};
//! use portcullis::gate::Gate;
//! # use portcullis::principal::Verified;
//! # use portcullis::token::{TokenRefusal, VerifyAccessToken};
//! # use portcullis::{Subject, TenantId};
//! use tower::ServiceExt;
//! # struct Tokens;
//! # impl VerifyAccessToken for Tokens {
//! #     fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
//! #         let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
//! #         if token == "ada" { Ok(Verified::vouch(ada.with_roles(["user"]))) } else { Err(TokenRefusal::Invalid) }
//! #     }
//! # }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let gate = Gate::builder()
//!     .with_access_tokens(Tokens)
//!     .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?)
//!     .build()
//!     .await?;
//! let service = gate
//!     .router()
//!     .route(Method::GET, "/health", async || "ok", Rule::public())
//!     .route(
//!         Method::GET,
//!         "/tasks/{id}",
//!         async |who: Principal, Path(id): Path<u32>| format!("task {id} of {}", who.subject().unwrap()),
//!         Rule::permission("tasks:read"),
//!     )
//!     .finish()?;
//! // Who may call what, as a table.
//! println!("{}", service.access_map());
//!
//! // To serve it: `axum::serve(listener, service.into_make_service()).await?`.
//! let with_token = Request::get("/tasks/42").header("authorization", "Bearer ada").body(Body::empty())?;
//! assert_eq!(service.clone().oneshot(with_token).await?.status(), 200);
//! let without = Request::get("/tasks/42").body(Body::empty())?;
//! assert_eq!(service.oneshot(without).await?.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod authorized;
mod extract;
mod guarded;
mod json;
mod nonce;
mod reject;
mod router;
mod routes;
mod service;

pub use authorized::{Authorized, Requirement};
pub use extract::Claims;
pub use json::StrictJson;
pub use router::{GateRouter, Routes};
pub use routes::{account_routes, account_routes_with_sign_in_limit, jwks_routes, sign_in_key};
pub use service::{GateService, ResponseFuture};
