//! One request, one meaning: what the firewall lets through is what is asked about and what is served.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Path;
use http::{Method, Request, Uri};
use portcullis::authz::policy::{Decision, policy_fn};
use portcullis::authz::{AccessMap, Rule};
use portcullis::axum::GateRouter;
use portcullis::firewall::{Firewall, FirewallLayer, FirewallRule};
use portcullis::render::GrpcStatus;
use proptest::prelude::*;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use super::routing::{mutate, mutation};
use crate::layers::gate;

type App = BoxCloneSyncService<Request<Body>, http::Response<Body>, std::convert::Infallible>;

/// What the policy was asked about, and what a handler saw, in this order.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Trace {
    fn note(&self, who: &'static str, path: &str) {
        self.0.lock().unwrap().push((who, path.to_owned()));
    }

    fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

const PROTECTED: [&str; 4] = ["/admin/users", "/admin/users/{id}", "/files/{*rest}", "/a"];

/// Behind the firewall: the gate's router, and the gate as a layer around a finished router.
fn stacks(firewall: &Firewall, trace: &Trace) -> Vec<(&'static str, App)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rule = || {
        let trace = trace.clone();
        Rule::policy(policy_fn(move |request| {
            trace.note("policy", request.resource());
            Decision::Allow
        }))
    };
    let handler = || {
        let trace = trace.clone();
        move |uri: Uri| async move { trace.note("handler", uri.path()) }
    };
    let mut map = AccessMap::builder();
    let mut router: GateRouter = runtime.block_on(gate(AccessMap::builder())).router();
    let mut plain = axum::Router::new();
    for path in PROTECTED {
        map = map.add(Method::GET, path, rule());
        router = router.route(Method::GET, path, handler(), rule());
        plain = plain.route(path, axum::routing::get(handler()));
    }
    for path in ["/", "/{decoy}"] {
        map = map.add(Method::GET, path, Rule::public());
        router = router.route(Method::GET, path, async || "open", Rule::public());
        plain = plain.route(path, axum::routing::get(async || "open"));
    }
    let layer = FirewallLayer::new(firewall.clone());
    let gated = runtime.block_on(gate(map)).layer().layer(plain);
    vec![
        ("gate.router()", BoxCloneSyncService::new(layer.layer(router.finish().unwrap()))),
        ("gate.layer()", BoxCloneSyncService::new(layer.layer(gated))),
    ]
}

/// With all relaxed that can be.
fn relaxed() -> Firewall {
    Firewall::builder()
        .allow_encoded_slash()
        .allow_backslash()
        .allow_semicolon()
        .allow_encoded_percent()
        .allow_encoded_period()
        .allow_encoded_null()
        .allow_encoded_control()
        .allow_encoded_line_separator()
        .allow_non_ascii()
        .allow_invalid_utf8()
        .allow_empty_segments()
        .allow_dot_segments()
        .allow_query_escape()
        .build()
        .unwrap()
}

/// Attack log A1 and A8: however a protected path is spelled, a handler that runs was preceded by its policy, and saw the
/// very path the policy was asked about; also with every rule relaxed.
// ASVS 1.1.1, 8.3.1
#[test]
fn a_handler_sees_what_was_asked_about() {
    let trace = Trace::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (strictness, firewall) in [("strict", Firewall::new()), ("relaxed", relaxed())] {
        let stacks = stacks(&firewall, &trace);
        let paths = proptest::sample::select(vec!["/admin/users", "/admin/users/42", "/files/a/b", "/a"]);
        let mutations = proptest::collection::vec((0_usize..64, mutation()), 0..5);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1500));
        let reached = std::sync::atomic::AtomicUsize::new(0);
        runner
            .run(&(paths, mutations), |(path, mutations)| {
                let path = mutate(path, &mutations);
                let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
                for (name, stack) in &stacks {
                    let request = Request::get(uri.clone()).body(Body::empty()).unwrap();
                    runtime.block_on(stack.clone().oneshot(request)).unwrap();
                    let trace = trace.take();
                    let told = || format!("{name}, {strictness}: {path:?}: {trace:?}");
                    match &trace[..] {
                        [] | [("policy", _)] => {}
                        [("policy", asked), ("handler", seen)] => {
                            prop_assert!(asked == seen, "{}", told());
                            reached.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        _ => prop_assert!(false, "{}", told()),
                    }
                }
                Ok(())
            })
            .unwrap();
        assert!(
            reached.into_inner() > 100,
            "{strictness}: the property says nothing if nothing gets through"
        );
    }
}

