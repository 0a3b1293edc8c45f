//! What the handlers share.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use portcullis::account::{AccountError, Accounts};
use portcullis::audit::Auditor;
use portcullis::authz::policy::rows::RowRule;
use portcullis::backend::sqlite::SqliteStore;
use portcullis::crypto::{KeyFile, RotationPolicy};
use portcullis::rejection::{Rejection, RejectionCode};
use portcullis::time::Clock;
use portcullis::vault::{Vault, VaultError};
use portcullis::{Error, Principal, Subject};
use sqlx::sqlite::SqlitePool;

use crate::sealed;

#[derive(Clone)]
pub struct App {
    pub accounts: Accounts,
    /// Who sees which notes.
    pub notes: RowRule,
    pub store: SqliteStore,
    pub pool: SqlitePool,
    pub vault: Vault,
    /// Keys that can be rotated here.
    pub keys: Option<KeyFile>,
    pub rotation: RotationPolicy,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// The application's own tables, in the same file as the store's.
    pub async fn migrate(&self) -> sqlx::Result<()> {
        for table in [
            "CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, title TEXT NOT NULL,
                created_by TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT",
            "CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, owner TEXT NOT NULL,
                title TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT",
            sealed::PROGRESS,
        ] {
            sqlx::query(table).execute(&self.pool).await?;
        }
        Ok(())
    }

    pub fn now(&self) -> i64 {
        self.clock.now().as_micros()
    }

    /// Who owns what this principal makes.
    pub fn owner<'p>(&self, principal: &'p Principal) -> Result<&'p Subject, Rejection> {
        principal.subject().ok_or(Rejection::new(RejectionCode::Unauthenticated))
    }
}

/// Why a handler did not succeed: the client is told a code, the log the cause.
pub enum Failure {
    Refused(Rejection),
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(rejection) => rejection.into_response(),
            Self::Failed(cause) => {
                tracing::error!(error = ?cause, "a request failed");
                Rejection::new(RejectionCode::Internal).into_response()
            }
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<RejectionCode> for Failure {
    fn from(code: RejectionCode) -> Self {
        Self::Refused(code.into())
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let rejection = error.rejection();
        if let AccountError::Failed(cause) = error {
            tracing::error!(error = ?cause, "an account operation failed");
        }
        Self::Refused(rejection)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        AccountError::from(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        AccountError::from(error).into()
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}
