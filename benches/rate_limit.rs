//! Limits: what a check costs among one, ten thousand and a million keys, on one thread and on two; and what the layer adds
//! to a request that passes and to one that doesn't.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use http::{Request, Response};
use portcullis::network::ClientAddress;
use portcullis::rate_limit::{Quota, RateLimit, RateLimitLayer, RateTable};
use portcullis::time::{Clock, ManualClock, SystemClock, Timestamp};
use portcullis::{RequestContext, RequestId};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt};

use crate::table::Table;

/// Somebody who asks for one key after the other, in no order, on a clock that moves.
struct Asker {
    state: u64,
    keys: u64,
    now: u64,
}

impl Asker {
    fn new(keys: u64, seed: u64) -> Self {
        Self { state: seed, keys, now: 1_800_000_000_000_000 * 8 }
    }

    fn next(&mut self) -> (u32, Timestamp) {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.now += 1;
        let key = ((self.state >> 32) * self.keys) >> 32;
        (u32::try_from(key).unwrap(), Timestamp::from_micros(i64::try_from(self.now / 8).unwrap()))
    }
}

/// A table whose keys all have something on their account and none is ever refused.
fn table(keys: u64) -> RateTable {
    let quota = if keys == 1 { Quota::per_second(u32::MAX) } else { Quota::per_second(1).burst(10_000_000) };
    let table = RateTable::new(quota, usize::try_from(keys).unwrap()).unwrap();
    let (_, now) = Asker::new(keys, 0).next();
    (0..keys).for_each(|key| assert!(table.allows(&u32::try_from(key).unwrap(), 1, now)));
    table
}

/// Two threads with as many checks each; the time until both are done, shared between all checks.
fn on_two_threads(table: &RateTable, keys: u64, checks: u64) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        for seed in [1, 2] {
            scope.spawn(move || {
                let mut asker = Asker::new(keys, seed);
                for _ in 0..checks.div_ceil(2) {
                    let (key, now) = asker.next();
                    black_box(table.allows(&key, 1, now));
                }
            });
        }
    });
    began.elapsed()
}

pub fn run(criterion: &mut Criterion, runtime: &Runtime, counts: &mut Table) {
    for (keys, name) in [(1, "1 key"), (10_000, "10k keys"), (1_000_000, "1M keys")] {
        let table = table(keys);
        let mut asker = Asker::new(keys, 1);
        let mut check = || {
            let (key, now) = asker.next();
            assert!(table.allows(&key, 1, now));
        };
        allocation_counter::opt_out(|| {
            let mut group = criterion.benchmark_group("limit");
            group.bench_function(name, |b| b.iter(&mut check));
            group.bench_function(format!("{name}, 2 threads"), |b| {
                b.iter_custom(|checks| on_two_threads(&table, keys, checks));
            });
        });
        counts.count(&format!("limit/{name}"), check);
        counts.count(&format!("limit/{name}, 2 threads"), || ());
    }
    let refusing = RateTable::new(Quota::per_day(1), 1_000).unwrap();
    let now = ManualClock::default().now();
    let refused = || refusing.take(black_box(&7_u32), 1, now).allowed;
    refused();
    allocation_counter::opt_out(|| {
        criterion.benchmark_group("limit").bench_function("refused", |b| b.iter(refused));
    });
    counts.count("limit/refused", || assert!(!refused()));
    layers(criterion, runtime, counts);
}

/// A service that costs nothing.
#[derive(Clone)]
struct Free;

impl Service<Request<()>> for Free {
    type Response = Response<bytes::Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(bytes::Bytes::from_static(b"fine"))))
    }
}

fn layers(criterion: &mut Criterion, runtime: &Runtime, counts: &mut Table) {
    let limit = |quotas: &[Quota]| {
        let builder =
            quotas.iter().fold(RateLimit::builder("api"), |builder, quota| builder.add_quota(*quota));
        RateLimitLayer::new(builder.build().unwrap()).layer(Free)
    };
    let passing = [Quota::per_second(u32::MAX), Quota::per_minute(u32::MAX)];
    let services = [
        ("layer, one quota", 200, limit(&passing[..1])),
        ("layer, two quotas", 200, limit(&passing)),
        ("layer, refused", 429, limit(&[Quota::per_day(1)])),
    ];
    let (clock, id) = (SystemClock::new(), RequestId::parse("r-1").unwrap());
    let request = || {
        let client = ClientAddress::new([192, 0, 2, 7].into());
        let mut request = Request::new(());
        request.extensions_mut().insert(RequestContext::new(id.clone(), clock.now()).with_client(client));
        request
    };
    let bare = async || Free.oneshot(request()).await.unwrap().status();
    allocation_counter::opt_out(|| {
        criterion.benchmark_group("limit").bench_function("bare service", |b| b.to_async(runtime).iter(bare));
    });
    counts.count("limit/bare service", || assert_eq!(runtime.block_on(bare()), 200));
    for (name, status, service) in services {
        let ask = async || service.clone().oneshot(request()).await.unwrap().status();
        runtime.block_on(ask());
        assert_eq!(runtime.block_on(ask()), status, "{name}");
        allocation_counter::opt_out(|| {
            criterion.benchmark_group("limit").bench_function(name, |b| b.to_async(runtime).iter(ask));
        });
        counts.count(&format!("limit/{name}"), || assert_eq!(runtime.block_on(ask()), status));
    }
}
