//! The examples that serve, each as a process of its own, used as its first lines say.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::aws_lc_rs, version,
};

/// Dropped, the process is killed.
struct Example {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Example {
    fn start(name: &str, env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary(name))
            .env_clear()
            .env("BIND", "127.0.0.1:0")
            .env("HTTP_BIND", "127.0.0.1:0")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let printed = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            printed.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self { child, lines }
    }

    /// What is behind these words in a line it prints.
    fn printed(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect("the example did not start");
            if let Some(rest) = line.trim_start().strip_prefix(words) {
                return rest.split(' ').next().unwrap().to_owned();
            }
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds it, or finds that it has.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(std::path::Path::parent).unwrap();
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--all-features", "--example", name, "--target-dir"])
        .arg(profile.parent().unwrap())
        .args(["--profile", if profile.ends_with("debug") { "dev" } else { "release" }])
        .status()
        .unwrap();
    assert!(built.success(), "{name} does not build");
    profile.join("examples").join(name)
}

async fn ask(request: http::request::Builder, body: impl Into<Full<Bytes>>) -> Response<Bytes> {
    let mut client = Client::builder(TokioExecutor::new());
    if request.version_ref() == Some(&Version::HTTP_2) {
        client.http2_only(true);
    }
    let response = client.build_http().request(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let (trailers, mut parts) = (body.trailers().cloned(), parts);
    if let Some(trailers) = trailers {
        parts.headers.insert("x-has-trailers", http::HeaderValue::from_static("1"));
        parts.headers.extend(trailers);
    }
    Response::from_parts(parts, body.to_bytes())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn hyper() {
    let example = Example::start("hyper", &[]);
    let base = example.printed("listening on ");
    let bearer = format!("Bearer {}", example.printed("TOKEN="));
    let (known, unknown) = (Some(bearer.as_str()), None);
    for (method, path, credential, length, status, code) in [
        ("GET", "/health", unknown, 0, 200, "hello"),
        ("GET", "/me", known, 0, 200, "hello "),
        ("GET", "/me", unknown, 0, 401, "unauthenticated"),
        ("GET", "/me", Some("Bearer forged"), 0, 401, "token_invalid"),
        ("GET", "/audit", known, 0, 403, "forbidden"),
        ("GET", "/other", known, 0, 404, "not_found"),
        ("GET", "/a/../me", unknown, 0, 400, "malformed_request"),
        ("POST", "/notes", known, 64 * 1024, 200, "65536 bytes"),
        ("POST", "/notes", known, 64 * 1024 + 1, 413, ""),
    ] {
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let answer = ask(request, vec![b'a'; length]).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        let body = String::from_utf8_lossy(answer.body());
        assert!(body.contains(code), "{method} {path}: {body}");
        assert_eq!(text(answer.headers(), "www-authenticate").starts_with("Bearer"), status == 401, "{path}");
        assert_eq!(text(answer.headers(), "x-content-type-options"), "nosniff", "{path}");
    }
    let mut statuses = Vec::new();
    for _ in 0..70 {
        let answer = ask(Request::get(format!("{base}/health")), "").await;
        let retry = text(answer.headers(), "retry-after").parse::<u64>().ok();
        assert_eq!(retry.is_some_and(|seconds| seconds > 0), answer.status() == 429);
        statuses.push(answer.status().as_u16());
    }
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert!((10..=25).contains(&limited) && statuses.last() == Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn tonic() {
    let example = Example::start("tonic", &[]);
    let base = example.printed("listening on ");
    let bearer = format!("Bearer {}", example.printed("TOKEN="));
    let call = async |path: &str, credential: Option<&str>| {
        let mut request = Request::post(format!("{base}{path}"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let answer = ask(request, &b"\0\0\0\0\x03ada"[..]).await;
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2), "{path}");
        assert_eq!(text(answer.headers(), "content-type"), "application/grpc", "{path}");
        answer
    };
    for (path, credential, status) in [
        ("Hello", Some(bearer.as_str()), "0"),
        ("Hello", None, "16"),
        ("Hello", Some("Bearer forged"), "16"),
        ("Forget", Some(&bearer), "7"),
        ("Other", Some(&bearer), "5"),
    ] {
        let answer = call(&format!("/demo.Greeter/{path}"), credential).await;
        assert_eq!(text(answer.headers(), "grpc-status"), status, "{path} {credential:?}");
        let trailers = answer.headers().contains_key("x-has-trailers");
        // A refusal is "trailers-only": its status is among the headers.
        assert_eq!((trailers, answer.body().is_empty()), (status == "0", status != "0"), "{path}");
        let greeting = String::from_utf8_lossy(answer.body());
        assert!(status != "0" || greeting.contains("hello ada, you are "), "{greeting}");
    }
    let mut last = String::new();
    for _ in 0..60 {
        let answer = call("/demo.Greeter/Hello", Some(&bearer)).await;
        last = text(answer.headers(), "grpc-status").to_owned();
        if last == "8" {
            assert!(answer.headers().contains_key("ratelimit"), "{:?}", answer.headers());
            break;
        }
    }
    assert_eq!(last, "8", "limited");
}

type Handshake = std::io::Result<TlsStream<TcpStream>>;

async fn shake(
    address: &str,
    roots: &RootCertStore,
    only: &'static SupportedProtocolVersion,
    alpn: &[u8],
) -> Handshake {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[only])
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn send_http1(stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = read.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// What a server says to a client of another time: a ClientHello of that version, with suites everybody had.
async fn hello(address: &str, minor: u8) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
    // supported_groups, ec_point_formats, signature_algorithms
    let extensions = [
        0, 10, 0, 6, 0, 4, 0, 23, 0, 29, 0, 11, 0, 2, 1, 0, 0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1, 0, 23, 0, 0,
    ];
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, u8::try_from(suites.len()).unwrap()]);
    body.extend(suites);
    body.extend([1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

// ASVS 3.4.1, 4.1.2, 12.1.1, 12.2.1
#[tokio::test]
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let example = Example::start(
        "tls",
        &[
            ("TLS_CERT", chain.to_str().unwrap()),
            ("TLS_KEY", key.to_str().unwrap()),
            ("PUBLIC_HOST", "api.example"),
        ],
    );
    let https = example.printed("listening on https://");
    let http = example.printed("redirecting http://");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();

    for (name, only) in [("1.2", &version::TLS12), ("1.3", &version::TLS13)] {
        let stream = shake(&https, &roots, only, b"http/1.1").await.unwrap();
        let answer = send_http1(stream, "GET /health HTTP/1.1\r\nHost: localhost").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        let hsts = answer.lines().find_map(|line| line.strip_prefix("strict-transport-security: "));
        assert_eq!(hsts, Some("max-age=63072000; includeSubDomains"), "{name}");
    }
    let stream = shake(&https, &roots, &version::TLS13, b"h2").await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/health").body(Full::<Bytes>::default()).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert!(shake(&https, &RootCertStore::empty(), &version::TLS13, b"h2").await.is_err());

    // A handshake goes on (22) in 1.2; before, it ends with a fatal alert (21, 2) named protocol_version (70).
    assert_eq!(hello(&https, 3).await[0], 22);
    for minor in [2, 1, 0] {
        let answer = hello(&https, minor).await;
        assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "3.{minor}");
    }

    for (name, request, status, location) in [
        ("a page", "GET /a?b=c HTTP/1.1\r\nHost: evil.example", 308, "https://api.example/a?b=c"),
        ("HEAD", "HEAD / HTTP/1.1\r\nHost: evil.example", 308, "https://api.example/"),
        (
            "absolute",
            "GET http://evil.example/a HTTP/1.1\r\nHost: evil.example",
            308,
            "https://api.example/a",
        ),
        ("two slashes", "GET //evil.example/ HTTP/1.1\r\nHost: a", 308, "https://api.example//evil.example/"),
        ("user and host", "GET /@evil.example HTTP/1.1\r\nHost: a", 308, "https://api.example/@evil.example"),
        (
            "forwarded",
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: evil.example",
            308,
            "https://api.example/",
        ),
        ("asterisk", "GET * HTTP/1.1\r\nHost: evil.example", 403, ""),
        ("a credential", "GET /api/auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer b", 403, ""),
        ("a body", "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 0", 403, ""),
    ] {
        let answer = send_http1(TcpStream::connect(&http).await.unwrap(), request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
        let found = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
        assert_eq!(found, location, "{name}");
        assert!(!answer.contains("strict-transport-security"), "{name}: over HTTP it means nothing");
    }
}

#[test]
fn calibrate() {
    let calibrate = binary("calibrate");
    let run = |arguments: &[&str]| {
        let output = Command::new(&calibrate).env_clear().args(arguments).output().unwrap();
        let said =
            [&output.stdout[..], &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (output.status.success(), said.concat())
    };
    let cheapest = "m=7168,t=5,p=1";
    for (name, arguments, ok, want) in [
        ("a table", &[cheapest][..], true, "\n   7168  5  1 | "),
        ("no target", &[cheapest], true, "The default is m=19456, t=2, p=1."),
        ("a target", &[cheapest, "60000"], true, "Passwords::new(Argon2Hasher::with_params(7168, 5, 1)?)"),
        ("the strongest", &[cheapest, "m=9216,t=5,p=1", "60000"], true, "with_params(9216, 5, 1)?)"),
        ("too fast a target", &["0", cheapest], true, "None of these takes at most 0 ms"),
        ("below the floor", &["m=7168,t=4,p=1"], false, "m=7168 KiB with t=4 is too little work"),
        ("one of them below", &[cheapest, "m=64,t=1,p=1"], false, "m=64 KiB with t=1 is too little work"),
        ("too many passes", &["m=19456,t=99,p=1"], false, "is out of range"),
        ("no number", &["fast"], false, "`fast` is neither a number of ms"),
        ("half a number", &["m=19456,t=2"], false, "is neither a number of ms"),
    ] {
        let (ended, said) = run(arguments);
        assert_eq!(ended, ok, "{name}: {said}");
        assert!(said.contains(want), "{name}: {said}");
        assert_eq!(
            said.contains("with_params("),
            name == "a target" || name == "the strongest",
            "{name}: {said}"
        );
        assert!(ok || !said.contains('|'), "{name}: nothing is measured before it is refused: {said}");
    }
}
