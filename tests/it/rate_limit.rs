//! The layer that counts, alone and over a shared store. Its rule and its table are tested where they stand.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use portcullis::error::{Error, ErrorKind};
use portcullis::network::ClientAddress;
use portcullis::rate_limit::{Quota, RateKey, RateLimit, RateLimitLayer};
use portcullis::rejection::RejectionCode;
use portcullis::render::GrpcStatus;
use portcullis::store::MemoryStore;
use portcullis::store::fault::{Failure, Faults, FaultyRateStore, Operation};
use portcullis::time::{Clock, ManualClock};
use portcullis::{RequestContext, RequestId};
use tower::{Layer, Service, ServiceExt as _, service_fn};

use crate::layers::{Answer, Inner, send};

fn request(client: &str, clock: &ManualClock) -> Request<()> {
    let id = RequestId::parse("r-1").unwrap();
    let context = RequestContext::new(id, clock.now());
    let context = match client {
        "" => context,
        address => context.with_client(ClientAddress::new(address.parse().unwrap())),
    };
    let mut request = Request::get("/health").body(()).unwrap();
    request.extensions_mut().insert(context);
    request
}

fn limit(quota: Quota) -> RateLimit {
    RateLimit::builder("api").add_quota(quota).build().unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn passing(layer: &RateLimitLayer, client: &str, clock: &ManualClock, requests: usize) -> usize {
    let service = layer.clone().layer(Inner::default());
    let mut passed = 0;
    for _ in 0..requests {
        passed += usize::from(send(&service, request(client, clock)).await.status == 200);
    }
    passed
}

// ASVS 2.4.1
#[tokio::test]
async fn seventy_quick_requests_of_one_address() {
    let (clock, inner) = (ManualClock::default(), Inner::default());
    let service = RateLimitLayer::new(limit(Quota::per_minute(60))).layer(inner.clone());
    for n in 1..=70_u32 {
        let answer = send(&service, request("192.0.2.1", &clock)).await;
        assert_eq!(answer.status, if n <= 60 { 200 } else { 429 }, "request {n}");
        assert_eq!(header(&answer, "ratelimit-policy"), "\"api\";q=60;w=60", "request {n}");
        let left = format!("\"api\";r={};t={}", 60_u32.saturating_sub(n), if n <= 60 { n } else { 1 });
        assert_eq!(header(&answer, "ratelimit"), left, "request {n}");
        if n > 60 {
            assert_eq!(answer.code, Some(RejectionCode::RateLimited));
            assert_eq!(header(&answer, "retry-after"), "1");
            assert_eq!(header(&answer, "content-type"), "application/problem+json");
        }
    }
    // Nothing behind the layer ran for those that were refused; others are served meanwhile.
    assert_eq!(inner.calls(), 60);
    assert_eq!(send(&service, request("192.0.2.2", &clock)).await.status, 200);
    for second in 1..=120 {
        clock.advance(Duration::from_secs(1));
        let layer = [200, 429].map(|want| (want, request("192.0.2.1", &clock)));
        for (want, request) in layer {
            assert_eq!(send(&service, request).await.status, want, "one a second, second {second}");
        }
    }
}

/// Row R4: `per_second(10)` is ten a second, no wait is 0 seconds, and no connection info is no 500.
#[tokio::test]
async fn ten_a_second_are_ten_a_second() {
    let (clock, inner) = (ManualClock::default(), Inner::default());
    let service = RateLimitLayer::new(limit(Quota::per_second(10).burst(1))).layer(inner.clone());
    for _ in 0..2_000 {
        let answer = send(&service, request("192.0.2.1", &clock)).await;
        assert!(answer.status == 200 || header(&answer, "retry-after") == "1", "{answer:?}");
        clock.advance(Duration::from_millis(10));
    }
    assert_eq!(inner.calls(), 200, "twenty seconds, asked every 10 ms");

    // Without a context the layer has a clock of its own, and all are one client.
    let layer = RateLimitLayer::new(limit(Quota::per_second(10))).with_clock(clock.clone());
    let service = layer.layer(Inner::default());
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(send(&service, Request::get("/").body(()).unwrap()).await.status.as_u16());
    }
    assert_eq!(statuses, [[200; 10], [429; 10]].concat());
}

