//! Tokens: access tokens, refresh families and their revocation.
//!
//! | module | holds |
//! |---|---|
//! | `codec`, `claims`, `jwks` | the strict JWT: made and read, no store |
//! | `refresh` | families of refresh tokens: rotation, grace, reuse |
//! | `revocation` | what is revoked, in memory, kept up from the store's feed |
//! | `issuer` | [`Tokens`]: issues, refreshes and revokes |
//! | `access` | [`AccessTokens`]: an access token to a principal, with no store call |

mod access;
mod claims;
mod codec;
mod grant;
mod issuer;
mod jwks;
mod policy;
mod read;
mod refresh;
mod revocation;
mod strict;
mod verify;

pub use access::AccessTokens;
pub use claims::Claims;
pub use codec::{DecodedToken, LEEWAY_SECS, MAX_MINTED_BYTES, MAX_TOKEN_BYTES, TokenCodec, TokenError};
pub use grant::Grant;
pub use issuer::{Issued, TokenPair, Tokens};
pub use jwks::jwks;
pub use policy::TokenPolicy;
pub use refresh::{PresentedRefresh, Rotation};
pub use revocation::{
    Credential, DEFAULT_MAX_STALENESS, POLL_INTERVAL, RevocationView, Revocations, Standing,
};
pub use verify::{TokenRefusal, VerifyAccessToken};
