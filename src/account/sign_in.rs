//! Sign-in by password, and refresh.

use secrecy::SecretString;

use crate::account::update::{Ends, MAX_TRIES, contended};
use crate::account::{AccountError, Accounts, identifier};
use crate::audit::EventName;
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::password::{PasswordHash, Verification};
use crate::principal::{AuthMethod, Epoch};
use crate::store::{User, UserStatus};
use crate::token::{Grant, Issued, Rotation, TokenPair};

/// Who signed in, and what they were given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The user as stored.
    pub user: User,
    /// The tokens.
    pub tokens: TokenPair,
}

impl Accounts {
    /// Signs in with a user name or e-mail address and a password.
    ///
    /// Costs one password verification whatever the state of the account. A second is spent only if the user is
    /// changed at this very moment and everything has to be decided again.
    ///
    /// # Errors
    ///
    /// [`AccountError::SignInFailed`] for whatever reason; [`AccountError::Failed`] if the store or the audit sink
    /// fails or too many passwords are waiting to be hashed.
    pub async fn sign_in(
        &self,
        tenant: &TenantId,
        identifier: &str,
        password: SecretString,
    ) -> Result<SignedIn, AccountError> {
        let key = identifier::login_key(identifier);
        let mut floor = Epoch::ZERO;
        for _ in 0..MAX_TRIES {
            let found = self.0.users.find(tenant, &key).await?;
            let hash = found.as_ref().and_then(|user| user.password.clone());
            let verification = self.0.passwords.verify(password.clone(), hash).await?;
            let (user, needs_rehash) = match admit(found, verification) {
                Ok(admitted) => admitted,
                Err(refused) => return Err(self.sign_in_failed(tenant, refused).await),
            };
            let floor_now = floor.max(self.0.tokens.access_floor(tenant, &user.id));
            let Some(user) = self.adopt_floor(user, floor_now).await? else { continue };

            let grant = Grant::new([AuthMethod::Password], self.0.tokens.clock().now());
            match self.0.tokens.issue(&user, &grant).await? {
                Issued::Tokens(tokens) => {
                    let event =
                        self.event(EventName::AuthnLoginSuccess, tenant).with_subject(user.id.clone());
                    self.audit(event.with_family(tokens.family.clone())).await?;
                    if needs_rehash {
                        self.rehash(&user, password).await;
                    }
                    return Ok(SignedIn { user, tokens });
                }
                // Somebody changed the user since it was read. Everything is decided again on what is stored now.
                Issued::Stale(raised) => floor = floor.max(raised),
            }
        }
        Err(contended().into())
    }

    /// Exchanges a refresh token for a new pair with the user's present rights.
    ///
    /// # Errors
    ///
    /// [`AccountError::RefreshInvalid`] if it is not, or no longer, valid, for whatever reason;
    /// [`AccountError::Failed`] if the store or the audit sink fails.
    pub async fn refresh(
        &self,
        tenant: &TenantId,
        refresh_token: &SecretString,
    ) -> Result<SignedIn, AccountError> {
        let Some(presented) = self.0.tokens.find_refresh(tenant, refresh_token).await? else {
            return Err(AccountError::RefreshInvalid);
        };
        for _ in 0..MAX_TRIES {
            let user = self.0.users.get(tenant, presented.subject()).await?;
            let Some(user) = user.filter(|user| user.status == UserStatus::Active) else {
                return Err(AccountError::RefreshInvalid);
            };
            // A crash between revoking and writing leaves a floor above the user; see `adopt_floor`.
            let floor = self.0.tokens.access_floor(tenant, &user.id);
            let only_rights = Epoch { security: user.epoch.security, ..floor };
            let Some(user) = self.adopt_floor(user, only_rights).await? else { continue };

            let event = |name| {
                self.event(name, tenant).with_subject(user.id.clone()).with_family(presented.family().clone())
            };
            return match self.0.tokens.rotate(&presented, &user).await? {
                Rotation::Rotated(tokens) | Rotation::Replayed(tokens) => {
                    self.audit(event(EventName::AuthnTokenCreated)).await?;
                    Ok(SignedIn { user, tokens })
                }
                Rotation::Reused => {
                    self.audit(event(EventName::AuthnTokenReuse)).await?;
                    Err(AccountError::RefreshInvalid)
                }
                Rotation::Expired | Rotation::Revoked | Rotation::Stale(_) | Rotation::Unknown => {
                    Err(AccountError::RefreshInvalid)
                }
            };
        }
        Err(contended().into())
    }

    async fn sign_in_failed(&self, tenant: &TenantId, refused: Refused) -> AccountError {
        let mut event = self.event(EventName::AuthnLoginFail, tenant).with_detail("reason", refused.reason);
        if let Some(subject) = refused.subject {
            event = event.with_subject(subject);
        }
        match self.audit(event).await {
            Ok(()) => AccountError::SignInFailed,
            Err(error) => error.into(),
        }
    }

    /// Replaces a hash made with other parameters. The user is signed in already; if this fails there is a next time.
    async fn rehash(&self, user: &User, password: SecretString) {
        let outdated = user.password.clone();
        let rehashed = async {
            let hash = self.0.passwords.hash(password).await?;
            self.update(&user.tenant, &user.id, |user| {
                replace_hash(user, outdated.as_ref(), &hash);
                Ok(Ends::Nothing)
            })
            .await
        };
        if let Err(cause) = rehashed.await {
            tracing::warn!(error = %cause, "a password could not be rehashed");
        }
    }
}

/// Somebody else may have set another password meanwhile; that one stays.
fn replace_hash(user: &mut User, outdated: Option<&PasswordHash>, hash: &PasswordHash) {
    if user.password.as_ref() == outdated {
        user.password = Some(hash.clone());
    }
}

/// Why a sign-in was refused, for the audit trail alone.
struct Refused {
    reason: &'static str,
    subject: Option<Subject>,
}

fn admit(user: Option<User>, verification: Verification) -> Result<(User, bool), Refused> {
    let Some(user) = user else { return Err(Refused { reason: "unknown_user", subject: None }) };
    let reason = match (verification, user.status) {
        (_, _) if user.password.is_none() => "no_password",
        (Verification::Mismatch, _) => "wrong_password",
        (Verification::Match { needs_rehash }, UserStatus::Active) => return Ok((user, needs_rehash)),
        (Verification::Match { .. }, _) => "disabled",
    };
    Err(Refused { reason, subject: Some(user.id) })
}
