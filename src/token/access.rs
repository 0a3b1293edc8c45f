//! Access tokens, verified: signature and claims by the codec or the cache, revocation by the view. No store call, and
//! nobody waits for a lock.

use crate::id::TenantId;
use crate::principal::{Principal, Verified};
use crate::store::TokenKind;
use crate::time::Timestamp;
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
        self.verify_at(token, self.tokens.clock().now())
    }

    fn verify_at(&self, token: &str, now: Timestamp) -> Result<Verified<Principal>, TokenRefusal> {
        let codec = self.tokens.codec();
        let keys = codec.keys();
        let known = self.tokens.cache().and_then(|cache| Some((cache, cache.name(token)?)));
        if let Some(principal) = known.and_then(|(cache, name)| cache.get(name, keys.generation(), now)) {
            self.admit(&principal)?;
            return Ok(Verified::vouch(principal));
        }
        let (principal, window) = codec.principal(&keys, token, now, &self.tenant).map_err(|error| {
            tracing::debug!(reason = %error, "an access token was refused");
            match error {
                TokenError::Expired => TokenRefusal::Expired,
                _ => TokenRefusal::Invalid,
            }
        })?;
        self.admit(&principal)?;
        if let Some((cache, name)) = known {
            // Under the keys it was verified with, even if others are in force by now.
            cache.put(name, keys.generation(), window, principal.clone());
        }
        Ok(Verified::vouch(principal))
    }
}

impl AccessTokens {
    /// What is asked on every request, also about a token that was verified before.
    fn admit(&self, principal: &Principal) -> Result<(), TokenRefusal> {
        // Every token names both.
        let (Some(subject), Some(token)) = (principal.subject(), principal.token()) else {
            return Err(TokenRefusal::Invalid);
        };
        let credential = Credential {
            kind: TokenKind::Access,
            tenant: principal.tenant(),
            subject,
            family: principal.family(),
            token,
            epoch: principal.epoch(),
        };
        match self.tokens.revocations().view().standing(&credential) {
            Standing::Live => {}
            Standing::Revoked => return Err(TokenRefusal::Revoked),
            Standing::Stale => return Err(TokenRefusal::Stale),
            Standing::Unknown => return Err(TokenRefusal::Unavailable),
        }
        if *principal.tenant() != self.tenant {
            return Err(TokenRefusal::OtherTenant);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
