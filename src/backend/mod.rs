//! Stores over databases: implementations of the [storage ports](crate::store) that come with the crate.
//!
//! | store | feature | keeps | for |
//! |---|---|---|---|
//! | `sqlite::SqliteStore` | `sqlite` | users, tokens, audit | one machine, any number of processes on it |
//! | [`MemoryStore`](crate::store::MemoryStore) | none | users, tokens | tests and examples; gone with the process |
//!
//! Each passes the [conformance suite](crate::store). For another database implement the two traits yourself and run the
//! suite over the result; `examples/custom_store.rs` does both.
//!
//! `pkcs11` is no store: it has [keys](crate::crypto::KeyProvider) that stay in a hardware security module.
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::store::{MemoryStore, TokenStore, UserStore};
//!
//! // Services hold ports, not stores: what stands behind them is decided once, where the application starts.
//! let store = Arc::new(MemoryStore::new());
//! let users: Arc<dyn UserStore> = store.clone();
//! let tokens: Arc<dyn TokenStore> = store;
//! # let _ = (users, tokens);
//! ```

#[cfg(feature = "sqlite")]
mod columns;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
#[cfg(feature = "sqlite")]
pub mod sqlite;
