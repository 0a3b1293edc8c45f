//! What administrators do to accounts.
//!
//! Whether somebody may administrate at all is for the rule of the route. How far, is decided here, on what is stored and
//! in the step that writes:
//!
//! 1. every role that is given, and every role the target holds, is one that whoever acts holds too
//!    ([`RoleModel::dominates`](crate::authz::RoleModel::dominates)). So nobody lifts themselves or anybody else above
//!    their own rights, and nobody touches who holds more than they do (ASVS 8.2.1);
//! 2. whoever acts still holds, as stored, what their token says (ASVS 8.3.2);
//! 3. the last active holder of the [guarded role](super::AccountsBuilder::with_guarded_role) stays one.

mod by;
mod guard;
mod reach;
mod trail;

use std::time::Duration;

use crate::account::update::{Ends, MAX_TRIES, contended};
use crate::account::{AccountError, Accounts};
use crate::audit::EventName;
use crate::id::{Subject, TenantId};
use crate::store::{Kinds, TokenKind, User, UserStatus};

pub use by::By;
use trail::Attempt;

/// For how long one of two who are in each other's way lets the other go first, longer each time.
const STEP_BACK: Duration = Duration::from_millis(5);

impl Accounts {
    /// Replaces a user's roles. Access tokens die; refreshing gives the new rights. Each role counts once, and their
    /// order does not.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownRole`], [`AccountError::UnknownUser`], [`AccountError::Refused`] if whoever acts lacks one
    /// of the roles that are given or that the user holds, [`AccountError::LastHolder`] if nobody else holds the guarded
    /// role, or whatever the store or the audit sink fails with.
    pub async fn set_roles<'a>(
        &self,
        by: impl Into<By<'a>>,
        tenant: &TenantId,
        id: &Subject,
        mut roles: Vec<String>,
    ) -> Result<User, AccountError> {
        let by = by.into();
        roles.sort_unstable();
        roles.dedup();
        let (before, after) = self.administrate(by, tenant, id, Change::Roles(&roles)).await?;
        let event = self.by_whom(EventName::AuthzChange, tenant, by).with_subject(id.clone());
        let event = event.with_detail("before", before.roles.join(" "));
        self.audit(event.with_detail("after", after.roles.join(" "))).await?;
        Ok(after)
    }

    /// Lets a user sign in, or not. Disabling ends everything, API keys included. From
    /// [`UserStatus::Deleted`] there is no way back.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], [`AccountError::Refused`] if whoever acts lacks a role that the user holds,
    /// [`AccountError::LastHolder`] if nobody else holds the guarded role, or whatever the store or the audit sink fails
    /// with.
    pub async fn set_status<'a>(
        &self,
        by: impl Into<By<'a>>,
        tenant: &TenantId,
        id: &Subject,
        status: UserStatus,
    ) -> Result<User, AccountError> {
        let by = by.into();
        let (_, user) = self.administrate(by, tenant, id, Change::Status(status)).await?;
        let name = match status {
            UserStatus::Active => EventName::UserUpdated,
            UserStatus::Disabled | UserStatus::Deleted => EventName::UserArchived,
        };
        self.audit(self.by_whom(name, tenant, by).with_subject(id.clone())).await?;
        Ok(user)
    }

    /// Deletes a user and ends everything issued to them.
    ///
    /// # Errors
    ///
    /// As for [`set_status`](Self::set_status).
    pub async fn delete<'a>(
        &self,
        by: impl Into<By<'a>>,
        tenant: &TenantId,
        id: &Subject,
    ) -> Result<(), AccountError> {
        let by = by.into();
        // Marked first: a sign-in racing this one has then nothing left to be issued on, and nobody can make the user
        // the last holder of anything before the record is gone.
        self.set_status(by, tenant, id, UserStatus::Deleted).await?;
        if !self.0.users.delete(tenant, id).await? {
            return Err(AccountError::UnknownUser);
        }
        let event = self.by_whom(EventName::UserDeleted, tenant, by).with_subject(id.clone());
        Ok(self.audit(event).await?)
    }

    /// Changes a user on somebody's behalf, and returns what was stored before and after.
    async fn administrate(
        &self,
        by: By<'_>,
        tenant: &TenantId,
        id: &Subject,
        change: Change<'_>,
    ) -> Result<(User, User), AccountError> {
        let attempt =
            Attempt { by, tenant, action: change.action(), target: Some(id), gives: change.gives() };
        let mut pause = Duration::ZERO;
        for _ in 0..MAX_TRIES {
            let model = self.0.authorizer.roles();
            reach::known(&model, tenant, change.gives())?;
            if !by.is_of(tenant) {
                return Err(self.refused(&attempt, AccountError::UnknownUser).await);
            }
            // INVARIANT: the target is read before anybody else is written; see `guard`.
            let before = self.user(tenant, id).await?;
            let mut after = before.clone();
            let Some(ends) = change.apply(&mut after) else { return Err(AccountError::UnknownUser) };
            let acting = self.acting(by, tenant, Some(&before)).await?;
            let involved = before.roles.iter().chain(change.gives()).map(String::as_str);
            if let Err(why) = reach::reaches(&model, by, acting.as_ref(), involved) {
                return Err(self.refused(&attempt, AccountError::Refused(why)).await);
            }
            let held = match self.held_in_place(&model, acting, &before, &after).await {
                Err(refusal @ AccountError::LastHolder(_)) => {
                    return Err(self.refused(&attempt, refusal).await);
                }
                held => held?,
            };
            if held && let Some(after) = self.try_write(&before, after, &ends).await? {
                return Ok((before, after));
            }
            // Two who change each other may go on spoiling each other's try: the one above in order steps back.
            if by.subject().is_some_and(|acting| acting > id) {
                pause += STEP_BACK;
                tokio::time::sleep(pause).await;
            }
        }
        Err(contended().into())
    }
}

/// What is done to a user.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    Roles(&'a [String]),
    Status(UserStatus),
}

impl<'a> Change<'a> {
    fn action(self) -> &'static str {
        match self {
            Self::Roles(_) => "set_roles",
            Self::Status(UserStatus::Active) => "enable",
            Self::Status(UserStatus::Disabled) => "disable",
            Self::Status(UserStatus::Deleted) => "delete",
        }
    }

    /// The roles the target is given.
    fn gives(self) -> &'a [String] {
        match self {
            Self::Roles(roles) => roles,
            Self::Status(_) => &[],
        }
    }

    /// Carries it out, and says what it ends. `None` if the user is as good as gone.
    fn apply(self, user: &mut User) -> Option<Ends> {
        if user.status == UserStatus::Deleted && !matches!(self, Self::Status(UserStatus::Deleted)) {
            return None;
        }
        Some(match self {
            Self::Roles(roles) => {
                user.roles = roles.to_vec();
                Ends::Rights(Kinds::of(&[TokenKind::Access]))
            }
            Self::Status(status) => {
                user.status = status;
                match status {
                    UserStatus::Active => Ends::Nothing,
                    UserStatus::Disabled | UserStatus::Deleted => Ends::Security(Kinds::ALL),
                }
            }
        })
    }
}
