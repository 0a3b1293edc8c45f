//! The layer for use alone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{BodyGuard, BodyWatch, GuardedBody};
use crate::rejection::Rejection;
use crate::render::{Problem, Render};

/// Bounds the bodies of requests. See the [module](super).
///
/// The service inside gets a [`GuardedBody`] in place of the body. A second layer further in can only narrow.
#[derive(Clone, Debug)]
pub struct BodyGuardLayer<R = Problem> {
    guard: Arc<BodyGuard>,
    renderer: R,
}

impl BodyGuardLayer {
    /// With these limits.
    #[must_use]
    pub fn new(guard: BodyGuard) -> Self {
        Self { guard: Arc::new(guard), renderer: Problem }
    }
}

impl<R> BodyGuardLayer<R> {
    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> BodyGuardLayer<R2> {
        BodyGuardLayer { guard: self.guard, renderer }
    }
}

impl<S, R: Clone> Layer<S> for BodyGuardLayer<R> {
    type Service = BodyGuarded<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyGuarded { inner, guard: self.guard.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`BodyGuardLayer`].
#[derive(Clone, Debug)]
pub struct BodyGuarded<S, R = Problem> {
    inner: S,
    guard: Arc<BodyGuard>,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for BodyGuarded<S, R>
where
    B: Body,
    S: Service<Request<GuardedBody<B>>, Response = Response<ResBody>>,
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
        let (body, watch) = self.guard.guard(&parts, body);
        let state = match body {
            Ok(body) => State::Going { future: self.inner.call(Request::from_parts(parts, body)) },
            Err(rejection) => State::Refused { rejection },
        };
        ResponseFuture { state, watch, renderer: self.renderer.clone() }
    }
}

pin_project! {
    /// The future of [`BodyGuarded`].
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F>,
        watch: BodyWatch,
        renderer: R,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Going { #[pin] future: F },
        Refused { rejection: Rejection },
    }
}

impl<F, ResBody, E, R> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    R: Render<ResBody>,
{
    type Output = Result<Response<ResBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match this.state.project() {
            StateProj::Refused { rejection } => Ok(this.watch.refuse(rejection, this.renderer)),
            StateProj::Going { future } => {
                ready!(future.poll(cx)).map(|answer| this.watch.finish(answer, this.renderer))
            }
        })
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
