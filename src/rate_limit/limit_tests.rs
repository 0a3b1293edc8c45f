use std::time::Duration;

use http::Request;

use super::*;
use crate::id::{RequestId, Subject};
use crate::network::ClientAddress;
use crate::rejection::RejectionCode;
use crate::request_context::RequestContext;
use crate::time::{Clock as _, ManualClock};

fn request(client: &str, now: Timestamp) -> Request<()> {
    let context = RequestContext::new(RequestId::parse("r").unwrap(), now);
    let mut request = Request::new(());
    request.extensions_mut().insert(context.with_client(ClientAddress::new(client.parse().unwrap())));
    request
}

fn decide(limit: &RateLimit, request: &Request<()>) -> RateDecision {
    match limit.decide(&RateRequest::new(request, || Timestamp::UNIX_EPOCH)) {
        RateVerdict::Ready(decision) => decision,
        RateVerdict::Pending(_) => panic!("a table answers at once"),
    }
}

fn settle(limit: &RateLimit, mut decision: RateDecision, status: u16) -> RateDecision {
    let waits = limit.settle(&mut decision, StatusCode::from_u16(status).unwrap());
    assert!(waits.is_none(), "a table answers at once");
    decision
}

fn retry_after(decision: &RateDecision) -> Option<u64> {
    decision.rejection().and_then(|rejection| rejection.retry_after_secs())
}

fn state(limit: &RateLimit, decision: &RateDecision) -> String {
    let mut headers = HeaderMap::new();
    limit.add_fields(decision, &mut headers);
    headers["ratelimit"].to_str().unwrap().to_owned()
}

#[test]
fn several_quotas_are_taken_from_together_or_not_at_all() {
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(10)).add_quota(Quota::per_hour(25));
    let (limit, clock) = (limit.build().unwrap(), ManualClock::default());
    let passing =
        |now| (0..100).filter(|_| decide(&limit, &request("192.0.2.1", now)).rejection().is_none()).count();
    assert_eq!(passing(clock.now()), 10);
    let refused = decide(&limit, &request("192.0.2.1", clock.now()));
    assert_eq!(state(&limit, &refused), "\"api-minute\";r=0;t=6, \"api-hour\";r=15;t=1440");
    clock.advance(Duration::from_secs(60));
    assert_eq!(passing(clock.now()), 10, "a hundred refusals were not charged to the hour");
    clock.advance(Duration::from_secs(60));
    assert_eq!(passing(clock.now()), 5, "the hour has no more, 25 in all");
    let refused = decide(&limit, &request("192.0.2.1", clock.now()));
    // The hour refused it; the minute got back what it had given.
    assert_eq!(state(&limit, &refused), "\"api-minute\";r=5;t=30, \"api-hour\";r=0;t=24");
    assert_eq!(retry_after(&refused), Some(24));
    clock.advance(Duration::from_secs(24));
    assert!(decide(&limit, &request("192.0.2.1", clock.now())).rejection().is_none());
}

#[test]
fn retry_after_satisfies_all_quotas() {
    // Both are spent at once, and the first to refuse is not the last to come back.
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(5)).add_quota(Quota::per_hour(5));
    let (limit, clock) = (limit.build().unwrap(), ManualClock::default());
    (0..5).for_each(|_| assert!(decide(&limit, &request("192.0.2.1", clock.now())).rejection().is_none()));
    let wait = retry_after(&decide(&limit, &request("192.0.2.1", clock.now()))).unwrap();
    assert_eq!(wait, 720);
    clock.advance(Duration::from_secs(wait - 1));
    assert!(decide(&limit, &request("192.0.2.1", clock.now())).rejection().is_some());
    clock.advance(Duration::from_secs(1));
    assert!(decide(&limit, &request("192.0.2.1", clock.now())).rejection().is_none());
}

