//! Access tokens, verified: signature and claims by the codec, revocation by the view. No store call, no lock.

use crate::id::TenantId;
use crate::principal::{Principal, Verified};
use crate::store::TokenKind;
use crate::token::Tokens;
use crate::token::codec::TokenError;
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
        let codec = self.tokens.codec();
        let now = self.tokens.clock().now();
        let (bearer, _) = codec.bearer(&codec.keys(), token, now, &self.tenant).map_err(|error| {
            tracing::debug!(reason = %error, "an access token was refused");
            match error {
                TokenError::Expired => TokenRefusal::Expired,
                _ => TokenRefusal::Invalid,
            }
        })?;
        let credential = Credential {
            kind: TokenKind::Access,
            tenant: &bearer.tenant,
            subject: &bearer.subject,
            family: bearer.family.as_ref(),
            token: &bearer.token,
            epoch: bearer.epoch,
        };
        match self.tokens.revocations().view().standing(&credential) {
            Standing::Live => {}
            Standing::Revoked => return Err(TokenRefusal::Revoked),
            Standing::Stale => return Err(TokenRefusal::Stale),
            Standing::Unknown => return Err(TokenRefusal::Unavailable),
        }
        if bearer.tenant != self.tenant {
            return Err(TokenRefusal::OtherTenant);
        }
        Ok(Verified::vouch(bearer.into()))
    }
}
