//! Refresh tokens: families, rotation, grace and reuse.
//!
//! A sign-in starts a family with one refresh token. Presenting it exchanges it for a successor (RFC 9700 section
//! 4.14.2). What a replay means is decided by the store in the step that would spend the token, so it holds across
//! instances:
//!
//! | the presented token was | and | the answer is |
//! |---|---|---|
//! | not spent | | [`Rotated`](Rotation::Rotated): a successor |
//! | spent within the grace period | its successor is unused | [`Replayed`](Rotation::Replayed): the very same successor |
//! | spent within the grace period | its successor was used | [`Reused`](Rotation::Reused): the family dies |
//! | spent before | | [`Reused`](Rotation::Reused): the family dies |
//!
//! To return the very same successor without storing it in clear, the store keeps it sealed under a key derived from
//! the predecessor's secret: only who holds the predecessor can open it, and a copy of the database opens nothing.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::crypto::seal::{self, SymmetricKey};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::{Epoch, Verified};
use crate::secret::{DigestPurpose, OpaqueToken, Secret};
use crate::store::{Consume, Consumption, Succession, TokenInsertion, TokenKind, TokenRecord, TokenStore};
use crate::time::Timestamp;
use crate::token::grant::Grant;
use crate::token::policy::TokenPolicy;

/// What came of presenting a refresh token.
#[derive(Clone, Debug)]
#[must_use]
pub enum Rotation<T> {
    /// It was exchanged.
    Rotated(T),
    /// It had been exchanged a moment ago and the answer seems to be lost: the same answer again.
    Replayed(T),
    /// It had been exchanged, and somebody else may hold a copy: the whole family has been revoked.
    Reused,
    /// It, or its family, is past its time.
    Expired,
    /// Its family was revoked.
    Revoked,
    /// It is older than a change that ended all tokens of its subject.
    Stale(Epoch),
    /// There is no such token.
    Unknown,
}

impl<T> Rotation<T> {
    /// The same outcome about something else.
    ///
    /// # Errors
    ///
    /// Whatever `change` fails with.
    pub(crate) fn try_map<U>(self, change: impl FnOnce(T) -> Result<U>) -> Result<Rotation<U>> {
        Ok(match self {
            Self::Rotated(value) => Rotation::Rotated(change(value)?),
            Self::Replayed(value) => Rotation::Replayed(change(value)?),
            Self::Reused => Rotation::Reused,
            Self::Expired => Rotation::Expired,
            Self::Revoked => Rotation::Revoked,
            Self::Stale(floor) => Rotation::Stale(floor),
            Self::Unknown => Rotation::Unknown,
        })
    }
}

/// A refresh token that was found in the store and proved by its secret.
#[derive(Clone, Debug)]
pub struct PresentedRefresh {
    token: OpaqueToken,
    record: TokenRecord,
    grant: Grant,
}

impl PresentedRefresh {
    /// Whom it stands for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.record.subject
    }

    /// The sign-in it came of.
    #[must_use]
    pub fn family(&self) -> &FamilyId {
        &self.record.family
    }

    /// What that sign-in established.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// How starting a family ended.
#[derive(Debug)]
pub(crate) enum Start {
    Started { token: OpaqueToken, family: FamilyId },
    Stale(Epoch),
}

/// Refresh tokens over a store.
#[derive(Clone)]
pub(crate) struct RefreshTokens {
    store: Arc<dyn TokenStore>,
    policy: TokenPolicy,
}

impl RefreshTokens {
    pub(crate) fn new(store: Arc<dyn TokenStore>, policy: TokenPolicy) -> Self {
        Self { store, policy }
    }

