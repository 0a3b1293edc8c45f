//! [`Tokens`]: issues, refreshes and revokes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::error::{ConfigError, Result};
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::{Epoch, Verified};
use crate::secret::OpaqueToken;
use crate::store::{Kinds, Revocation, RevocationTarget, TokenKind, TokenStore, User};
use crate::time::{Clock, Timestamp};
use crate::token::cache::TokenCache;
use crate::token::claims::Claims;
use crate::token::codec::{LEEWAY_SECS, TokenCodec};
use crate::token::grant::Grant;
use crate::token::policy::TokenPolicy;
use crate::token::refresh::{PresentedRefresh, RefreshTokens, Rotation, Start};
use crate::token::revocation::Revocations;

/// What a client receives at sign-in and refresh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenPair {
    /// For the `Authorization` header.
    pub access_token: SecretString,
    /// For the next pair.
    pub refresh_token: SecretString,
    /// How long the access token is accepted.
    pub expires_in: Duration,
    /// The sign-in both belong to.
    pub family: FamilyId,
}

/// How issuing ended.
#[derive(Clone, Debug)]
#[must_use]
pub enum Issued {
    /// A new family.
    Tokens(TokenPair),
    /// The user's epoch is below this floor: the user was changed meanwhile. Nothing was issued.
    Stale(Epoch),
}

/// Issues, refreshes and revokes tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    codec: TokenCodec,
    store: Arc<dyn TokenStore>,
    refresh: RefreshTokens,
    revocations: Revocations,
    policy: TokenPolicy,
    clock: Arc<dyn Clock>,
    cache: Option<TokenCache>,
}

impl Tokens {
    /// Tokens made and read by `codec`, kept in `store`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting of the policy is out of range, or if the operating system supplies no randomness for the
    /// cache of verified tokens.
    pub fn new(
        codec: TokenCodec,
        store: Arc<dyn TokenStore>,
        revocations: Revocations,
        policy: TokenPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let policy = policy.check()?;
        let refresh = RefreshTokens::new(Arc::clone(&store), policy);
        let cache = Some(policy.token_cache()).filter(|size| *size > 0).map(TokenCache::new).transpose();
        let cache = cache.map_err(|_| {
            ConfigError::new(
                "token cache",
                "cannot be made: the operating system supplied no randomness",
                "see why getrandom(2) fails here",
            )
        })?;
        Ok(Self(Arc::new(Inner { codec, store, refresh, revocations, policy, clock, cache })))
    }

    /// Starts a family for a user who has just proved who they are.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with, or [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy).
    pub async fn issue(&self, user: &User, grant: &Grant) -> Result<Issued> {
        let now = self.0.clock.now();
        match self.0.refresh.start(&user.tenant, &user.id, user.epoch, grant, now).await? {
            Start::Started { token, family } => {
                Ok(Issued::Tokens(self.pair(user, grant, family, &token, now)?))
            }
            Start::Stale(floor) => Ok(Issued::Stale(floor)),
        }
    }

    /// Finds the refresh token a client presented. `None` if it is none of ours.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn find_refresh(
        &self,
        tenant: &TenantId,
        text: &SecretString,
    ) -> Result<Option<Verified<PresentedRefresh>>> {
        self.0.refresh.find(tenant, text).await
    }

    /// Exchanges a refresh token for a new pair with `user`'s present rights.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with, or [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy).
    pub async fn rotate(
        &self,
        presented: &Verified<PresentedRefresh>,
        user: &User,
    ) -> Result<Rotation<TokenPair>> {
        let now = self.0.clock.now();
        let rotation = self.0.refresh.rotate(presented, user.epoch, now, self.keep_until(now)).await?;
        if matches!(rotation, Rotation::Reused) {
            // The store has revoked the family; on this instance that binds at once too.
            let target = RevocationTarget::Family(presented.family().clone());
            self.0.revocations.view().apply(&self.revocation(&user.tenant, target));
        }
        rotation.try_map(|token| self.pair(user, presented.grant(), presented.family().clone(), &token, now))
    }

    /// Ends everything that came of one sign-in.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn revoke_family(&self, tenant: &TenantId, family: &FamilyId) -> Result<()> {
        self.revoke(tenant, RevocationTarget::Family(family.clone())).await
    }

    /// Ends one token.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn revoke_token(&self, tenant: &TenantId, token: &TokenId) -> Result<()> {
        self.revoke(tenant, RevocationTarget::Token(token.clone())).await
    }

    /// Ends a subject's credentials of these kinds that were issued below an epoch.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn revoke_subject(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        kinds: Kinds,
        below: Epoch,
    ) -> Result<()> {
        self.revoke(tenant, RevocationTarget::Subject { subject: subject.clone(), kinds, below }).await
    }

    /// Forgets what can have no effect any more: families past their absolute expiry, sealed successors past their grace,
    /// old entries of the feed. Returns how many records went. Call it now and then; once an hour is plenty.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn purge(&self) -> Result<u64> {
        self.0.store.purge(self.0.clock.now()).await
    }

    /// The floor known for a subject's access tokens.
    #[must_use]
    pub fn access_floor(&self, tenant: &TenantId, subject: &Subject) -> Epoch {
        self.0.revocations.view().floor(tenant, subject, TokenKind::Access)
    }

    /// What makes and reads access tokens.
    #[must_use]
    pub fn codec(&self) -> &TokenCodec {
        &self.0.codec
    }

    /// What is revoked.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    /// The access tokens that were verified lately, of all tenants.
    pub(super) fn cache(&self) -> Option<&TokenCache> {
        self.0.cache.as_ref()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    async fn revoke(&self, tenant: &TenantId, target: RevocationTarget) -> Result<()> {
        self.0.revocations.revoke(&self.revocation(tenant, target)).await
    }

    fn revocation(&self, tenant: &TenantId, target: RevocationTarget) -> Revocation {
        let at = self.0.clock.now();
        Revocation { tenant: tenant.clone(), target, at, keep_until: self.keep_until(at) }
    }

    /// The feed's entries outlive every access token there can be, also one minted by an instance whose clock is ahead.
    fn keep_until(&self, now: Timestamp) -> Timestamp {
        now + self.0.policy.access_lifetime() + Duration::from_secs(2 * LEEWAY_SECS)
    }

    fn pair(
        &self,
        user: &User,
        grant: &Grant,
        family: FamilyId,
        refresh: &OpaqueToken,
        now: Timestamp,
    ) -> Result<TokenPair> {
        let expires_in = self.0.policy.access_lifetime();
        let mut claims = Claims::new(user.id.clone(), TokenId::mint()?, now, now + expires_in)
            .with_tenant(user.tenant.clone())
            .with_family(family.clone())
            .with_epoch(user.epoch)
            .with_roles(user.roles.iter().cloned())
            .with_auth_time(grant.auth_time)
            .with_auth_methods(grant.auth_methods.iter().copied());
        if let Some(scopes) = &grant.scopes {
            claims = claims.with_scopes(scopes.iter().cloned());
        }
        if let Some(actor) = &grant.actor {
            claims = claims.with_actor(actor.clone());
        }
        let access_token = self.0.codec.encode(&claims)?;
        Ok(TokenPair { access_token, refresh_token: refresh.to_text(), expires_in, family })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}
