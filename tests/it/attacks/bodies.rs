//! Bodies that are too large or too slow, and say otherwise or nothing. Attack log H5.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use portcullis::axum::StrictJson;
use portcullis::rejection::RejectionCode;
use portcullis::validate::{BodyGuard, BodyGuardLayer, ContentTypes, GuardedBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::{Layer, Service, ServiceExt as _, service_fn};

use crate::layers::send;

const LIMIT: usize = 1024;

/// What a handler does when its body breaks off.
#[derive(Clone, Copy)]
enum Handler {
    /// Answers 400, as most extractors do.
    Careful,
    /// Takes what it has for all there is.
    Careless,
    /// Doesn't read.
    Deaf,
}

/// The handler behind a guard, and how often it was called.
fn guarded<B>(
    guard: BodyGuard,
    handler: Handler,
) -> (
    impl Service<Request<B>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send> + Clone + Send,
    Arc<AtomicUsize>,
)
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let inner = service_fn(move |request: Request<GuardedBody<B>>| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut body = Box::pin(request.into_body());
            let (mut size, mut failed) = (0, false);
            while !matches!(handler, Handler::Deaf)
                && let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await
            {
                match frame {
                    Ok(frame) => size += frame.into_data().map_or(0, |data| data.len()),
                    Err(_) => failed = true,
                }
            }
            let mut response = Response::new(Full::from(format!("read {size}")));
            if failed && matches!(handler, Handler::Careful) {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            Ok::<_, Infallible>(response)
        }
    });
    (BodyGuardLayer::new(guard).layer(inner), calls)
}

fn chunked(chunks: &[usize]) -> String {
    let chunks: String = chunks.iter().map(|size| format!("{size:x}\r\n{}\r\n", "a".repeat(*size))).collect();
    format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

fn sized(declared: usize, sent: usize) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {declared}\r\n\r\n{}", "a".repeat(sent))
}

/// Through a real server, over a real connection. axum-core once had no limit where there was no `Content-Length`
/// (RUSTSEC-2022-0055).
// ASVS 5.2.1
#[tokio::test]
async fn a_body_over_the_limit_is_413_with_and_without_a_length() {
    use Handler::{Careful, Careless, Deaf};
    for (name, request, handler, status, calls) in [
        ("at the limit", sized(LIMIT, LIMIT), Careful, 200, 1),
        ("at the limit, chunked", chunked(&[LIMIT]), Careful, 200, 1),
        ("at the limit, in pieces", chunked(&[1000, 20, 4]), Careful, 200, 1),
        ("one byte more", sized(LIMIT + 1, LIMIT + 1), Careful, 413, 0),
        ("declared, and nothing sent", sized(1 << 40, 0), Careful, 413, 0),
        ("declared, and not read", sized(LIMIT + 1, 0), Deaf, 413, 0),
        ("one byte more, chunked", chunked(&[LIMIT + 1]), Careful, 413, 1),
        ("one byte more, in pieces", chunked(&[1000, 20, 5]), Careful, 413, 1),
        ("byte by byte", chunked(&[1; LIMIT + 1]), Careful, 413, 1),
        ("four times as much", chunked(&[LIMIT; 4]), Careful, 413, 1),
        ("the handler goes on as if nothing was", chunked(&[LIMIT, 1]), Careless, 413, 1),
        ("nobody reads it", chunked(&[LIMIT + 1]), Deaf, 200, 1),
    ] {
        let (service, called) = guarded(BodyGuard::new().with_max_bytes(LIMIT as u64), handler);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        if status != 413 {
            stream.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        // Ends only when the server closes the connection.
        let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok_and(|end| end.is_ok()), "{name}: not closed after {answer:?}");
        let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{name}: {answer}");
        assert_eq!(answer.contains("\r\nconnection: close\r\n"), status == 413, "{name}: {answer}");
        assert_eq!(answer.contains("\"code\":\"body_too_large\""), status == 413, "{name}: {answer}");
        assert_eq!(called.load(Ordering::SeqCst), calls, "{name}");
    }
}

/// A body whose pieces of one byte come after these pauses.
struct Dripping {
    pauses: VecDeque<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
}

fn dripping(pauses: impl IntoIterator<Item = u64>) -> Dripping {
    Dripping { pauses: pauses.into_iter().map(Duration::from_secs).collect(), pause: None }
}