/// Row R3, and row G5 as far as it is about keys.
#[tokio::test]
async fn one_slash_64_is_one_client() {
    let clock = ManualClock::default();
    let layer = RateLimitLayer::new(limit(Quota::per_minute(60)));
    let mut passed = 0;
    for n in 0..200 {
        passed += passing(&layer, &format!("2001:db8:0:1:{n:x}::{n:x}"), &clock, 1).await;
    }
    assert_eq!(passed, 60);
    assert_eq!(passing(&layer, "2001:db8:0:2::1", &clock, 1).await, 1, "the next /64 is another");
    assert_eq!(passing(&layer, "192.0.2.1", &clock, 30).await, 30);
    assert_eq!(passing(&layer, "::ffff:192.0.2.1", &clock, 100).await, 30, "one address, two spellings");
}

/// Row R2, as far as the limit goes: it reads no header to find out who asks.
#[tokio::test]
async fn a_rotating_x_forwarded_for_is_one_client() {
    let (clock, inner) = (ManualClock::default(), Inner::default());
    let service = RateLimitLayer::new(limit(Quota::per_minute(2))).layer(inner.clone());
    for n in 0..200 {
        let mut request = request("192.0.2.1", &clock);
        for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            request.headers_mut().insert(name, format!("198.51.100.{n}").parse().unwrap());
        }
        send(&service, request).await;
    }
    assert_eq!(inner.calls(), 2);
}

/// Row C5.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_n_pass_under_200_racers() {
    let store = Arc::new(MemoryStore::new());
    let shared = || {
        let limit = RateLimit::builder("api").add_quota(Quota::per_minute(60));
        limit.with_store(store.clone()).build().unwrap()
    };
    let here = limit(Quota::per_minute(60));
    for (name, limits) in [
        ("a table", [here.clone(), here]),
        // Two instances, one store.
        ("a store", [shared(), shared()]),
    ] {
        let clock = ManualClock::default();
        let services = limits.map(|limit| RateLimitLayer::new(limit).layer(Inner::default()));
        let start = Arc::new(tokio::sync::Barrier::new(200));
        let racers = (0..200).map(|n| {
            let (service, request) = (services[n % 2].clone(), request("192.0.2.1", &clock));
            let start = start.clone();
            tokio::spawn(async move {
                start.wait().await;
                send(&service, request).await.status.as_u16()
            })
        });
        let racers: Vec<_> = racers.collect();
        let mut passed = 0;
        for racer in racers {
            passed += usize::from(racer.await.unwrap() == 200);
        }
        assert_eq!(passed, 60, "{name}");
    }
}

#[tokio::test]
async fn only_failures_count() {
    for shared in [false, true] {
        let clock = ManualClock::default();
        let limit = RateLimit::builder("sign-in").add_quota(Quota::per_minute(5));
        let limit = limit.count_only_if(|status| status.is_client_error());
        let limit = if shared { limit.with_store(Arc::new(MemoryStore::new())) } else { limit };
        let service =
            RateLimitLayer::new(limit.build().unwrap()).layer(service_fn(async |request: Request<()>| {
                let mut response = Response::new(Full::<Bytes>::default());
                if request.headers().contains_key("x-wrong") {
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                }
                Ok::<_, Infallible>(response)
            }));
        let wrong = || {
            let mut request = request("192.0.2.1", &clock);
            request.headers_mut().insert("x-wrong", "1".parse().unwrap());
            request
        };
        for _ in 0..20 {
            let answer = send(&service, request("192.0.2.1", &clock)).await;
            assert_eq!((answer.status.as_u16(), header(&answer, "ratelimit")), (200, "\"sign-in\";r=5;t=0"));
        }
        for _ in 0..5 {
            assert_eq!(send(&service, wrong()).await.status, 401, "shared: {shared}");
        }
        assert_eq!(send(&service, wrong()).await.status, 429, "shared: {shared}");
        assert_eq!(send(&service, request("192.0.2.1", &clock)).await.status, 429, "the right one waits too");
    }
}

