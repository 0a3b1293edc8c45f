//! How a refusal looks on the wire: [`Render`].
//!
//! | renderer | for | body |
//! |---|---|---|
//! | [`Problem`] (default) | HTTP APIs | `application/problem+json`, RFC 9457 |
//! | [`GrpcStatus`] | gRPC | none; HTTP 200, the status in the headers |
//! | a closure | anything else | its own |
//!
//! Whatever renders it, the [`Rejection`] also travels in the extensions of the response, where outer layers see which
//! rule refused.
//!
//! ```
//! use http::Response;
//! use portcullis::Rejection;
//! use portcullis::render::{Problem, Render};
//! use portcullis::rejection::RejectionCode;
//!
//! let rejection = Rejection::new(RejectionCode::Forbidden);
//! let response: Response<bytes::Bytes> = Problem.render(&rejection);
//! assert_eq!(response.status(), 403);
//!
//! let plain = |rejection: &Rejection| {
//!     let mut response = Response::new(rejection.code().detail().to_owned());
//!     *response.status_mut() = http::StatusCode::from_u16(rejection.status()).unwrap();
//!     response
//! };
//! assert_eq!(plain.render(&rejection).body(), "This is not allowed");
//! ```

mod grpc;
mod problem;
mod seconds;

use http::{HeaderMap, Response};

use crate::rejection::Rejection;

pub use grpc::GrpcStatus;
pub use problem::Problem;

/// Turns a refusal into a response.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not render refusals into `Response<{ResBody}>`",
    note = "`Problem` needs `ResBody: From<bytes::Bytes>`, `GrpcStatus` needs `ResBody: Default`",
    note = "for any other body, pass a closure `|rejection: &Rejection| -> Response<{ResBody}>` to `with_renderer`"
)]
pub trait Render<ResBody> {
    /// The response. It should say no more than the rejection does.
    fn render(&self, rejection: &Rejection) -> Response<ResBody>;

    /// The same response, for which there is an empty header map with memory of its own: that of the request that is
    /// refused. Using it saves allocations, no more; unless this is implemented, it is let go.
    fn render_into(&self, rejection: &Rejection, spare: HeaderMap) -> Response<ResBody> {
        drop(spare);
        self.render(rejection)
    }
}

impl<F, ResBody> Render<ResBody> for F
where
    F: Fn(&Rejection) -> Response<ResBody>,
{
    fn render(&self, rejection: &Rejection) -> Response<ResBody> {
        self(rejection)
    }
}
