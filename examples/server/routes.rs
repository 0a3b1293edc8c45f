//! Every route with its handler and its rule. What is not here is 404.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use http::Method;
use portcullis::TenantId;
use portcullis::account::Accounts;
use portcullis::audit::MemorySink;
use portcullis::authz::{AccessMap, Rule};
use portcullis::axum::{Routes, account_routes_with_sign_in_limit, jwks_routes};
use portcullis::crypto::StaticKeys;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::store::MemoryStore;
use serde_json::json;

use crate::app::App;
use crate::config::Environment;
use crate::debug::{self, ServerClock};
use crate::{admin, key_admin, notes, roles, tasks};

pub fn build(
    environment: Environment,
    accounts: &Accounts,
    tenant: &TenantId,
    clock: ServerClock,
    sign_in_limit: RateLimit,
) -> Routes<App> {
    let routes = Routes::new()
        .route(Method::GET, "/api/tasks", tasks::list, Rule::permission("tasks:read"))
        .route(Method::POST, "/api/tasks", tasks::create, Rule::permission("tasks:write"))
        .route(Method::DELETE, "/api/tasks/{id}", tasks::delete, Rule::permission("tasks:delete"))
        .route(Method::GET, "/api/notes", notes::list, Rule::unlimited())
        .route(Method::POST, "/api/notes", notes::create, Rule::unlimited())
        .route(Method::GET, "/api/notes/{id}", notes::get, Rule::unlimited())
        .route(Method::PUT, "/api/notes/{id}", notes::replace, Rule::unlimited())
        .route(Method::DELETE, "/api/notes/{id}", notes::delete, Rule::unlimited())
        .route(Method::GET, "/api/admin/users", admin::users, Rule::role("admin"))
        .route(Method::PUT, "/api/admin/users/{id}/roles", admin::set_roles, Rule::role("admin"))
        .route(Method::PUT, "/api/admin/users/{id}/status", admin::set_status, Rule::role("admin"))
        .route(Method::DELETE, "/api/admin/users/{id}", admin::delete, Rule::permission("users:delete"))
        .route(Method::GET, "/api/admin/audit", admin::audit, Rule::role("admin"))
        .route(Method::GET, "/api/admin/keys", key_admin::list, Rule::role("admin"))
        .route(Method::POST, "/api/admin/keys/rotate", key_admin::rotate, Rule::permission("system:manage"))
        .route(Method::GET, "/health", async || Json(json!({ "status": "ok" })), Rule::public())
        .add_routes_at("/api/auth", account_routes_with_sign_in_limit(accounts, tenant, sign_in_limit))
        .add_routes(jwks_routes(accounts.tokens()));
    match environment {
        Environment::Test => routes.add_routes_at("/api/debug", debug::routes(clock, accounts.clone())),
        Environment::Development | Environment::Production => routes,
    }
}

/// The table of them all. Their accounts are in memory under a key that is thrown away, so it can be had where there is
/// neither database nor key file.
pub async fn table(environment: Environment) -> Result<AccessMap, Box<dyn Error>> {
    let accounts = Accounts::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_audit(Arc::new(MemorySink::default()))
        .with_keys(Arc::new(StaticKeys::generate()?))
        .with_issuer("http://localhost")
        .with_audience("http://localhost")
        .build()
        .await?;
    let limit = RateLimit::builder("none").add_quota(Quota::per_minute(1)).build()?;
    let routes = build(environment, &accounts, &TenantId::default(), ServerClock::default(), limit);
    Ok(routes.access_map(&roles::model()?)?)
}
