//! More sign-ins at once than can be served (G2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use http::header::RETRY_AFTER;

use super::{PASSWORD, Server};

/// What the process needs besides the memory of the hashes, in KiB. Measured with a debug build: 27 MiB at the worst moment,
/// of which the idle process is 16, and 500 connections with their buffers, tasks and SQLite's page caches the rest. Twice
/// that leaves room for other allocators. The 500 hashes at once that the bound prevents would be 9 GiB.
const BESIDES_KIB: u64 = 64 * 1024;
const HASH_KIB: u64 = 19 * 1024;
const CLIENTS: usize = 500;

// ASVS 15.1.3, 15.2.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sign_ins_at_once() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let idle_kib = peak_kib(server.pid());

    let done = Arc::new(AtomicBool::new(false));
    let healthy = Arc::new(AtomicUsize::new(0));
    let watch = {
        let (api, done, healthy) = (api.clone(), done.clone(), healthy.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                api.get("/health").send().await.expect(200);
                healthy.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let barrier = Arc::new(tokio::sync::Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|number| {
        let (api, barrier) = (api.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            // Who it is makes no difference.
            let name = if number % 2 == 0 { "ada" } else { "nobody" };
            api.sign_in_with(name, PASSWORD).await
        })
    });
    let clients: Vec<_> = clients.collect();
    let (mut served, mut refused, mut turned_away) = (0, 0, 0);
    for client in clients {
        let answer = client.await.unwrap();
        match answer.status {
            200 => served += 1,
            401 => refused += 1,
            _ => {
                let answer = answer.refused(503, "overloaded");
                assert!(answer.headers[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
                turned_away += 1;
            }
        }
    }
    done.store(true, Ordering::SeqCst);
    watch.await.unwrap();
    let permits = u64::try_from(available_parallelism().unwrap().get()).unwrap();
    let (peak_kib, health) = (peak_kib(server.pid()), healthy.load(Ordering::SeqCst));
    let told = format!(
        "{served} signed in, {refused} refused, {turned_away} turned away; /health answered {health} times; \
         {idle_kib} KiB before, {peak_kib} KiB at most"
    );
    eprintln!("{told}");
    assert_eq!(served + refused + turned_away, CLIENTS, "none is lost");
    assert!(served > 0 && refused > 0 && turned_away > 0, "{told}");
    assert!(health >= 10, "{told}");
    if cfg!(target_os = "linux") {
        assert!(peak_kib < permits * HASH_KIB + BESIDES_KIB, "{told}");
    }
    // The crowd gone, all is as before.
    api.sign_in("ada").await;
}

/// The most memory a process ever held, as Linux counts it; 0 elsewhere.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}
