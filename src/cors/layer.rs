//! The layer for use alone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Cors, CorsDecision, CorsHeaders};

/// Answers preflights and tells browsers who may read the other answers. See the [module](super).
///
/// It stands outside of everything that may refuse a request: preflights carry no credentials and would be refused, and
/// a page can only read a refusal that carries the headers.
#[derive(Clone, Debug)]
pub struct CorsLayer {
    cors: Cors,
}

impl CorsLayer {
    /// Follows this configuration.
    #[must_use]
    pub fn new(cors: Cors) -> Self {
        Self { cors }
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = CorsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CorsService { inner, cors: self.cors.clone() }
    }
}

/// The service of [`CorsLayer`].
#[derive(Clone, Debug)]
pub struct CorsService<S> {
    inner: S,
    cors: Cors,
}

impl<S, B, ResBody> Service<Request<B>> for CorsService<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let state = match self.cors.decide(&parts) {
            CorsDecision::Preflight(headers) => State::Preflight { headers },
            CorsDecision::NotCors(headers) | CorsDecision::Actual(headers) => {
                State::Going { future: self.inner.call(Request::from_parts(parts, body)), headers }
            }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The future of [`CorsService`].
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Preflight { headers: CorsHeaders },
        Going { #[pin] future: F, headers: CorsHeaders },
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Preflight { headers } => Poll::Ready(Ok(std::mem::take(headers).preflight())),
            StateProj::Going { future, headers } => {
                let mut response = ready!(future.poll(cx))?;
                std::mem::take(headers).apply(response.headers_mut());
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