#[tokio::test]
async fn an_outage_of_the_store_refuses_unless_said_otherwise() {
    let clock = ManualClock::default();
    for (allow, failure, operation, want) in [
        (false, Failure::NotDone, Operation::RateTake, 503),
        (false, Failure::AnswerLost, Operation::RateTake, 503),
        (true, Failure::NotDone, Operation::RateTake, 200),
        (true, Failure::AnswerLost, Operation::RateTake, 200),
        // What can't be given back stays counted; the answer is what it is.
        (false, Failure::NotDone, Operation::RateGiveBack, 200),
    ] {
        let store = FaultyRateStore::new(Arc::new(MemoryStore::new()), Faults::new());
        let limit = RateLimit::builder("api").add_quota(Quota::per_minute(60)).count_only_if(|_| false);
        let limit = limit.with_store(Arc::new(store.clone()));
        let limit = if allow { limit.allow_on_outage() } else { limit };
        let inner = Inner::default();
        let service = RateLimitLayer::new(limit.build().unwrap()).layer(inner.clone());
        store.faults().fail_every(operation, failure);
        let answer = send(&service, request("192.0.2.1", &clock)).await;
        assert_eq!(answer.status, want, "{allow} {failure:?} {operation:?}");
        assert_eq!(inner.calls(), usize::from(want == 200));
        if want == 503 {
            assert_eq!(answer.code, Some(RejectionCode::Unavailable));
            assert!(!header(&answer, "retry-after").is_empty() && header(&answer, "ratelimit").is_empty());
        }
        store.faults().heal();
        let answer = send(&service, request("192.0.2.1", &clock)).await;
        let left =
            if operation == Operation::RateGiveBack || failure == Failure::AnswerLost { 59 } else { 60 };
        let second = if left == 60 { 0 } else { 1 };
        assert_eq!(header(&answer, "ratelimit"), format!("\"api\";r={left};t={second}"));
    }
}

#[tokio::test]
async fn quotas_in_a_store_are_taken_together_or_not_at_all() {
    let (clock, store) = (ManualClock::default(), Arc::new(MemoryStore::new()));
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(10)).add_quota(Quota::per_hour(15));
    let layer = RateLimitLayer::new(limit.with_store(store).build().unwrap());
    assert_eq!(passing(&layer, "192.0.2.1", &clock, 100).await, 10);
    clock.advance(Duration::from_secs(60));
    assert_eq!(passing(&layer, "192.0.2.1", &clock, 100).await, 5, "refusals were not charged to the hour");
    let service = layer.layer(Inner::default());
    let answer = send(&service, request("192.0.2.1", &clock)).await;
    assert_eq!(header(&answer, "ratelimit"), "\"api-minute\";r=5;t=30, \"api-hour\";r=0;t=180");
    assert_eq!(header(&answer, "retry-after"), "180");
}

