//! The users' half.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::backend::sqlite::SqliteStore;
use crate::backend::sqlite::error::{failed, from_column, next_revision, to_column};
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::store::{LoginKey, LoginKeyKind, Page, User, UserInsertion, UserReplacement, UserStore};

type Row = (i64, String);

fn decode((revision, body): Row) -> Result<User> {
    let mut user = User::from_json(&body)?;
    user.revision = from_column(revision)?;
    Ok(user)
}

/// Takes every login key of `user`, or says which kind belongs to somebody else.
async fn take_keys(sql: &mut SqliteConnection, user: &User) -> Result<Option<LoginKeyKind>> {
    // A user may name the same key twice; that is no conflict.
    for key in user.login_keys().collect::<BTreeSet<_>>() {
        let taken = sqlx::query(
            "INSERT INTO portcullis_login_keys (tenant, kind, key, user_id) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (tenant, kind, key) DO NOTHING",
        )
        .bind(user.tenant.as_str())
        .bind(key.kind().as_str())
        .bind(key.bytes())
        .bind(user.id.as_str())
        .execute(&mut *sql)
        .await
        .map_err(failed)?;
        if taken.rows_affected() == 0 {
            return Ok(Some(key.kind()));
        }
    }
    Ok(None)
}

async fn free_keys(sql: &mut SqliteConnection, tenant: &TenantId, id: &Subject) -> Result<()> {
    sqlx::query("DELETE FROM portcullis_login_keys WHERE tenant = ?1 AND user_id = ?2")
        .bind(tenant.as_str())
        .bind(id.as_str())
        .execute(sql)
        .await
        .map_err(failed)?;
    Ok(())
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn insert(&self, user: &User) -> Result<UserInsertion> {
        let (revision, body) = (to_column(user.revision)?, user.to_json()?);
        let mut write = self.write().await?;
        let inserted = sqlx::query(
            "INSERT INTO portcullis_users (tenant, id, revision, body) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (tenant, id) DO NOTHING",
        )
        .bind(user.tenant.as_str())
        .bind(user.id.as_str())
        .bind(revision)
        .bind(body)
        .execute(write.sql())
        .await
        .map_err(failed)?;
        if inserted.rows_affected() == 0 {
            return Ok(UserInsertion::IdExists);
        }
        if let Some(kind) = take_keys(write.sql(), user).await? {
            return Ok(UserInsertion::Duplicate(kind));
        }
        write.commit().await?;
        Ok(UserInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>> {
        sqlx::query_as::<_, Row>("SELECT revision, body FROM portcullis_users WHERE tenant = ?1 AND id = ?2")
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?
            .map(decode)
            .transpose()
    }

    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>> {
        sqlx::query_as::<_, Row>(
            "SELECT u.revision, u.body FROM portcullis_login_keys k \
             JOIN portcullis_users u ON u.tenant = k.tenant AND u.id = k.user_id \
             WHERE k.tenant = ?1 AND k.kind = ?2 AND k.key = ?3",
        )
        .bind(tenant.as_str())
        .bind(key.kind().as_str())
        .bind(key.bytes())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?
        .map(decode)
        .transpose()
    }

    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement> {
        let (next, body) = (next_revision(expected_revision)?, user.to_json()?);
        let mut write = self.write().await?;
        let replaced = sqlx::query(
            "UPDATE portcullis_users SET revision = ?4, body = ?5 \
             WHERE tenant = ?1 AND id = ?2 AND revision = ?3",
        )
        .bind(user.tenant.as_str())
        .bind(user.id.as_str())
        .bind(to_column(expected_revision)?)
        .bind(next)
        .bind(body)
        .execute(write.sql())
        .await
        .map_err(failed)?;
        if replaced.rows_affected() == 0 {
            return Ok(UserReplacement::Conflict);
        }
        free_keys(write.sql(), &user.tenant, &user.id).await?;
        if let Some(kind) = take_keys(write.sql(), user).await? {
            return Ok(UserReplacement::Duplicate(kind));
        }
        write.commit().await?;
        Ok(UserReplacement::Replaced)
    }

    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool> {
        let mut write = self.write().await?;
        free_keys(write.sql(), tenant, id).await?;
        let deleted = sqlx::query("DELETE FROM portcullis_users WHERE tenant = ?1 AND id = ?2")
            .bind(tenant.as_str())
            .bind(id.as_str())
            .execute(write.sql())
            .await
            .map_err(failed)?;
        write.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>> {
        sqlx::query_as::<_, Row>(
            "SELECT revision, body FROM portcullis_users WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )
        .bind(tenant.as_str())
        // No identifier is empty.
        .bind(page.after.as_ref().map_or("", Subject::as_str))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(decode)
        .collect()
    }
}
