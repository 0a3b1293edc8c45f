//! The tokens' half.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::backend::sqlite::error::{failed, from_column, next_revision};
use crate::backend::sqlite::row::{Stored, decode, insert, select_tokens};
use crate::backend::sqlite::{SqliteStore, feed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Subject, TenantId, TokenId};
use crate::store::{
    Attempt, Consume, Consumption, Cursor, Feed, Revocation, RevocationTarget, TokenInsertion, TokenKind,
    TokenRecord, TokenReplacement, TokenStore,
};
use crate::time::Timestamp;

async fn read<'e>(
    sql: impl sqlx::SqliteExecutor<'e>,
    tenant: &TenantId,
    id: &TokenId,
) -> Result<Option<Stored>> {
    sqlx::query(select_tokens!("WHERE t.tenant = ?1 AND t.id = ?2"))
        .bind(tenant.as_str())
        .bind(id.as_str())
        .fetch_optional(sql)
        .await
        .map_err(failed)?
        .as_ref()
        .map(decode)
        .transpose()
}

async fn is_untouched(sql: &mut SqliteConnection, tenant: &TenantId, id: &TokenId) -> Result<bool> {
    let seen = read(sql, tenant, id).await?.map(Stored::seen);
    Ok(seen.is_some_and(|record| record.consumed_at.is_none() && record.revoked_at.is_none()))
}

