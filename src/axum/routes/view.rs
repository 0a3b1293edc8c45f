//! What the endpoints answer with.

use std::time::Duration;

use ::axum::Json;
use ::axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::store::{User, UserStatus};
use crate::token::TokenPair;

/// A user, as the user may see it: a view of its own, so that a new field of the record is not shown by accident.
#[derive(Serialize)]
pub(super) struct UserView {
    id: String,
    username: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
    is_active: bool,
    roles: Vec<String>,
}

impl UserView {
    /// With the profile in clear.
    pub(super) fn new(user: User, profile: &Map<String, Value>) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.map(|name| name.text),
            email: user.email.map(|name| name.text),
            full_name: profile.get("full_name").and_then(|name| name.as_str()).map(str::to_owned),
            is_active: user.status == UserStatus::Active,
            roles: user.roles,
        }
    }
}

/// Tokens, in the form of RFC 6749 section 5.1.
pub(super) struct TokensView(pub(super) TokenPair);

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
}

impl IntoResponse for TokensView {
    fn into_response(self) -> Response {
        let body = TokenBody {
            access_token: self.0.access_token.expose_secret(),
            refresh_token: self.0.refresh_token.expose_secret(),
            token_type: "bearer",
            expires_in: Duration::as_secs(&self.0.expires_in),
        };
        no_store(Json(body))
    }
}

pub(super) fn no_store(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
