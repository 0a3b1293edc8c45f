//! The whole stack served on 127.0.0.1 and asked by `wrk` (Debian: `apt-get install wrk`): requests a second, and the CPU
//! time of the server for each, which also has the connection, the parsing and the writing in it. `wrk` runs on the same
//! CPUs, so requests a second swing with whatever else runs there; CPU time is the steadier column.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use axum::ServiceExt as _;
use axum::extract::Request;
use axum::response::Response;
use cpu_time::ProcessTime;
use portcullis::crypto::Algorithm;
use portcullis::rate_limit::Quota;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tower::Service;

use crate::bearer::bare;
use crate::material::Material;
use crate::stack::{ORIGIN, gated, usual_with_extractor, usual_with_layer};

const ROUNDS: usize = 5;
const SECONDS: &str = "2s";

struct Served {
    name: String,
    address: SocketAddr,
    token: String,
    /// Requests a second, and nanoseconds of the server for each; one pair a round.
    measured: Vec<(f64, f64)>,
}

pub fn run() -> String {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime starts");
    let mut all = Vec::new();
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let material = Material::new(algorithm);
        let mut add = |name: &str, address| {
            let (name, token) = (format!("{algorithm}, {name}"), material.token());
            all.push(Served { name, address, token, measured: Vec::new() });
        };
        add("bare", serve(&runtime, bare()));
        let usual = runtime.block_on(usual_with_layer(&material));
        add("usual stack, jwt-authorizer", serve(&runtime, usual));
        let usual = usual_with_extractor(&material);
        add("usual stack, axum-jwt-auth", serve(&runtime, usual));
        let tokens = material.tokens(&runtime);
        let (_, gate) = runtime.block_on(gated(&tokens, Quota::per_second(u32::MAX)));
        add("portcullis, the whole gate", serve(&runtime, gate));
    }
    // In turns, so that what else runs on the machine meets all of them.
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(Served::ask);
    }
    all.chunks(4).map(table).collect::<Vec<_>>().join("\n")
}

/// Serves until the runtime ends.
fn serve<S>(runtime: &Runtime, service: S) -> SocketAddr
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("is bound");
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        address
    })
}

impl Served {
    fn ask(&mut self) {
        let began = ProcessTime::now();
        let output = Command::new("wrk")
            .args(["-t2", "-c64", "-d", SECONDS])
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .args(["-H", &format!("Origin: {ORIGIN}")])
            .arg(format!("http://{}/tasks/42", self.address))
            .output()
            .expect("wrk is installed");
        let spent = began.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains("Non-2xx"), "{}: {said}", self.name);
        let word = |line: &str, at: usize| -> Option<f64> { line.split_whitespace().nth(at)?.parse().ok() };
        let find = |text: &str| said.lines().find(|line| line.contains(text)).unwrap_or_default();
        let rate = word(find("Requests/sec:"), 1).expect("wrk says so");
        let requests = word(find("requests in"), 0).expect("wrk says so");
        self.measured.push((rate, spent.as_nanos() as f64 / requests));
    }

    fn median(&self) -> (f64, f64) {
        let median = |pick: fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = self.measured.iter().map(pick).collect();
            all.sort_by(f64::total_cmp);
            all[ROUNDS / 2]
        };
        (median(|pair| pair.0), median(|pair| pair.1))
    }
}

/// One algorithm: bare, the usual stacks, ours.
fn table(all: &[Served]) -> String {
    let usual = all.iter().filter(|served| served.name.contains("usual")).map(Served::median);
    let usual = usual.max_by(|a, b| a.0.total_cmp(&b.0)).expect("is there");
    let bare = all[0].median();
    let mut text = String::new();
    let columns = ["requests/s", "of usual", "server CPU", "adds", "of usual"];
    let _ = write!(text, "{:40}", "loopback");
    for column in columns {
        let _ = write!(text, " | {column:>11}");
    }
    let _ = write!(text, "\n{:-<40}", "");
    for _ in columns {
        let _ = write!(text, "-|-{:->10}:", "");
    }
    for served in all {
        let (rate, nanos) = served.median();
        let (adds, theirs) = (nanos - bare.1, usual.1 - bare.1);
        let _ = write!(text, "\n{:40} | {rate:11.0} | {:11.2}", served.name, rate / usual.0);
        let _ = write!(text, " | {:8.2} us | {:8.2} us | {:11.3}", nanos / 1e3, adds / 1e3, adds / theirs);
    }
    let ours = all.last().expect("is there");
    let (found, at_least) = (ours.median().0 / usual.0, if ours.name.contains("HS256") { 1.45 } else { 4.0 });
    let said = if found >= at_least { "target met" } else { "target MISSED" };
    let _ =
        writeln!(text, "\n{said}: {found:.2} of the usual stack's requests a second, at least {at_least}");
    text
}
