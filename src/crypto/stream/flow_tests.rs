//! How bytes flow: slowly, in pieces, interrupted, given up, and very many of them.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::tests::{HEADER, now, opened, ring, sealed, text};
use super::*;

/// Takes and gives one byte at every other call, is not ready at the others, and fails now and then.
struct Slow<T> {
    inner: T,
    calls: u32,
    fails_every: u32,
}

impl<T> Slow<T> {
    fn new(inner: T, fails_every: u32) -> Self {
        Self { inner, calls: 0, fails_every }
    }

    fn turn(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.calls += 1;
        if self.calls.is_multiple_of(self.fails_every) {
            return Poll::Ready(Err(io::Error::other("the disk hiccups")));
        }
        if self.calls.is_multiple_of(2) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Slow<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.turn(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..1])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Slow<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.turn(cx))?;
        let mut one = [0];
        let mut byte = ReadBuf::new(&mut one);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut byte))?;
        to.put_slice(byte.filled());
        Poll::Ready(Ok(()))
    }
}

/// Polls a new future of the same operation each time: whoever gives up and tries again must lose nothing.
fn insist<T>(mut attempt: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>) -> (T, u32) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut failures = 0;
    loop {
        match attempt(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(done)) => return (done, failures),
            Poll::Ready(Err(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
                failures += 1;
            }
        }
    }
}

#[test]
fn slowly_and_with_interruptions() {
    for (length, fails_every) in [(0, u32::MAX), (3, u32::MAX), (8, 3), (9, 7), (41, 5)] {
        let plaintext = text(length);
        let inner = Slow::new(Vec::new(), fails_every);
        let mut writer = SealedWriter::with_chunk_bytes(inner, &ring(), b"slow", 4).unwrap();
        let (mut rest, mut failures) = (&plaintext[..], 0);
        while !rest.is_empty() {
            let (count, failed) = insist(|cx| pin!(writer.write(rest)).poll(cx));
            assert!(count > 0);
            rest = &rest[count..];
            failures += failed + insist(|cx| pin!(writer.flush()).poll(cx)).1;
        }
        failures += insist(|cx| pin!(writer.shutdown()).poll(cx)).1;
        let sealed = writer.into_inner().inner;

        let mut reader = OpenReader::new(Slow::new(&sealed[..], fails_every), &ring(), b"slow").unwrap();
        let (mut out, mut piece) = (Vec::<u8>::new(), [0; 3]);
        loop {
            let (count, failed) = insist(|cx| pin!(reader.read(&mut piece)).poll(cx));
            failures += failed;
            if count == 0 {
                break;
            }
            out.extend(&piece[..count]);
        }
        assert_eq!(out, plaintext, "{length}");
        assert_eq!(failures > 0, fails_every < u32::MAX, "{length}");
    }
}

/// Takes everything, or nothing while it is shut.
struct Valve {
    shut: Rc<Cell<bool>>,
    taken: Vec<u8>,
}

impl AsyncWrite for Valve {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.shut.get() {
            return Poll::Pending;
        }
        self.taken.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A write that was given up while it waited has written nothing, and the stream can be ended after it: no chunk is
/// sealed as one of many for a byte that never came.
#[test]
fn a_write_given_up_is_no_write() {
    // What was written before, and whether the next byte must wait for what is on its way out.
    for (length, waits) in [(0, true), (1, false), (4, false), (5, true), (8, false), (9, true)] {
        let mut plaintext = text(length);
        let shut = Rc::new(Cell::new(false));
        let inner = Valve { shut: Rc::clone(&shut), taken: Vec::new() };
        let mut writer = SealedWriter::with_chunk_bytes(inner, &ring(), b"valve", 4).unwrap();
        now(writer.write_all(&plaintext)).unwrap();
        shut.set(true);
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(writer.write(b"?")).poll(&mut cx) {
            Poll::Pending => assert!(waits, "{length}"),
            Poll::Ready(count) => {
                assert!(!waits && count.unwrap() == 1, "{length}");
                plaintext.push(b'?');
            }
        }
        assert!(pin!(writer.shutdown()).poll(&mut cx).is_pending(), "{length}");
        shut.set(false);
        now(writer.shutdown()).unwrap();
        assert_eq!(now(opened_with(&writer.get_ref().taken, b"valve")).unwrap(), plaintext, "{length}");
    }
}

#[test]
fn what_flushing_and_ending_do() {
    now(async {
        let mut writer = SealedWriter::with_chunk_bytes(Vec::new(), &ring(), b"", 4).unwrap();
        for (name, bytes, want) in [
            ("the header", &b""[..], HEADER),
            ("a chunk begun stays", b"abc", HEADER),
            ("a full one might be the last", b"d", HEADER),
            ("one byte more and it isn't", b"e", HEADER + 20),
            ("never cut short", b"fg", HEADER + 20),
        ] {
            writer.write_all(bytes).await.unwrap();
            writer.flush().await.unwrap();
            assert_eq!(writer.get_ref().len(), want, "{name}");
        }
        // Whoever drops it now has a stream that doesn't open.
        assert!(opened_with(writer.get_ref(), b"").await.is_err());
        writer.shutdown().await.unwrap();
        writer.shutdown().await.unwrap();
        writer.flush().await.unwrap();
        let error = writer.write(b"h").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(opened_with(writer.get_ref(), b"").await.unwrap(), b"abcdefg");
    });
}

#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    let mut nothing = [0_u8; HEADER - 1];
    let mut writer = SealedWriter::new(io::Cursor::new(&mut nothing[..]), &ring(), b"").unwrap();
    assert_eq!(now(writer.write_all(b"a")).unwrap_err().kind(), io::ErrorKind::WriteZero);
}

