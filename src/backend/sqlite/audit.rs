//! The audit trail.

use async_trait::async_trait;
use serde_json::Value;

use crate::audit::{AuditEvent, AuditSink};
use crate::backend::sqlite::SqliteStore;
use crate::backend::sqlite::error::{corrupt, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::TenantId;

impl SqliteStore {
    /// What was recorded for a tenant, newest first: each event's number and its JSON form. `before` is the number of
    /// the last event of the page before, `None` for the newest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the database cannot be reached, [`ErrorKind::Corrupt`] if an event cannot be read.
    pub async fn audit_events(
        &self,
        tenant: &TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, Value)>> {
        let rows = sqlx::query_as::<_, (i64, String)>(
            "SELECT number, body FROM portcullis_audit WHERE tenant = ?1 AND number < ?2 \
             ORDER BY number DESC LIMIT ?3",
        )
        .bind(tenant.as_str())
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let parse = |(number, body): (i64, String)| match serde_json::from_str(&body) {
            Ok(event) => Ok((number, event)),
            Err(source) => Err(corrupt("a stored audit event cannot be read").with_source(source)),
        };
        rows.into_iter().map(parse).collect()
    }
}

#[async_trait]
impl AuditSink for SqliteStore {
    async fn record(&self, events: &[AuditEvent]) -> Result<()> {
        let mut write = self.write().await?;
        for event in events {
            let body = serde_json::to_string(event).map_err(|source| {
                Error::new(ErrorKind::Internal, "an audit event cannot be written as json")
                    .with_source(source)
            })?;
            sqlx::query("INSERT INTO portcullis_audit (tenant, at, body) VALUES (?1, ?2, ?3)")
                .bind(event.tenant().as_str())
                .bind(event.at().as_micros())
                .bind(body)
                .execute(write.sql())
                .await
                .map_err(failed)?;
        }
        write.commit().await
    }

    async fn flush(&self) -> Result<()> {
        // A commit is on the disk when it is answered.
        Ok(())
    }
}
