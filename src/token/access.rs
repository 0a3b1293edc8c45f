//! Access tokens, verified: signature and claims by the codec, revocation by the view. No store call, no lock.

use crate::id::TenantId;
use crate::principal::{Principal, Verified};
use crate::store::TokenKind;
use crate::token::Tokens;
use crate::token::codec::{DecodedToken, TokenError};
use crate::token::revocation::{Credential, Standing};
use crate::token::verify::{TokenRefusal, VerifyAccessToken};

/// Verifies the access tokens of one tenant.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    tokens: Tokens,
    tenant: TenantId,
}

impl AccessTokens {
    /// Access tokens of `tenant`; another tenant's are refused with [`TokenRefusal::OtherTenant`].
    #[must_use]
    pub fn new(tokens: Tokens, tenant: TenantId) -> Self {
        Self { tokens, tenant }
    }
}

impl VerifyAccessToken for AccessTokens {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        let decoded = self.tokens.codec().decode(token, self.tokens.clock().now()).map_err(|error| {
            tracing::debug!(reason = %error, "an access token was refused");
            match error {
                TokenError::Expired => TokenRefusal::Expired,
                _ => TokenRefusal::Invalid,
            }
        })?;
        let claims = decoded.claims();
        let credential = Credential {
            kind: TokenKind::Access,
            tenant: claims.tenant(),
            subject: claims.subject(),
            family: claims.family(),
            token: claims.id(),
            epoch: claims.epoch(),
        };
        match self.tokens.revocations().view().standing(&credential) {
            Standing::Live => {}
            Standing::Revoked => return Err(TokenRefusal::Revoked),
            Standing::Stale => return Err(TokenRefusal::Stale),
            Standing::Unknown => return Err(TokenRefusal::Unavailable),
        }
        if *claims.tenant() != self.tenant {
            return Err(TokenRefusal::OtherTenant);
        }
        Ok(Verified::vouch(principal(decoded.into_inner())))
    }
}

fn principal(decoded: DecodedToken) -> Principal {
    let (claims, payload) = decoded.into_parts();
    let mut principal = Principal::user(claims.tenant().clone(), claims.subject().clone())
        .with_roles(claims.roles().iter().map(String::as_str))
        .with_auth_methods(claims.auth_methods().iter().copied())
        .with_token(claims.id().clone(), claims.expires_at())
        .with_epoch(claims.epoch())
        .with_claims_json(payload);
    if let Some(scopes) = claims.scopes() {
        principal = principal.with_scopes(scopes.iter().map(String::as_str));
    }
    if let Some(family) = claims.family() {
        principal = principal.with_family(family.clone());
    }
    if let Some(at) = claims.auth_time() {
        principal = principal.with_auth_time(at);
    }
    if let Some(actor) = claims.actor() {
        principal = principal.with_actor(actor.clone());
    }
    principal
}
