//! Refusals for gRPC clients.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::Render;
use super::seconds::seconds;
use crate::rejection::{Rejection, RejectionCode};

/// Answers a gRPC call: HTTP 200 without a body, the status in the headers ("trailers-only",
/// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)).
///
/// | HTTP | gRPC |
/// |---|---|
/// | 400, 415, 421, 422 | 3 `INVALID_ARGUMENT` |
/// | 401 | 16 `UNAUTHENTICATED` |
/// | 403 | 7 `PERMISSION_DENIED` |
/// | 404 | 5 `NOT_FOUND` |
/// | 405 | 12 `UNIMPLEMENTED` |
/// | 408 | 4 `DEADLINE_EXCEEDED` |
/// | 409 | 6 `ALREADY_EXISTS` |
/// | 413, 414, 429, 431 | 8 `RESOURCE_EXHAUSTED` |
/// | 503 | 14 `UNAVAILABLE` |
/// | other | 13 `INTERNAL` |
///
/// When it is worth to try again, 429 and 503 say in `grpc-retry-pushback-ms` ([gRFC A6]), and in `retry-after` for
/// proxies.
///
/// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl<ResBody: Default> Render<ResBody> for GrpcStatus {
    fn render(&self, rejection: &Rejection) -> Response<ResBody> {
        self.render_into(rejection, HeaderMap::new())
    }

    fn render_into(&self, rejection: &Rejection, spare: HeaderMap) -> Response<ResBody> {
        let mut response = Response::new(ResBody::default());
        *response.headers_mut() = spare;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(HeaderName::from_static("grpc-status"), seconds(status(rejection.code()).into()));
        // Titles are plain ASCII without `%`, so they are their own percent-encoding.
        let title = HeaderValue::from_static(rejection.code().detail());
        let explained =
            rejection.explanation().map(|why| encoded(&format!("{}: {why}", rejection.code().detail())));
        let message = explained.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(title);
        headers.insert(HeaderName::from_static("grpc-message"), message);
        if let Some(secs) = rejection.retry_after_secs() {
            headers.insert(RETRY_AFTER, seconds(secs));
            headers
                .insert(HeaderName::from_static("grpc-retry-pushback-ms"), secs.saturating_mul(1000).into());
        }
        response
    }
}

fn status(code: RejectionCode) -> u16 {
    match code.status() {
        400 | 415 | 421 | 422 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        405 => 12,
        408 => 4,
        409 => 6,
        413 | 414 | 429 | 431 => 8,
        503 => 14,
        _ => 13,
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'%' | ..b' ' | 0x7f.. => encoded += &format!("%{byte:02X}"),
            _ => encoded.push(char::from(byte)),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_code_has_a_status() {
        for code in RejectionCode::ALL {
            assert!(code.detail().bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'%'), "{code}");
            let response: Response<()> = GrpcStatus.render(&Rejection::new(*code));
            assert_eq!(response.status(), 200, "{code}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc", "{code}");
            assert_eq!(response.headers()["grpc-status"], status(*code).to_string(), "{code}");
        }
        for (code, want) in [
            (RejectionCode::TokenExpired, 16),
            (RejectionCode::ReauthenticationRequired, 16),
            (RejectionCode::Forbidden, 7),
            (RejectionCode::InsufficientScope, 7),
            (RejectionCode::NotFound, 5),
            (RejectionCode::MethodNotAllowed, 12),
            (RejectionCode::UriTooLong, 8),
            (RejectionCode::Misdirected, 3),
            (RejectionCode::RateLimited, 8),
            (RejectionCode::HeadersTooLarge, 8),
            (RejectionCode::Unavailable, 14),
            (RejectionCode::Internal, 13),
        ] {
            assert_eq!(status(code), want, "{code}");
        }
    }

    #[test]
    fn when_to_try_again() {
        let rejection =
            Rejection::new(RejectionCode::RateLimited).with_retry_after(Duration::from_millis(1500));
        let response: Response<()> = GrpcStatus.render(&rejection);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "2000");
        let response: Response<()> = GrpcStatus.render(&Rejection::new(RejectionCode::Forbidden));
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn an_explanation_is_percent_encoded() {
        let rejection = Rejection::new(RejectionCode::Forbidden).danger_with_explanation("100%\n\u{e4}");
        let response: Response<()> = GrpcStatus.render(&rejection);
        assert_eq!(response.headers()["grpc-message"], "This is not allowed: 100%25%0A%C3%A4");
    }
}