/// The error comes again, and after it no byte, whatever could still be read.
#[test]
fn an_error_stays() {
    let mut sealed = sealed(&text(12), 4);
    sealed[HEADER + 20] ^= 1;
    let mut reader = OpenReader::new(&sealed[..], &ring(), b"tenant-1/backups/monday").unwrap();
    now(async {
        let mut out = [0; 64];
        assert_eq!(reader.read(&mut out).await.unwrap(), 4);
        for _ in 0..3 {
            assert_eq!(reader.read(&mut out).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    });
    assert!(opened(&sealed).1.is_err());
}

/// The counter of chunks has 32 bits: what is beyond is refused, before a nonce comes twice.
#[test]
fn the_counter_never_wraps() {
    now(async {
        let mut writer = SealedWriter::with_chunk_bytes(Vec::new(), &ring(), b"", 4).unwrap();
        writer.flush().await.unwrap();
        writer.skip_to(u32::MAX - 1);
        writer.write_all(b"abcdefgh").await.unwrap();
        let before = writer.get_ref().clone();
        assert_eq!(writer.write(b"i").await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        // It doesn't become a stream that opens but lacks what was refused.
        assert_eq!(writer.write(b"").await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(writer.shutdown().await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!((writer.get_ref(), before.len()), (&before, HEADER + 20));

        // The last chunk there can be.
        let mut writer = SealedWriter::with_chunk_bytes(Vec::new(), &ring(), b"", 4).unwrap();
        writer.skip_to(u32::MAX - 1);
        writer.write_all(b"abcdefgh").await.unwrap();
        writer.shutdown().await.unwrap();
        let sealed = writer.into_inner();
        for (name, sealed, opens) in
            [("whole", sealed.clone(), true), ("more behind", [&sealed[..], &[0; 20]].concat(), false)]
        {
            let (mut here, there) = tokio::io::duplex(1024);
            let mut reader = OpenReader::new(there, &ring(), b"").unwrap();
            let mut out = Vec::new();
            here.write_all(&sealed[..HEADER]).await.unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(reader.read_u8()).poll(&mut cx).is_pending());
            reader.skip_to(u32::MAX - 1);
            here.write_all(&sealed[HEADER..]).await.unwrap();
            drop(here);
            let end = reader.read_to_end(&mut out).await;
            assert_eq!(end.is_ok(), opens, "{name}");
            assert_eq!(out, if opens { &b"abcdefgh"[..] } else { b"abcd" }, "{name}");
        }
    });
}

/// Through sealing and opening in constant memory: 1 GiB in a release build. The ciphers are generic code, which an
/// unoptimized build compiles without optimization, and then they do 3 MiB a second.
#[test]
fn very_much_in_little_memory() {
    const PIECE: usize = 100_000;
    let total: usize = if cfg!(debug_assertions) { 8 << 20 } else { 1 << 30 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (ring, piece) = (ring(), text(PIECE));
    let mut seen = 0;
    let measured = allocation_counter::measure(|| {
        runtime.block_on(async {
            let (sealed, arriving) = tokio::io::duplex(64 << 10);
            let mut writer = SealedWriter::new(sealed, &ring, b"large").unwrap();
            let mut reader = OpenReader::new(arriving, &ring, b"large").unwrap();
            let write = async {
                let mut left = total;
                while left > 0 {
                    let count = left.min(PIECE);
                    writer.write_all(&piece[..count]).await.unwrap();
                    left -= count;
                }
                writer.shutdown().await.unwrap();
            };
            let read = async {
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let count = reader.read(&mut buffer).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    let mut got = &buffer[..count];
                    while !got.is_empty() {
                        let at = seen % PIECE;
                        let same = got.len().min(PIECE - at);
                        assert!(got[..same] == piece[at..at + same], "at {seen}");
                        seen += same;
                        got = &got[same..];
                    }
                }
            };
            tokio::join!(write, read);
        });
    });
    assert_eq!(seen, total);
    assert!(measured.bytes_max < 512 << 10, "{} bytes at once", measured.bytes_max);
}

async fn opened_with(sealed: &[u8], context: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    OpenReader::new(sealed, &ring(), context).unwrap().read_to_end(&mut out).await?;
    Ok(out)
}
