//! The gate as one fused tower service.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::Gate;
use crate::render::{Problem, Render};
use crate::wire::{Admission, Decided, response_future};

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
        Gated { inner, gate: self.gate.clone(), renderer: self.renderer.clone() }
    }
}

/// A service behind the gate.
#[derive(Clone, Debug)]
pub struct Gated<S, R = Problem> {
    inner: S,
    gate: Gate,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for Gated<S, R>
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
        let (mut parts, body) = request.into_parts();
        self.gate.prepare(&mut parts);
        let admission = match self.gate.rule_for(&parts) {
            Ok(rule) => self.gate.admit(&parts, rule),
            Err(rejection) => Admission::Ready(Err(rejection)),
        };
        let request = Request::from_parts(parts, body);
        let inner = Decided::service(admission, request, &mut self.inner, self.renderer.clone());
        ResponseFuture::new(inner)
    }
}

response_future! {
    /// The future of [`Gated`].
}
