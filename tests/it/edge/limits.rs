//! Several limits around one service: who is asked, what is said of each, and what is given back to which.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use portcullis::rate_limit::{Quota, RateKey, RateLimit, Tier};
use portcullis::store::MemoryStore;
use portcullis::time::ManualClock;

use super::{apps, ask, builder, per_minute, send};
use portcullis::network::Connection;

/// Who asks for what from where; the status; what is left by name, in the order of the lines.
type Step<'a> = (&'a str, &'a str, u16, &'a [(&'a str, u32)]);

const HERE: &str = "192.0.2.7:1";
const ELSEWHERE: &str = "198.51.100.1:1";

/// The limits, with their quotas, in the order in which they are added: two that need a principal and two that don't.
/// `two` and `three` give back what a 403 cost.
const LIMITS: [(&str, u32); 4] = [("three", 8), ("one", 12), ("four", 4), ("two", 8)];

fn limit(name: &str, count: u32, waits: &Waits) -> RateLimit {
    let key = if matches!(name, "one" | "two") { RateKey::address() } else { RateKey::principal() };
    let (mut key, mut store) = (key, None);
    match waits {
        Waits::Not => {}
        Waits::Store(names) if names.contains(&name) => store = Some(Arc::new(MemoryStore::new())),
        Waits::Key(names) if names.contains(&name) => {
            key = key.and(RateKey::from_async_fn(|_| async {
                tokio::task::yield_now().await;
                Ok(b"late".to_vec())
            }));
        }
        Waits::Store(_) | Waits::Key(_) => {}
    }
    let limit = RateLimit::builder(name).with_key(key).add_quota(Quota::per_minute(count));
    let limit = match name {
        "two" | "three" => limit.count_only_if(|status| status != StatusCode::FORBIDDEN),
        _ => limit,
    };
    match store {
        Some(store) => limit.with_store(store),
        None => limit,
    }
    .build()
    .unwrap()
}

/// Which limits have to be waited for, and why.
#[derive(Debug)]
enum Waits {
    Not,
    Store(&'static [&'static str]),
    Key(&'static [&'static str]),
}

/// What stands in the answer, outer limits before inner ones, whoever had to be waited for; what a 403 doesn't cost is
/// given back to the limit it was taken from, and the others keep counting.
#[tokio::test]
async fn every_limit_says_its_own() {
    let all = &["one", "two", "three", "four"];
    let steps: [Step<'_>; 15] = [
        ("ada", "/tasks/1", 200, &[("one", 11), ("two", 7), ("three", 7), ("four", 3)]),
        ("ada", "/admin", 403, &[("one", 10), ("two", 7), ("three", 7), ("four", 2)]),
        ("ada", "/tasks/1", 200, &[("one", 9), ("two", 6), ("three", 6), ("four", 1)]),
        ("nobody", "/tasks/1", 401, &[("one", 8), ("two", 5), ("three", 7), ("four", 3)]),
        ("ada", "/tasks/1", 200, &[("one", 7), ("two", 4), ("three", 5), ("four", 0)]),
        ("ada", "/tasks/1", 429, &[("one", 6), ("two", 3), ("three", 4), ("four", 0)]),
        ("bob", "/tasks/1", 200, &[("one", 5), ("two", 2), ("three", 7), ("four", 3)]),
        ("bob", "/admin", 403, &[("one", 4), ("two", 2), ("three", 7), ("four", 2)]),
        ("bob", "/tasks/1", 200, &[("one", 3), ("two", 1), ("three", 6), ("four", 1)]),
        ("bob", "/tasks/1", 200, &[("one", 2), ("two", 0), ("three", 5), ("four", 0)]),
        ("bob", "/tasks/1", 429, &[("one", 1), ("two", 0)]),
        ("bob", "/tasks/1", 429, &[("one", 0), ("two", 0)]),
        ("bob", "/tasks/1", 429, &[("one", 0)]),
        ("bob elsewhere", "/tasks/1", 429, &[("one", 11), ("two", 7), ("three", 4), ("four", 0)]),
        ("nobody elsewhere", "/tasks/1", 401, &[("one", 10), ("two", 6), ("three", 7), ("four", 3)]),
    ];
    for waits in [
        Waits::Not,
        Waits::Store(&["two"]),
        Waits::Store(&["one"]),
        Waits::Store(&["three"]),
        Waits::Store(all),
        Waits::Key(&["two"]),
        Waits::Key(all),
    ] {
        let clock = ManualClock::default();
        let limited = || {
            let add = |gate: portcullis::gate::GateBuilder, (name, count)| {
                gate.add_rate_limit(limit(name, count, &waits))
            };
            LIMITS.into_iter().fold(builder(&clock), add)
        };
        for (form, app) in apps(limited).await {
            for (at, (who, path, want, left)) in steps.iter().enumerate() {
                let (name, from) = match who.strip_suffix(" elsewhere") {
                    Some(name) => (name, ELSEWHERE),
                    None => (*who, HERE),
                };
                let bearer = format!("Bearer {name}");
                let known = [("authorization", bearer.as_str())];
                let mut request = ask("GET", path, if name == "nobody" { &[] } else { &known });
                request.extensions_mut().insert(Connection::new(from.parse().unwrap()));
                let (status, answer, _) = send(&app, request).await;
                let row = format!("{waits:?}, {form}, step {at}");
                assert_eq!(status, *want, "{row}");
                assert_eq!(said(&answer, "ratelimit", ";r="), *left, "{row}");
                let policies: Vec<_> = left
                    .iter()
                    .map(|(name, _)| *LIMITS.iter().find(|(other, _)| other == name).unwrap())
                    .collect();
                assert_eq!(said(&answer, "ratelimit-policy", ";q="), policies, "{row}");
            }
        }
    }
}

