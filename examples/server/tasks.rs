//! Tasks: everybody's, by permission.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portcullis::rejection::{Reason, Rejection, RejectionCode};
use portcullis::{Principal, Subject};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use crate::app::{App, Failure};
use crate::input::Id;

#[derive(Serialize)]
pub struct Task {
    id: String,
    title: String,
    created_by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    title: String,
}

pub async fn list(State(app): State<App>, principal: Principal) -> Result<Json<Vec<Task>>, Failure> {
    let rows =
        sqlx::query("SELECT id, title, created_by FROM tasks WHERE tenant = ? ORDER BY created_at, id")
            .bind(principal.tenant().as_str())
            .fetch_all(&app.pool)
            .await?;
    let task = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Task { id: row.try_get(0)?, title: row.try_get(1)?, created_by: row.try_get(2)? })
    };
    Ok(Json(rows.iter().map(task).collect::<Result<_, sqlx::Error>>()?))
}

pub async fn create(
    State(app): State<App>,
    principal: Principal,
    portcullis::axum::StrictJson(new): portcullis::axum::StrictJson<NewTask>,
) -> Result<Response, Failure> {
    let title = title(new.title)?;
    let id = Subject::mint()?;
    let owner = app.owner(&principal)?;
    sqlx::query("INSERT INTO tasks (id, tenant, title, created_by, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(principal.tenant().as_str())
        .bind(&title)
        .bind(owner.as_str())
        .bind(app.now())
        .execute(&app.pool)
        .await?;
    let task = Task { id: id.to_string(), title, created_by: owner.to_string() };
    Ok((StatusCode::CREATED, Json(task)).into_response())
}

pub async fn delete(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<StatusCode, Failure> {
    let deleted = sqlx::query("DELETE FROM tasks WHERE id = ? AND tenant = ?")
        .bind(id)
        .bind(principal.tenant().as_str())
        .execute(&app.pool)
        .await?;
    if deleted.rows_affected() == 0 {
        Err(RejectionCode::NotFound.into())
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}

/// 1 to 200 code points, no control characters.
pub fn title(text: String) -> Result<String, Rejection> {
    let code = match text.chars().count() {
        0 => "too_short",
        1..=200 if !text.chars().any(char::is_control) => return Ok(text),
        1..=200 => "invalid_character",
        _ => "too_long",
    };
    let reason = Reason { field: "title", code, limit: Some(200) };
    Err(Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason]))
}