/// One way to write a byte of a path, and what may be put in front of a slash without changing where it leads.
fn spellings(path: &'static str) -> impl Strategy<Value = String> {
    let detours = ["/", "/.", "/%2e", "/x/..", "/x/%2E.", "/;", "/;a=b", "/%2f", "/\\"];
    let detour = prop_oneof![Just(""), proptest::sample::select(detours.to_vec())];
    let one = (0..4_u8, detour);
    proptest::collection::vec(one, path.len()).prop_map(move |how| {
        let mut spelled = String::new();
        for (byte, (how, detour)) in path.bytes().zip(how) {
            if byte == b'/' {
                spelled.push_str(detour);
            }
            match how {
                0 if byte != b'/' => spelled.push_str(&format!("%{byte:02x}")),
                1 if byte != b'/' => spelled.push_str(&format!("%{byte:02X}")),
                _ => spelled.push(char::from(byte)),
            }
        }
        spelled
    })
}

/// Attack log A3 (GHSA-x732-6j76-qmhm): whoever goes by the path behind the firewall - a limit, a captcha, a switch - finds
/// one text for all its spellings, or the client finds 400.
#[test]
fn every_spelling_of_a_path_has_one_key() {
    const PATH: &str = "/sign-in/email.v1~x";
    let keyed = |firewall: Firewall| {
        let key = service_fn(async |request: Request<()>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(bytes::Bytes::from(
                request.uri().path().to_owned(),
            )))
        });
        FirewallLayer::new(firewall).layer(key)
    };
    let rewriting = Firewall::builder().allow_empty_segments().allow_dot_segments().allow_encoded_period();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, service) in
        [("strict", keyed(Firewall::new())), ("rewriting", keyed(rewriting.build().unwrap()))]
    {
        let keys = std::cell::Cell::new(0_usize);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
        runner
            .run(&spellings(PATH), |spelled| {
                let Ok(uri) = spelled.parse::<Uri>() else { return Ok(()) };
                let request = Request::post(uri).body(()).unwrap();
                let response = runtime.block_on(service.clone().oneshot(request)).unwrap();
                if response.status() == 200 {
                    prop_assert_eq!(response.into_body(), PATH, "{}: {}", name, spelled);
                    keys.set(keys.get() + 1);
                } else {
                    prop_assert_eq!(response.status(), 400, "{}: {}", name, spelled);
                }
                Ok(())
            })
            .unwrap();
        assert!(keys.get() > 50, "{name}: only {} got through", keys.get());
    }
}

/// Attack log A8 (CVE-2026-41847): what was taken out and rewritten is so for the handler too, parameters included.
#[tokio::test]
async fn the_handler_gets_the_request_that_was_let_in() {
    let router: GateRouter = gate(AccessMap::builder()).await.router();
    let handler = async |Path(id): Path<String>, uri: Uri, headers: http::HeaderMap| {
        format!("{id} {uri} {:?}", headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>())
    };
    let app = router.route(Method::GET, "/users/{id}", handler, Rule::public()).finish().unwrap();
    let app = FirewallLayer::new(Firewall::new()).layer(app);
    let request = Request::get("/%75sers/a%c3%a4%20b?x=%c3")
        .header("accept", "a")
        .header("x-method-override", "DELETE")
        .header("x-original-url", "/admin")
        .body(Body::empty())
        .unwrap();
    let answer = crate::layers::send(&app, request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "a\u{e4} b /users/a%C3%A4%20b?x=%c3 [\"accept\"]");
}

