//! The future of the layer that counts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::decision::RateDecision;
use super::limit::RateLimit;
use crate::rejection::{Rejection, RejectionCode};
use crate::render::Render;
use crate::wire::{Remains, refuse, refuse_with};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    /// The future of [`RateLimited`](super::RateLimited).
    pub struct ResponseFuture<S: Service<Request<B>>, B, R> {
        limit: RateLimit,
        renderer: R,
        #[pin]
        state: State<S::Future, S::Response, S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, A, S, B> {
        Going { #[pin] future: F, decision: RateDecision },
        Refused { decision: RateDecision, rejection: Rejection, remains: Remains },
        Waiting { verdict: Boxed<RateDecision>, held: Option<(Request<B>, S)> },
        Settling { settled: Boxed<RateDecision>, response: Option<A> },
    }
}

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    pub(super) fn going(limit: RateLimit, renderer: R, decision: RateDecision, future: S::Future) -> Self {
        Self { limit, renderer, state: State::Going { future, decision } }
    }

    pub(super) fn refused(
        limit: RateLimit,
        renderer: R,
        decision: RateDecision,
        rejection: Rejection,
        request: Request<B>,
    ) -> Self {
        let remains = Remains::of(request);
        Self { limit, renderer, state: State::Refused { decision, rejection, remains } }
    }

    pub(super) fn waiting(
        limit: RateLimit,
        renderer: R,
        verdict: Boxed<RateDecision>,
        request: Request<B>,
        service: S,
    ) -> Self {
        Self { limit, renderer, state: State::Waiting { verdict, held: Some((request, service)) } }
    }
}

impl<S, B, ResBody, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Render<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Going { future, decision } => {
                    let mut response = ready!(future.poll(cx))?;
                    match this.limit.settle(decision, response.status()) {
                        None => {
                            this.limit.add_fields(decision, response.headers_mut());
                            return Poll::Ready(Ok(response));
                        }
                        Some(settled) => State::Settling { settled, response: Some(response) },
                    }
                }
                StateProj::Refused { decision, rejection, remains } => {
                    let mut response = refuse_with(this.renderer, rejection, remains);
                    this.limit.add_fields(decision, response.headers_mut());
                    return Poll::Ready(Ok(response));
                }
                StateProj::Waiting { verdict, held } => {
                    let decision = ready!(verdict.as_mut().poll(cx));
                    match (decision.rejection(), held.take()) {
                        (None, Some((request, mut service))) => {
                            State::Going { future: service.call(request), decision }
                        }
                        (Some(rejection), held) => {
                            let remains = held.map(|(request, _)| Remains::of(request)).unwrap_or_default();
                            State::Refused { decision, rejection, remains }
                        }
                        (None, None) => {
                            let rejection = Rejection::new(RejectionCode::Internal);
                            State::Refused { decision, rejection, remains: Remains::default() }
                        }
                    }
                }
                StateProj::Settling { settled, response } => {
                    let decision = ready!(settled.as_mut().poll(cx));
                    let internal = || refuse(this.renderer, &Rejection::new(RejectionCode::Internal));
                    let mut response = response.take().unwrap_or_else(internal);
                    this.limit.add_fields(&decision, response.headers_mut());
                    return Poll::Ready(Ok(response));
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B, R> fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
