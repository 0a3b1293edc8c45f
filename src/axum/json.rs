//! JSON bodies, read strictly.

use std::future::poll_fn;
use std::pin::Pin;

use ::axum::body::Body;
use ::axum::extract::{FromRequest, Request};
use http_body::Body as _;
use serde::de::DeserializeOwned;

use crate::rejection::{Rejection, RejectionCode};
use crate::validate::{BodyError, JsonLimits};

/// A JSON body of at most 64 KiB, read as strictly as its type allows: derive it with
/// `#[serde(deny_unknown_fields)]`. A refusal never repeats any of the body.
///
/// | body | answer |
/// |---|---|
/// | `Content-Type` missing, repeated or not `application/json` | 415 |
/// | larger than 64 KiB, declared or not | 413 |
/// | not JSON | 400 |
/// | deeper than 32, more than 10 000 elements, or a name twice, wherever | 422 |
/// | fields missing, unknown, or of another type | 422 |
/// | over a limit of a [`BodyGuard`](crate::validate::BodyGuard) further out | 413 or 408, from there |
///
/// A route that needs other limits has [`JsonLimits`] in the request's extensions, by axum's `Extension` layer.
#[derive(Clone, Copy, Debug)]
pub struct StrictJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for StrictJson<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        let limits = request.extensions().get::<JsonLimits>().copied().unwrap_or_default();
        if !limits.accept(request.headers()) {
            return Err(Rejection::new(RejectionCode::UnsupportedMediaType));
        }
        let body = collect(request.into_body(), limits.max_bytes()).await?;
        limits.read(&body).map(Self)
    }
}

pub(super) async fn collect(mut body: Body, max_bytes: usize) -> Result<Vec<u8>, Rejection> {
    let too_large = || Rejection::new(RejectionCode::BodyTooLarge);
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|cause| {
            BodyError::rejection_in(&cause).unwrap_or(Rejection::new(RejectionCode::Malformed))
        })?;
        if let Ok(data) = frame.into_data() {
            if bytes.len().saturating_add(data.len()) > max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::CONTENT_TYPE;
    use serde::Deserialize;

    use super::*;

    const MAX_BODY: usize = 64 * 1024;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Note {
        text: String,
    }

    #[tokio::test]
    async fn what_is_read_and_what_is_refused() {
        let large = format!("{{\"text\":\"{}\"}}", "a".repeat(MAX_BODY));
        let just = format!("{{\"text\":\"{}\"}}", "a".repeat(MAX_BODY - 11));
        let deep = "[".repeat(100_000);
        let json = &["application/json"][..];
        for (name, types, body, want) in [
            ("plain", json, "{\"text\":\"a\"}", 200),
            ("charset", &["Application/JSON; charset=utf-8"], "{\"text\":\"a\"}", 200),
            ("largest", json, &just, 200),
            ("too large", json, &large, 413),
            ("no type", &[], "{\"text\":\"a\"}", 415),
            ("form", &["application/x-www-form-urlencoded"], "{\"text\":\"a\"}", 415),
            ("text", &["text/plain;application/json"], "{\"text\":\"a\"}", 415),
            ("two types", &["application/json", "application/json"], "{\"text\":\"a\"}", 415),
            ("longer type", &["application/jsonx"], "{\"text\":\"a\"}", 415),
            ("empty", json, "", 400),
            ("cut", json, "{\"text\":\"a\"", 400),
            ("trailing", json, "{\"text\":\"a\"}x", 400),
            ("deep", json, &deep[..MAX_BODY], 422),
            ("missing", json, "{}", 422),
            ("unknown", json, "{\"text\":\"a\",\"is_admin\":true}", 422),
            ("repeated", json, "{\"text\":\"a\",\"text\":\"b\"}", 422),
            ("wrong type", json, "{\"text\":1}", 422),
        ] {
            // Once with a declared length, once in chunks of unknown number.
            for chunked in [false, true] {
                let mut request = Request::post("/");
                for value in types {
                    request = request.header(CONTENT_TYPE, *value);
                }
                let body = if chunked {
                    Body::new(Unsized(body.to_owned().into()))
                } else {
                    Body::from(body.to_owned())
                };
                let request = request.body(body).unwrap();
                let status = match StrictJson::<Note>::from_request(request, &()).await {
                    Ok(StrictJson(note)) => {
                        assert!(note.text.starts_with('a'), "{name}");
                        200
                    }
                    Err(rejection) => rejection.status(),
                };
                assert_eq!(status, want, "{name}, chunked: {chunked}");
            }
        }
    }

    #[tokio::test]
    async fn limits_come_from_the_extensions() {
        let limits = JsonLimits::new().with_max_bytes(14).allow_json_suffix();
        for (name, limits, content_type, body, want) in [
            ("its own", Some(limits), "application/note+json", "{\"text\":\"a\"}", 200),
            ("larger", Some(limits), "application/json", "{\"text\":\"abcd\"}", 413),
            ("the usual", None, "application/note+json", "{\"text\":\"a\"}", 415),
        ] {
            let mut request = Request::post("/").header(CONTENT_TYPE, content_type);
            if let Some(limits) = limits {
                request = request.extension(limits);
            }
            let read = StrictJson::<Note>::from_request(request.body(Body::from(body)).unwrap(), &()).await;
            assert_eq!(read.map_or_else(|refused| refused.status(), |_| 200), want, "{name}");
        }
    }

    /// A body that does not say how long it is.
    struct Unsized(bytes::Bytes);

    impl http_body::Body for Unsized {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            let size = self.0.len().min(1000);
            let chunk = self.0.split_to(size);
            std::task::Poll::Ready((size > 0).then(|| Ok(http_body::Frame::data(chunk))))
        }
    }
}
