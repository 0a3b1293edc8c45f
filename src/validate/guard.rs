//! The limits, and what becomes of a request by them.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body::Body;

use super::body::{Times, Trip};
use super::{ContentTypes, GuardedBody};
use crate::rejection::{Rejection, RejectionCode};
use crate::render::Render;
use crate::wire::refuse;

/// What bodies are let in: at first 1 MiB, within 30 s, never silent for 10 s, of any type (ASVS 5.2.1).
#[derive(Clone, Debug)]
#[must_use]
pub struct BodyGuard {
    max_bytes: u64,
    times: Times,
    types: Option<ContentTypes>,
}

impl BodyGuard {
    /// The defaults.
    pub fn new() -> Self {
        let times = Times { whole: Duration::from_secs(30), idle: Duration::from_secs(10) };
        Self { max_bytes: 1 << 20, times, types: None }
    }

    /// Largest body in bytes, as they arrive. 0 lets in none.
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How long all of a body may take, counted from the first time somebody had to wait for it. Calls that stream
    /// without end, as some of gRPC's do, need [`Duration::MAX`] here.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.times.whole = deadline;
        self
    }

    /// How long the next piece of a body may take.
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.times.idle = idle;
        self
    }

    /// Types a body may have. A request without a body needs none.
    pub fn with_content_types(mut self, types: ContentTypes) -> Self {
        self.types = Some(types);
        self
    }

    /// Looks at a request before it is read. The watch goes to whoever answers it, refused or not.
    pub fn guard<B: Body>(&self, request: &Parts, body: B) -> (Result<GuardedBody<B>, Rejection>, BodyWatch) {
        let http1 = request.version <= Version::HTTP_11;
        let empty = body.is_end_stream();
        if let Err(code) = self.check(&request.headers, &body, empty) {
            return (Err(Rejection::new(code)), BodyWatch { trip: None, http1 });
        }
        // Nothing can come, so nothing is shared.
        let trip = (!empty).then(Trip::default);
        (Ok(GuardedBody::new(body, self.max_bytes, self.times, trip.clone())), BodyWatch { trip, http1 })
    }

    /// Whether a body may be as long as it says it is.
    pub(crate) fn lets_in(&self, headers: &HeaderMap) -> bool {
        let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        declared.unwrap_or(0) <= self.max_bytes
    }

    fn check(&self, headers: &HeaderMap, body: &impl Body, empty: bool) -> Result<(), RejectionCode> {
        if !self.lets_in(headers) || body.size_hint().lower() > self.max_bytes {
            return Err(RejectionCode::BodyTooLarge);
        }
        let accepted = self.types.as_ref().is_none_or(|types| empty || types.accept(headers));
        if accepted { Ok(()) } else { Err(RejectionCode::UnsupportedMediaType) }
    }
}

impl Default for BodyGuard {
    fn default() -> Self {
        Self::new()
    }
}

/// Knows whether the body of a request went over a limit, when there is an answer to give.
#[derive(Clone, Debug)]
pub struct BodyWatch {
    trip: Option<Trip>,
    http1: bool,
}

impl BodyWatch {
    /// 413 or 408, if the body went over a limit so far.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        self.trip.as_ref()?.code().map(Rejection::new)
    }

    /// The answer, or a refusal in its place if the body went over a limit.
    pub fn finish<B>(&self, answer: Response<B>, renderer: &impl Render<B>) -> Response<B> {
        match self.rejection() {
            Some(rejection) => self.refuse(&rejection, renderer),
            None => answer,
        }
    }

    /// The refusal of a request whose body is not read to its end.
    pub fn refuse<B>(&self, rejection: &Rejection, renderer: &impl Render<B>) -> Response<B> {
        let mut response = refuse(renderer, rejection);
        // HTTP/2 resets the one stream, and knows no such header.
        if self.http1 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
