//! The adapter for axum 0.8: [`GateRouter`], extractors, and responses for rejections.
//!
//! [`Gate::router`](crate::gate::Gate::router) takes route, handler and rule together, so none can be forgotten, and
//! finishes into a [`GateService`], to which nothing can be added. What it has no rule for is 404.
//!
//! ```no_run
//! use axum::extract::Path;
//! use http::Method;
//! use portcullis::Principal;
//! use portcullis::authz::{Role, RoleModel, Rule};
//! use portcullis::gate::Gate;
//!
//! # async fn run(tokens: impl portcullis::token::VerifyAccessToken) -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Gate::builder()
//!     .with_access_tokens(tokens)
//!     .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?)
//!     .build()
//!     .await?;
//! let service = gate
//!     .router()
//!     .route(Method::GET, "/health", async || "ok", Rule::public())
//!     .route(
//!         Method::GET,
//!         "/tasks/{id}",
//!         async |who: Principal, Path(id): Path<u32>| format!("task {id} of {:?}", who.subject()),
//!         Rule::permission("tasks:read"),
//!     )
//!     .finish()?;
//! println!("{}", service.access_map());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8012").await?;
//! axum::serve(listener, tower::make::Shared::new(service)).await?;
//! # Ok(()) }
//! ```
//!
//! [`Gate::layer`](crate::gate::Gate::layer) goes onto a router that is already there; its page says what it leaves out.

mod extract;
mod guarded;
mod json;
mod reject;
mod router;
mod routes;
mod service;

pub use extract::Claims;
pub use json::StrictJson;
pub use router::{GateRouter, Routes};
pub use routes::{account_routes, jwks_routes};
pub use service::{GateService, ResponseFuture};