#[tokio::test]
async fn keys_of_ones_own() {
    let clock = ManualClock::default();
    let device = HeaderName::from_static("x-device");
    let looked_up = RateKey::from_async_fn(|request| {
        let name = request.headers().get("x-device").map(|value| value.as_bytes().to_ascii_lowercase());
        async move {
            tokio::task::yield_now().await;
            name.ok_or_else(|| Error::new(ErrorKind::Unavailable, "nobody knows"))
        }
    });
    let written = RateKey::from_fn(|request, key| {
        key.bytes(&request.headers()["x-device"].as_bytes().to_ascii_lowercase());
    });
    let plain = RateKey::header(device);
    for (name, key, a, b, same) in [
        ("header", plain.clone(), ("a", "192.0.2.1"), ("a", "192.0.2.2"), true),
        ("other header", plain.clone(), ("a", "192.0.2.1"), ("A", "192.0.2.1"), false),
        ("header and address", plain.and(RateKey::address()), ("a", "192.0.2.1"), ("a", "192.0.2.2"), false),
        ("function", written, ("a", "192.0.2.1"), ("A", "192.0.2.2"), true),
        ("async function", looked_up.clone(), ("a", "192.0.2.1"), ("A", "192.0.2.2"), true),
        ("async, other", looked_up.clone(), ("a", "192.0.2.1"), ("b", "192.0.2.1"), false),
        (
            "async and address",
            looked_up.clone().and(RateKey::address()),
            ("a", "192.0.2.1"),
            ("a", "::1"),
            false,
        ),
    ] {
        let limit = RateLimit::builder("api").add_quota(Quota::per_minute(1)).with_key(key).build().unwrap();
        let service = RateLimitLayer::new(limit).layer(Inner::default());
        let mut statuses = Vec::new();
        for (device, client) in [a, b] {
            let mut request = request(client, &clock);
            request.headers_mut().insert("x-device", device.parse().unwrap());
            statuses.push(send(&service, request).await.status.as_u16());
        }
        assert_eq!(statuses, [200, if same { 429 } else { 200 }], "{name}");
    }
    let limit =
        RateLimit::builder("api").add_quota(Quota::per_minute(1)).with_key(looked_up).build().unwrap();
    let service = RateLimitLayer::new(limit).layer(Inner::default());
    assert_eq!(
        send(&service, request("192.0.2.1", &clock)).await.status,
        503,
        "a key that can't be found out"
    );
}

#[tokio::test]
async fn several_limits_on_one_way() {
    let clock = ManualClock::default();
    let strict = RateLimit::builder("export").add_quota(Quota::per_minute(2)).build().unwrap();
    let inner = RateLimitLayer::new(strict).layer(Inner::default());
    let service = RateLimitLayer::new(limit(Quota::per_minute(60))).layer(inner);
    let mut last = None;
    for _ in 0..3 {
        last = Some(send(&service, request("192.0.2.1", &clock)).await);
    }
    let answer = last.unwrap();
    let all: Vec<_> =
        answer.headers.get_all("ratelimit").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!((answer.status.as_u16(), &all[..]), (429, &["\"export\";r=0;t=30", "\"api\";r=57;t=3"][..]));
}

#[tokio::test]
async fn a_grpc_client_is_told_in_its_own_way() {
    let clock = ManualClock::default();
    let layer = RateLimitLayer::new(limit(Quota::per_minute(1))).with_renderer(GrpcStatus);
    let service = layer.layer(Inner::default());
    send(&service, request("192.0.2.1", &clock)).await;
    let answer = send(&service, request("192.0.2.1", &clock)).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "grpc-status")), (200, "8"));
    assert_eq!(header(&answer, "ratelimit"), "\"api\";r=0;t=60");
}

/// What the layer adds to an answer: a map for two headers, and the text of one of them. A refusal is a problem of its own,
/// with the rejection in its extensions.
#[tokio::test]
async fn a_limited_request_costs_a_few_allocations() {
    let clock = ManualClock::default();
    let limit = |quota| RateLimitLayer::new(limit(quota)).layer(Inner::default());
    let (passing, refusing) = (limit(Quota::per_minute(1_000_000)), limit(Quota::per_day(1)));
    let bare = Inner::default();
    send(&refusing, request("192.0.2.1", &clock)).await;
    let plain = allocations(&bare, 200, || request("192.0.2.1", &clock));
    let passed = allocations(&passing, 200, || request("192.0.2.1", &clock));
    let refused = allocations(&refusing, 429, || request("192.0.2.1", &clock));
    assert!(passed <= plain + 3, "{passed} with a limit, {plain} without");
    assert!(refused <= plain + 8, "{refused} refused, {plain} without a limit");
}

fn allocations<S>(service: &S, status: u16, request: impl Fn() -> Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible> + Clone,
{
    let ask = || {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match pin!(service.clone().oneshot(request())).poll(&mut cx) {
            Poll::Ready(Ok(response)) => assert_eq!(response.status(), status),
            Poll::Pending => panic!("a table answers at once"),
        }
    };
    ask();
    allocation_counter::measure(ask).count_total
}
