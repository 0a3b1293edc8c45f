//! Encrypting what is written.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::AsyncWrite;

use crate::crypto::keyring::Keyring;
use crate::crypto::stream::block::Block;
use crate::crypto::stream::chunks::{Chunks, TAG_BYTES, check};
use crate::crypto::stream::header::{CHUNK_BYTES, Header, MAX_HEADER_BYTES};
use crate::error::Result;

pin_project! {
    /// Encrypts what is written to it, and writes that to `W`.
    ///
    /// Whole only after `shutdown`, which writes the last chunk and shuts `W` down: dropped before, it leaves a stream
    /// that doesn't open. Flushing writes out what is full, and never ends a chunk early. Holds one chunk of 64 KiB,
    /// which is wiped. Cancelling a write loses nothing that was reported as written.
    ///
    /// # Errors
    ///
    /// Those of `W`, after which the same call may be tried again;
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) for a byte beyond 2^32 chunks (256 TiB), after which the stream
    /// can't be ended any more; [`BrokenPipe`](io::ErrorKind::BrokenPipe) for writing after `shutdown`.
    pub struct SealedWriter<W> {
        #[pin]
        inner: W,
        sealer: Sealer,
    }
}

impl<W> SealedWriter<W> {
    /// A stream under the primary key of `ring`, bound to `context`. The header is written with the first byte.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Entropy`](crate::error::ErrorKind::Entropy) if the operating system supplies no randomness;
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the ring is not for
    /// [`KeyPurpose::Sealing`](crate::crypto::KeyPurpose::Sealing).
    pub fn new(inner: W, ring: &Keyring, context: &[u8]) -> Result<Self> {
        Self::with_chunk_bytes(inner, ring, context, CHUNK_BYTES)
    }

    /// What is written to. Before `shutdown` the stream in it is not whole.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What was written to. Before `shutdown` the stream in it is not whole, and never will be.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// With chunks so small that tests see many of them.
    pub(super) fn with_chunk_bytes(
        inner: W,
        ring: &Keyring,
        context: &[u8],
        chunk_bytes: u32,
    ) -> Result<Self> {
        check(ring)?;
        let key = ring.primary();
        let header = Header::mint(key.id().clone(), chunk_bytes)?;
        let bytes = header.to_bytes();
        let chunks = Chunks::new(key, &header, &bytes, context)?;
        Ok(Self { inner, sealer: Sealer::new(chunks, chunk_bytes as usize, &bytes) })
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, position: u32) {
        self.sealer.chunks.skip_to(position);
    }
}

impl<W: AsyncWrite> SealedWriter<W> {
    /// Writes out what is sealed, until the buffer can take plaintext again or the stream is at its end.
    fn poll_drain(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        loop {
            let rest = this.sealer.pending()?;
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let count = ready!(this.inner.as_mut().poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.sealer.written(count);
        }
    }
}

impl<W: AsyncWrite> AsyncWrite for SealedWriter<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.sealer.is_ended() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.as_mut().poll_drain(cx))?;
        Poll::Ready(self.project().sealer.accept(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_drain(cx))?;
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_drain(cx))?;
        self.as_mut().project().sealer.end()?;
        ready!(self.as_mut().poll_drain(cx))?;
        self.project().inner.poll_shutdown(cx)
    }
}

impl<W: fmt::Debug> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedWriter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The stream without where it goes.
struct Sealer {
    chunks: Chunks,
    chunk_bytes: usize,
    block: Block,
    phase: Phase,
    /// The first byte of the next chunk: a chunk is sealed as one that isn't the last only when it is here.
    carried: Option<u8>,
}

enum Phase {
    /// The block holds plaintext.
    Filling,
    /// The block holds what must be written, from `at`: the header, or a sealed chunk.
    Writing { at: usize, last: bool },
    /// All is written.
    Ended,
    /// There is no way to go on.
    Failed(io::ErrorKind),
}

impl Sealer {
    fn new(chunks: Chunks, chunk_bytes: usize, header: &[u8]) -> Self {
        let mut block = Block::new((chunk_bytes + TAG_BYTES + 1).max(MAX_HEADER_BYTES));
        block.fill(header, MAX_HEADER_BYTES);
        Self { chunks, chunk_bytes, block, phase: Phase::Writing { at: 0, last: false }, carried: None }
    }

    fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Writing { last: true, .. })
    }

    fn pending(&self) -> io::Result<&[u8]> {
        match self.phase {
            Phase::Filling | Phase::Ended => Ok(&[]),
            Phase::Writing { at, .. } => Ok(self.block.as_ref().get(at..).unwrap_or_default()),
            Phase::Failed(kind) => Err(kind.into()),
        }
    }

    fn written(&mut self, count: usize) {
        let Phase::Writing { at, last } = &mut self.phase else { return };
        *at = at.saturating_add(count);
        if *at >= self.block.as_ref().len() {
            self.phase = if *last { Phase::Ended } else { Phase::Filling };
            self.block.restart(self.carried.take());
        }
    }

    /// Takes over plaintext, at least one byte if there is one.
    fn accept(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let limit = self.chunk_bytes + usize::from(!self.chunks.is_at_end());
        let count = self.block.fill(bytes, limit);
        if count == 0 && !bytes.is_empty() {
            return Err(self.fail(io::ErrorKind::FileTooLarge));
        }
        if self.block.as_ref().len() > self.chunk_bytes {
            self.carried = self.block.pop();
            self.seal(false)?;
        }
        Ok(count)
    }

    fn end(&mut self) -> io::Result<()> {
        if matches!(self.phase, Phase::Filling) { self.seal(true) } else { Ok(()) }
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        if self.chunks.seal(&mut self.block, last).is_err() {
            return Err(self.fail(io::ErrorKind::Other));
        }
        self.phase = Phase::Writing { at: 0, last };
        Ok(())
    }

    fn fail(&mut self, kind: io::ErrorKind) -> io::Error {
        self.block.wipe();
        self.phase = Phase::Failed(kind);
        kind.into()
    }
}
