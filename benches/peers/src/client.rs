//! The example server in a folder of its own, and connections that ask it.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Where `cargo build --release --example server` puts it, if `SERVER` does not say otherwise.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/examples/server");
const MANY: &str = "1000000000";

/// Ends when it is dropped, and leaves nothing.
pub struct Server {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
}

impl Server {
    /// With limits that nobody reaches.
    pub fn start() -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = std::env::temp_dir().join(format!("portcullis-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let program = std::env::var("SERVER").unwrap_or_else(|_| BUILT.to_owned());
        let child = Command::new(program)
            .env("BIND", address.to_string())
            .env("DATABASE_URL", format!("sqlite://{}", folder.join("server.db").display()))
            .env("RATE_LIMIT_PER_MINUTE", MANY)
            .env("RATE_LIMIT_PER_HOUR", MANY)
            .env("SIGN_IN_PER_MINUTE", MANY)
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))?;
        let server = Self { child, folder, address };
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(std::io::Error::other("it does not listen"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One that is kept open.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("is a connection");
        Self(BufReader::new(stream))
    }

    /// Status and body.
    pub fn ask(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.0.get_mut().write_all(request).expect("the server reads");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("the server answers");
            let line = line.trim_end();
            match line.split_once(':') {
                _ if line.is_empty() => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("is a number");
                }
                None => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("is HTTP"),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the server answers");
        (status, body)
    }
}

pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer {token}\r\n\r\n").into_bytes()
}

pub fn post(path: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: api.example\r\ncontent-type: {content_type}");
    format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
