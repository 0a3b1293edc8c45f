//! The handlers: read the body, ask the service, show the result.

use std::sync::Arc;

use ::axum::Json;
use ::axum::extract::State;
use ::axum::response::Response;
use serde_json::{Map, json};

use crate::account::{AccountError, Accounts, Registration};
use crate::axum::StrictJson;
use crate::axum::routes::body::{
    ChangePasswordBody, LoginBody, LogoutBody, LogoutBodyOrNothing, RefreshBody, RegisterBody, full_name,
};
use crate::axum::routes::view::{TokensView, UserView, no_store};
use crate::id::{Subject, TenantId};
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};

pub(super) struct Auth {
    pub(super) accounts: Accounts,
    pub(super) tenant: TenantId,
}

pub(super) async fn register(
    State(auth): State<Arc<Auth>>,
    StrictJson(body): StrictJson<RegisterBody>,
) -> Result<Response, Rejection> {
    let mut profile = Map::new();
    if let Some(name) = body.full_name {
        full_name(&name)
            .map_err(|reason| Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason]))?;
        profile.insert("full_name".to_owned(), name.into());
    }
    let registration = Registration::new(body.username, body.email, body.password).with_profile(profile);
    let user = auth.accounts.register(&auth.tenant, registration).await.map_err(refused)?;
    Ok(no_store(Json(UserView::from(user))))
}

pub(super) async fn login(State(auth): State<Arc<Auth>>, body: LoginBody) -> Result<TokensView, Rejection> {
    let signed_in =
        auth.accounts.sign_in(&auth.tenant, &body.identifier, body.password).await.map_err(refused)?;
    Ok(TokensView(signed_in.tokens))
}

pub(super) async fn refresh(
    State(auth): State<Arc<Auth>>,
    StrictJson(body): StrictJson<RefreshBody>,
) -> Result<TokensView, Rejection> {
    let signed_in = auth.accounts.refresh(&auth.tenant, &body.refresh_token).await.map_err(refused)?;
    Ok(TokensView(signed_in.tokens))
}

pub(super) async fn logout(
    State(auth): State<Arc<Auth>>,
    principal: Principal,
    LogoutBodyOrNothing(body): LogoutBodyOrNothing,
) -> Result<Response, Rejection> {
    let subject = subject(&principal)?;
    let LogoutBody { refresh_token, everywhere } = body;
    if let Some(refresh_token) = refresh_token {
        auth.accounts.sign_out_refresh(&auth.tenant, subject, &refresh_token).await.map_err(refused)?;
    }
    if let Some(family) = principal.family() {
        auth.accounts.sign_out(&auth.tenant, subject, family).await.map_err(refused)?;
    }
    if everywhere {
        auth.accounts.sign_out_everywhere(&auth.tenant, subject).await.map_err(refused)?;
    }
    Ok(no_store(Json(json!({ "signed_out": true }))))
}

pub(super) async fn me(State(auth): State<Arc<Auth>>, principal: Principal) -> Result<Response, Rejection> {
    let user = auth.accounts.user(&auth.tenant, subject(&principal)?).await.map_err(refused)?;
    Ok(no_store(Json(UserView::from(user))))
}

pub(super) async fn change_password(
    State(auth): State<Arc<Auth>>,
    principal: Principal,
    StrictJson(body): StrictJson<ChangePasswordBody>,
) -> Result<TokensView, Rejection> {
    let (current, new) = (body.current_password, body.new_password);
    let changed = auth.accounts.change_password(&auth.tenant, subject(&principal)?, current, new).await;
    Ok(TokensView(changed.map_err(refused)?.tokens))
}

fn subject(principal: &Principal) -> Result<&Subject, Rejection> {
    principal.subject().ok_or_else(|| RejectionCode::Unauthenticated.into())
}

fn refused(error: AccountError) -> Rejection {
    if let AccountError::Failed(cause) = &error {
        tracing::error!(error = ?cause, "an account operation failed");
    }
    error.rejection()
}
