//! Embeddable security for tower services.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::string_slice, reason = "tests say what went wrong by panicking"))]

// Floor 0: words.
pub mod error;
pub mod id;
pub mod principal;
pub mod rejection;
pub mod secret;
pub mod time;

// Floor 1: mechanisms and ports.
pub mod audit;
pub mod authz;
pub mod crypto;
pub mod password;
pub mod store;

// Floor 2: services.
pub mod account;
pub mod token;

// Floor 3: wire and layers.
pub mod authn;
pub mod gate;
pub mod render;
mod wire;

// Floor 4: adapters.
#[cfg(feature = "axum")]
pub mod axum;
pub mod backend;

pub use error::{ConfigError, Error};
pub use id::{Subject, TenantId};
pub use principal::Principal;
pub use rejection::Rejection;
