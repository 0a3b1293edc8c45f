//! A body that is counted while it is read.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::BodyError;
use crate::rejection::RejectionCode;

pin_project! {
    /// The body of a request behind a [`BodyGuard`](super::BodyGuard). Beyond a limit it gives a [`BodyError`] once and
    /// then nothing more; the body inside is dropped.
    ///
    /// It needs a tokio runtime with a timer when it has to wait.
    pub struct GuardedBody<B> {
        #[pin]
        inner: Option<B>,
        left: u64,
        times: Times,
        timer: Option<Pin<Box<Sleep>>>,
        ends: Option<Instant>,
        waiting: bool,
        trip: Option<Trip>,
    }
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) whole: Duration,
    pub(super) idle: Duration,
}

/// By which a body tells whoever answers that it went over a limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Trip(Arc<AtomicU8>);

impl Trip {
    const TOO_LARGE: u8 = 1;
    const TOO_SLOW: u8 = 2;

    fn set(&self, code: RejectionCode) {
        let state = if code == RejectionCode::BodyTooLarge { Self::TOO_LARGE } else { Self::TOO_SLOW };
        self.0.store(state, Ordering::Release);
    }

    pub(super) fn code(&self) -> Option<RejectionCode> {
        match self.0.load(Ordering::Acquire) {
            Self::TOO_LARGE => Some(RejectionCode::BodyTooLarge),
            Self::TOO_SLOW => Some(RejectionCode::RequestTimeout),
            _ => None,
        }
    }
}

impl<B> GuardedBody<B> {
    pub(super) fn new(inner: B, max_bytes: u64, times: Times, trip: Option<Trip>) -> Self {
        Self { inner: Some(inner), left: max_bytes, times, timer: None, ends: None, waiting: false, trip }
    }

    fn refuse(self: Pin<&mut Self>, code: RejectionCode) -> BodyError {
        let mut this = self.project();
        // Buffers go, and the server may close the connection.
        this.inner.set(None);
        *this.timer = None;
        if let Some(trip) = this.trip {
            trip.set(code);
        }
        BodyError::refused(code)
    }

    /// Whether time is up, asked when there is nothing to read.
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if !*this.waiting {
            *this.waiting = true;
            let now = Instant::now();
            let ends = *this.ends.get_or_insert_with(|| later(now, this.times.whole));
            let until = later(now, this.times.idle).min(ends);
            match this.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => *this.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        match this.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

fn later(now: Instant, after: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    now.checked_add(after).or_else(|| now.checked_add(YEAR)).unwrap_or(now)
}

impl<B> Body for GuardedBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        let mut this = self.as_mut().project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        match inner.poll_frame(cx) {
            Poll::Pending => match self.as_mut().poll_late(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    Poll::Ready(Some(Err(self.as_mut().refuse(RejectionCode::RequestTimeout))))
                }
            },
            Poll::Ready(Some(Ok(frame))) => {
                *this.waiting = false;
                let size = frame.data_ref().map_or(0, |data| data.remaining());
                match u64::try_from(size).ok().and_then(|size| this.left.checked_sub(size)) {
                    Some(left) => {
                        *this.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => Poll::Ready(Some(Err(self.as_mut().refuse(RejectionCode::BodyTooLarge)))),
                }
            }
            Poll::Ready(Some(Err(cause))) => {
                this.inner.set(None);
                Poll::Ready(Some(Err(BodyError::failed(cause))))
            }
            Poll::Ready(None) => {
                this.inner.set(None);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(inner) = &self.inner else { return SizeHint::with_exact(0) };
        let mut hint = inner.size_hint();
        let upper = hint.upper().map_or(self.left, |upper| upper.min(self.left));
        // Where the body promises more than it may have, the promise stands, and reading it fails.
        if upper >= hint.lower() {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B> fmt::Debug for GuardedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody").field("left", &self.left).finish_non_exhaustive()
    }
}
