//! The headers around a service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::apply::{Prepared, SecurityHeaders};
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::request_context::RequestContext;
use crate::wire::{CatchPanic, catch_panic, refuse};

/// Puts [`SecurityHeaders`] on every answer of the service inside; where that panics, it answers 500.
///
/// Add it last, so that it stands outside everything: in axum around the finished router, since what is added to a router
/// after `Router::layer` is outside the layer.
#[derive(Clone, Debug)]
pub struct SecurityHeadersLayer<R = Problem> {
    shared: Arc<Shared>,
    renderer: R,
}

#[derive(Debug)]
struct Shared {
    headers: SecurityHeaders,
    told: AtomicBool,
}

impl SecurityHeadersLayer {
    /// These headers on every answer.
    #[must_use]
    pub fn new(headers: SecurityHeaders) -> Self {
        Self { shared: Arc::new(Shared { headers, told: AtomicBool::new(false) }), renderer: Problem }
    }
}

impl<R> SecurityHeadersLayer<R> {
    /// How the answer to a panic looks.
    pub fn with_renderer<R2>(self, renderer: R2) -> SecurityHeadersLayer<R2> {
        SecurityHeadersLayer { shared: self.shared, renderer }
    }
}

impl<S, R: Clone> Layer<S> for SecurityHeadersLayer<R> {
    type Service = SetSecurityHeaders<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SetSecurityHeaders { inner, shared: self.shared.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`SecurityHeadersLayer`].
#[derive(Clone, Debug)]
pub struct SetSecurityHeaders<S, R = Problem> {
    inner: S,
    shared: Arc<Shared>,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for SetSecurityHeaders<S, R>
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let secure = self.shared.is_secure(&request);
        let headers = &self.shared.headers;
        let credentials = headers.has_credentials(request.headers());
        let prepared = headers.prepare_with(credentials, request.extensions_mut(), secure);
        let future = catch_panic(|| self.inner.call(request));
        ResponseFuture { future, prepared, shared: self.shared.clone(), renderer: self.renderer.clone() }
    }
}

impl Shared {
    fn is_secure<B>(&self, request: &Request<B>) -> bool {
        if let Some(context) = request.extensions().get::<RequestContext>() {
            return context.is_secure();
        }
        let scheme = request.uri().scheme_str();
        if scheme.is_none() && !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "nothing says whether requests come over TLS, so `Strict-Transport-Security` is left out: put a \
                 `RequestContext` into the request's extensions outside `SecurityHeadersLayer`"
            );
        }
        scheme == Some("https")
    }
}

pin_project! {
    /// The future of [`SetSecurityHeaders`].
    pub struct ResponseFuture<F, R> {
        #[pin]
        future: CatchPanic<F>,
        prepared: Prepared,
        shared: Arc<Shared>,
        renderer: R,
    }
}

impl<F, ResBody, E, R> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    R: Render<ResBody>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match ready!(this.future.poll(cx)) {
            Some(Ok(response)) => response,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => refuse(this.renderer, &Rejection::new(RejectionCode::Internal)),
        };
        this.shared.headers.apply(this.prepared, &mut response);
        Poll::Ready(Ok(response))
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
