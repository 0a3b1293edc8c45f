//! One binary, so that modules link once and share helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::unreachable,
    unreachable_pub,
    reason = "tests say what went wrong by panicking"
)]

mod accounts;
mod attacks;
mod authorizer;
mod browser;
mod cedar;
mod cost;
mod edge;
mod examples;
mod explain;
mod fernet;
mod floors;
mod gate;
mod headers;
mod interop;
mod key_file;
mod keys;
mod layers;
mod network;
mod observatory;
mod ownership;
mod password_interop;
mod pkcs11;
mod rate_limit;
mod role_file;
mod role_model;
mod routes;
mod rows;
mod server;
mod stores;
mod support;
mod two_users;
mod vault;
