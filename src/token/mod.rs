//! Tokens: access tokens, refresh families and their revocation.

mod verify;

pub use verify::{TokenRefusal, VerifyAccessToken};
