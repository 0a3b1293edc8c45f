//! The future of every layer that decides.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Admission, AdmissionFuture, Remains, refuse_with};
use crate::rejection::{Rejection, RejectionCode};
use crate::render::Render;

/// What an admitted request goes on to.
pub(crate) trait Target<B> {
    type Future;

    fn go(self, request: Request<B>) -> Self::Future;
}

/// A service that was polled ready and is called at most once.
pub(crate) struct ReadyService<S>(S);

impl<S: Service<Request<B>>, B> Target<B> for ReadyService<S> {
    type Future = S::Future;

    fn go(mut self, request: Request<B>) -> S::Future {
        self.0.call(request)
    }
}

/// What such a future resolves to: a response, or the result of a service.
pub(crate) trait Answer {
    type Body;

    fn answer(response: Response<Self::Body>) -> Self;
}

impl<B, E> Answer for Result<Response<B>, E> {
    type Body = B;

    fn answer(response: Response<B>) -> Self {
        Ok(response)
    }
}

impl<B> Answer for Response<B> {
    type Body = B;

    fn answer(response: Response<B>) -> Self {
        response
    }
}

pin_project! {
    /// Refuses, or goes on at once, or waits for a late decision and then does one of the two.
    pub(crate) struct Decided<F, T, B, R> {
        renderer: R,
        #[pin]
        state: State<F, T, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, T, B> {
        Going { #[pin] future: F },
        Refused { rejection: Rejection, remains: Remains },
        Waiting { decision: AdmissionFuture, held: Option<(Request<B>, T)> },
    }
}

impl<F, S, B, R> Decided<F, ReadyService<S>, B, R>
where
    S: Service<Request<B>, Future = F> + Clone,
{
    /// Goes on to a service. Nothing of it runs before the decision stands.
    pub(crate) fn service(admission: Admission, mut request: Request<B>, inner: &mut S, renderer: R) -> Self {
        let state = match admission {
            Admission::Ready(Ok(identity)) => {
                identity.apply(request.extensions_mut());
                State::Going { future: inner.call(request) }
            }
            Admission::Ready(Err(rejection)) => State::Refused { rejection, remains: Remains::of(request) },
            Admission::Pending(decision) => {
                // The service that was polled ready is the one to call; the clone that stays behind is not ready.
                let clone = inner.clone();
                let ready = ReadyService(std::mem::replace(inner, clone));
                State::Waiting { decision, held: Some((request, ready)) }
            }
        };
        Self { renderer, state }
    }
}

#[cfg(feature = "axum")]
impl<F, T: Target<B, Future = F>, B, R> Decided<F, T, B, R> {
    /// Goes on to something that is used once.
    pub(crate) fn target(admission: Admission, mut request: Request<B>, target: T, renderer: R) -> Self {
        let state = match admission {
            Admission::Ready(Ok(identity)) => {
                identity.apply(request.extensions_mut());
                State::Going { future: target.go(request) }
            }
            Admission::Ready(Err(rejection)) => State::Refused { rejection, remains: Remains::of(request) },
            Admission::Pending(decision) => State::Waiting { decision, held: Some((request, target)) },
        };
        Self { renderer, state }
    }
}

impl<F, T, B, R> Future for Decided<F, T, B, R>
where
    F: Future,
    F::Output: Answer,
    T: Target<B, Future = F>,
    R: Render<<F::Output as Answer>::Body>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Going { future } => return future.poll(cx),
                StateProj::Refused { rejection, remains } => {
                    return Poll::Ready(Answer::answer(refuse_with(this.renderer, rejection, remains)));
                }
                StateProj::Waiting { decision, held } => {
                    match (ready!(decision.as_mut().poll(cx)), held.take()) {
                        (Ok(identity), Some((mut request, target))) => {
                            identity.apply(request.extensions_mut());
                            State::Going { future: target.go(request) }
                        }
                        (Err(rejection), held) => {
                            let remains = held.map(|(request, _)| Remains::of(request)).unwrap_or_default();
                            State::Refused { rejection, remains }
                        }
                        (Ok(_), None) => {
                            let rejection = Rejection::new(RejectionCode::Internal);
                            State::Refused { rejection, remains: Remains::default() }
                        }
                    }
                }
            };
            this.state.set(next);
        }
    }
}

/// Defines the `ResponseFuture` of a layer: a named type of the layer's own around [`Decided`].
macro_rules! response_future {
    ($(#[$doc:meta])*) => {
        pin_project_lite::pin_project! {
            $(#[$doc])*
            pub struct ResponseFuture<S: Service<Request<B>>, B, R> {
                #[pin]
                inner: $crate::wire::Decided<S::Future, $crate::wire::ReadyService<S>, B, R>,
            }
        }

        impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
            fn new(inner: $crate::wire::Decided<S::Future, $crate::wire::ReadyService<S>, B, R>) -> Self {
                Self { inner }
            }
        }

        impl<S, B, ResBody, R> std::future::Future for ResponseFuture<S, B, R>
        where
            S: Service<Request<B>, Response = Response<ResBody>>,
            R: Render<ResBody>,
        {
            type Output = Result<Response<ResBody>, S::Error>;

            fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.project().inner.poll(cx)
            }
        }

        impl<S: Service<Request<B>>, B, R> fmt::Debug for ResponseFuture<S, B, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("ResponseFuture").finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use response_future;