impl Body for Dripping {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            match &mut self.pause {
                Some(pause) => {
                    std::task::ready!(pause.as_mut().poll(cx));
                    self.pause = None;
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a")))));
                }
                None => match self.pauses.pop_front() {
                    Some(pause) => self.pause = Some(Box::pin(sleep(pause))),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}

// ASVS 5.2.1
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let usual = BodyGuard::new;
    let short = || BodyGuard::new().with_deadline(Duration::from_secs(5));
    let endless = || BodyGuard::new().with_deadline(Duration::MAX).with_idle_timeout(Duration::MAX);
    for (name, guard, pauses, status, seconds) in [
        ("at once", usual(), vec![0, 0, 0], 200, 0),
        ("in time", usual(), vec![9, 9, 9], 200, 27),
        ("never again", usual(), vec![1, 3600], 408, 11),
        ("never", usual(), vec![3600], 408, 10),
        ("a byte every nine seconds", usual(), vec![9; 100], 408, 30),
        ("a byte a second", usual(), vec![1; 100], 408, 30),
        ("a shorter deadline", short(), vec![3, 3], 408, 5),
        ("no deadline", endless(), vec![600; 3], 200, 1800),
    ] {
        for handler in [Handler::Careful, Handler::Careless] {
            let (service, _) = guarded(guard.clone(), handler);
            let begun = Instant::now();
            let answer = send(&service, Request::post("/").body(dripping(pauses.clone())).unwrap()).await;
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(begun.elapsed().as_secs(), seconds, "{name}");
            let code = (status == 408).then_some(RejectionCode::RequestTimeout);
            assert_eq!(answer.code, code, "{name}");
            assert_eq!(answer.headers.contains_key("connection"), status == 408, "{name}");
        }
    }
}

/// Only the client's time counts: a handler may work as long as it likes before it reads.
#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_not_the_clients_fault() {
    let handler = async |request: Request<GuardedBody<Dripping>>| {
        sleep(Duration::from_secs(3600)).await;
        let mut body = request.into_body();
        let first = body.frame().await.unwrap();
        sleep(Duration::from_secs(3600)).await;
        let end = body.frame().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!(
            "{} {}",
            first.is_ok(),
            end.is_none()
        ))))
    };
    let service = BodyGuardLayer::new(BodyGuard::new()).layer(service_fn(handler));
    let answer = send(&service, Request::post("/").body(dripping([5])).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "true true"));
}

/// The extractor says the same as the guard, and an extractor that knows nothing of the guard is overruled by it.
#[tokio::test(start_paused = true)]
async fn extractors_behind_the_guard() {
    let router = Router::new()
        .route("/json", post(async |StrictJson(_): StrictJson<serde_json::Value>| "read"))
        .route("/bytes", post(async |_: Bytes| "read"))
        .layer(BodyGuardLayer::new(
            BodyGuard::new().with_max_bytes(8).with_content_types(ContentTypes::json()),
        ));
    let full = |text: &str| axum::body::Body::from(text.to_owned());
    let slow = || axum::body::Body::new(dripping([3600]));
    // Neither says how long it is.
    let unknown = |text: &str| {
        let pieces =
            text.as_bytes().chunks(4).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
        axum::body::Body::new(Pieces(pieces.collect()))
    };
    for (name, content_type, body, status) in [
        ("small", "application/json", full("[1,2,3]"), 200),
        ("pieces", "application/json", unknown("[1,2,3]"), 200),
        ("too large", "application/json", full("[1,2,3,4]"), 413),
        ("too large, in pieces", "application/json", unknown("[1,2,3,4]"), 413),
        ("too slow", "application/json", slow(), 408),
        ("another type", "text/plain", full("[1,2,3]"), 415),
        ("another type, and too large", "text/plain", full("[1,2,3,4]"), 413),
    ] {
        // Each body can be sent once.
        let path = if name.contains("pieces") { "/json" } else { "/bytes" };
        let request = Request::post(path).header("content-type", content_type).body(body).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
    }
    let request = Request::post("/json").header("content-type", "application/json").body(slow()).unwrap();
    assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 408);
    // Without a body there is no type to have.
    let request = Request::post("/bytes").body(axum::body::Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
}

struct Pieces(VecDeque<Result<Bytes, Infallible>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

#[tokio::test]
async fn what_a_guarded_body_gives_away() {
    let guard = BodyGuard::new().with_max_bytes(5);
    let parts = |version| {
        let request = Request::post("/").version(version).body(()).unwrap();
        request.into_parts().0
    };
    // The error is given once, then nothing more, and what was inside is gone.
    let body = Pieces([Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"def"))].into());
    let (body, watch) = guard.guard(&parts(Version::HTTP_2), body);
    let mut body = body.unwrap();
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, Some(5)));
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
    assert_eq!(body.size_hint().upper(), Some(2));
    assert!(watch.rejection().is_none() && !body.is_end_stream());
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.rejection().map(|rejection| rejection.status()), Some(413));
    assert_eq!(watch.rejection().map(|rejection| rejection.status()), Some(413));
    assert!(body.frame().await.is_none() && body.is_end_stream());
    // HTTP/2 has no `Connection` header.
    let render = |_: &portcullis::Rejection| Response::new(());
    assert!(!watch.finish(Response::new(()), &render).headers().contains_key("connection"));
    // What fails inside is no refusal.
    let broken = Full::<Bytes>::default().map_err(|never| never).boxed();
    let (body, watch) = guard.guard(&parts(Version::HTTP_11), broken);
    assert!(body.unwrap().frame().await.is_none());
    assert!(watch.rejection().is_none());
    // Two guards: the inner one's refusal is found through the outer.
    let (outer, _) = BodyGuard::new().guard(&parts(Version::HTTP_11), Pieces([Ok("abcdef".into())].into()));
    let (inner, watch) = guard.guard(&parts(Version::HTTP_11), outer.unwrap());
    let error = inner.unwrap().frame().await.unwrap().unwrap_err();
    assert_eq!(error.rejection().map(|rejection| rejection.status()), Some(413));
    assert!(watch.rejection().is_some());
}
