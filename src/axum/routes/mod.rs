//! Ready-made endpoints: register, sign in, refresh, sign out, who am I, change the password, public keys.

mod auth;
mod body;
mod view;

use std::sync::Arc;

use ::axum::Json;
use ::axum::response::IntoResponse as _;
use http::{HeaderValue, Method, header};

use crate::account::Accounts;
use crate::authz::Rule;
use crate::axum::Routes;
use crate::id::TenantId;
use crate::rate_limit::{RateKey, RateLimit};
use crate::token::{Tokens, jwks};

/// The endpoints of accounts, to be put below a prefix such as `/api/auth` with
/// [`GateRouter::add_routes_at`](super::GateRouter::add_routes_at).
///
/// | method and path below the prefix | rule | body | answer |
/// |---|---|---|---|
/// | `POST /register` | public | `{username, email, password, full_name?}` | 200 the user; 409; 422 with reasons |
/// | `POST /login` | public | JSON or form `{username or email, password}` | 200 tokens; 401 |
/// | `POST /refresh` | public | `{refresh_token}` | 200 tokens; 401 |
/// | `POST /logout` | authenticated | `{refresh_token?, everywhere?}` or nothing | 200 |
/// | `GET /me` | authenticated | | 200 the user |
/// | `POST /password/change` | unlimited | `{current_password, new_password}` | 200 tokens; 422 with reasons |
///
/// The form is that of OAuth 2.0's password grant (RFC 6749 section 4.3.2), which many API explorers send. Unknown and
/// duplicate fields are refused: nobody sets a role by naming it. Every answer says `no-store`.
///
/// Nothing here limits how often somebody may try: [`account_routes_with_sign_in_limit`] does.
///
/// `tenant` is the one new users belong to; pass the gate's, or its bearer tokens will not fit.
///
/// ```
/// use portcullis::account::Accounts;
/// use portcullis::axum::{GateService, account_routes, jwks_routes};
/// use portcullis::{ConfigError, gate::Gate};
///
/// fn service(gate: &Gate, accounts: &Accounts) -> Result<GateService, ConfigError> {
///     gate.router()
///         .add_routes_at("/api/auth", account_routes(accounts, gate.tenant()))
///         .add_routes(jwks_routes(accounts.tokens()))
///         .finish()
/// }
/// ```
pub fn account_routes<S: Clone + Send + Sync + 'static>(accounts: &Accounts, tenant: &TenantId) -> Routes<S> {
    routes(auth::Auth { accounts: accounts.clone(), tenant: tenant.clone(), sign_in_limit: None })
}

/// As [`account_routes`], with a limit that is asked before a password is looked at: 429 beyond it, for a name that nobody
/// has as well. Its key is usually [`sign_in_key`].
///
/// ```
/// use portcullis::account::Accounts;
/// use portcullis::axum::{Routes, account_routes_with_sign_in_limit, sign_in_key};
/// use portcullis::rate_limit::{Quota, RateLimit};
/// use portcullis::{ConfigError, TenantId};
///
/// fn routes(accounts: &Accounts) -> Result<Routes, ConfigError> {
///     let limit = RateLimit::builder("sign-in").with_key(sign_in_key()).add_quota(Quota::per_minute(5)).build()?;
///     Ok(account_routes_with_sign_in_limit(accounts, &TenantId::default(), limit))
/// }
/// ```
pub fn account_routes_with_sign_in_limit<S: Clone + Send + Sync + 'static>(
    accounts: &Accounts,
    tenant: &TenantId,
    limit: RateLimit,
) -> Routes<S> {
    routes(auth::Auth { accounts: accounts.clone(), tenant: tenant.clone(), sign_in_limit: Some(limit) })
}

/// By what sign-ins are counted: the client's address together with the name it signs in as, in whatever spelling, whether
/// or not anybody has it.
#[must_use]
pub fn sign_in_key() -> RateKey {
    RateKey::address().and(RateKey::from_fn(|request, key| {
        if let Some(auth::SignInAs(name)) = request.extensions().get::<auth::SignInAs>() {
            key.bytes(name.bytes());
        }
    }))
}

fn routes<S: Clone + Send + Sync + 'static>(auth: auth::Auth) -> Routes<S> {
    let auth = Arc::new(auth);
    Routes::new()
        .route(Method::POST, "/register", auth::register, Rule::public())
        .route(Method::POST, "/login", auth::login, Rule::public())
        .route(Method::POST, "/refresh", auth::refresh, Rule::public())
        .route(Method::POST, "/logout", auth::logout, Rule::authenticated())
        .route(Method::GET, "/me", auth::me, Rule::authenticated())
        .route(Method::POST, "/password/change", auth::change_password, Rule::unlimited())
        .with_state(auth)
}

/// The public keys at `/.well-known/jwks.json` (RFC 7517 section 5), for services that verify our tokens themselves. A
/// service that goes by them alone doesn't hear of revocations.
pub fn jwks_routes<S: Clone + Send + Sync + 'static>(tokens: &Tokens) -> Routes<S> {
    let tokens = tokens.clone();
    let serve = move || async move {
        let mut response = Json(jwks(&tokens.codec().keyring())).into_response();
        let (type_, cache) = ("application/jwk-set+json", "public, max-age=300");
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(type_));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        response
    };
    Routes::new().route(Method::GET, "/.well-known/jwks.json", serve, Rule::public())
}
