//! The matcher and the router must agree on what was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::routing::get;
use http::{Method, Uri};
use portcullis::Principal;
use portcullis::authz::policy::{Decision, all_of, any_of, not, policy_fn, role};
use portcullis::authz::{AccessMap, Refused, Rule};
use portcullis::axum::{GateRouter, Routes};
use portcullis::token::VerifyAccessToken as _;
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

use crate::layers::{Tokens, gate, send};

fn ask(path: &str, authorization: &[&str]) -> Request {
    crate::layers::get(path, authorization)
}

/// How often the rule of one protected route was asked, and how often its handler ran.
#[derive(Clone, Default)]
struct Counters(Arc<(AtomicUsize, AtomicUsize)>);

impl Counters {
    fn rule(&self) -> Rule {
        let counters = self.clone();
        Rule::policy(policy_fn(move |_| {
            counters.0.0.fetch_add(1, Ordering::SeqCst);
            Decision::Allow
        }))
    }

    fn reach(&self) -> &'static str {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        "reached"
    }

    fn seen(&self) -> (usize, usize) {
        (self.0.0.load(Ordering::SeqCst), self.0.1.load(Ordering::SeqCst))
    }
}

const PROTECTED: [&str; 4] = ["/admin/users", "/admin/users/{id}", "/files/{*rest}", "/a"];
const OPEN: [&str; 3] = ["/", "/health", "/{decoy}"];

/// The same routes in each way a gate can stand before them.
fn stacks(counters: &[Counters]) -> Vec<(&'static str, Router)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handler = |counters: &Counters| {
        let counters = counters.clone();
        move || async move { counters.reach() }
    };
    let mut map = AccessMap::builder();
    let mut plain = Router::new();
    let mut routes = Routes::new();
    for (path, counters) in PROTECTED.iter().zip(counters) {
        map = map.add(Method::GET, *path, counters.rule());
        plain = plain.route(path, get(handler(counters)));
        routes = routes.route(Method::GET, *path, handler(counters), counters.rule());
    }
    for path in OPEN {
        map = map.add(Method::GET, path, Rule::public());
        plain = plain.route(path, get(async || "open"));
        routes = routes.route(Method::GET, path, async || "open", Rule::public());
    }
    let router: GateRouter = runtime.block_on(gate(AccessMap::builder())).router();
    let gate = runtime.block_on(gate(map));
    let finished = router.add_routes(routes).finish().unwrap();
    vec![
        ("gate.router()", Router::new().fallback_service(finished)),
        ("gate.layer() on the router", plain.clone().layer(gate.layer())),
        (
            "gate.layer() around the finished router",
            Router::new().fallback_service(gate.layer().layer(plain)),
        ),
    ]
}

#[derive(Clone, Debug)]
pub(super) enum Mutation {
    Insert(&'static str),
    Encode { upper: bool },
    Case,
    Double,
    Remove,
}

pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    let pieces = [
        "/", "//", "/./", "/../", "/..;/", ";", ";a=b", ".", "..", "%2e", "%2E%2E", "%2f", "%2F", "%5c",
        "\\", "%00", "%0a", "%0d%0a", "%09", "%20", "%25", "%252e", "%", "%C0%AE", "?", "?a=b", "#", "*",
        ":", "@", "~", ".json", "{id}", "%7Bid%7D", "\u{ff0f}",
    ];
    prop_oneof![
        5 => proptest::sample::select(pieces.to_vec()).prop_map(Mutation::Insert),
        2 => any::<bool>().prop_map(|upper| Mutation::Encode { upper }),
        1 => Just(Mutation::Case),
        1 => Just(Mutation::Double),
        1 => Just(Mutation::Remove),
    ]
}

pub(super) fn mutate(path: &str, mutations: &[(usize, Mutation)]) -> String {
    let mut chars: Vec<String> = path.chars().map(String::from).collect();
    for (at, mutation) in mutations {
        if chars.is_empty() {
            break;
        }
        let at = at % chars.len();
        let here = chars[at].clone();
        match mutation {
            Mutation::Insert(piece) => chars.insert(at + 1, (*piece).to_owned()),
            Mutation::Encode { upper } if here.len() == 1 => {
                let byte = here.as_bytes()[0];
                chars[at] = if *upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            }
            Mutation::Encode { .. } => {}
            Mutation::Case if here == here.to_lowercase() => chars[at] = here.to_uppercase(),
            Mutation::Case => chars[at] = here.to_lowercase(),
            Mutation::Double => chars.insert(at, here),
            Mutation::Remove => drop(chars.remove(at)),
        }
    }
    chars.concat()
}