/// The name and one number of each line.
fn said<'a>(answer: &'a HeaderMap, header: &str, number: &str) -> Vec<(&'a str, u32)> {
    let lines = answer.get_all(header).iter().map(|line| line.to_str().unwrap());
    lines
        .map(|line| {
            let (name, rest) = line.split_once(number).unwrap();
            let (number, _) = rest.split_once(';').unwrap();
            (name.trim_matches('"'), number.parse().unwrap())
        })
        .collect()
}

/// Limits by principal and tier are asked once it is known who asks, before the rule, in a table or in a shared store; what
/// they say is on every answer, and refusals of theirs reach no handler.
#[tokio::test]
async fn principals_are_limited_where_they_are_known() {
    let clock = ManualClock::default();
    for shared in [false, true] {
        let by_principal = || {
            let limit =
                RateLimit::builder("who").with_key(RateKey::principal()).add_quota(Quota::per_minute(3));
            let limit = limit.add_tier("bulk", [Quota::per_minute(5)]).with_tiers_from(|who| {
                if who.subject().is_some_and(|who| who.as_str() == "bob") {
                    Tier::Named("bulk")
                } else {
                    Tier::Base
                }
            });
            let limit = limit.count_only_if(|status| status != StatusCode::FORBIDDEN);
            let limit = if shared { limit.with_store(Arc::new(MemoryStore::new())) } else { limit };
            builder(&clock).add_rate_limit(limit.build().unwrap()).add_rate_limit(per_minute(100))
        };
        for (form, app) in apps(by_principal).await {
            let form = format!("{form}, shared: {shared}");
            for (who, quota) in [("ada", 3), ("bob", 5)] {
                let bearer = format!("Bearer {who}");
                let ask = |path: &str| ask("GET", path, &[("authorization", &bearer)]);
                // Refused by its rule, and given back.
                let (status, answer, _) = send(&app, ask("/admin")).await;
                assert_eq!((status, fields(&answer)), (403, (quota, 99 - used(who))), "{form}, {who}");
                for left in (0..quota).rev() {
                    let (status, answer, _) = send(&app, ask("/tasks/1")).await;
                    assert_eq!((status, fields(&answer).0), (200, left), "{form}, {who}");
                }
                let (status, answer, body) = send(&app, ask("/tasks/1")).await;
                assert_eq!(
                    (status, &answer["retry-after"]),
                    (429, &(60 / quota).to_string()[..].parse().unwrap()),
                    "{form}"
                );
                assert!(body.contains("rate_limited") && answer.contains_key("x-frame-options"), "{form}");
                assert_eq!(send(&app, ask("/open")).await.0, 200, "{form}: nobody is known there");
            }
        }
    }
}

/// How often ada and bob ask before bob does.
fn used(who: &str) -> u32 {
    if who == "bob" { 6 } else { 0 }
}

/// What is left by principal and by address.
fn fields(answer: &HeaderMap) -> (u32, u32) {
    let left = |name: &str| {
        let mut fields = answer.get_all("ratelimit").iter().map(|field| field.to_str().unwrap());
        let field = fields.find(|field| field.contains(name)).unwrap();
        field.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
    };
    (left("who"), left("address"))
}
