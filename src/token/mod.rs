//! Tokens: access tokens, refresh families and their revocation.

mod claims;
mod codec;
mod jwks;
mod read;
mod verify;

pub use claims::Claims;
pub use codec::{DecodedToken, LEEWAY_SECS, MAX_MINTED_BYTES, MAX_TOKEN_BYTES, TokenCodec, TokenError};
pub use jwks::jwks;
pub use verify::{TokenRefusal, VerifyAccessToken};
