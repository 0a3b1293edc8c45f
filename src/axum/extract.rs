//! Who is asking, as arguments of a handler.

use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};

/// Somebody who has proved who they are; 401 for anonymous.
///
/// Without an authentication layer outside, and on a public route, it answers 500 and logs what is missing.
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        known(parts)?.ok_or(Rejection::new(RejectionCode::Unauthenticated))
    }
}

/// Somebody who has proved who they are, or `None` for anonymous.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        known(parts)
    }
}

pub(super) fn known(parts: &Parts) -> Result<Option<Principal>, Rejection> {
    match parts.extensions.get::<Principal>() {
        Some(principal) if principal.is_anonymous() => Ok(None),
        Some(principal) => Ok(Some(principal.clone())),
        None => {
            tracing::error!(
                "a handler asks for a principal, but there is none: add `gate.layer()` or `AuthenticateLayer` outside \
                 it; on a route with `Rule::public` no credential is read, `Rule::anyone` reads it"
            );
            Err(Rejection::new(RejectionCode::Internal))
        }
    }
}

/// The verified claims of the access token, as a type of the application's.
///
/// 401 if nobody has proved who they are, 403 if the credential carries no claims (an API key), and 401 `token_invalid`
/// if they do not fit the type, as after a change of it; a fresh token then helps.
///
/// ```
/// use portcullis::axum::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct Plan {
///     plan: String,
/// }
///
/// async fn plan(Claims(claims): Claims<Plan>) -> String {
///     claims.plan
/// }
/// # let _: axum::Router = axum::Router::new().route("/plan", axum::routing::get(plan));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Claims<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let principal = known(parts)?.ok_or(Rejection::new(RejectionCode::Unauthenticated))?;
        let claims = principal.claims_json().ok_or(Rejection::new(RejectionCode::Forbidden))?;
        serde_json::from_str(claims).map(Self).map_err(|cause| {
            // The message may quote the claims; its kind and place do not.
            tracing::warn!(
                kind = ?cause.classify(),
                wanted = std::any::type_name::<T>(),
                "the claims of a valid token do not fit the type a handler asks for"
            );
            Rejection::new(RejectionCode::TokenInvalid)
        })
    }
}
