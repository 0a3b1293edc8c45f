//! What is sealed at rest - bodies of notes, names of users -, and moving it to the newest key.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis::account::SealedProfile;
use portcullis::crypto::KeyPurpose;
use portcullis::crypto::blind_index::Normalization;
use portcullis::crypto::sealed::{FieldContext, Sealed};
use portcullis::error::{ErrorKind, Result};
use portcullis::time::Timestamp;
use portcullis::vault::{Progress, Reseal, ResealStore, RowKey, SealedRow, Vault};
use portcullis::{ConfigError, Error, TenantId};
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;

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
pub const PROGRESS: &str = "CREATE TABLE IF NOT EXISTS resealing (what TEXT PRIMARY KEY, progress TEXT NOT NULL, saved_at INTEGER NOT NULL) STRICT";

/// Nobody writes under an older key any more so long after a rotation: other servers over the same files hear of it within
/// two seconds.
const EVERYBODY_KNOWS: Duration = Duration::from_secs(5);

/// Even what was moved is looked at again, for what was written late: it costs a walk over the rows.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// What was left behind is tried again sooner.
const AGAIN_AFTER_TROUBLE: Duration = Duration::from_secs(60);

/// Moves everything to the newest keys, a batch a second, and again and again.
pub async fn keep_current(app: App, tenant: TenantId, batch: NonZeroU32) {
    let notes = Reseal::new(app.vault.clone(), "notes", "body").with_batch(batch);
    let store = Notes(app.pool.clone());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !is_settled(&app) {
            continue;
        }
        let moved = async {
            let Some(mut progress) = due(&app, "notes").await? else { return Ok(()) };
            notes.step(&store, &mut progress).await?;
            save(&app, "notes", &progress).await
        };
        tell("notes", moved.await);
        let moved = async {
            let Some(mut progress) = due(&app, "profiles").await? else { return Ok(()) };
            app.accounts.reseal_profiles(&tenant, &mut progress).await.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "profiles cannot be sealed again").with_source(error)
            })?;
            save(&app, "profiles", &progress).await
        };
        tell("profiles", moved.await);
    }
}

/// Whether every instance knows the newest keys by now.
fn is_settled(app: &App) -> bool {
    let now = app.clock.now();
    [KeyPurpose::Sealing, KeyPurpose::BlindIndex].into_iter().all(|purpose| {
        let records = app.vault.key_records(purpose);
        let since = records.first().and_then(|primary| primary.since());
        since.is_none_or(|since| since <= now && now.since(since) >= EVERYBODY_KNOWS)
    })
}

fn tell(what: &str, moved: Result<()>) {
    if let Err(error) = moved {
        tracing::warn!(what, error = ?error, "what is sealed could not be moved to the newest key; it is tried again");
    }
}

/// From where to go on; `None` if everything was moved a short while ago.
async fn due(app: &App, what: &str) -> Result<Option<Progress>> {
    let row: Option<(String, i64)> =
        sqlx::query_as("SELECT progress, saved_at FROM resealing WHERE what = ?")
            .bind(what)
            .fetch_optional(&app.pool)
            .await
            .map_err(unavailable)?;
    let Some((text, saved)) = row else { return Ok(Some(Progress::default())) };
    let known: Progress = serde_json::from_str(&text).unwrap_or_default();
    if !known.ended || known.target != app.vault.newest() {
        return Ok(Some(known));
    }
    let pause = if known.is_complete() { AGAIN } else { AGAIN_AFTER_TROUBLE };
    let again = app.clock.now().since(Timestamp::from_micros(saved)) >= pause;
    Ok(again.then(Progress::default))
}

async fn save(app: &App, what: &str, progress: &Progress) -> Result<()> {
    let text = serde_json::to_string(progress)
        .map_err(|error| Error::new(ErrorKind::Internal, "progress is no json").with_source(error))?;
    sqlx::query("INSERT OR REPLACE INTO resealing (what, progress, saved_at) VALUES (?, ?, ?)")
        .bind(what)
        .bind(text)
        .bind(app.now())
        .execute(&app.pool)
        .await
        .map_err(unavailable)?;
    if progress.ended && progress.resealed > 0 {
        tracing::info!(what, resealed = progress.resealed, "moved to the newest key");
    }
    if progress.ended && progress.refused > 0 {
        tracing::warn!(what, refused = progress.refused, "left behind: they don't open");
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
            let (tenant, body): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            let tenant = TenantId::parse(&tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(SealedRow { key: RowKey { tenant, id: row.try_get(1)? }, sealed: body.parse().ok() })
        };
        rows.iter().map(row).collect::<sqlx::Result<_>>().map_err(unavailable)
    }

    async fn replace(&self, row: &RowKey, before: &Sealed, after: &Sealed) -> Result<bool> {
        let done = sqlx::query("UPDATE notes SET body = ? WHERE tenant = ? AND id = ? AND body = ?")
            .bind(after.to_string())
            .bind(row.tenant.as_str())
            .bind(&row.id)
            .bind(before.to_string())
            .execute(&self.0)
            .await
            .map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the database failed").with_source(error)
}
