//! What administrators do. Whether they may is for the rule of the route, how far for the accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use portcullis::axum::StrictJson;
use portcullis::crypto::blind_index::Normalization;
use portcullis::store::{Page, User, UserStatus};
use portcullis::{Principal, Subject, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::{App, Failure};
use crate::input::{Id, Params};

#[derive(Serialize)]
pub struct UserRow {
    id: String,
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    roles: Vec<String>,
    is_active: bool,
}

impl UserRow {
    /// With the name opened. One that doesn't open, which is in the audit trail then, keeps nobody from seeing the rest.
    async fn of(app: &App, user: User) -> Self {
        let profile = app.accounts.profile(&user).await.unwrap_or_else(|error| {
            tracing::error!(error = ?error, user = %user.id, "a profile cannot be opened");
            serde_json::Map::new()
        });
        Self {
            id: user.id.to_string(),
            username: user.username.map(|name| name.text),
            email: user.email.map(|name| name.text),
            full_name: profile.get("full_name").and_then(Value::as_str).map(str::to_owned),
            roles: user.roles,
            is_active: user.status == UserStatus::Active,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersPage {
    after: Option<Subject>,
    limit: Option<u32>,
    /// Only users of this name, in whatever case: found by its blind index, as it is stored sealed.
    full_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPage {
    before: Option<i64>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoles {
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStatus {
    is_active: bool,
}

const LIMIT: u32 = 100;

pub async fn users(
    State(app): State<App>,
    principal: Principal,
    Params(page): Params<UsersPage>,
) -> Result<Json<Vec<UserRow>>, Failure> {
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT);
    let users = match &page.full_name {
        Some(name) => named(&app, principal.tenant(), name, limit).await?,
        None => app.accounts.users(principal.tenant(), Page { after: page.after, limit }).await?,
    };
    let mut rows = Vec::with_capacity(users.len());
    for user in users {
        let row = UserRow::of(&app, user).await;
        // The index may find a few too many.
        let alike = |wanted: &String| {
            row.full_name.as_ref().is_some_and(|name| Normalization::CaseFolded.alike(name, wanted))
        };
        if page.full_name.as_ref().is_none_or(alike) {
            rows.push(row);
        }
    }
    Ok(Json(rows))
}

/// The users whose name has this index, under any key there is.
async fn named(app: &App, tenant: &TenantId, name: &str, limit: u32) -> Result<Vec<User>, Failure> {
    let candidates = serde_json::to_string(&app.accounts.profile_candidates(tenant, "full_name", name))
        .map_err(|error| Failure::Failed(error.into()))?;
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM portcullis_users WHERE tenant = ?
         AND json_extract(body, '$.profile.full_name_index') IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
    )
    .bind(tenant.as_str())
    .bind(candidates)
    .bind(limit)
    .fetch_all(&app.pool)
    .await?;
    let mut users = Vec::with_capacity(ids.len());
    for id in ids {
        let id = Subject::parse(&id).map_err(|error| Failure::Failed(error.into()))?;
        users.push(app.accounts.user(tenant, &id).await?);
    }
    Ok(users)
}

pub async fn set_roles(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<Subject>,
    StrictJson(new): StrictJson<NewRoles>,
) -> Result<Json<UserRow>, Failure> {
    let user = app.accounts.set_roles(&principal, principal.tenant(), &id, new.roles).await?;
    Ok(Json(UserRow::of(&app, user).await))
}

pub async fn set_status(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<Subject>,
    StrictJson(new): StrictJson<NewStatus>,
) -> Result<Json<UserRow>, Failure> {
    let status = if new.is_active { UserStatus::Active } else { UserStatus::Disabled };
    let user = app.accounts.set_status(&principal, principal.tenant(), &id, status).await?;
    Ok(Json(UserRow::of(&app, user).await))
}

pub async fn delete(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<Subject>,
) -> Result<StatusCode, Failure> {
    app.accounts.delete(&principal, principal.tenant(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn audit(
    State(app): State<App>,
    principal: Principal,
    Params(page): Params<AuditPage>,
) -> Result<Json<Vec<Value>>, Failure> {
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT);
    let events = app.store.audit_events(principal.tenant(), page.before, limit).await?;
    let rows = events.into_iter().map(|(number, mut event)| {
        if let Some(event) = event.as_object_mut() {
            event.insert("number".to_owned(), number.into());
        }
        event
    });
    Ok(Json(rows.collect()))
}
