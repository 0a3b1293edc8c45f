//! Clients that take their time (slow headers, slow bodies, silence), and what others notice of them.
//!
//! Two tests need `slowhttptest`; without it they say so by name, and fail under `CI=true`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Server;

const CLIENTS: usize = 200;
const TIMEOUT: Duration = Duration::from_secs(3);
/// Much more than the timeouts, since the machine runs other tests too.
const NEVER: Duration = Duration::from_secs(180);

fn impatient() -> Server {
    Server::start_with(&[("HEADER_TIMEOUT_SECONDS", "3"), ("BODY_TIMEOUT_SECONDS", "3")])
}

fn address(server: &Server) -> String {
    server.base().strip_prefix("http://").unwrap().to_owned()
}

/// A system whose queue of connections overflows answers with SYN cookies and forgets: the client believes in a connection
/// that no server ever saw, and hears that it was wrong when it sends something. So its system asks now and then; one
/// that the server holds open answers that, and stays.
async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    let asking = TcpKeepalive::new().with_time(2 * TIMEOUT).with_interval(TIMEOUT);
    SockRef::from(&stream).set_tcp_keepalive(&asking).unwrap();
    stream
}

/// Sends the head, says so, then sends a byte of the rest every 200 ms, until the server ends it: what it said. `None` if
/// it doesn't.
async fn dribble(
    address: String,
    head: &'static str,
    rest: &'static str,
    begun: Arc<AtomicUsize>,
) -> Option<String> {
    let mut stream = connect(&address).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    begun.fetch_add(1, Ordering::Relaxed);
    let (mut read, mut write) = stream.into_split();
    let writer = tokio::spawn(async move {
        for byte in rest.as_bytes().iter().cycle() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if rest.is_empty() {
                continue;
            }
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        // The other half has to stay open where nothing is sent.
        std::future::pending::<()>().await;
    });
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(NEVER, async {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = read.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..length]);
        }
    });
    let ended = ended.await.is_ok();
    writer.abort();
    ended.then(|| String::from_utf8_lossy(&answer).into_owned())
}

