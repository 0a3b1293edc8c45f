//! The layer that counts.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::decision::RateVerdict;
use super::future::ResponseFuture;
use super::limit::RateLimit;
use super::request::RateRequest;
use crate::render::{Problem, Render};
use crate::time::{Clock, SystemClock};

/// Lets a request through if a [`RateLimit`] has room for it, and says on every answer how much is left. See the
/// [module](super).
///
/// It reads the [`RequestContext`](crate::RequestContext) for the time and the client's address; and the
/// [`Principal`](crate::Principal), so a limit by principal stands inside authentication. Without a context it reads a
/// clock of its own, and the addresses of all requests are unknown: they are counted together, and the log says so once.
pub struct RateLimitLayer<R = Problem> {
    limit: RateLimit,
    clock: Arc<dyn Clock>,
    renderer: R,
}

impl RateLimitLayer {
    /// Counts by this limit. Layers with clones of one limit count together.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, clock: Arc::new(SystemClock::new()), renderer: Problem }
    }
}

impl<R> RateLimitLayer<R> {
    /// The clock for requests without a context.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> RateLimitLayer<R2> {
        RateLimitLayer { limit: self.limit, clock: self.clock, renderer }
    }
}

impl<R: Clone> Clone for RateLimitLayer<R> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone(), clock: self.clock.clone(), renderer: self.renderer.clone() }
    }
}

impl<R> fmt::Debug for RateLimitLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<S, R: Clone> Layer<S> for RateLimitLayer<R> {
    type Service = RateLimited<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimited { inner, layer: self.clone() }
    }
}

/// The service of [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimited<S, R = Problem> {
    inner: S,
    layer: RateLimitLayer<R>,
}

impl<S, B, ResBody, R> Service<Request<B>> for RateLimited<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let RateLimitLayer { limit, clock, renderer } = &self.layer;
        match limit.decide(&RateRequest::new(&request, || clock.now())) {
            RateVerdict::Ready(decision) => match decision.rejection() {
                None => {
                    let going = self.inner.call(request);
                    ResponseFuture::going(limit.clone(), renderer.clone(), decision, going)
                }
                Some(rejection) => {
                    ResponseFuture::refused(limit.clone(), renderer.clone(), decision, rejection, request)
                }
            },
            RateVerdict::Pending(verdict) => {
                // The service that was polled ready is the one to call; the clone that stays behind is not ready.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(limit.clone(), renderer.clone(), verdict, request, ready)
            }
        }
    }
}