    /// Starts a family.
    pub(crate) async fn start(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        epoch: Epoch,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Start> {
        let (token, family) = (OpaqueToken::mint()?, FamilyId::mint()?);
        let mut record = TokenRecord::new(
            tenant.clone(),
            token.id().clone(),
            TokenKind::Refresh,
            subject.clone(),
            family.clone(),
            token.secret().digest(DigestPurpose::RefreshToken),
            epoch,
            now,
            now + self.policy.refresh_idle(),
            now + self.policy.refresh_absolute(),
        );
        record.data = grant.to_data()?;
        match self.store.insert(&record).await? {
            TokenInsertion::Inserted => Ok(Start::Started { token, family }),
            TokenInsertion::Stale(floor) => Ok(Start::Stale(floor)),
            TokenInsertion::Exists => Err(Error::new(ErrorKind::Internal, "a fresh token id exists already")),
        }
    }

    /// Finds what a client presented. `None` if there is no such token or the secret is another.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        text: &SecretString,
    ) -> Result<Option<Verified<PresentedRefresh>>> {
        let Some(token) = OpaqueToken::parse(text.expose_secret()) else { return Ok(None) };
        let Some(record) = self.store.get(tenant, token.id()).await? else { return Ok(None) };
        let digest = token.secret().digest(DigestPurpose::RefreshToken);
        if record.kind != TokenKind::Refresh || !record.digest.matches(&digest) {
            return Ok(None);
        }
        let grant = Grant::from_data(&record.data)?;
        Ok(Some(Verified::vouch(PresentedRefresh { token, record, grant })))
    }

    /// Exchanges it for a successor issued under `epoch`.
    pub(crate) async fn rotate(
        &self,
        presented: &Verified<PresentedRefresh>,
        epoch: Epoch,
        now: Timestamp,
        keep_until: Timestamp,
    ) -> Result<Rotation<OpaqueToken>> {
        let PresentedRefresh { token, record, .. } = &**presented;
        let next = OpaqueToken::mint()?;
        let succession = self.succession(record, token, &next, epoch, now)?;
        let consume =
            Consume { tenant: &record.tenant, id: &record.id, now, keep_until, successor: Some(&succession) };
        Ok(match self.store.consume(&consume).await? {
            Consumption::First => Rotation::Rotated(next),
            Consumption::Repeated { successor, sealed } => {
                Rotation::Replayed(open_successor(&record.tenant, token, successor, &sealed)?)
            }
            Consumption::Reused => Rotation::Reused,
            // A refresh token is never spent for nothing; if it was, somebody else's code did it.
            Consumption::Spent | Consumption::Revoked => Rotation::Revoked,
            Consumption::Expired => Rotation::Expired,
            Consumption::Stale(floor) => Rotation::Stale(floor),
            Consumption::Unknown => Rotation::Unknown,
        })
    }

    fn succession(
        &self,
        record: &TokenRecord,
        token: &OpaqueToken,
        next: &OpaqueToken,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Succession> {
        let mut successor = TokenRecord::new(
            record.tenant.clone(),
            next.id().clone(),
            TokenKind::Refresh,
            record.subject.clone(),
            record.family.clone(),
            next.secret().digest(DigestPurpose::RefreshToken),
            epoch,
            now,
            now + self.policy.refresh_idle(),
            record.absolute_expiry,
        );
        successor.data = record.data.clone();
        let sealed = seal_successor(&record.tenant, token, next)?;
        Ok(Succession { record: successor, sealed, grace: self.policy.grace() })
    }
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokens").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The key only the holder of `token` can derive. Neither a tenant nor an id contains a NUL.
fn successor_key(tenant: &TenantId, token: &OpaqueToken) -> Result<SymmetricKey> {
    let context = format!("{tenant}\0{}", token.id());
    SymmetricKey::derive(token.secret().expose_bytes(), "refresh token successor", context.as_bytes())
}

fn seal_successor(tenant: &TenantId, token: &OpaqueToken, next: &OpaqueToken) -> Result<Vec<u8>> {
    let key = successor_key(tenant, token)?;
    seal::seal(&key, next.id().as_str().as_bytes(), next.secret().expose_bytes())
}

fn open_successor(
    tenant: &TenantId,
    token: &OpaqueToken,
    next: TokenId,
    sealed: &[u8],
) -> Result<OpaqueToken> {
    let key = successor_key(tenant, token)?;
    let corrupt = || Error::new(ErrorKind::Corrupt, "a sealed successor cannot be opened");
    let secret =
        seal::open(&key, next.as_str().as_bytes(), sealed).map_err(|source| corrupt().with_source(source))?;
    let secret = Secret::from_slice(secret.expose_secret()).ok_or_else(corrupt)?;
    Ok(OpaqueToken::from_parts(next, secret))
}