/// Carries out [`Consumption::First`].
async fn spend(sql: &mut SqliteConnection, record: &TokenRecord, consume: &Consume<'_>) -> Result<()> {
    let next = consume.successor;
    if next.is_some_and(|next| !record.has_same_holder(&next.record)) {
        return Err(Error::new(ErrorKind::Internal, "a successor belongs to somebody else"));
    }
    sqlx::query("UPDATE portcullis_tokens SET sealed = NULL WHERE tenant = ?1 AND family = ?2")
        .bind(record.tenant.as_str())
        .bind(record.family.as_str())
        .execute(&mut *sql)
        .await
        .map_err(failed)?;
    sqlx::query(
        "UPDATE portcullis_tokens SET consumed_at = ?3, successor = ?4, sealed = ?5, sealed_until = ?6 \
         WHERE tenant = ?1 AND id = ?2",
    )
    .bind(record.tenant.as_str())
    .bind(record.id.as_str())
    .bind(consume.now.as_micros())
    .bind(next.map(|next| next.record.id.as_str()))
    .bind(next.map(|next| next.sealed.as_slice()))
    .bind(next.map(|next| (consume.now + next.grace).as_micros()))
    .execute(&mut *sql)
    .await
    .map_err(failed)?;
    if let Some(next) = next {
        let stored = insert(&next.record)?.execute(sql).await.map_err(failed)?;
        if stored.rows_affected() == 0 {
            return Err(Error::new(ErrorKind::Internal, "the id of the successor exists"));
        }
    }
    Ok(())
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion> {
        let mut write = self.write().await?;
        let floor = feed::floor(write.sql(), record).await?;
        if record.epoch.is_below(floor) {
            return Ok(TokenInsertion::Stale(floor));
        }
        let inserted = insert(record)?.execute(write.sql()).await.map_err(failed)?;
        if inserted.rows_affected() == 0 {
            return Ok(TokenInsertion::Exists);
        }
        write.commit().await?;
        Ok(TokenInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>> {
        Ok(read(&self.pool, tenant, id).await?.map(Stored::seen))
    }

    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption> {
        let mut write = self.write().await?;
        let Some(Stored { record, floor, .. }) = read(write.sql(), consume.tenant, consume.id).await? else {
            return Ok(Consumption::Unknown);
        };
        let untouched = match &record.successor {
            Some(next) => is_untouched(write.sql(), consume.tenant, &next.id).await?,
            None => false,
        };
        let answer = record.consumption(floor, untouched, consume);
        match answer {
            Consumption::First => spend(write.sql(), &record, consume).await?,
            Consumption::Reused => {
                let revocation = Revocation {
                    tenant: record.tenant.clone(),
                    target: RevocationTarget::Family(record.family.clone()),
                    at: consume.now,
                    keep_until: consume.keep_until,
                };
                feed::revoke(write.sql(), &revocation).await?;
            }
            _ => return Ok(answer),
        }
        write.commit().await?;
        Ok(answer)
    }

    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement> {
        let next = next_revision(expected_revision)?;
        let mut write = self.write().await?;
        let Some(Stored { record: stored, floor, .. }) =
            read(write.sql(), &record.tenant, &record.id).await?
        else {
            return Ok(TokenReplacement::Conflict);
        };
        if !stored.has_same_holder(record) {
            return Err(Error::new(ErrorKind::Internal, "a replacement belongs to somebody else"));
        }
        if stored.consumed_at.is_some() || stored.revoked_at.is_some() {
            return Ok(TokenReplacement::Conflict);
        }
        if stored.epoch.is_below(floor) || record.epoch.is_below(floor) {
            return Ok(TokenReplacement::Stale(floor));
        }
        if stored.revision != expected_revision {
            return Ok(TokenReplacement::Conflict);
        }
        let replaced = stored.replaced_by(record, from_column(next)?);
        sqlx::query("DELETE FROM portcullis_tokens WHERE tenant = ?1 AND id = ?2")
            .bind(stored.tenant.as_str())
            .bind(stored.id.as_str())
            .execute(write.sql())
            .await
            .map_err(failed)?;
        insert(&replaced)?.execute(write.sql()).await.map_err(failed)?;
        write.commit().await?;
        Ok(TokenReplacement::Replaced)
    }

    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let is_due =
            |stored: Option<Stored>| stored.and_then(|stored| stored.seen().touched(now, expires_at));
        // Most uses are not written: they do not wait for a writer's turn.
        if is_due(read(&self.pool, tenant, id).await?).is_none() {
            return Ok(false);
        }
        let mut write = self.write().await?;
        let Some((last_used_at, expires_at)) = is_due(read(write.sql(), tenant, id).await?) else {
            return Ok(false);
        };
        sqlx::query(
            "UPDATE portcullis_tokens SET last_used_at = ?3, expires_at = ?4 WHERE tenant = ?1 AND id = ?2",
        )
        .bind(tenant.as_str())
        .bind(id.as_str())
        .bind(last_used_at.as_micros())
        .bind(expires_at.as_micros())
        .execute(write.sql())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(true)
    }

    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt> {
        let mut write = self.write().await?;
        let counted: Option<i64> = sqlx::query_scalar(
            "UPDATE portcullis_tokens SET attempts = attempts + 1 \
             WHERE tenant = ?1 AND id = ?2 AND attempts < ?3 RETURNING attempts",
        )
        .bind(tenant.as_str())
        .bind(id.as_str())
        .bind(i64::from(max))
        .fetch_optional(write.sql())
        .await
        .map_err(failed)?;
        if let Some(counted) = counted {
            write.commit().await?;
            return Ok(Attempt::Counted(from_column(counted)?));
        }
        let is_known = read(write.sql(), tenant, id).await?.is_some();
        Ok(if is_known { Attempt::Exhausted } else { Attempt::Unknown })
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        let mut write = self.write().await?;
        feed::revoke(write.sql(), revocation).await?;
        write.commit().await
    }

    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>> {
        let rows = sqlx::query(select_tokens!(
            "WHERE t.tenant = ?1 AND t.subject = ?2 AND t.kind = ?3 AND t.consumed_at IS NULL \
             AND t.revoked_at IS NULL ORDER BY t.created_at, t.id"
        ))
        .bind(tenant.as_str())
        .bind(subject.as_str())
        .bind(kind.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut live = Vec::with_capacity(rows.len());
        for row in &rows {
            let record = decode(row)?.seen();
            if record.revoked_at.is_none() {
                live.push(record);
            }
        }
        Ok(live)
    }

    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed> {
        self.feed_after(cursor).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        let mut write = self.write().await?;
        let purged = sqlx::query(
            "DELETE FROM portcullis_tokens WHERE absolute_expiry <= ?1 AND NOT EXISTS (SELECT 1 \
             FROM portcullis_tokens o WHERE o.tenant = portcullis_tokens.tenant \
             AND o.family = portcullis_tokens.family AND o.absolute_expiry > ?1)",
        )
        .bind(now.as_micros())
        .execute(write.sql())
        .await
        .map_err(failed)?;
        for query in [
            "UPDATE portcullis_tokens SET sealed = NULL WHERE sealed IS NOT NULL AND sealed_until <= ?1",
            "DELETE FROM portcullis_revocations WHERE keep_until <= ?1",
        ] {
            sqlx::query(query).bind(now.as_micros()).execute(write.sql()).await.map_err(failed)?;
        }
        write.commit().await?;
        Ok(purged.rows_affected())
    }
}
