//! RFC 9457 problem details.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Render;
use super::seconds::seconds;
use crate::rejection::{Rejection, RejectionCode};

/// Answers with `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, the stable `code`, `reasons` where
/// there are some, and `explanation` if the gate was told to give one.
///
/// A 401 always carries `WWW-Authenticate` (RFC 9110 section 15.5.2); `Retry-After` and `Allow` follow the rejection.
/// Refusals are not cached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Problem;

impl<ResBody: From<Bytes>> Render<ResBody> for Problem {
    fn render(&self, rejection: &Rejection) -> Response<ResBody> {
        self.render_into(rejection, HeaderMap::new())
    }

    fn render_into(&self, rejection: &Rejection, spare: HeaderMap) -> Response<ResBody> {
        let mut response = Response::new(ResBody::from(body(rejection)));
        *response.headers_mut() = spare;
        *response.status_mut() =
            StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = match rejection.challenge() {
            Some(BEARER) => Some(HeaderValue::from_static(BEARER)),
            None if rejection.status() == 401 => Some(HeaderValue::from_static(BEARER)),
            Some(challenge) => HeaderValue::from_str(challenge).ok(),
            None => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(allow) = rejection.allow().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if let Some(secs) = rejection.retry_after_secs() {
            headers.insert(RETRY_AFTER, seconds(secs));
        }
        response
    }
}

const BEARER: &str = "Bearer";

fn body(rejection: &Rejection) -> Bytes {
    if rejection.reasons().is_empty() && rejection.explanation().is_none() {
        let bodies: &'static [_] = &BODIES;
        let body = bodies.iter().find_map(|(code, body)| (*code == rejection.code()).then_some(body));
        return body.map(|body| Bytes::from_static(body.as_bytes())).unwrap_or_default();
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = opening(rejection.code());
    if let Some(explanation) = rejection.explanation() {
        let _ = write!(text, ",\"explanation\":{}", quoted(explanation));
    }
    for (index, reason) in rejection.reasons().iter().enumerate() {
        text.push_str(if index == 0 { ",\"reasons\":[" } else { "," });
        // Field and code are written in our source, but a quote there must not break the document.
        let _ = write!(text, "{{\"field\":{},\"code\":{}", quoted(reason.field), quoted(reason.code));
        if let Some(limit) = reason.limit {
            let _ = write!(text, ",\"limit\":{limit}");
        }
        text.push('}');
    }
    text.push_str(if rejection.reasons().is_empty() { "}" } else { "]}" });
    text.into()
}

/// Most refusals say nothing but their code, so being refused costs no formatting, and no counter that threads share.
static BODIES: LazyLock<Vec<(RejectionCode, String)>> =
    LazyLock::new(|| RejectionCode::ALL.iter().map(|code| (*code, opening(*code) + "}")).collect());

/// `about:blank` says no more than the status, so the title is the status's own (RFC 9457 section 4.2.1).
fn title(code: RejectionCode) -> &'static str {
    StatusCode::from_u16(code.status()).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

fn opening(code: RejectionCode) -> String {
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{},\"detail\":\"{}\",\"code\":\"{}\"",
        title(code),
        code.status(),
        code.detail(),
        code.as_str()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::rejection::Reason;

    fn render(rejection: &Rejection) -> (Response<()>, serde_json::Value) {
        let response: Response<Bytes> = Problem.render(rejection);
        let (parts, body) = response.into_parts();
        (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn every_code_is_a_valid_problem() {
        for code in RejectionCode::ALL {
            let (response, body) = render(&Rejection::new(*code));
            assert_eq!(response.status().as_u16(), code.status(), "{code}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{code}");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{code}");
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), code.status() == 401, "{code}");
            let want = json!({
                "type": "about:blank", "title": title(*code), "status": code.status(), "detail": code.detail(), "code": code.as_str(),
            });
            assert_eq!(body, want, "{code}");
        }
    }

    #[test]
    fn what_a_client_needs_is_there() {
        let rejection = Rejection::new(RejectionCode::PasswordRejected).with_reasons([
            Reason { field: "password", code: "too_short", limit: Some(15) },
            Reason { field: "pass\"word", code: "listed", limit: None },
        ]);
        let (_, body) = render(&rejection);
        assert_eq!(
            body["reasons"],
            json!([{"field": "password", "code": "too_short", "limit": 15}, {"field": "pass\"word", "code": "listed"}])
        );
        let (_, body) = render(&rejection.danger_with_explanation("say \"why\"\n"));
        assert_eq!(
            (&body["explanation"], body["reasons"][0]["limit"].as_u64()),
            (&json!("say \"why\"\n"), Some(15))
        );
        let explained = Rejection::new(RejectionCode::Forbidden).danger_with_explanation("because");
        assert_eq!(render(&explained).1["explanation"], "because");
        let rejection = Rejection::new(RejectionCode::MethodNotAllowed)
            .with_allow("GET, HEAD")
            .with_retry_after(Duration::from_millis(1500))
            .with_challenge("Bearer realm=\"api\"");
        let (response, _) = render(&rejection);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"api\"");
    }
}
