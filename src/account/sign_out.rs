//! Sign-out.

use secrecy::SecretString;

use crate::account::update::Ends;
use crate::account::{AccountError, Accounts};
use crate::audit::EventName;
use crate::error::Result;
use crate::id::{FamilyId, Subject, TenantId};
use crate::store::{Kinds, TokenKind};

impl Accounts {
    /// Ends one sign-in: its refresh tokens at once, its access tokens on this instance at once and everywhere within
    /// a second.
    ///
    /// # Errors
    ///
    /// Whatever the store or the audit sink fails with.
    pub async fn sign_out(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        family: &FamilyId,
    ) -> Result<(), AccountError> {
        self.0.tokens.revoke_family(tenant, family).await?;
        let event = self.event(EventName::AuthnTokenDelete, tenant).with_subject(subject.clone());
        Ok(self.audit(event.with_family(family.clone())).await?)
    }

    /// Ends the sign-in that a refresh token belongs to, if it is `subject`'s. Returns whether it was.
    ///
    /// # Errors
    ///
    /// Whatever the store or the audit sink fails with.
    pub async fn sign_out_refresh(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        refresh_token: &SecretString,
    ) -> Result<bool, AccountError> {
        match self.0.tokens.find_refresh(tenant, refresh_token).await? {
            Some(presented) if presented.subject() == subject => {
                self.sign_out(tenant, subject, presented.family()).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Ends every sign-in of a user. API keys and one-time links live on.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], or whatever the store or the audit sink fails with.
    pub async fn sign_out_everywhere(
        &self,
        tenant: &TenantId,
        subject: &Subject,
    ) -> Result<(), AccountError> {
        let kinds = Kinds::of(&[TokenKind::Access, TokenKind::Refresh, TokenKind::Session]);
        self.update(tenant, subject, |_| Ok(Ends::Security(kinds))).await?;
        let event = self.event(EventName::AuthnTokenRevoked, tenant).with_subject(subject.clone());
        Ok(self.audit(event.with_detail("scope", "all_sign_ins")).await?)
    }
}
