//! The gate as one tower layer, and its inner half as a service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Gate;
use super::edge::{Edged, EdgedFuture};
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::wire::{Admission, Decided, ReadyService};

/// [`Gate::layer`].
#[derive(Clone, Debug)]
pub struct GateLayer<R = Problem> {
    gate: Gate,
    renderer: R,
}

impl GateLayer {
    pub(super) fn new(gate: Gate) -> Self {
        Self { gate, renderer: Problem }
    }
}

impl<R> GateLayer<R> {
    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> GateLayer<R2> {
        GateLayer { gate: self.gate, renderer }
    }
}

impl<S, R: Clone> Layer<S> for GateLayer<R> {
    type Service = Gated<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { gate, renderer } = self;
        let inner = Inner { inner, gate: gate.clone(), renderer: renderer.clone() };
        Gated { inner: Edged::new(inner, gate.edge().clone(), renderer.clone()) }
    }
}

/// A service behind the gate.
#[derive(Clone, Debug)]
pub struct Gated<S, R = Problem> {
    inner: Edged<Inner<S, R>, R>,
}

impl<S, B, ResBody, R> Service<Request<B>> for Gated<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture { inner: self.inner.call(request) }
    }
}

/// The inner half: the rule, who asks, and whether they may.
#[derive(Clone, Debug)]
struct Inner<S, R> {
    inner: S,
    gate: Gate,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for Inner<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Decided<S::Future, ReadyService<S>, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        self.gate.prepare(&mut parts);
        let admission = match self.gate.rule_for(&parts) {
            // The type of bodies is left alone, so nothing counts what comes.
            _ if !self.gate.edge().bodies().lets_in(&parts.headers) => {
                Admission::Ready(Err(Rejection::new(RejectionCode::BodyTooLarge)))
            }
            Ok(rule) => self.gate.admit(&parts, rule),
            Err(rejection) => Admission::Ready(Err(rejection)),
        };
        let request = Request::from_parts(parts, body);
        Decided::service(admission, request, &mut self.inner, self.renderer.clone())
    }
}

pin_project! {
    /// The future of [`Gated`].
    pub struct ResponseFuture<S, B, R>
    where
        Inner<S, R>: Service<Request<B>>,
    {
        #[pin]
        inner: EdgedFuture<Inner<S, R>, B, R>,
    }
}

impl<S, B, ResBody, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    Inner<S, R>: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
