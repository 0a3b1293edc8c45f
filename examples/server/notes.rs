//! Notes: their owner's, and nobody else finds out that they exist. Administrators see all.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portcullis::axum::StrictJson;
use portcullis::rejection::{Reason, Rejection, RejectionCode};
use portcullis::{Principal, Subject};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::app::{App, Failure};
use crate::input::Id;
use crate::tasks;

#[derive(Serialize)]
pub struct Note {
    id: String,
    owner: String,
    title: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    title: String,
    body: String,
}

/// Whose notes a principal may touch: its own, or with the role `admin` anybody's in its tenant. One predicate, in every
/// statement.
const MINE: &str = "tenant = ?1 AND (owner = ?2 OR ?3)";

fn note(row: &SqliteRow) -> Result<Note, sqlx::Error> {
    Ok(Note { id: row.try_get(0)?, owner: row.try_get(1)?, title: row.try_get(2)?, body: row.try_get(3)? })
}

fn checked(new: NewNote) -> Result<(String, String), Rejection> {
    let title = tasks::title(new.title)?;
    if new.body.chars().count() > 10_000 {
        let reason = Reason { field: "body", code: "too_long", limit: Some(10_000) };
        return Err(Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason]));
    }
    Ok((title, new.body))
}

pub async fn list(State(app): State<App>, principal: Principal) -> Result<Json<Vec<Note>>, Failure> {
    let sql = format!("SELECT id, owner, title, body FROM notes WHERE {MINE} ORDER BY created_at, id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(principal.tenant().as_str())
        .bind(app.owner(&principal)?.as_str())
        .bind(app.is_admin(&principal))
        .fetch_all(&app.pool)
        .await?;
    Ok(Json(rows.iter().map(note).collect::<Result<_, _>>()?))
}

pub async fn create(
    State(app): State<App>,
    principal: Principal,
    StrictJson(new): StrictJson<NewNote>,
) -> Result<Response, Failure> {
    let (title, body) = checked(new)?;
    let (id, owner) = (Subject::mint()?, app.owner(&principal)?);
    sqlx::query("INSERT INTO notes (id, tenant, owner, title, body, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(principal.tenant().as_str())
        .bind(owner.as_str())
        .bind(&title)
        .bind(&body)
        .bind(app.now())
        .execute(&app.pool)
        .await?;
    let note = Note { id: id.to_string(), owner: owner.to_string(), title, body };
    Ok((StatusCode::CREATED, Json(note)).into_response())
}

pub async fn get(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<Json<Note>, Failure> {
    let sql = format!("SELECT id, owner, title, body FROM notes WHERE {MINE} AND id = ?4");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(principal.tenant().as_str())
        .bind(app.owner(&principal)?.as_str())
        .bind(app.is_admin(&principal))
        .bind(id)
        .fetch_optional(&app.pool)
        .await?;
    Ok(Json(note(&row.ok_or(RejectionCode::NotFound)?)?))
}

pub async fn replace(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
    StrictJson(new): StrictJson<NewNote>,
) -> Result<Json<Note>, Failure> {
    let (title, body) = checked(new)?;
    let sql = format!(
        "UPDATE notes SET title = ?5, body = ?6 WHERE {MINE} AND id = ?4 RETURNING id, owner, title, body"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(principal.tenant().as_str())
        .bind(app.owner(&principal)?.as_str())
        .bind(app.is_admin(&principal))
        .bind(id)
        .bind(title)
        .bind(body)
        .fetch_optional(&app.pool)
        .await?;
    Ok(Json(note(&row.ok_or(RejectionCode::NotFound)?)?))
}

pub async fn delete(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<StatusCode, Failure> {
    let sql = format!("DELETE FROM notes WHERE {MINE} AND id = ?4");
    let deleted = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(principal.tenant().as_str())
        .bind(app.owner(&principal)?.as_str())
        .bind(app.is_admin(&principal))
        .bind(id)
        .execute(&app.pool)
        .await?;
    if deleted.rows_affected() == 0 {
        Err(RejectionCode::NotFound.into())
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}
