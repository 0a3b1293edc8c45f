//! The nonce of a page, as an argument of a handler.

use ::axum::extract::FromRequestParts;
use http::request::Parts;

use crate::headers::CspNonce;
use crate::rejection::{Rejection, RejectionCode};

/// The nonce of the request; 500 where no layer makes one, and the log says what is missing.
impl<S: Send + Sync> FromRequestParts<S> for CspNonce {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            tracing::error!(
                "a handler asks for a nonce, but there is none: add `SecurityHeadersLayer` with a Content Security \
                 Policy that has `Source::nonce` in it, such as that of `SecurityHeaders::html`"
            );
            Rejection::new(RejectionCode::Internal)
        })
    }
}
