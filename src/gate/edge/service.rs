//! The outer half around a service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::Edge;
use super::future::{EdgedFuture, State};
use super::passage::Entry;
use crate::render::Render;
use crate::wire::{Remains, catch_panic};

/// A service behind the outer half.
#[derive(Clone)]
pub(crate) struct Edged<S, R> {
    inner: S,
    edge: Arc<Edge>,
    renderer: R,
}

impl<S, R> Edged<S, R> {
    pub(crate) fn new(inner: S, edge: Arc<Edge>, renderer: R) -> Self {
        Self { inner, edge, renderer }
    }
}

impl<S, B, ResBody, R> Service<Request<B>> for Edged<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = EdgedFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let (passage, entry) = self.edge.enter(&mut parts);
        let state = match entry {
            Entry::Go => {
                let request = Request::from_parts(parts, body);
                State::Going { future: catch_panic(|| self.inner.call(request)) }
            }
            Entry::Refused(rejection) => State::Refused { rejection, remains: Remains::of_parts(parts) },
            Entry::Preflight => State::Preflight,
            Entry::Limited(at, verdict) => {
                // The service that was polled ready is the one to call; the clone that stays behind is not ready.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                State::Limited { at, verdict, held: Some((parts, body, ready)) }
            }
        };
        EdgedFuture::new(self.edge.clone(), self.renderer.clone(), passage, state)
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Edged<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edged").field("inner", &self.inner).field("edge", &self.edge).finish_non_exhaustive()
    }
}
