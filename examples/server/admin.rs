//! What administrators do. Whether they may is for the rule of the route, how far for the accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use portcullis::axum::StrictJson;
use portcullis::store::{Page, User, UserStatus};
use portcullis::{Principal, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::{App, Failure};
use crate::input::{Id, Params};

#[derive(Serialize)]
pub struct UserRow {
    id: String,
    username: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    is_active: bool,
}

impl From<User> for UserRow {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.map(|name| name.text),
            email: user.email.map(|name| name.text),
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
    let page = Page { after: page.after, limit: page.limit.unwrap_or(LIMIT).clamp(1, LIMIT) };
    let users = app.accounts.users(principal.tenant(), page).await?;
    Ok(Json(users.into_iter().map(UserRow::from).collect()))
}

pub async fn set_roles(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<Subject>,
    StrictJson(new): StrictJson<NewRoles>,
) -> Result<Json<UserRow>, Failure> {
    let user = app.accounts.set_roles(&principal, principal.tenant(), &id, new.roles).await?;
    Ok(Json(user.into()))
}

pub async fn set_status(
    State(app): State<App>,
    principal: Principal,
    Id(id): Id<Subject>,
    StrictJson(new): StrictJson<NewStatus>,
) -> Result<Json<UserRow>, Failure> {
    let status = if new.is_active { UserStatus::Active } else { UserStatus::Disabled };
    let user = app.accounts.set_status(&principal, principal.tenant(), &id, status).await?;
    Ok(Json(user.into()))
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