#[test]
fn only_some_answers_count() {
    let limit = RateLimit::builder("sign-in").add_quota(Quota::per_minute(5)).add_quota(Quota::per_hour(100));
    let limit = limit.count_only_if(|status| status == StatusCode::UNAUTHORIZED).build().unwrap();
    let now = ManualClock::default().now();
    for _ in 0..50 {
        let decision = decide(&limit, &request("192.0.2.1", now));
        assert!(decision.rejection().is_none());
        let decision = settle(&limit, decision, 200);
        assert_eq!(state(&limit, &decision), "\"sign-in-minute\";r=5;t=0, \"sign-in-hour\";r=100;t=0");
        // Asked again, it gives nothing back a second time.
        settle(&limit, decision, 200);
    }
    // Five at once may be on their way, whatever they turn out to be; and a refusal is none of them.
    let going: Vec<_> = (0..8).map(|_| decide(&limit, &request("192.0.2.1", now))).collect();
    assert_eq!(going.iter().filter(|decision| decision.rejection().is_none()).count(), 5);
    for decision in going {
        let status = if decision.rejection().is_some() { 429 } else { 401 };
        settle(&limit, decision, status);
    }
    assert!(decide(&limit, &request("192.0.2.1", now)).rejection().is_some());
}

#[test]
fn tiers_have_quotas_of_their_own() {
    let limit = RateLimit::builder("api")
        .with_key(RateKey::principal())
        .add_quota(Quota::per_minute(2))
        .add_tier("gold", [Quota::per_minute(5)])
        .with_tiers_from(|principal| match principal.roles().next() {
            Some("gold") => Tier::Named("gold"),
            Some("monitor") => Tier::Unlimited,
            Some("typo") => Tier::Named("golden"),
            _ => Tier::Base,
        })
        .build()
        .unwrap();
    let now = ManualClock::default().now();
    for (role, want) in [("plain", 2), ("gold", 5), ("typo", 2), ("monitor", 50), ("none", 2)] {
        let mut request = request("192.0.2.1", now);
        if role != "none" {
            let principal = Principal::user(TenantId::default(), Subject::parse(role).unwrap());
            request.extensions_mut().insert(principal.with_roles([role]));
        }
        let passed = (0..50).filter(|_| decide(&limit, &request).rejection().is_none()).count();
        assert_eq!(passed, want, "{role}");
    }
}

#[test]
fn what_a_request_costs() {
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(10));
    let limit = limit.with_cost_from(|request| if request.uri().path() == "/export" { 4 } else { 0 });
    let limit = limit.build().unwrap();
    let now = ManualClock::default().now();
    let ask = |path: &str| {
        let mut request = request("192.0.2.1", now);
        *request.uri_mut() = path.parse().unwrap();
        decide(&limit, &request).rejection().is_none()
    };
    assert_eq!((0..5).filter(|_| ask("/export")).count(), 2);
    assert!(ask("/free") && !ask("/export"), "what is free passes while something is left");
}

/// What the gate and the layer ask for each request.
#[test]
fn a_decision_allocates_nothing() {
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(60)).add_quota(Quota::per_hour(1000));
    let (limit, now) = (limit.with_key(RateKey::address().and(RateKey::principal())).build().unwrap(), {
        ManualClock::default().now()
    });
    let requests: Vec<_> = (0..100).map(|n| request(&format!("192.0.2.{n}"), now)).collect();
    let measured = allocation_counter::measure(|| {
        for _ in 0..100 {
            for request in &requests {
                drop(decide(&limit, request));
            }
        }
    });
    assert_eq!(measured.count_total, 0);
}

#[test]
fn an_unknown_address_is_one_client_and_said_once() {
    let limit = RateLimit::builder("api").add_quota(Quota::per_minute(3)).build().unwrap();
    let ask = || decide(&limit, &Request::new(()));
    assert_eq!((0..10).filter(|_| ask().rejection().is_none()).count(), 3);
    assert_eq!(ask().rejection().unwrap().code(), RejectionCode::RateLimited);
    assert!(limit.0.unknown_address_reported.load(Ordering::Relaxed));
    let now = Timestamp::UNIX_EPOCH;
    assert!(decide(&limit, &request("192.0.2.1", now)).rejection().is_none(), "a known one is apart");
}
