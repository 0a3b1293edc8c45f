//! How account operations end when they don't succeed.

use std::time::Duration;

use crate::authz::Refused;
use crate::error::{Error, ErrorKind};
use crate::rejection::{Reason, Rejection, RejectionCode};
use crate::store::LoginKeyKind;
use crate::vault::VaultError;

/// Why an account operation did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// A name or profile field is not acceptable.
    #[error("a field is not acceptable")]
    Invalid(Vec<Reason>),
    /// The password breaks the policy.
    #[error("the password is not acceptable")]
    PasswordRejected(Vec<Reason>),
    /// The name belongs to somebody else.
    #[error("the {} is taken", .0.as_str())]
    Taken(LoginKeyKind),
    /// The sign-in details are not correct, or the account may not sign in. Which of them is not said.
    #[error("sign-in failed")]
    SignInFailed,
    /// The refresh token is not, or no longer, valid.
    #[error("the refresh token is not valid")]
    RefreshInvalid,
    /// There is no such user.
    #[error("there is no such user")]
    UnknownUser,
    /// No such role is defined.
    #[error("there is no role `{0}`")]
    UnknownRole(String),
    /// Whoever asks may not do this.
    #[error("this is not allowed to whoever asks")]
    Refused(Refused),
    /// It would take this role from the last active user who holds it.
    #[error("nobody else holds the role `{0}`")]
    LastHolder(String),
    /// The operation itself failed.
    #[error("the operation failed")]
    Failed(#[from] Error),
}

impl From<VaultError> for AccountError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Failed(error) => error.into(),
            VaultError::DoesNotOpen(cause) => {
                Error::new(ErrorKind::Corrupt, "a sealed member of a profile does not open")
                    .with_source(cause)
                    .into()
            }
        }
    }
}

impl AccountError {
    /// What a client is told.
    #[must_use]
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::Invalid(reasons) => {
                Rejection::new(RejectionCode::ValidationFailed).with_reasons(reasons.iter().copied())
            }
            Self::PasswordRejected(reasons) => {
                Rejection::new(RejectionCode::PasswordRejected).with_reasons(reasons.iter().copied())
            }
            Self::Taken(LoginKeyKind::Username) => RejectionCode::UsernameTaken.into(),
            Self::Taken(LoginKeyKind::Email) => RejectionCode::EmailTaken.into(),
            Self::Taken(_) => RejectionCode::Conflict.into(),
            Self::SignInFailed => RejectionCode::SignInFailed.into(),
            Self::RefreshInvalid => RejectionCode::RefreshInvalid.into(),
            Self::UnknownUser => RejectionCode::NotFound.into(),
            Self::UnknownRole(_) => {
                let reason = Reason { field: "roles", code: "unknown_role", limit: None };
                Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason])
            }
            Self::Refused(why) => why.code().into(),
            Self::LastHolder(_) => RejectionCode::LastHolder.into(),
            Self::Failed(error) => match error.kind() {
                ErrorKind::Overloaded => {
                    Rejection::new(RejectionCode::Overloaded).with_retry_after(Duration::from_secs(1))
                }
                ErrorKind::Unavailable | ErrorKind::Entropy => {
                    Rejection::new(RejectionCode::Unavailable).with_retry_after(Duration::from_secs(1))
                }
                _ => RejectionCode::Internal.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_503_and_a_defect_is_500() {
        for (kind, status) in [
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Overloaded, 503),
            (ErrorKind::Entropy, 503),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::Internal, 500),
        ] {
            let rejection = AccountError::Failed(Error::new(kind, "canary")).rejection();
            assert_eq!(rejection.status(), status, "{kind:?}");
            assert_eq!(rejection.retry_after_secs().is_some(), status == 503, "{kind:?}");
            assert!(!format!("{rejection:?}").contains("canary"));
        }
    }
}
