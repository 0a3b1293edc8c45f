//! Rows of tokens, and the records they stand for.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite, query::Query};

use crate::backend::sqlite::error::{corrupt, failed, from_column, to_column};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InvalidId;
use crate::principal::Epoch;
use crate::secret::Digest;
use crate::store::{Successor, TokenKind, TokenRecord};
use crate::time::Timestamp;

/// A record with its subject's floor for its kind, and when that was raised.
pub(super) struct Stored {
    pub(super) record: TokenRecord,
    pub(super) floor: Epoch,
    raised_at: Timestamp,
}

impl Stored {
    /// The record as readers see it.
    pub(super) fn seen(self) -> TokenRecord {
        self.record.seen_under(self.floor, self.raised_at)
    }
}

/// A query for [`decode`], with the rest of it after the tables.
macro_rules! select_tokens {
    ($rest:literal) => {
        concat!(
            "SELECT t.*, f.security AS floor_security, f.grants AS floor_grants, f.raised_at \
             FROM portcullis_tokens t LEFT JOIN portcullis_floors f \
             ON f.tenant = t.tenant AND f.subject = t.subject AND f.kind = t.kind ",
            $rest
        )
    };
}
pub(super) use select_tokens;

pub(super) fn decode(row: &SqliteRow) -> Result<Stored> {
    let time = |column| row.try_get(column).map(Timestamp::from_micros).map_err(failed);
    let time_or_null = |column| {
        let micros = row.try_get::<Option<i64>, _>(column).map_err(failed);
        micros.map(|micros| micros.map(Timestamp::from_micros))
    };
    let digest: &[u8] = row.try_get("digest").map_err(failed)?;
    let digest = digest.try_into().map_err(|_| corrupt("a stored digest has the wrong length"))?;
    let mut record = TokenRecord::new(
        id(row, "tenant")?,
        id(row, "id")?,
        TokenKind::parse(text(row, "kind")?).ok_or_else(|| corrupt("a stored kind of token is unknown"))?,
        id(row, "subject")?,
        id(row, "family")?,
        Digest::from_bytes(digest),
        epoch(row, "security", "grants")?.unwrap_or_default(),
        time("created_at")?,
        time("expires_at")?,
        time("absolute_expiry")?,
    );
    record.last_used_at = time("last_used_at")?;
    record.revision = from_column(row.try_get("revision").map_err(failed)?)?;
    record.attempts = from_column(row.try_get("attempts").map_err(failed)?)?;
    record.consumed_at = time_or_null("consumed_at")?;
    record.revoked_at = time_or_null("revoked_at")?;
    record.data = serde_json::from_str(text(row, "data")?)
        .map_err(|source| corrupt("a token's stored data cannot be read").with_source(source))?;
    if row.try_get::<Option<&str>, _>("successor").map_err(failed)?.is_some() {
        let sealed = row.try_get("sealed").map_err(failed)?;
        record.successor =
            Some(Successor { id: id(row, "successor")?, sealed, sealed_until: time("sealed_until")? });
    }
    Ok(Stored {
        record,
        floor: epoch(row, "floor_security", "floor_grants")?.unwrap_or_default(),
        raised_at: time_or_null("raised_at")?.unwrap_or(Timestamp::MIN),
    })
}

fn text<'r>(row: &'r SqliteRow, column: &str) -> Result<&'r str> {
    row.try_get(column).map_err(failed)
}

/// An identifier from a column.
pub(super) fn id<T: std::str::FromStr<Err = InvalidId>>(row: &SqliteRow, column: &str) -> Result<T> {
    text(row, column)?
        .parse()
        .map_err(|source: InvalidId| corrupt("a stored identifier is none").with_source(source))
}

/// Counters from two columns, `None` if the first is null.
pub(super) fn epoch(row: &SqliteRow, security: &str, grants: &str) -> Result<Option<Epoch>> {
    let Some(security) = row.try_get(security).map_err(failed)? else { return Ok(None) };
    let grants = row.try_get(grants).map_err(failed)?;
    Ok(Some(Epoch { security: from_column(security)?, grants: from_column(grants)? }))
}

/// Stores a record if its id is free.
pub(super) fn insert(record: &TokenRecord) -> Result<Query<'_, Sqlite, SqliteArguments>> {
    let data = serde_json::to_string(&record.data).map_err(|source| {
        Error::new(ErrorKind::Internal, "a token's data cannot be written as json").with_source(source)
    })?;
    let time_or_null = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    let successor = record.successor.as_ref();
    Ok(sqlx::query(
        "INSERT INTO portcullis_tokens (tenant, id, kind, subject, family, digest, security, grants, created_at, \
         last_used_at, expires_at, absolute_expiry, revision, attempts, consumed_at, revoked_at, successor, sealed, \
         sealed_until, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
         ?19, ?20) ON CONFLICT (tenant, id) DO NOTHING",
    )
    .bind(record.tenant.as_str())
    .bind(record.id.as_str())
    .bind(record.kind.as_str())
    .bind(record.subject.as_str())
    .bind(record.family.as_str())
    .bind(record.digest.as_bytes().as_slice())
    .bind(i64::from(record.epoch.security))
    .bind(i64::from(record.epoch.grants))
    .bind(record.created_at.as_micros())
    .bind(record.last_used_at.as_micros())
    .bind(record.expires_at.as_micros())
    .bind(record.absolute_expiry.as_micros())
    .bind(to_column(record.revision)?)
    .bind(i64::from(record.attempts))
    .bind(time_or_null(record.consumed_at))
    .bind(time_or_null(record.revoked_at))
    .bind(successor.map(|next| next.id.as_str()))
    .bind(successor.and_then(|next| next.sealed.as_deref()))
    .bind(time_or_null(successor.map(|next| next.sealed_until)))
    .bind(data))
}
