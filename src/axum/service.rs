//! The finished router.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::axum::Router;
use ::axum::ServiceExt as _;
use ::axum::body::Body;
use ::axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use ::axum::response::Response;
use ::axum::routing::future::RouteFuture;
use http::Request;
use http_body::Body as _;
use pin_project_lite::pin_project;
use tower_layer::Layer as _;
use tower_service::Service;

use super::guarded::Renderer;
use crate::authz::AccessMap;
use crate::gate::{Edged, EdgedFuture, Gate};
use crate::validate::{BodyGuardLayer, BodyGuarded, GuardedBody};

/// A closed router behind the whole gate: every route has its rule, and no route can be added.
///
/// Serve it with `axum::serve(listener, service.into_make_service())`, which tells limits and rules by address where a
/// request comes from. A handler that panics is answered with 500.
#[derive(Clone)]
pub struct GateService {
    inner: Edged<BodyGuarded<Closed, Renderer>, Renderer>,
    map: Arc<AccessMap>,
}

impl GateService {
    pub(super) fn new(router: Router, map: Arc<AccessMap>, gate: &Gate, renderer: &Renderer) -> Self {
        let bodies = BodyGuardLayer::new(gate.edge().bodies().clone()).with_renderer(renderer.clone());
        let guarded = bodies.layer(Closed(router.with_state(())));
        Self { inner: Edged::new(guarded, gate.edge().clone(), renderer.clone()), map }
    }

    /// The table of all routes and rules; `Display` prints it.
    #[must_use]
    pub fn access_map(&self) -> &AccessMap {
        &self.map
    }

    /// For `axum::serve`: each request knows the address of its connection.
    #[must_use]
    pub fn into_make_service(self) -> IntoMakeServiceWithConnectInfo<Self, SocketAddr> {
        self.into_make_service_with_connect_info()
    }
}

impl Service<Request<Body>> for GateService {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture { inner: self.inner.call(request) }
    }
}

impl fmt::Debug for GateService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateService").field("map", &self.map).finish_non_exhaustive()
    }
}

/// The router behind the guard of bodies. axum boxes a body that it doesn't know, so where nothing can come it gets one
/// that it knows.
#[derive(Clone)]
struct Closed(Router);

impl Service<Request<GuardedBody<Body>>> for Closed {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<GuardedBody<Body>>) -> Self::Future {
        self.0.call(request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) }))
    }
}

pin_project! {
    /// The future of [`GateService`].
    pub struct ResponseFuture {
        #[pin]
        inner: EdgedFuture<BodyGuarded<Closed, Renderer>, Body, Renderer>,
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
