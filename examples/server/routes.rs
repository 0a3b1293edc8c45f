//! Every route with its handler and its rule. What is not here is 404.

use axum::Json;
use http::Method;
use portcullis::account::Accounts;
use portcullis::authz::Rule;
use portcullis::axum::{GateRouter, account_routes, jwks_routes};
use portcullis::gate::Gate;
use serde_json::json;

use crate::app::App;
use crate::{admin, notes, tasks};

pub fn build(gate: &Gate, accounts: &Accounts, app: App) -> GateRouter {
    gate.router()
        .route(Method::GET, "/api/tasks", tasks::list, Rule::permission("tasks:read"))
        .route(Method::POST, "/api/tasks", tasks::create, Rule::permission("tasks:write"))
        .route(Method::DELETE, "/api/tasks/{id}", tasks::delete, Rule::permission("tasks:delete"))
        .route(Method::GET, "/api/notes", notes::list, Rule::authenticated())
        .route(Method::POST, "/api/notes", notes::create, Rule::authenticated())
        .route(Method::GET, "/api/notes/{id}", notes::get, Rule::authenticated())
        .route(Method::PUT, "/api/notes/{id}", notes::replace, Rule::authenticated())
        .route(Method::DELETE, "/api/notes/{id}", notes::delete, Rule::authenticated())
        .route(Method::GET, "/api/admin/users", admin::users, Rule::role("admin"))
        .route(Method::PUT, "/api/admin/users/{id}/roles", admin::set_roles, Rule::role("admin"))
        .route(Method::PUT, "/api/admin/users/{id}/status", admin::set_status, Rule::role("admin"))
        .route(Method::DELETE, "/api/admin/users/{id}", admin::delete, Rule::permission("users:delete"))
        .route(Method::GET, "/api/admin/audit", admin::audit, Rule::role("admin"))
        .with_state(app)
        .route(Method::GET, "/health", async || Json(json!({ "status": "ok" })), Rule::public())
        .add_routes_at("/api/auth", account_routes(accounts, gate.tenant()))
        .add_routes(jwks_routes(accounts.tokens()))
}
