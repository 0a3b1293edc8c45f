//! The layer in front of a finished router.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Firewall, FirewallRule};
use crate::render::{Problem, Render};
use crate::wire::refuse;

/// Lets nothing through but what [`Firewall::check`] has brought into its one form.
///
/// It has to wrap the **finished** router: what axum's `Router::layer` adds runs after the router has matched. See the
/// [module](super).
#[derive(Clone, Debug)]
pub struct FirewallLayer<R = Problem> {
    firewall: Arc<Firewall>,
    renderer: R,
}

impl FirewallLayer {
    /// With these rules.
    #[must_use]
    pub fn new(firewall: Firewall) -> Self {
        Self { firewall: Arc::new(firewall), renderer: Problem }
    }
}

impl<R> FirewallLayer<R> {
    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> FirewallLayer<R2> {
        FirewallLayer { firewall: self.firewall, renderer }
    }
}

impl<S, R: Clone> Layer<S> for FirewallLayer<R> {
    type Service = Firewalled<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Firewalled { inner, firewall: self.firewall.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`FirewallLayer`].
#[derive(Clone, Debug)]
pub struct Firewalled<S, R = Problem> {
    inner: S,
    firewall: Arc<Firewall>,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for Firewalled<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Render<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let state = match self.firewall.check(&mut parts) {
            Ok(()) => State::Going { future: self.inner.call(Request::from_parts(parts, body)) },
            Err(rule) => State::Refused { response: Some(refusal(&self.firewall, rule, &self.renderer)) },
        };
        ResponseFuture { state }
    }
}

/// The answer, with rule and rejection in its extensions for whoever stands outside.
fn refusal<B>(firewall: &Firewall, rule: FirewallRule, renderer: &impl Render<B>) -> Response<B> {
    tracing::info!(rule = rule.as_str(), "the firewall refused a request");
    let mut response = refuse(renderer, &firewall.rejection(rule));
    response.extensions_mut().insert(rule);
    response
}

pin_project! {
    /// The future of [`Firewalled`].
    pub struct ResponseFuture<F, ResBody> {
        #[pin]
        state: State<F, ResBody>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, ResBody> {
        Going { #[pin] future: F },
        Refused { response: Option<Response<ResBody>> },
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProj::Going { future } => future.poll(cx),
            // Once; as with any future, nobody polls it again.
            StateProj::Refused { response } => response.take().map_or(Poll::Pending, |r| Poll::Ready(Ok(r))),
        }
    }
}

impl<F, ResBody> fmt::Debug for ResponseFuture<F, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