/// Attack log A1: Spring CVE-2016-5007, CVE-2018-1199, CVE-2022-22978, CVE-2023-34035.
/// Whatever the spelling, a protected handler that runs was preceded by its rule.
// ASVS 8.3.1
#[test]
fn a_handler_is_never_reached_past_its_rule() {
    let counters: [Counters; PROTECTED.len()] = Default::default();
    let stacks = stacks(&counters);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let paths = proptest::sample::select(vec!["/admin/users", "/admin/users/42", "/files/a/b", "/a"]);
    let mutations = proptest::collection::vec((0_usize..64, mutation()), 0..5);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1500));
    let passed = AtomicUsize::new(0);
    runner
        .run(&(paths, mutations), |(path, mutations)| {
            let path = mutate(path, &mutations);
            let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
            for (name, stack) in &stacks {
                let before: Vec<_> = counters.iter().map(Counters::seen).collect();
                let request = Request::get(uri.clone()).body(axum::body::Body::empty()).unwrap();
                let response = runtime.block_on(stack.clone().oneshot(request)).unwrap();
                for ((pattern, counters), before) in PROTECTED.iter().zip(&counters).zip(before) {
                    let after = counters.seen();
                    let (asked, ran) = (after.0 - before.0, after.1 - before.1);
                    passed.fetch_add(ran, Ordering::SeqCst);
                    let status = response.status();
                    prop_assert!(ran <= asked, "{name}: {path:?} reached {pattern} past its rule: {status}");
                }
            }
            Ok(())
        })
        .unwrap();
    // The property says nothing if nothing gets through.
    assert!(passed.into_inner() > 100);
    for (name, stack) in &stacks {
        for path in ["/admin/users", "/admin/users/42", "/files/a/b%20c", "/a?x=y"] {
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            let status = runtime.block_on(stack.clone().oneshot(request)).unwrap().status();
            assert_eq!(status, 200, "{name} {path}");
        }
    }
}

/// Attack log A2: Spring CVE-2026-22753, CVE-2026-22754. axum takes prefixes off paths and lets layers cover only some
/// routes; wherever the gate stands, its rule is found by the whole path.
#[tokio::test]
async fn a_prefix_does_not_change_the_rule() {
    // The handler says what it takes the whole path for.
    let tasks =
        || Router::new().route("/tasks/{id}", get(async |OriginalUri(uri): OriginalUri| uri.to_string()));
    let whole = policy_fn(|request| match request.resource() {
        "/api/tasks/7" => Decision::Allow,
        _ => Decision::Deny,
    });
    let rule = Rule::policy(all_of([role("admin"), whole]));
    let gate = gate(AccessMap::builder().add(Method::GET, "/api/tasks/{id}", rule)).await;
    let layer = || gate.layer();
    let rows = [
        ("around nest", Router::new().nest("/api", tasks()).layer(layer())),
        ("inside nest", Router::new().nest("/api", tasks().layer(layer()))),
        ("around nest_service", Router::new().nest_service("/api", tasks()).layer(layer())),
        ("inside nest_service", Router::new().nest_service("/api", tasks().layer(layer()))),
        ("a layered service below nest_service", Router::new().nest_service("/api", layer().layer(tasks()))),
        ("route_layer around nest", Router::new().nest("/api", tasks()).route_layer(layer())),
        ("route_layer inside nest", Router::new().nest("/api", tasks().route_layer(layer()))),
        ("merged, then layered", Router::new().merge(Router::new().nest("/api", tasks())).layer(layer())),
        ("layered, then merged", Router::new().merge(Router::new().nest("/api", tasks()).layer(layer()))),
        ("on the route", {
            let handler = get(async |OriginalUri(uri): OriginalUri| uri.to_string()).layer(layer());
            Router::new().nest("/api", Router::new().route("/tasks/{id}", handler))
        }),
        (
            "around a service",
            Router::new().fallback_service(layer().layer(Router::new().nest("/api", tasks()))),
        ),
        ("in a fallback", Router::new().fallback_service(Router::new().nest("/api", tasks())).layer(layer())),
    ];
    for (name, app) in rows {
        for (path, token, status) in [
            ("/api/tasks/7", Some("Bearer admin"), 200),
            ("/api/tasks/7", Some("Bearer user"), 403),
            ("/api/tasks/7", None, 401),
            // Without its prefix the same tail is another path, and nothing.
            ("/tasks/7", Some("Bearer admin"), 404),
        ] {
            let answer = send(&app, ask(path, token.as_slice())).await;
            assert_eq!(answer.status, status, "{name}: {path} {token:?}");
            assert!(status != 200 || answer.body == path, "{name}: the handler saw {}", answer.body);
        }
    }
}

