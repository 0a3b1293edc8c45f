//! Requests as bytes, through a real server: what `http::Request` can't say, hyper answers or corrects before the firewall
//! sees it. What it does is part of what is relied on.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use portcullis::RequestContext;
use portcullis::context::ContextLayer;
use portcullis::firewall::{Firewall, FirewallLayer};
use portcullis::network::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceBuilder, service_fn};

/// Serves one connection and returns what came back.
async fn send(firewall: Firewall, raw: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let seen = service_fn(async |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let client = parts.extensions.get::<RequestContext>().unwrap().client().unwrap();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let lengths: Vec<_> = parts.headers.get_all("content-length").iter().collect();
        let seen = format!("{} {} from {client} {lengths:?} {body:?}", parts.method, parts.uri);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(seen)))
    });
    let service = ServiceBuilder::new()
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Connection::new(peer));
            request
        })
        .service(ContextLayer::default().layer(FirewallLayer::new(firewall).layer(seen)));
    let server = tokio::spawn(async move {
        let service = TowerToHyperService::new(service);
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    });
    client.write_all(raw).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let _ = server.await.unwrap();
    String::from_utf8(answer).unwrap()
}

// ASVS 4.2.1
#[tokio::test]
async fn requests_as_bytes() {
    let rows: &[(&str, &[u8], u16, &str)] = &[
        ("as usual", b"GET /%61?b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /a?b from 127.0.0.1"),
        ("absolute", b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET http://a/b from"),
        ("absolute, another host", b"GET http://a/b HTTP/1.1\r\nHost: c\r\n\r\n", 400, "malformed_request"),
        ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed_request"),
        ("one host twice", b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, "malformed_request"),
        ("two credentials", b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400, "malformed_request"),
        ("no host", b"GET / HTTP/1.1\r\n\r\n", 200, "GET / from"),
        ("authority", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, "method_not_allowed"),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, "OPTIONS * from"),
        ("GET of an asterisk", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ("underscore", b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: b\r\n\r\n", 400, "malformed_request"),
        ("raw UTF-8", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ("backslashes", b"GET /..\\a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        // What follows is hyper's.
        ("a fragment is cut off", b"GET /a#/../b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /a from"),
        ("raw bytes that are no UTF-8", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""),
        ("raw null", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""),
        ("raw tab", b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""),
        ("raw space", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""),
        ("null in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", 400, ""),
        ("bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", 400, ""),
        ("folded", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400, ""),
        ("space before the colon", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx", 400, ""),
        ("one length twice", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, "[\"1\"] Ok(b\"x\")"),
        ("two lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400, ""),
        ("two lengths in one", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nxy", 400, ""),
        ("a length with a sign", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400, ""),
        ("length, then chunked", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "[] Ok(b\"x\")"),
        ("chunked, then length", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "[] Ok(b\"x\")"),
        ("not chunked last", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, ""),
    ];
    for (name, raw, status, contains) in rows {
        let answer = send(Firewall::new(), raw).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(answer.contains(contains), "{name}: {answer}");
    }
    let listed = || Firewall::builder().add_host("a").build().unwrap();
    for (name, raw, status) in [
        ("listed", &b"GET / HTTP/1.1\r\nHost: A\r\n\r\n"[..], 200),
        ("another", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", 421),
        ("none", b"GET / HTTP/1.1\r\n\r\n", 421),
        ("none, in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", 421),
    ] {
        let answer = send(listed(), raw).await;
        assert_eq!(answer.get(9..12), Some(&*status.to_string()), "{name}: {answer}");
    }
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(99));
    assert!(send(Firewall::new(), many.as_bytes()).await.contains(" 200 "), "100 headers");
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(100));
    assert!(
        send(Firewall::new(), many.as_bytes()).await.contains(" 431 "),
        "101 headers are too many for hyper"
    );
}
