//! The layer that finds out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Resolver, X_REQUEST_ID, response_value};

/// Puts a [`RequestContext`](crate::RequestContext) into each request's extensions, and its name into the response's
/// `X-Request-Id`. Goes outside everything else; see the [module](super).
#[derive(Clone, Debug, Default)]
pub struct ContextLayer {
    resolver: Resolver,
}

impl ContextLayer {
    /// With what this finds out.
    #[must_use]
    pub fn new(resolver: Resolver) -> Self {
        Self { resolver }
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = Contextual<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Contextual { inner, resolver: self.resolver.clone() }
    }
}

/// The service of [`ContextLayer`].
#[derive(Clone, Debug)]
pub struct Contextual<S> {
    inner: S,
    resolver: Resolver,
}

impl<S, B, ResBody> Service<Request<B>> for Contextual<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let context = self.resolver.resolve(&parts);
        let id = response_value(&context);
        parts.extensions.insert(context);
        ResponseFuture { inner: self.inner.call(Request::from_parts(parts, body)), id }
    }
}

pin_project! {
    /// The future of [`Contextual`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        id: Option<HeaderValue>,
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(id) = this.id.take() {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
