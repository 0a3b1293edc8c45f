//! What administrators do to accounts.

use crate::account::update::Ends;
use crate::account::{AccountError, Accounts};
use crate::audit::EventName;
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::store::{Kinds, TokenKind, User, UserStatus};

impl Accounts {
    /// Replaces a user's roles. Access tokens die; refreshing gives the new rights.
    ///
    /// Whether `actor` may do this, and whether the roles exist, is for the caller to have decided.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], or whatever the store or the audit sink fails with.
    pub async fn set_roles(
        &self,
        actor: &Subject,
        tenant: &TenantId,
        id: &Subject,
        roles: Vec<String>,
    ) -> Result<User, AccountError> {
        let mut before = Vec::new();
        let user = self
            .update(tenant, id, |user| {
                before = std::mem::replace(&mut user.roles, roles.clone());
                Ok(Ends::Rights(Kinds::of(&[TokenKind::Access])))
            })
            .await?;
        let event =
            self.event(EventName::AuthzChange, tenant).with_subject(id.clone()).with_actor(actor.clone());
        self.audit(event.with_detail("before", before.join(" ")).with_detail("after", roles.join(" ")))
            .await?;
        Ok(user)
    }

    /// Lets a user sign in, or not. Disabling ends everything, API keys included.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], or whatever the store or the audit sink fails with.
    pub async fn set_status(
        &self,
        actor: &Subject,
        tenant: &TenantId,
        id: &Subject,
        status: UserStatus,
    ) -> Result<User, AccountError> {
        let user = self
            .update(tenant, id, |user| {
                user.status = status;
                Ok(match status {
                    UserStatus::Active => Ends::Nothing,
                    UserStatus::Disabled => Ends::Security(Kinds::ALL),
                })
            })
            .await?;
        let name = match status {
            UserStatus::Active => EventName::UserUpdated,
            UserStatus::Disabled => EventName::UserArchived,
        };
        self.audit(self.event(name, tenant).with_subject(id.clone()).with_actor(actor.clone())).await?;
        Ok(user)
    }

    /// Deletes a user and ends everything issued to them.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], or whatever the store or the audit sink fails with.
    pub async fn delete(&self, actor: &Subject, tenant: &TenantId, id: &Subject) -> Result<(), AccountError> {
        // Disabled first: a sign-in racing this one has then nothing left to be issued on.
        self.set_status(actor, tenant, id, UserStatus::Disabled).await?;
        if !self.0.users.delete(tenant, id).await? {
            return Err(AccountError::UnknownUser);
        }
        let event =
            self.event(EventName::UserDeleted, tenant).with_subject(id.clone()).with_actor(actor.clone());
        Ok(self.audit(event).await?)
    }
}
