//! The finished router.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::axum::Router;
use ::axum::body::Body;
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::future::RouteFuture;
use http::Request;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::authz::AccessMap;
use crate::rejection::{Rejection, RejectionCode};
use crate::wire::{CatchPanic, catch_panic};

/// A closed router: every route has its rule, and no route can be added.
///
/// Serve it with `axum::serve(listener, tower::make::Shared::new(service))`. A handler that panics is answered with 500.
#[derive(Clone)]
pub struct GateService {
    router: Router,
    map: Arc<AccessMap>,
}

impl GateService {
    pub(super) fn new(router: Router, map: Arc<AccessMap>) -> Self {
        Self { router: router.with_state(()), map }
    }

    /// The table of all routes and rules; `Display` prints it.
    #[must_use]
    pub fn access_map(&self) -> &AccessMap {
        &self.map
    }
}

impl Service<Request<Body>> for GateService {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture { inner: catch_panic(|| self.router.call(request)) }
    }
}

impl fmt::Debug for GateService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateService").field("map", &self.map).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`GateService`].
    pub struct ResponseFuture {
        #[pin]
        inner: CatchPanic<RouteFuture<Infallible>>,
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(self.project().inner.poll(cx)) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Ready(Ok(Rejection::new(RejectionCode::Internal).into_response())),
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
