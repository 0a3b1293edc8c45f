//! The future of the outer half.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Edge;
use super::passage::{Boxed, Entry, Passage};
use super::taken::Taken;
use crate::rate_limit::RateDecision;
use crate::rejection::{Rejection, RejectionCode};
use crate::render::Render;
use crate::wire::{CatchPanic, Remains, catch_panic, refuse, refuse_with};

pin_project! {
    /// Answers, whatever the service inside does.
    pub(crate) struct EdgedFuture<S: Service<Request<B>>, B, R> {
        edge: Arc<Edge>,
        renderer: R,
        passage: Passage,
        #[pin]
        state: State<S::Future, S::Response, S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    pub(super) enum State<F, A, S, B> {
        Going { #[pin] future: CatchPanic<F> },
        Refused { rejection: Rejection, remains: Remains },
        Preflight,
        Limited { at: usize, verdict: Boxed<RateDecision>, held: Option<(Parts, B, S)> },
        Settling { work: Boxed<Taken>, answer: Option<A> },
    }
}

impl<S: Service<Request<B>>, B, R> EdgedFuture<S, B, R> {
    pub(super) fn new(
        edge: Arc<Edge>,
        renderer: R,
        passage: Passage,
        state: State<S::Future, S::Response, S, B>,
    ) -> Self {
        Self { edge, renderer, passage, state }
    }
}

impl<S, B, ResBody, R> Future for EdgedFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Render<ResBody>,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let internal = || Rejection::new(RejectionCode::Internal);
        loop {
            let mut response = match this.state.as_mut().project() {
                StateProj::Going { future } => match ready!(future.poll(cx)) {
                    Some(Ok(response)) => response,
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => refuse(this.renderer, &internal()),
                },
                StateProj::Refused { rejection, remains } => refuse_with(this.renderer, rejection, remains),
                StateProj::Preflight => this.passage.preflight(),
                StateProj::Limited { at, verdict, held } => {
                    let decision = ready!(verdict.as_mut().poll(cx));
                    let next = match (this.passage.take(*at, decision), held.take()) {
                        (None, Some((parts, body, mut service))) => {
                            match this.edge.toll(this.passage, &parts) {
                                Entry::Go => {
                                    let request = Request::from_parts(parts, body);
                                    State::Going { future: catch_panic(move || service.call(request)) }
                                }
                                Entry::Refused(rejection) => {
                                    State::Refused { rejection, remains: Remains::of_parts(parts) }
                                }
                                Entry::Limited(at, verdict) => {
                                    State::Limited { at, verdict, held: Some((parts, body, service)) }
                                }
                                Entry::Preflight => State::Preflight,
                            }
                        }
                        (Some(rejection), held) => {
                            let remains =
                                held.map(|(parts, ..)| Remains::of_parts(parts)).unwrap_or_default();
                            State::Refused { rejection, remains }
                        }
                        (None, None) => State::Refused { rejection: internal(), remains: Remains::default() },
                    };
                    this.state.set(next);
                    continue;
                }
                StateProj::Settling { work, answer } => {
                    let settled = ready!(work.as_mut().poll(cx));
                    this.passage.settled(settled);
                    let mut response = answer.take().unwrap_or_else(|| refuse(this.renderer, &internal()));
                    this.edge.leave(this.passage, &mut response);
                    return Poll::Ready(Ok(response));
                }
            };
            match this.edge.settle(this.passage, response.status()) {
                None => {
                    this.edge.leave(this.passage, &mut response);
                    return Poll::Ready(Ok(response));
                }
                Some(work) => this.state.set(State::Settling { work, answer: Some(response) }),
            }
        }
    }
}
