//! What is sealed at rest - bodies of notes, names of users -, and moving it to the newest key.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis::account::{Accounts, SealedProfile};
use portcullis::crypto::KeyPurpose;
use portcullis::crypto::blind_index::Normalization;
use portcullis::crypto::sealed::{FieldContext, Sealed};
use portcullis::error::{ErrorKind, Result};
use portcullis::vault::{Progress, Reseal, ResealStore, RowKey, SealedRow, Vault};
use portcullis::{ConfigError, Error, TenantId};
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;
use sqlx::types::Text;

use crate::app::App;

/// Where the body of a note lives.
pub fn note_body<'a>(tenant: &'a TenantId, id: &'a str) -> FieldContext<'a> {
    FieldContext::new(tenant, "notes", "body", id)
}

/// Users are found by their full name, which is stored sealed.
pub fn profile(vault: &Vault) -> Result<SealedProfile, ConfigError> {
    SealedProfile::new(vault.clone()).add_indexed_member("full_name", Normalization::CaseFolded)
}

/// How far the moves are, by what is moved; kept, so that a server that is stopped goes on where it was.
pub const PROGRESS: &str = "CREATE TABLE IF NOT EXISTS resealing (what TEXT PRIMARY KEY, keys TEXT NOT NULL, progress TEXT NOT NULL) STRICT";

/// Moves everything to the newest keys whenever there are newer ones, a batch at a time.
pub async fn keep_current(app: App, tenant: TenantId) {
    let notes = Reseal::new(app.vault.clone(), "notes", "body");
    let store = Notes(app.pool.clone());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let keys = newest(&app.vault);
        let moved = async {
            let mut progress = load(&app.pool, "notes", &keys).await?;
            if !progress.ended {
                notes.step(&store, &mut progress).await?;
                save(&app.pool, "notes", &keys, &progress).await?;
            }
            let mut progress = load(&app.pool, "profiles", &keys).await?;
            if !progress.ended {
                reseal_profiles(&app.accounts, &tenant, &mut progress).await?;
                save(&app.pool, "profiles", &keys, &progress).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = moved.await {
            tracing::warn!(error = ?error, "what is sealed could not be moved to the newest key; it is tried again");
        }
    }
}

async fn reseal_profiles(accounts: &Accounts, tenant: &TenantId, progress: &mut Progress) -> Result<()> {
    accounts.reseal_profiles(tenant, progress).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, "profiles could not be sealed again").with_source(error)
    })
}

/// The keys that new values are made with.
fn newest(vault: &Vault) -> String {
    let primary = |purpose| vault.key_records(purpose).first().map(|record| record.id().to_string());
    let [sealing, index] = [KeyPurpose::Sealing, KeyPurpose::BlindIndex].map(primary);
    format!("{} {}", sealing.unwrap_or_default(), index.unwrap_or_default())
}

/// From the start if it is about other keys. A move that left something behind starts over, too.
async fn load(pool: &SqlitePool, what: &str, keys: &str) -> Result<Progress> {
    let row: Option<String> =
        sqlx::query_scalar("SELECT progress FROM resealing WHERE what = ? AND keys = ?")
            .bind(what)
            .bind(keys)
            .fetch_optional(pool)
            .await
            .map_err(unavailable)?;
    let known: Option<Progress> = row.and_then(|text| serde_json::from_str(&text).ok());
    let known = known.unwrap_or_default();
    Ok(if known.ended && known.raced > 0 { Progress::default() } else { known })
}

async fn save(pool: &SqlitePool, what: &str, keys: &str, progress: &Progress) -> Result<()> {
    let text = serde_json::to_string(progress)
        .map_err(|error| Error::new(ErrorKind::Internal, "progress is no json").with_source(error))?;
    sqlx::query("INSERT OR REPLACE INTO resealing (what, keys, progress) VALUES (?, ?, ?)")
        .bind(what)
        .bind(keys)
        .bind(text)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    if progress.ended && progress.resealed > 0 {
        tracing::info!(
            what,
            resealed = progress.resealed,
            refused = progress.refused,
            "moved to the newest key"
        );
    }
    Ok(())
}

/// The column with the bodies of notes.
struct Notes(SqlitePool);

#[async_trait::async_trait]
impl ResealStore for Notes {
    async fn rows(&self, after: Option<&RowKey>, limit: NonZeroU32) -> Result<Vec<SealedRow>> {
        let sql =
            "SELECT tenant, id, body FROM notes WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?";
        let rows = sqlx::query(sql)
            .bind(after.map_or("", |row| row.tenant.as_str()))
            .bind(after.map_or("", |row| row.id.as_str()))
            .bind(limit.get())
            .fetch_all(&self.0)
            .await
            .map_err(unavailable)?;
        let row = |row: &sqlx::sqlite::SqliteRow| {
            let (tenant, Text(sealed)): (String, Text<Sealed>) = (row.try_get(0)?, row.try_get(2)?);
            let tenant = TenantId::parse(&tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(SealedRow { key: RowKey { tenant, id: row.try_get(1)? }, sealed })
        };
        rows.iter().map(row).collect::<sqlx::Result<_>>().map_err(unavailable)
    }

    async fn replace(&self, row: &SealedRow, sealed: &Sealed) -> Result<bool> {
        let done = sqlx::query("UPDATE notes SET body = ? WHERE tenant = ? AND id = ? AND body = ?")
            .bind(Text(sealed))
            .bind(row.key.tenant.as_str())
            .bind(&row.key.id)
            .bind(Text(&row.sealed))
            .execute(&self.0)
            .await
            .map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the database failed").with_source(error)
}
