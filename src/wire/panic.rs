//! A panic in what is inside becomes an answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// A future whose panic is its end: it resolves to `None`.
    pub(crate) struct CatchPanic<F> {
        // `None` once making or polling it has panicked.
        #[pin]
        inner: Option<F>,
    }
}

/// Makes a future; what panics while it is made or polled ends in `None`.
pub(crate) fn catch_panic<F>(make: impl FnOnce() -> F) -> CatchPanic<F> {
    let inner = catch_unwind(AssertUnwindSafe(make)).ok();
    if inner.is_none() {
        say();
    }
    CatchPanic { inner }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Ok(poll) = catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            return poll.map(Some);
        }
        // Dropping what it held may panic too.
        let _ = catch_unwind(AssertUnwindSafe(|| this.inner.set(None)));
        say();
        Poll::Ready(None)
    }
}

/// The panic hook has printed the message already; it may hold anything, so it is not repeated.
fn say() {
    tracing::error!("a handler panicked; the request is answered with 500");
}
