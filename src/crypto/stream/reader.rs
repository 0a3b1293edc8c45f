//! Decrypting what is read.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, ReadBuf};

use crate::crypto::keyring::Keyring;
use crate::crypto::seal::OpenError;
use crate::crypto::stream::block::Block;
use crate::crypto::stream::chunks::{Chunks, TAG_BYTES, check};
use crate::crypto::stream::header::{Header, MAX_HEADER_BYTES, START_BYTES};
use crate::error::Result;

pin_project! {
    /// Decrypts what a [`SealedWriter`](super::SealedWriter) wrote, as it is read from `R`.
    ///
    /// Hands out only bytes whose chunk was verified, and says end of file only after the last chunk of the stream and
    /// the end of `R`. Until then, nobody knows whether the rest is there. Holds one chunk, which is wiped. Cancelling
    /// a read loses nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) around [`OpenError`] if anything about the stream is wrong, from then
    /// on at every read; those of `R`, after which the same call may be tried again.
    pub struct OpenReader<R> {
        #[pin]
        inner: R,
        opener: Opener,
    }
}

impl<R> OpenReader<R> {
    /// Opens a stream under whichever key of `ring` its header names, if it was sealed for this `context`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the ring is not for
    /// [`KeyPurpose::Sealing`](crate::crypto::KeyPurpose::Sealing). Nothing is read yet.
    pub fn new(inner: R, ring: &Keyring, context: &[u8]) -> Result<Self> {
        check(ring)?;
        let head = Head { ring: ring.clone(), context: context.to_vec(), bytes: Block::new(START_BYTES) };
        Ok(Self { inner, opener: Opener::Head(head) })
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What was read from. Up to a chunk more has been taken from it than was handed out.
    pub fn into_inner(self) -> R {
        self.inner
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, position: u32) {
        if let Opener::Body(body) = &mut self.opener {
            body.chunks.skip_to(position);
        }
    }
}

impl<R: AsyncRead> AsyncRead for OpenReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        loop {
            if let Some(rest) = this.opener.plaintext().map_err(refused)? {
                let taken = rest.get(..buffer.remaining()).unwrap_or(rest);
                buffer.put_slice(taken);
                let count = taken.len();
                this.opener.taken(count);
                return Poll::Ready(Ok(()));
            }
            let mut space = ReadBuf::new(this.opener.space());
            ready!(this.inner.as_mut().poll_read(cx, &mut space))?;
            let count = space.filled().len();
            this.opener.accept(count).map_err(refused)?;
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for OpenReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}

fn refused(error: OpenError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The stream without where it comes from.
enum Opener {
    Head(Head),
    Body(Body),
    /// All was verified and taken.
    End,
    Failed,
}

struct Head {
    ring: Keyring,
    context: Vec<u8>,
    bytes: Block,
}

struct Body {
    chunks: Chunks,
    /// Has room for a sealed chunk and the first byte of the next, which tells whether there is one.
    block: Block,
    open: Option<Open>,
    carried: Option<u8>,
}

/// The block holds verified plaintext, of which all before `at` was taken.
struct Open {
    at: usize,
    last: bool,
}

impl Opener {
    /// What was verified and not yet taken; empty at the end, `None` while more must be read first.
    fn plaintext(&self) -> Result<Option<&[u8]>, OpenError> {
        match self {
            Self::Body(Body { block, open: Some(open), .. }) => {
                Ok(Some(block.as_ref().get(open.at..).unwrap_or_default()))
            }
            Self::Head(_) | Self::Body(_) => Ok(None),
            Self::End => Ok(Some(&[])),
            Self::Failed => Err(OpenError),
        }
    }

    /// Where the next bytes of the stream belong; not empty while more must be read.
    fn space(&mut self) -> &mut [u8] {
        match self {
            Self::Head(head) => head.bytes.space(),
            Self::Body(body) => body.block.space(),
            Self::End | Self::Failed => &mut [],
        }
    }

    /// `count` bytes were put there; none at the end of the input.
    fn accept(&mut self, count: usize) -> Result<(), OpenError> {
        let done = match self {
            Self::Head(head) => head.accept(count).map(|body| body.map(Self::Body)),
            Self::Body(body) => body.accept(count).map(|()| None),
            Self::End | Self::Failed => Err(OpenError),
        };
        match done {
            Ok(None) => Ok(()),
            Ok(Some(body)) => {
                *self = body;
                Ok(())
            }
            Err(error) => {
                *self = Self::Failed;
                Err(error)
            }
        }
    }

    /// `count` bytes of the plaintext were handed out.
    fn taken(&mut self, count: usize) {
        let Self::Body(Body { block, open: open @ Some(_), carried, .. }) = self else { return };
        let Some(Open { at, last }) = open else { return };
        *at = at.saturating_add(count);
        if *at < block.as_ref().len() {
            return;
        }
        if *last {
            *self = Self::End;
        } else {
            *open = None;
            block.restart(carried.take());
        }
    }
}

impl Head {
    fn accept(&mut self, count: usize) -> Result<Option<Body>, OpenError> {
        if count == 0 {
            return Err(OpenError);
        }
        self.bytes.grow(count);
        let bytes = self.bytes.as_ref();
        if !self.bytes.is_full() {
            return Ok(None);
        }
        if bytes.len() == START_BYTES {
            let mut whole = Block::new(Header::length(bytes)?.min(MAX_HEADER_BYTES));
            whole.fill(bytes, START_BYTES);
            self.bytes = whole;
            return Ok(None);
        }
        let header = Header::parse(bytes)?;
        let key = self.ring.find(header.key_id.as_str()).ok_or(OpenError)?;
        let chunks = Chunks::new(key, &header, bytes, &self.context).map_err(|_| OpenError)?;
        let block = Block::new(header.chunk_bytes as usize + TAG_BYTES + 1);
        Ok(Some(Body { chunks, block, open: None, carried: None }))
    }
}

impl Body {
    fn accept(&mut self, count: usize) -> Result<(), OpenError> {
        self.block.grow(count);
        let last = count == 0;
        if !last && !self.block.is_full() {
            return Ok(());
        }
        let first = self.chunks.is_at_first();
        if !last {
            self.carried = self.block.pop();
        }
        self.chunks.open(&mut self.block, last).map_err(|_| OpenError)?;
        // One form for each plaintext: where there is something, the last chunk holds some of it.
        if last && self.block.as_ref().is_empty() && !first {
            return Err(OpenError);
        }
        self.open = Some(Open { at: 0, last });
        Ok(())
    }
}