/// Attack log A2, the other half: what stands outside the layer is outside, but a handler there that asks who is calling
/// gets no answer rather than a wrong one. `gate.router()` has no outside.
#[tokio::test]
async fn a_route_outside_the_layer_has_no_principal() {
    let map = AccessMap::builder().add(Method::GET, "/in", Rule::authenticated());
    let gate = gate(map).await;
    let who = || get(async |who: Principal| who.subject().unwrap().to_string());
    let layered = || Router::new().route("/in", who()).layer(gate.layer());
    let rows = [
        ("added after layer", layered().route("/out", who())),
        ("merged after layer", layered().merge(Router::new().route("/out", who()))),
        (
            "added after route_layer",
            Router::new().route("/in", who()).route_layer(gate.layer()).route("/out", who()),
        ),
        ("beside, below nest_service", layered().nest_service("/out", Router::new().route("/", who()))),
        ("nested after layer", layered().nest("/out", Router::new().route("/", who()))),
        (
            "a fallback after layer",
            layered().fallback(async |who: Principal| who.subject().unwrap().to_string()),
        ),
        ("a service as fallback after layer", layered().fallback_service(Router::new().route("/out", who()))),
        ("below a router of its own", Router::new().fallback_service(layered()).route("/out", who())),
    ];
    for (name, app) in rows {
        let answer = send(&app, ask("/out", &["Bearer admin"])).await;
        assert_eq!(answer.status, 500, "{name}");
        let answer = send(&app, ask("/in", &["Bearer admin"])).await;
        assert_eq!(answer.status, 200, "{name}");
    }
}

/// Attack log A1 and A2: what has no rule is denied, also where a router would have found a handler.
// ASVS 8.2.1
#[tokio::test]
async fn a_route_without_a_rule_is_denied() {
    let map = AccessMap::builder().add(Method::GET, "/tasks/{id}", Rule::public()).add(
        Method::GET,
        "/mapped/{id}",
        Rule::public(),
    );
    let app = Router::new()
        .route("/tasks/{id}", get(async || "in"))
        .route("/tasks/secret", get(async || "in"))
        .route("/forgotten", get(async || "in"))
        .route("/mapped/{name}", get(async || "in"))
        .fallback(async || "in")
        .layer(gate(map).await.layer());
    for (path, status) in [
        ("/tasks/1", 200),
        // The pattern that matched decides, not another one that would match too.
        ("/tasks/secret", 404),
        ("/forgotten", 404),
        ("/mapped/1", 404),
        ("/fallback", 404),
        ("/tasks/1/", 404),
        ("//tasks/1", 400),
    ] {
        let answer = send(&app, ask(path, &["Bearer admin"])).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

/// Attack log B5: Spring's `anyOf()` denied and `allOf()` granted when they were empty. Here a rule with one is not
/// built, and asked all the same it denies.
#[tokio::test]
async fn an_empty_combination_denies() {
    for (name, policy, built) in [
        ("all of none", all_of([]), false),
        ("any of none", any_of([]), false),
        ("all of all of none", all_of([all_of([])]), false),
        ("not any of none", not(any_of([])), false),
        ("not all of none", not(all_of([])), false),
        ("nobody has an opinion", any_of([policy_fn(|_| Decision::Abstain)]), true),
    ] {
        let gate = gate(AccessMap::builder().add(Method::GET, "/", Rule::authenticated())).await;
        let rule = || Rule::policy(policy.clone());
        assert_eq!(gate.require(rule()).is_ok(), built, "{name}: a layer");
        let router: GateRouter = gate.router();
        assert_eq!(
            router.route(Method::GET, "/a", async || "", rule()).finish().is_ok(),
            built,
            "{name}: a route"
        );
        for token in ["admin", "user"] {
            let who = Tokens.verify(token).unwrap().into_inner();
            let asked = gate.authorizer().check(&who, &rule(), "GET", "/").await;
            assert_eq!(asked, Err(Refused::Forbidden), "{name}");
        }
        let nobody = Principal::anonymous(gate.tenant().clone());
        let asked = gate.authorizer().check(&nobody, &rule(), "GET", "/").await;
        assert_eq!(asked, Err(Refused::Unauthenticated), "{name}");
    }
}
