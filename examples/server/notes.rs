//! Notes: their owner's, and nobody else finds out that they exist. Administrators see all. Bodies are sealed at rest.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portcullis::authz::policy::rows::{Dialect, RowRule, SqlCondition, Value, any_of, field, holds_role};
use portcullis::authz::{AccessRequest, RoleModel};
use portcullis::axum::StrictJson;
use portcullis::crypto::sealed::Encrypted;
use portcullis::rejection::{Reason, Rejection, RejectionCode};
use portcullis::vault::VaultError;
use portcullis::{ConfigError, Error, Principal, Subject, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::types::Text;
use sqlx::{AssertSqlSafe, Row as _, Sqlite};

use crate::app::{App, Failure};
use crate::input::Id;
use crate::sealed::note_body;
use crate::tasks;

#[derive(Serialize)]
pub struct Note {
    id: String,
    owner: String,
    title: String,
    /// `None` if it doesn't open, which is in the audit trail then.
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    title: String,
    body: String,
}

/// Whose notes a principal may touch: its own, or with the role `admin` anybody's in its tenant. One rule, in every
/// statement.
pub fn rule(roles: &RoleModel) -> Result<RowRule, ConfigError> {
    RowRule::with_tenant_field("tenant", any_of([field("owner").is_subject(), holds_role("admin")]), roles)
}

/// The rule for this principal, after so many parameters.
fn mine(app: &App, principal: &Principal, bound: usize) -> Result<SqlCondition, Error> {
    let roles = app.accounts.authorizer().roles();
    let request = AccessRequest::new(principal, &roles, "access", "notes");
    Ok(app.notes.visible_to(&request)?.to_sql(Dialect::Sqlite, bound))
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// A statement with what the rule binds, bound after the rest.
fn bind(query: Query, mine: SqlCondition) -> Query {
    mine.values.into_iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text.into_owned()),
        Value::Integer(number) => query.bind(number),
        Value::Boolean(yes) => query.bind(yes),
        Value::Null => query.bind(None::<i64>),
    })
}

/// The body is stored sealed.
async fn note(app: &App, tenant: &TenantId, row: &SqliteRow) -> Result<Note, Failure> {
    let (id, Text(body)): (String, Text<Encrypted<String>>) = (row.try_get(0)?, row.try_get(3)?);
    let body = match app.vault.open(&body, &note_body(tenant, &id)).await {
        Ok(body) => Some(body),
        // One damaged note hides none of the others.
        Err(VaultError::DoesNotOpen(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Note { owner: row.try_get(1)?, title: row.try_get(2)?, body, id })
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
    let mine = mine(&app, &principal, 0)?;
    let sql = format!("SELECT id, owner, title, body FROM notes WHERE {} ORDER BY created_at, id", mine.text);
    let rows = bind(sqlx::query(AssertSqlSafe(sql)), mine).fetch_all(&app.pool).await?;
    let mut notes = Vec::with_capacity(rows.len());
    for row in &rows {
        notes.push(note(&app, principal.tenant(), row).await?);
    }
    Ok(Json(notes))
}

pub async fn create(
    State(app): State<App>,
    principal: Principal,
    StrictJson(new): StrictJson<NewNote>,
) -> Result<Response, Failure> {
    let (title, body) = checked(new)?;
    let (id, owner) = (Subject::mint()?, app.owner(&principal)?);
    let sealed = app.vault.seal(&body, &note_body(principal.tenant(), id.as_str()))?;
    sqlx::query("INSERT INTO notes (id, tenant, owner, title, body, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(principal.tenant().as_str())
        .bind(owner.as_str())
        .bind(&title)
        .bind(Text(sealed))
        .bind(app.now())
        .execute(&app.pool)
        .await?;
    let note = Note { id: id.to_string(), owner: owner.to_string(), title, body: Some(body) };
    Ok((StatusCode::CREATED, Json(note)).into_response())
}

pub async fn get(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<Json<Note>, Failure> {
    let mine = mine(&app, &principal, 1)?;
    let sql = format!("SELECT id, owner, title, body FROM notes WHERE id = ?1 AND {}", mine.text);
    let row = bind(sqlx::query(AssertSqlSafe(sql)).bind(id), mine).fetch_optional(&app.pool).await?;
    Ok(Json(note(&app, principal.tenant(), &row.ok_or(RejectionCode::NotFound)?).await?))
}

pub async fn replace(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
    StrictJson(new): StrictJson<NewNote>,
) -> Result<Json<Note>, Failure> {
    let (title, body) = checked(new)?;
    let sealed = app.vault.seal(&body, &note_body(principal.tenant(), &id))?;
    let mine = mine(&app, &principal, 3)?;
    let sql = format!(
        "UPDATE notes SET title = ?2, body = ?3 WHERE id = ?1 AND {} RETURNING id, owner, title, body",
        mine.text
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(title).bind(Text(sealed));
    let row = bind(query, mine).fetch_optional(&app.pool).await?;
    Ok(Json(note(&app, principal.tenant(), &row.ok_or(RejectionCode::NotFound)?).await?))
}

pub async fn delete(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<StatusCode, Failure> {
    let mine = mine(&app, &principal, 1)?;
    let sql = format!("DELETE FROM notes WHERE id = ?1 AND {}", mine.text);
    let deleted = bind(sqlx::query(AssertSqlSafe(sql)).bind(id), mine).execute(&app.pool).await?;
    if deleted.rows_affected() == 0 {
        Err(RejectionCode::NotFound.into())
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}
