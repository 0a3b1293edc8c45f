//! Rejections as responses.

use ::axum::body::Body;
use ::axum::response::{IntoResponse, Response};

use crate::rejection::Rejection;
use crate::render::Problem;
use crate::wire::refuse;

/// As [`Problem`], so a handler can return `Result<_, Rejection>`.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        refuse::<Body>(&Problem, &self)
    }
}
