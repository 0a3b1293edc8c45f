//! The handlers: read the body, ask the service, show the result.

use std::sync::Arc;

use ::axum::Json;
use ::axum::extract::State;
use ::axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use serde_json::{Map, json};

use crate::account::{AccountError, Accounts, Registration, login_key};
use crate::axum::StrictJson;
use crate::axum::routes::body::{
    ChangePasswordBody, LoginBody, LogoutBody, LogoutBodyOrNothing, RefreshBody, RegisterBody, full_name,
};
use crate::axum::routes::view::{TokensView, UserView, no_store};
use crate::id::{Subject, TenantId};
use crate::principal::Principal;
use crate::rate_limit::{RateLimit, RateRequest, RateVerdict};
use crate::rejection::{Rejection, RejectionCode};
use crate::store::LoginKey;

pub(super) struct Auth {
    pub(super) accounts: Accounts,
    pub(super) tenant: TenantId,
    pub(super) sign_in_limit: Option<RateLimit>,
}

/// Who somebody wants to sign in as, for the key of a limit.
#[derive(Clone)]
pub(super) struct SignInAs(pub(super) LoginKey);

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
    let registration = Registration::new(body.username, body.email, body.password);
    let registration = registration.with_profile(profile.clone());
    let user = to_the_end(async move { auth.accounts.register(&auth.tenant, registration).await }).await?;
    Ok(no_store(Json(UserView::new(user, &profile))))
}

pub(super) async fn login(State(auth): State<Arc<Auth>>, mut parts: Parts, body: LoginBody) -> Response {
    let Some(limit) = auth.sign_in_limit.clone() else { return sign_in(auth, body).await.into_response() };
    parts.extensions.insert(SignInAs(login_key(&body.identifier)));
    let mut decision =
        match limit.decide(&RateRequest::of_parts(&parts, || auth.accounts.tokens().clock().now())) {
            RateVerdict::Ready(decision) => decision,
            RateVerdict::Pending(decision) => decision.await,
        };
    let mut response = match decision.rejection() {
        None => sign_in(auth, body).await.into_response(),
        Some(rejection) => rejection.into_response(),
    };
    if let Some(settled) = limit.settle(&mut decision, response.status()) {
        decision = settled.await;
    }
    limit.add_fields(&decision, response.headers_mut());
    response
}

async fn sign_in(auth: Arc<Auth>, body: LoginBody) -> Result<TokensView, Rejection> {
    let sign_in = async move { auth.accounts.sign_in(&auth.tenant, &body.identifier, body.password).await };
    Ok(TokensView(to_the_end(sign_in).await?.tokens))
}

pub(super) async fn refresh(
    State(auth): State<Arc<Auth>>,
    StrictJson(body): StrictJson<RefreshBody>,
) -> Result<TokensView, Rejection> {
    let refresh = async move { auth.accounts.refresh(&auth.tenant, &body.refresh_token).await };
    let signed_in = to_the_end(refresh).await?;
    Ok(TokensView(signed_in.tokens))
}

pub(super) async fn logout(
    State(auth): State<Arc<Auth>>,
    principal: Principal,
    LogoutBodyOrNothing(body): LogoutBodyOrNothing,
) -> Result<Response, Rejection> {
    let subject = subject(&principal)?.clone();
    let LogoutBody { refresh_token, everywhere } = body;
    to_the_end(async move {
        let Auth { accounts, tenant, .. } = &*auth;
        if let Some(refresh_token) = refresh_token {
            accounts.sign_out_refresh(tenant, &subject, &refresh_token).await?;
        }
        if let Some(family) = principal.family() {
            accounts.sign_out(tenant, &subject, family).await?;
        }
        if everywhere {
            accounts.sign_out_everywhere(tenant, &subject).await?;
        }
        Ok(())
    })
    .await?;
    Ok(no_store(Json(json!({ "signed_out": true }))))
}

pub(super) async fn me(State(auth): State<Arc<Auth>>, principal: Principal) -> Result<Response, Rejection> {
    let user = auth.accounts.user(&auth.tenant, subject(&principal)?).await.map_err(refused)?;
    let profile = auth.accounts.profile(&user).await.map_err(refused)?;
    Ok(no_store(Json(UserView::new(user, &profile))))
}

pub(super) async fn change_password(
    State(auth): State<Arc<Auth>>,
    principal: Principal,
    StrictJson(body): StrictJson<ChangePasswordBody>,
) -> Result<TokensView, Rejection> {
    let subject = subject(&principal)?.clone();
    let (current, new) = (body.current_password, body.new_password);
    let change = async move { auth.accounts.change_password(&auth.tenant, &subject, current, new).await };
    Ok(TokensView(to_the_end(change).await?.tokens))
}

/// Runs an operation to its end even if the client hangs up: what was begun is finished and audited.
async fn to_the_end<T: Send + 'static>(
    operation: impl Future<Output = Result<T, AccountError>> + Send + 'static,
) -> Result<T, Rejection> {
    match tokio::spawn(operation).await {
        Ok(result) => result.map_err(refused),
        Err(cause) => {
            tracing::error!(error = %cause, "an account operation did not end");
            Err(RejectionCode::Internal.into())
        }
    }
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