// ASVS 15.2.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_and_others_served_meanwhile() {
    const HEAD: &str = "GET /health HTTP/1.1\r\nHost: a\r\nX-A: ";
    const BODY: &str = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{";
    const CHUNKS: &str = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Half of the words by which HTTP/2 begins; all of them, and nothing more.
    const HALF: &str = "PRI * HTTP/2.0\r\n";
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let server = impatient();
    let api = server.api();
    let (mut slow, begun) = (Vec::new(), Arc::new(AtomicUsize::new(0)));
    for (name, head, rest, clients, status) in [
        ("headers", HEAD, "a", CLIENTS, "408"),
        ("bodies", BODY, " ", CLIENTS, "408"),
        ("chunks", CHUNKS, "1\r\n \r\n", 20, "408"),
        // It waits for the rest and writes nothing into a connection that ends: it is always told why.
        ("a body that stops", BODY, "", 20, "408"),
        ("silence", "", "", 20, ""),
        ("half a preface", HALF, "", 20, ""),
        ("a preface", PREFACE, "", 20, ""),
        ("nothing after an answer", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "", 20, "200"),
    ] {
        let address = address(&server);
        slow.extend((0..clients).map(|_| {
            let client = dribble(address.clone(), head, rest, begun.clone());
            (name, status, tokio::spawn(client))
        }));
    }
    // Most of them, as some may have to be taken for lost by a system whose queue is full.
    while begun.load(Ordering::Relaxed) < slow.len() * 3 / 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut quickest, begin) = (Duration::MAX, Instant::now());
    while begin.elapsed() < TIMEOUT {
        let asking = Instant::now();
        api.get("/health").send().await.expect(200);
        // Another connection each time, too.
        let fresh = server.api();
        fresh.get("/health").send().await.expect(200);
        quickest = quickest.min(asking.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A server that makes others wait for the slow ones answers when those are cut.
    assert!(quickest < TIMEOUT / 2, "others waited: {quickest:?}");
    let (mut told, mut of) = (0, 0);
    for (name, status, client) in slow {
        let answer = client.await.unwrap().unwrap_or_else(|| panic!("{name}: never cut"));
        let first = answer.lines().next().unwrap_or_default();
        // Whoever is still writing when the connection ends may lose the answer to its reset.
        let closed_without_a_word = answer.is_empty() && matches!(name, "headers" | "bodies" | "chunks");
        assert!(first.contains(status) || closed_without_a_word, "{name}: {answer}");
        if matches!(name, "bodies" | "chunks") {
            of += 1;
            told += usize::from(first.contains(status));
        }
    }
    // How many depends on how busy the machine is.
    assert!(8 * told > of, "{told} of {of} slow bodies were told why");
    assert!(!server.output().contains("panicked"), "{}", server.output());
}

/// More connections than there may be wait until others are cut; none is lost, and the server comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded() {
    let server = Server::start_with(&[("HEADER_TIMEOUT_SECONDS", "1"), ("MAX_CONNECTIONS", "4")]);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    let asking = Instant::now();
    server.api().get("/health").send().await.expect(200);
    assert!(asking.elapsed() > Duration::from_millis(300), "there was a fifth: {:?}", asking.elapsed());
    for mut client in silent {
        let ended = tokio::time::timeout(NEVER, client.read(&mut [0; 1024])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    }
}

/// A connection that is used is not cut, however long it lives, and a slow answer is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_now_and_then_stays() {
    let server = Server::start_with(&[("HEADER_TIMEOUT_SECONDS", "3")]);
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    for _ in 0..8 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..length].starts_with(b"HTTP/1.1 200"), "cut");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Told to stop, it answers what it is asked already, takes nobody else in, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_for_answers_but_not_for_ever() {
    let mut server = Server::start_with(&[("BODY_TIMEOUT_SECONDS", "2")]);
    let silent = tokio::spawn(dribble(address(&server), "", "", Arc::default()));
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begin = Instant::now();
    server.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(address(&server)).await.is_err(), "it still takes connections");
    stream.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    assert!(silent.await.unwrap().is_some(), "never cut");
    server.wait();
    assert!(begin.elapsed() < NEVER, "{:?}", begin.elapsed());
}

fn slowhttptest() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("slowhttptest")).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no slowhttptest, under CI=true");
        eprintln!("skipped: {} (no slowhttptest)", std::thread::current().name().unwrap_or("slow"));
    }
    found
}

/// The known tool: its own probe finds the server available from beginning to end, and nothing it opened stays open.
async fn attack(mode: &str, path: &str) {
    let Some(tool) = slowhttptest() else { return };
    let server = impatient();
    let mut command = tokio::process::Command::new(tool);
    command
        .args([mode, "-c", "200", "-r", "200", "-i", "1", "-l", "20", "-p", "3", "-x", "10", "-v", "1"])
        .args(["-f", "application/json", "-g", "-o", "report"])
        .arg("-u")
        .arg(format!("{}{path}", server.base()))
        .current_dir(server.folder())
        .kill_on_drop(true);
    let output = tokio::time::timeout(NEVER, command.output()).await;
    let output = output.expect("it does not end").unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let report = std::fs::read_to_string(server.folder().join("report.csv")).unwrap();
    // Seconds, closed, pending, connected, and whether its own probe was answered.
    let rows =
        report.lines().skip(1).map(|line| line.split(',').map(|field| field.parse().unwrap()).collect());
    let rows: Vec<Vec<u32>> = rows.collect();
    assert!(rows.iter().any(|row| row[3] >= 150), "there was no attack: {report}");
    assert!(rows.iter().all(|row| row[4] > 0), "others were not served: {report}");
    assert!(told.contains("No open connections left"), "not all were cut: {told}{report}");
    server.api().get("/health").send().await.expect(200);
}

// ASVS 15.2.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slowhttptest_with_slow_headers() {
    attack("-H", "/health").await;
}

// ASVS 15.2.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slowhttptest_with_slow_bodies() {
    attack("-B", "/api/auth/login").await;
}
