//! What has no rule behind `gate.layer()`: denied wherever it stands, and reported where there is a name for it.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, get};
use http::Method;
use portcullis::authz::{AccessMap, Rule};
use portcullis::gate::Gate;
use tower::{Layer as _, ServiceExt as _};

use super::layers::Log;
use crate::layers::{gate, send};

fn subscriber(log: &Log) -> tracing::Dispatch {
    let writer = log.clone();
    tracing::Dispatch::new(
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish(),
    )
}

fn ask(method: Method, path: &str) -> Request {
    let mut request: Request = crate::layers::get(path, &["Bearer admin"]);
    *request.method_mut() = method;
    request
}

async fn guarded() -> Gate {
    gate(AccessMap::builder().add(Method::GET, "/in", Rule::public())).await
}

/// Attack log A2: a plain router below the gate meets the deny-all, however it was put there.
// ASVS 8.2.1
#[tokio::test]
async fn what_was_added_without_a_rule_is_denied_and_reported() {
    let inner = || Router::new().route("/out/{id}", get(async || "reached")).fallback(async || "reached");
    let base = || Router::new().route("/in", get(async || "in"));
    // The report names the route where axum says which it was: not below services and fallbacks.
    for (name, app, reported) in [
        ("route", base().route("/api/out/{id}", get(async || "reached")), Some("/api/out/{id}")),
        ("any method", base().route("/api/out/{id}", any(async || "reached")), Some("/api/out/{id}")),
        (
            "route_service",
            base().route_service("/api/out/{id}", get(async || "reached")),
            Some("/api/out/{id}"),
        ),
        ("nest", base().nest("/api", inner()), Some("/api/out/{id}")),
        (
            "nest in nest",
            base().nest(
                "/api",
                Router::new().nest("/out", Router::new().route("/{id}", get(async || "reached"))),
            ),
            Some("/api/out/{id}"),
        ),
        ("merge", base().merge(Router::new().nest("/api", inner())), Some("/api/out/{id}")),
        ("nest_service", base().nest_service("/api", inner()), None),
        ("fallback", base().fallback(async || "reached"), None),
        ("fallback_service", base().fallback_service(Router::new().nest("/api", inner())), None),
        (
            "fallback of a nested router",
            base().nest("/api", Router::new().fallback(async || "reached")),
            None,
        ),
    ] {
        let gate = guarded().await;
        let open = app.clone();
        let app = app.layer(gate.layer());
        let log = Log::default();
        let report = {
            // With a single dispatcher, tracing caches "nobody listens" for whatever another test's thread logs first.
            let _second = tracing::Dispatch::new(tracing_subscriber::registry());
            let _guard = tracing::dispatcher::set_default(&subscriber(&log));
            for method in [Method::GET, Method::POST, Method::OPTIONS, Method::HEAD] {
                for id in ["canary-1", "canary-2"] {
                    let answer = send(&app, ask(method.clone(), &format!("/api/out/{id}"))).await;
                    assert_eq!(answer.status, 404, "{name}: {method}");
                    assert!(!answer.body.contains("reached"), "{name}: {method}");
                }
            }
            log.text()
        };
        assert_eq!(
            send(&open, ask(Method::GET, "/api/out/1")).await.body,
            "reached",
            "{name}: without the gate"
        );
        assert_eq!(send(&app, ask(Method::GET, "/in")).await.body, "in", "{name}");
        assert!(!report.contains("canary"), "{name}: {report}");
        assert_eq!(
            report.matches("add it to the access map").count(),
            usize::from(reported.is_some()),
            "{name}: {report}"
        );
        assert!(
            reported.is_none_or(|route| report.contains(&format!("route=\"{route}\""))),
            "{name}: {report}"
        );
    }
}

/// Nobody waits for anybody while a route without a rule is flooded, and of many who ask at once one reports it.
#[test]
fn a_flood_is_reported_once() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let app = Router::new().route("/a/{id}", get(async || "")).route("/b", get(async || ""));
    let gate = runtime().block_on(guarded());
    let (app, log) = (app.layer(gate.layer()).into_service::<Body>(), Log::default());
    let start = std::sync::Barrier::new(32);
    std::thread::scope(|scope| {
        for number in 0..32 {
            let (app, log, start) = (app.clone(), log.clone(), &start);
            scope.spawn(move || {
                let _guard = tracing::dispatcher::set_default(&subscriber(&log));
                start.wait();
                runtime().block_on(async {
                    for round in 0..50 {
                        let path =
                            if round % 2 == 0 { format!("/a/{number}-{round}") } else { "/b".to_owned() };
                        assert_eq!(app.clone().oneshot(ask(Method::GET, &path)).await.unwrap().status(), 404);
                    }
                });
            });
        }
    });
    for route in ["/a/{id}", "/b"] {
        assert_eq!(log.text().matches(&format!("route=\"{route}\"")).count(), 1, "{}", log.text());
    }
}

/// Where no router says what it matched, the whole path decides, and a path is the client's: it is not reported.
#[tokio::test]
async fn a_path_without_a_rule_is_denied_in_silence() {
    let log = Log::default();
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::dispatcher::set_default(&subscriber(&log));
    let service = guarded().await.layer().layer(crate::layers::Inner::default());
    for path in ["/out", "/in/", "/canary"] {
        assert_eq!(send(&service, ask(Method::GET, path)).await.status, 404, "{path}");
    }
    assert!(!log.text().contains("no rule"), "{}", log.text());
}
