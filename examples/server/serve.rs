//! Serves a router with the limits that `axum::serve` leaves open: how long the head of a request may take, how long a
//! connection may be silent, how many connections there are, and how long the end may take. Made to be copied.
//!
//! What it doesn't limit: how slowly a client reads an answer, and how many connections one address has. A proxy or the
//! packet filter in front does.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use portcullis::network::Connection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt as _};

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; who comes then waits in the system's queue. Fewer than files a process may open, often 1024.
    pub connections: usize,
    /// For the handshake, for the head of a request, and for a connection on which nothing is being answered.
    pub silence: Duration,
    /// For what is being answered when the server is told to stop.
    pub farewell: Duration,
}

/// With a longer queue than the usual 128, as far as the system allows (on Linux `net.core.somaxconn`): where it overflows,
/// clients wait for seconds, or believe in a connection that nobody took.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Until `stop` is ready and everybody has an answer. `handshake` makes a stream of a connection; `tls` says whether it
/// ends TLS.
pub async fn serve<S, H, F, Io>(
    listener: TcpListener,
    handshake: H,
    tls: bool,
    service: S,
    limits: Limits,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    H: Fn(TcpStream) -> F,
    F: Future<Output = io::Result<Io>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let stopping = watch::Sender::new(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Nothing here ends the server: the client has gone again, or no file is left to open, which passes.
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
                {
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(Duration::from_secs(1)).await;
                }
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(peer).with_tls(tls);
        let (handshake, service, stopped) = (handshake(stream), service.clone(), stopping.subscribe());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(limits.silence, handshake).await {
                one(stream, connection, service, limits, stopped).await;
            }
            drop(slot);
        });
    }
    drop(listener);
    stopping.send_replace(());
    stopping.closed().await;
}

async fn one<S, Io>(
    stream: Io,
    connection: Connection,
    service: S,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Receivers are requests that are being answered; the other tells of each that begins.
    let (busy, begun) = (watch::Sender::new(()), Arc::new(Notify::new()));
    let (holds, begins) = (busy.clone(), begun.clone());
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        begins.notify_one();
        let hold = holds.subscribe();
        request.extensions_mut().insert(connection);
        let answer = service.clone().oneshot(request.map(Body::new));
        // Held until the body is sent, or dropped.
        let held = move |error| (error, &hold).0;
        async move { answer.await.map(|response| response.map(|body| body.map_err(held))) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.silence)
        .max_buf_size(64 * 1024)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .keep_alive_interval(limits.silence)
        .keep_alive_timeout(limits.silence);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        ended = served.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, peer = %connection.peer(), "a connection ended badly");
            }
            return;
        }
        // hyper's own timeout begins when it knows the version, and there is none for HTTP/2.
        () = silence(&busy, &begun, limits.silence) => {}
        _ = stopped.changed() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = timeout(limits.farewell, served).await;
}

/// Ready when nothing has been answered for so long.
async fn silence(busy: &watch::Sender<()>, begun: &Notify, limit: Duration) {
    loop {
        busy.closed().await;
        if timeout(limit, begun.notified()).await.is_err() {
            return;
        }
    }
}
