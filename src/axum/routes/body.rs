//! What the endpoints are asked with. Nothing that is not listed here is read.

use ::axum::Form;
use ::axum::extract::rejection::FormRejection;
use ::axum::extract::{FromRequest, Request};
use http::header;
use http_body::Body as _;
use secrecy::SecretString;
use serde::Deserialize;

use crate::axum::StrictJson;
use crate::axum::json::collect;
use crate::rejection::{Reason, Rejection, RejectionCode};
use crate::validate::JsonLimits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) password: SecretString,
    pub(super) full_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshBody {
    pub(super) refresh_token: SecretString,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutBody {
    pub(super) refresh_token: Option<SecretString>,
    #[serde(default)]
    pub(super) everywhere: bool,
}

/// The body may be missing altogether.
pub(super) struct LogoutBodyOrNothing(pub(super) LogoutBody);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePasswordBody {
    pub(super) current_password: SecretString,
    pub(super) new_password: SecretString,
}

impl<S: Send + Sync> FromRequest<S> for LogoutBodyOrNothing {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        if request.body().is_end_stream() {
            return Ok(Self(LogoutBody::default()));
        }
        let StrictJson(body) = StrictJson::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// Sign-in by JSON, or by the form of OAuth 2.0's password grant.
pub(super) struct LoginBody {
    pub(super) identifier: String,
    pub(super) password: SecretString,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginJson {
    username: Option<String>,
    email: Option<String>,
    password: SecretString,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    grant_type: Option<String>,
    username: Option<String>,
    email: Option<String>,
    password: SecretString,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

impl<S: Send + Sync> FromRequest<S> for LoginBody {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let StrictJson(LoginJson { username, email, password }) =
                StrictJson::from_request(request, state).await?;
            return Self::new(username, email, password);
        }
        // The same limit as for JSON, and the same codes.
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, collect(body, JsonLimits::new().max_bytes()).await?.into());
        let form = Form::<LoginForm>::from_request(request, state).await;
        let Form(form) = form.map_err(|refused| match refused {
            FormRejection::InvalidFormContentType(_) => RejectionCode::UnsupportedMediaType,
            FormRejection::FailedToDeserializeFormBody(_) => RejectionCode::ValidationFailed,
            _ => RejectionCode::Malformed,
        })?;
        // What would be ignored is refused: a client that asks for less must not get more.
        let refuse = |field, code| {
            Rejection::new(RejectionCode::ValidationFailed).with_reasons([Reason {
                field,
                code,
                limit: None,
            }])
        };
        if form.grant_type.is_some_and(|grant| grant != "password") {
            return Err(refuse("grant_type", "unsupported"));
        }
        if !form.scope.trim().is_empty() {
            return Err(refuse("scope", "unsupported"));
        }
        if !form.client_id.is_empty() || !form.client_secret.is_empty() {
            return Err(refuse("client_id", "unsupported"));
        }
        Self::new(form.username, form.email, form.password)
    }
}

impl LoginBody {
    fn new(
        username: Option<String>,
        email: Option<String>,
        password: SecretString,
    ) -> Result<Self, Rejection> {
        match (username, email) {
            (Some(identifier), None) | (None, Some(identifier)) => Ok(Self { identifier, password }),
            (None, None) => Err(reason("missing")),
            (Some(_), Some(_)) => Err(reason("ambiguous")),
        }
    }
}

fn reason(code: &'static str) -> Rejection {
    let reason = Reason { field: "username", code, limit: None };
    Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason])
}

/// A display name: up to 256 code points, no control characters.
pub(super) fn full_name(text: &str) -> Result<(), Reason> {
    let code = match text.chars().count() {
        0..=256 if !text.chars().any(char::is_control) => return Ok(()),
        0..=256 => "invalid_character",
        _ => "too_long",
    };
    Err(Reason { field: "full_name", code, limit: Some(256) })
}