/// What a client is told: a status, a code, nothing it sent; the rule is for the log and the layers outside.
#[tokio::test]
async fn a_refusal_says_a_code_and_echoes_nothing() {
    let (log, _listening) = crate::support::Log::listen_from(tracing_subscriber::filter::LevelFilter::INFO);
    let inner = || {
        service_fn(async |_: Request<()>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(bytes::Bytes::new()))
        })
    };
    let firewall = Firewall::builder().add_host("api.example").build().unwrap();
    let long = format!("/{}", "canary".repeat(1000));
    for (method, uri, host, status, code, rule) in [
        ("GET", "/canary%2f", "api.example", 400, "malformed_request", FirewallRule::EncodedSlash),
        ("TRACE", "/canary", "api.example", 405, "method_not_allowed", FirewallRule::Method),
        ("GET", &long, "api.example", 414, "uri_too_long", FirewallRule::PathLength),
        ("GET", "/", "canary.example", 421, "misdirected_request", FirewallRule::Host),
        ("GET", "/", "canary/", 400, "malformed_request", FirewallRule::HostSyntax),
    ] {
        let request = || Request::builder().method(method).uri(uri).header("host", host).body(()).unwrap();
        let layer = FirewallLayer::new(firewall.clone());
        let response = layer.layer(inner()).oneshot(request()).await.unwrap();
        assert_eq!(response.status(), status, "{rule}");
        assert_eq!(response.extensions().get(), Some(&rule));
        let rejection = response.extensions().get::<portcullis::Rejection>().unwrap();
        assert_eq!(rejection.code().as_str(), code);
        assert_eq!(response.headers().contains_key("allow"), status == 405);
        let whole = format!("{:?} {:?}", response.headers(), response.body());
        assert!(whole.contains(code) && !whole.contains("canary"), "{whole}");
        let logged = log.lines().into_iter().any(|line| line.contains(&format!("rule=\"{rule}\"")));
        assert!(logged, "{rule}: {:?}", log.lines());

        let response = layer.with_renderer(GrpcStatus).layer(inner()).oneshot(request()).await.unwrap();
        let grpc = if status == 405 {
            "12"
        } else if status == 414 {
            "8"
        } else {
            "3"
        };
        assert_eq!(response.headers()["grpc-status"], grpc, "{rule}");
    }
    assert!(!log.lines().concat().contains("canary"));
}

/// `OPTIONS *` is about the server and no route: it goes through, and finds no rule.
#[tokio::test]
async fn the_asterisk_is_no_path() {
    let trace = Trace::default();
    let stacks = tokio::task::spawn_blocking({
        let trace = trace.clone();
        move || stacks(&Firewall::new(), &trace)
    });
    for (name, stack) in stacks.await.unwrap() {
        let request = Request::options("*").body(Body::empty()).unwrap();
        assert_eq!(stack.oneshot(request).await.unwrap().status(), 404, "{name}");
    }
    assert!(trace.take().is_empty());
}

/// In the wrong place, behind the router, nothing is served as what it isn't: the router has matched `/public/{*rest}`, and
/// taking segments out now would show policies and handlers another path.
#[tokio::test]
async fn behind_the_router_no_segment_is_taken_out() {
    let app = axum::Router::new()
        .route("/public/{*rest}", axum::routing::get(async |uri: Uri| uri.to_string()))
        .fallback(async |uri: Uri| uri.to_string())
        .layer(FirewallLayer::new(relaxed()));
    for (path, status) in [
        ("/public/a", 200),
        ("/public/../admin", 400),
        ("/public/%2e%2e/admin", 400),
        ("/public//admin", 400),
        ("/x/../admin", 400),
    ] {
        let answer = crate::layers::send(&app, crate::layers::get::<Body>(path, &[])).await;
        assert_eq!(answer.status, status, "{path}");
    }
}
