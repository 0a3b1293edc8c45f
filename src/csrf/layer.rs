//! The layer for use alone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{CrossOrigin, OriginRule};
use crate::render::{Problem, Render};
use crate::wire::refuse;

/// Refuses what a browser sent on behalf of another site. See the [module](super).
///
/// It stands outside of authentication, so that sign-in is covered, and inside of [`CorsLayer`](crate::cors::CorsLayer),
/// so that pages CORS allows can read a refusal.
#[derive(Clone, Debug)]
pub struct OriginLayer<R = Problem> {
    rule: Arc<OriginRule>,
    renderer: R,
}

impl OriginLayer {
    /// Follows this rule.
    #[must_use]
    pub fn new(rule: OriginRule) -> Self {
        Self { rule: Arc::new(rule), renderer: Problem }
    }
}

impl<R> OriginLayer<R> {
    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> OriginLayer<R2> {
        OriginLayer { rule: self.rule, renderer }
    }
}

impl<S, R: Clone> Layer<S> for OriginLayer<R> {
    type Service = OriginChecked<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        OriginChecked { inner, rule: self.rule.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`OriginLayer`].
#[derive(Clone, Debug)]
pub struct OriginChecked<S, R = Problem> {
    inner: S,
    rule: Arc<OriginRule>,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for OriginChecked<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Render<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let state = match self.rule.decide(&parts) {
            Ok(()) => State::Going { future: self.inner.call(Request::from_parts(parts, body)) },
            Err(reason) => {
                tracing::debug!(%reason, "refused a request of another site");
                State::Refused { reason, renderer: self.renderer.clone() }
            }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The future of [`OriginChecked`].
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R> {
        Going { #[pin] future: F },
        Refused { reason: CrossOrigin, renderer: R },
    }
}

impl<F, ResBody, E, R> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    R: Render<ResBody>,
{
    type Output = Result<Response<ResBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Going { future } => future.poll(cx),
            StateProj::Refused { reason, renderer } => Poll::Ready(Ok(refuse(renderer, &(*reason).into()))),
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
