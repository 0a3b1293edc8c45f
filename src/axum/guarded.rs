//! A handler with its one rule.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::axum::body::Body;
use ::axum::extract::Request;
use ::axum::handler::Handler;
use ::axum::response::Response;
use http::HeaderMap;
use pin_project_lite::pin_project;

use crate::authz::Rule;
use crate::gate::Gate;
use crate::rejection::Rejection;
use crate::render::Render;
use crate::wire::{Decided, Target};

/// How the refusals of a router look.
#[derive(Clone)]
pub(super) struct Renderer(pub(super) Arc<dyn Render<Body> + Send + Sync>);

impl Render<Body> for Renderer {
    fn render(&self, rejection: &Rejection) -> http::Response<Body> {
        self.0.render(rejection)
    }

    fn render_into(&self, rejection: &Rejection, spare: HeaderMap) -> http::Response<Body> {
        self.0.render_into(rejection, spare)
    }
}

/// The inner half of the gate for one route.
pub(super) struct Guard {
    pub(super) gate: Gate,
    pub(super) rule: Rule,
    pub(super) renderer: Renderer,
}

impl Render<Body> for Arc<Guard> {
    fn render(&self, rejection: &Rejection) -> http::Response<Body> {
        self.renderer.render(rejection)
    }

    fn render_into(&self, rejection: &Rejection, spare: HeaderMap) -> http::Response<Body> {
        self.renderer.render_into(rejection, spare)
    }
}

/// A handler behind its guard. As a handler rather than a layer it costs no boxed service and no boxed future.
#[derive(Clone)]
pub(super) struct Guarded<H> {
    pub(super) handler: H,
    pub(super) guard: Arc<Guard>,
}

impl<H, T, S> Handler<T, S> for Guarded<H>
where
    H: Handler<T, S>,
    S: Send + 'static,
    T: 'static,
{
    type Future = GuardedFuture<H, T, S>;

    fn call(self, request: Request, state: S) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        self.guard.gate.prepare(&mut parts);
        let admission = self.guard.gate.admit(&parts, &self.guard.rule);
        let request = Request::from_parts(parts, body);
        let target = Call { handler: self.handler, state, arguments: PhantomData };
        GuardedFuture { inner: Decided::target(admission, request, target, self.guard) }
    }
}

/// A handler and its state, called at most once.
pub(super) struct Call<H, T, S> {
    handler: H,
    state: S,
    arguments: PhantomData<fn() -> T>,
}

impl<H: Handler<T, S>, T, S> Target<Body> for Call<H, T, S> {
    type Future = H::Future;

    fn go(self, request: Request) -> H::Future {
        self.handler.call(request, self.state)
    }
}

pin_project! {
    pub(super) struct GuardedFuture<H: Handler<T, S>, T, S> {
        #[pin]
        inner: Decided<H::Future, Call<H, T, S>, Body, Arc<Guard>>,
    }
}

impl<H: Handler<T, S>, T, S> Future for GuardedFuture<H, T, S> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        self.project().inner.poll(cx)
    }
}
