//! Tokens: access tokens, refresh families, and what ends them.
//!
//! | type | does |
//! |---|---|
//! | [`TokenCodec`], [`Claims`] | make and read access tokens, strictly; no store, no clock of their own |
//! | [`Tokens`] | issues, refreshes and revokes, over a [`TokenStore`](crate::store::TokenStore) |
//! | [`AccessTokens`] | from an access token to a [`Principal`](crate::Principal), with no store call |
//! | [`Revocations`], [`RevocationView`] | what is revoked, in memory, kept up from the store's feed |
//! | [`jwks`] | the public keys, for services that verify our tokens themselves |
//!
//! 1. An access token is a JWT (RFC 9068) of at most ten minutes by default. It is accepted if the [`TokenCodec`] reads
//!    it, its family and itself are not revoked, and its [`Epoch`](crate::principal::Epoch) is not below its subject's
//!    floor.
//!    What a verified token said is remembered ([`TokenPolicy::with_token_cache`]); its time, the keys in force, its revocation
//!    and its tenant are looked at on every request.
//! 2. A refresh token is an opaque secret in a family that begins with a sign-in. Each use exchanges it for a successor
//!    (RFC 9700 section 4.14.2).
//! 3. Presented again within a grace of ten seconds, while its successor is unused, it gets that very successor again:
//!    a client whose connection broke is not locked out. Presented again otherwise it has been copied, and the
//!    whole family dies. [`Rotation`] lists the outcomes.
//! 4. A revocation binds on the instance that made it when the call returns, and on the others when they next poll the
//!    feed, every [`POLL_INTERVAL`]. An instance that has not heard the feed for [`DEFAULT_MAX_STALENESS`] answers 503.
//!
//! What the client sees: 401 `token_invalid`, `token_expired`, `token_revoked` or `token_stale` for an access token - after
//! `token_expired` and `token_stale` a refresh helps, after the others a sign-in -, and one 401 `refresh_invalid` for
//! every refresh token that is not accepted, whatever the reason.
//!
//! A service that verifies our tokens by their public keys alone doesn't know what is revoked: for it they live until
//! they expire.
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::crypto::{Algorithm, Key, Keyring};
//! use portcullis::principal::AuthMethod;
//! use portcullis::store::{MemoryStore, TokenStore, User};
//! use portcullis::time::{Clock, SystemClock};
//! use portcullis::token::{
//!     AccessTokens, DEFAULT_MAX_STALENESS, Grant, Issued, Revocations, Rotation, TokenCodec, TokenPolicy, TokenRefusal,
//!     Tokens, VerifyAccessToken,
//! };
//! use portcullis::{Subject, TenantId};
//! use secrecy::ExposeSecret;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
//! let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
//! let ring = Keyring::new(Key::generate(Algorithm::EdDsa)?)?;
//! let codec = TokenCodec::new(Arc::new(ring), "https://id.example", "https://api.example")?;
//! let revocations = Revocations::follow(store.clone(), clock.clone(), DEFAULT_MAX_STALENESS).await?;
//! let tokens = Tokens::new(codec, store, revocations, TokenPolicy::default(), clock.clone())?;
//!
//! // `Accounts` does this after it has verified a password.
//! let tenant = TenantId::default();
//! let ada = User::new(tenant.clone(), Subject::mint()?, clock.now());
//! let Issued::Tokens(first) = tokens.issue(&ada, &Grant::new([AuthMethod::Password], clock.now())).await? else {
//!     return Err("ada was changed meanwhile".into());
//! };
//!
//! let access = AccessTokens::new(tokens.clone(), tenant.clone());
//! assert_eq!(access.verify(first.access_token.expose_secret()).unwrap().subject(), Some(&ada.id));
//!
//! let presented = tokens.find_refresh(&tenant, &first.refresh_token).await?.ok_or("none of ours")?;
//! assert!(matches!(tokens.rotate(&presented, &ada).await?, Rotation::Rotated(_)));
//!
//! tokens.revoke_family(&tenant, &first.family).await?;
//! assert_eq!(access.verify(first.access_token.expose_secret()).unwrap_err(), TokenRefusal::Revoked);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod access;
mod cache;
mod claims;
mod codec;
mod grant;
mod issuer;
mod jwks;
mod keys;
mod policy;
mod prf;
mod read;
mod refresh;
mod revocation;
mod scan;
mod strict;
mod times;
mod verify;
mod write;

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
