//! Path segments and queries. What does not fit is refused like everything else: a code, and nothing of the cause.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use portcullis::rejection::{Rejection, RejectionCode};
use serde::de::DeserializeOwned;

/// The id in the path. What can be no id is an id nobody has: 404.
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Id<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(RejectionCode::NotFound.into()),
        }
    }
}

/// The query; derive its type with `#[serde(deny_unknown_fields)]`. What does not fit is 422.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(RejectionCode::ValidationFailed.into()),
        }
    }
}
