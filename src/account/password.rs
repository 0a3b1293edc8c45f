//! Changing one's password.

use secrecy::SecretString;

use crate::account::update::{Ends, MAX_TRIES, contended};
use crate::account::{AccountError, Accounts, SignedIn};
use crate::audit::EventName;
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::principal::AuthMethod;
use crate::rejection::Reason;
use crate::store::{Kinds, TokenKind, UserStatus};
use crate::token::{Grant, Issued};

const INCORRECT: Reason = Reason { field: "current_password", code: "incorrect", limit: None };

impl Accounts {
    /// Changes a password, given the current one. Every sign-in ends; the caller's goes on with the new tokens
    /// returned. One-time links end too, API keys live on.
    ///
    /// # Errors
    ///
    /// [`AccountError::Invalid`] if the current password is another, [`AccountError::PasswordRejected`] if the new one
    /// breaks the policy, [`AccountError::UnknownUser`], or whatever the store or the audit sink fails with.
    pub async fn change_password(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        current: SecretString,
        new: SecretString,
    ) -> Result<SignedIn, AccountError> {
        let user = self.user(tenant, subject).await?;
        let names = [&user.username, &user.email];
        let context: Vec<&str> = names.into_iter().flatten().map(|name| name.text.as_str()).collect();
        self.0.policy.check(&new, &context).map_err(AccountError::PasswordRejected)?;

        let verified = user.password.clone();
        if !self.0.passwords.verify(current, verified.clone()).await?.is_match()
            || user.status != UserStatus::Active
        {
            let event = self.event(EventName::AuthnPasswordChangeFail, tenant).with_subject(subject.clone());
            self.audit(event).await?;
            return Err(AccountError::Invalid(vec![INCORRECT]));
        }
        let hash = self.0.passwords.hash(new).await?;
        let now = self.0.tokens.clock().now();
        let kinds =
            Kinds::of(&[TokenKind::Access, TokenKind::Refresh, TokenKind::Session, TokenKind::OneTime]);
        let mut user = self
            .update(tenant, subject, |user| {
                // What was verified must still be what is stored.
                if user.password != verified || user.status != UserStatus::Active {
                    return Err(AccountError::Invalid(vec![INCORRECT]));
                }
                user.password = Some(hash.clone());
                user.password_changed_at = Some(now);
                Ok(Ends::Security(kinds))
            })
            .await?;
        self.audit(self.event(EventName::AuthnPasswordChange, tenant).with_subject(subject.clone())).await?;

        for _ in 0..MAX_TRIES {
            match self.0.tokens.issue(&user, &Grant::new([AuthMethod::Password], now)).await? {
                Issued::Tokens(tokens) => return Ok(SignedIn { user, tokens }),
                // Somebody changed the user in the meantime. If the password is still this one, go on from there.
                Issued::Stale(floor) => {
                    let stored = self.user(tenant, subject).await?;
                    if stored.password.as_ref() != Some(&hash) || stored.status != UserStatus::Active {
                        return Err(AccountError::SignInFailed);
                    }
                    if let Some(adopted) = self.adopt_floor(stored, floor).await? {
                        user = adopted;
                    }
                }
            }
        }
        Err(contended().into())
    }
}
