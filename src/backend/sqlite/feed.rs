//! Revocation: floors and feed.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::backend::sqlite::SqliteStore;
use crate::backend::sqlite::error::{corrupt, failed, from_column, to_column};
use crate::backend::sqlite::row::{epoch, id};
use crate::error::Result;
use crate::id::{FamilyId, Subject, TokenId};
use crate::principal::Epoch;
use crate::store::{Cursor, Feed, Kinds, Revocation, RevocationTarget, TokenRecord};
use crate::time::Timestamp;

/// Entries in a page of the feed.
const PAGE: i64 = 512;

/// Ends what the revocation names and appends it to the feed. Runs in the caller's transaction.
pub(super) async fn revoke(sql: &mut SqliteConnection, revocation: &Revocation) -> Result<()> {
    match &revocation.target {
        RevocationTarget::Token(id) => {
            let query = "UPDATE portcullis_tokens SET revoked_at = ?3 \
                         WHERE tenant = ?1 AND id = ?2 AND revoked_at IS NULL";
            end(sql, query, revocation, id.as_str()).await?;
            append(sql, revocation, "token", id.as_str(), None).await
        }
        RevocationTarget::Family(family) => {
            let query = "UPDATE portcullis_tokens SET revoked_at = ?3 \
                         WHERE tenant = ?1 AND family = ?2 AND revoked_at IS NULL";
            end(sql, query, revocation, family.as_str()).await?;
            append(sql, revocation, "family", family.as_str(), None).await
        }
        RevocationTarget::Subject { subject, kinds, below } => {
            raise_floors(sql, revocation, subject, *kinds, *below).await?;
            append(sql, revocation, "subject", subject.as_str(), Some((*kinds, *below))).await
        }
    }
}

async fn end(
    sql: &mut SqliteConnection,
    query: &'static str,
    revocation: &Revocation,
    name: &str,
) -> Result<()> {
    sqlx::query(query)
        .bind(revocation.tenant.as_str())
        .bind(name)
        .bind(revocation.at.as_micros())
        .execute(sql)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn raise_floors(
    sql: &mut SqliteConnection,
    revocation: &Revocation,
    subject: &Subject,
    kinds: Kinds,
    below: Epoch,
) -> Result<()> {
    for kind in kinds.iter() {
        sqlx::query(
            "INSERT INTO portcullis_floors (tenant, subject, kind, security, grants, raised_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, subject, kind) DO UPDATE SET \
             security = max(security, excluded.security), grants = max(grants, excluded.grants), \
             raised_at = excluded.raised_at WHERE excluded.security > security OR excluded.grants > grants",
        )
        .bind(revocation.tenant.as_str())
        .bind(subject.as_str())
        .bind(kind.as_str())
        .bind(i64::from(below.security))
        .bind(i64::from(below.grants))
        .bind(revocation.at.as_micros())
        .execute(&mut *sql)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

async fn append(
    sql: &mut SqliteConnection,
    revocation: &Revocation,
    target: &'static str,
    name: &str,
    floor: Option<(Kinds, Epoch)>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO portcullis_revocations (tenant, target, name, kinds, security, grants, at, keep_until) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(revocation.tenant.as_str())
    .bind(target)
    .bind(name)
    .bind(floor.map(|(kinds, _)| i64::from(kinds.bits())))
    .bind(floor.map(|(_, below)| i64::from(below.security)))
    .bind(floor.map(|(_, below)| i64::from(below.grants)))
    .bind(revocation.at.as_micros())
    .bind(revocation.keep_until.as_micros())
    .execute(sql)
    .await
    .map_err(failed)?;
    Ok(())
}

/// The subject's floor for the record's kind.
pub(super) async fn floor(sql: &mut SqliteConnection, record: &TokenRecord) -> Result<Epoch> {
    let row = sqlx::query(
        "SELECT security, grants FROM portcullis_floors WHERE tenant = ?1 AND subject = ?2 AND kind = ?3",
    )
    .bind(record.tenant.as_str())
    .bind(record.subject.as_str())
    .bind(record.kind.as_str())
    .fetch_optional(sql)
    .await
    .map_err(failed)?;
    let Some(row) = row else { return Ok(Epoch::ZERO) };
    Ok(epoch(&row, "security", "grants")?.unwrap_or_default())
}

impl SqliteStore {
    pub(super) async fn feed_after(&self, cursor: Cursor) -> Result<Feed> {
        let rows =
            sqlx::query("SELECT * FROM portcullis_revocations WHERE number > ?1 ORDER BY number LIMIT ?2")
                .bind(to_column(cursor.0)?)
                .bind(PAGE)
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
        let mut feed = Feed { entries: Vec::with_capacity(rows.len()), cursor };
        for row in rows {
            feed.entries.push(decode(&row)?);
            feed.cursor = Cursor(from_column(row.try_get("number").map_err(failed)?)?);
        }
        Ok(feed)
    }
}

fn decode(row: &SqliteRow) -> Result<Revocation> {
    let time = |column| row.try_get(column).map(Timestamp::from_micros).map_err(failed);
    let target = match row.try_get("target").map_err(failed)? {
        "token" => RevocationTarget::Token(id::<TokenId>(row, "name")?),
        "family" => RevocationTarget::Family(id::<FamilyId>(row, "name")?),
        "subject" => {
            let kinds: u8 = from_column(row.try_get("kinds").map_err(failed)?)?;
            RevocationTarget::Subject {
                subject: id(row, "name")?,
                kinds: Kinds::from_bits(kinds).ok_or_else(|| corrupt("a stored kind of token is unknown"))?,
                below: epoch(row, "security", "grants")?
                    .ok_or_else(|| corrupt("a stored revocation has no floor"))?,
            }
        }
        _ => return Err(corrupt("a stored revocation is of an unknown kind")),
    };
    Ok(Revocation { tenant: id(row, "tenant")?, target, at: time("at")?, keep_until: time("keep_until")? })
}
