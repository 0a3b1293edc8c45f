//! Whether those who are signed in notice those who sign in: the example server on 127.0.0.1, asked at a pace that leaves it
//! idle, alone and while four connections do nothing but sign in, with right and wrong passwords.
//!
//! Build it first: `cargo build --release --example server`. Clients run on the same CPUs, and what
//! they wait for those is in the figures.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Connection, Server, get, post};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// Connections that ask, each so many times a second.
const READERS: u32 = 4;
const PACE: u32 = 50;
const SIGNING_IN: usize = 4;
const PATHS: [&str; 3] = ["/health", "/api/tasks", "/api/auth/me"];
const AT_MOST: f64 = 1.5;

const FORM: &str = "application/x-www-form-urlencoded";
const RIGHT: &str = "username=ada&password=correct+horse+battery+staple";
const WRONG: &str = "username=ada&password=correct+horse+battery+stable";
const NEW: &str = r#"{"username":"ada","email":"ada@example.com","password":"correct horse battery staple"}"#;

/// How long requests took, for each path.
type Times = [Vec<Duration>; PATHS.len()];

pub fn run() -> String {
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            let build = "cargo build --release --example server";
            return format!("load: left out, the server does not start ({error}); build it by `{build}`\n");
        }
    };
    let address = server.address;
    let token = sign_up(address);
    let (mut idle, mut loaded) = (Times::default(), Times::default());
    let (mut signed_in, mut spent) = (0, 0.0);
    measure(address, &token, &mut Times::default());
    // In turns, so that what else runs on the machine meets both.
    for _ in 0..ROUNDS {
        measure(address, &token, &mut idle);
        let (stop, count, began) = (AtomicBool::new(false), AtomicU32::new(0), Instant::now());
        thread::scope(|scope| {
            for _ in 0..SIGNING_IN {
                scope.spawn(|| sign_in(address, &stop, &count));
            }
            thread::sleep(Duration::from_millis(200));
            let stopping = Stopping(&stop);
            measure(address, &token, &mut loaded);
            drop(stopping);
            spent += began.elapsed().as_secs_f64();
            signed_in += count.load(Ordering::Relaxed);
        });
    }
    table(&mut idle, &mut loaded, f64::from(signed_in) / spent)
}

/// Tells the others to stop, also when it is dropped by a panic: they would be waited for.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Registers somebody; their access token.
fn sign_up(address: SocketAddr) -> String {
    let mut connection = Connection::to(address);
    let (status, _) = connection.ask(&post("/api/auth/register", "application/json", NEW));
    assert_eq!(status, 200);
    let (status, body) = connection.ask(&post("/api/auth/login", FORM, RIGHT));
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_slice(&body).expect("is JSON");
    body["access_token"].as_str().expect("has a token").to_owned()
}

fn sign_in(address: SocketAddr, stop: &AtomicBool, count: &AtomicU32) {
    let tries = [(post("/api/auth/login", FORM, RIGHT), 200), (post("/api/auth/login", FORM, WRONG), 401)];
    let mut connection = Connection::to(address);
    for (request, expected) in tries.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        assert_eq!(connection.ask(request).0, *expected);
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks for one round.
fn measure(address: SocketAddr, token: &str, times: &mut Times) {
    let of_readers: Vec<Times> = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|n| scope.spawn(move || read(address, token, n))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).collect()
    });
    for of_reader in of_readers {
        times.iter_mut().zip(of_reader).for_each(|(times, of_reader)| times.extend(of_reader));
    }
}

/// At its pace, however long an answer takes: a request that is late because of the one before counts from when it was due.
fn read(address: SocketAddr, token: &str, number: u32) -> Times {
    let requests = PATHS.map(|path| get(path, token));
    let mut connection = Connection::to(address);
    let mut times = Times::default();
    let step = Duration::from_secs(1) / PACE;
    let (began, mut due) = (Instant::now(), Instant::now() + step * number / READERS);
    for place in (0..PATHS.len()).cycle() {
        if began.elapsed() > ROUND {
            break;
        }
        let wait = due.saturating_duration_since(Instant::now());
        let from = if wait.is_zero() {
            due
        } else {
            thread::sleep(wait);
            Instant::now()
        };
        let (status, _) = connection.ask(&requests[place]);
        assert_eq!(status, 200, "{}", PATHS[place]);
        times[place].push(from.elapsed());
        due += step;
    }
    times
}

fn table(idle: &mut Times, loaded: &mut Times, signed_in: f64) -> String {
    let mut text = format!("{:14}", "load");
    let columns = ["idle p50", "idle p99", "loaded p50", "loaded p99", "of idle p99"];
    for column in columns {
        let _ = write!(text, " | {column:>11}");
    }
    let _ = write!(text, "\n{:-<14}", "");
    for _ in columns {
        let _ = write!(text, "-|-{:->10}:", "");
    }
    let mut worst: f64 = 0.0;
    for ((path, idle), loaded) in PATHS.iter().zip(idle).zip(loaded) {
        let (idle, loaded) = (percentiles(idle), percentiles(loaded));
        let ratio = loaded[1] / idle[1];
        worst = worst.max(ratio);
        let _ = write!(text, "\n{path:14}");
        for micros in idle.iter().chain(&loaded) {
            let _ = write!(text, " | {micros:>8.0} us");
        }
        let _ = write!(text, " | {ratio:>11.2}");
    }
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let rate = READERS * PACE;
    let _ = writeln!(
        text,
        "\n{rate} requests a second, beside {signed_in:.1} sign-ins a second; {cpus} CPUs, clients too"
    );
    let said = if worst <= AT_MOST { "met" } else { "MISSED" };
    let _ = writeln!(text, "target {said}: p99 beside sign-ins: {worst:.2} of idle, at most {AT_MOST}");
    text
}

/// The median and the 99th of a hundred, in microseconds.
fn percentiles(times: &mut [Duration]) -> [f64; 2] {
    times.sort();
    [times.len() / 2, times.len() * 99 / 100].map(|place| times[place].as_nanos() as f64 / 1e3)
}
