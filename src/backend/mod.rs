//! Stores over databases.

#[cfg(feature = "sqlite")]
pub mod sqlite;
