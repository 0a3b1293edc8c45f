//! What only a test wants: a clock that can be set ahead, an error and a panic on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::Method;
use portcullis::account::Accounts;
use portcullis::authz::Rule;
use portcullis::axum::{Routes, StrictJson};
use portcullis::time::{Clock, SystemClock, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::Failure;

/// Runs with the machine's clock; in a test environment it can be set ahead.
#[derive(Clone, Debug, Default)]
pub struct ServerClock {
    system: SystemClock,
    ahead_secs: Arc<AtomicU64>,
}

impl ServerClock {
    fn ahead(&self) -> Duration {
        Duration::from_secs(self.ahead_secs.load(Ordering::SeqCst))
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.system.now() + self.ahead()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + self.ahead()
    }
}

#[derive(Clone)]
struct Debug {
    clock: ServerClock,
    accounts: Accounts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u32,
}

pub fn routes<S: Clone + Send + Sync + 'static>(clock: ServerClock, accounts: Accounts) -> Routes<S> {
    Routes::new()
        .route(Method::GET, "/error", error, Rule::public())
        .route(Method::GET, "/panic", panic, Rule::public())
        .route(Method::POST, "/clock", advance, Rule::public())
        .with_state(Debug { clock, accounts })
}

async fn error() -> Failure {
    Failure::Failed("an internal error, canary 7f3a, at /srv/secret/path".into())
}

#[expect(clippy::panic, reason = "to see what a client sees of it")]
async fn panic() -> Failure {
    panic!("a panic, canary 7f3a, at /srv/secret/path")
}

async fn advance(
    State(debug): State<Debug>,
    StrictJson(Advance { advance_seconds }): StrictJson<Advance>,
) -> Result<Json<Value>, Failure> {
    debug.clock.ahead_secs.fetch_add(u64::from(advance_seconds), Ordering::SeqCst);
    // The feed was last heard "long ago" now; hear it again rather than answering 503 until the next poll.
    debug.accounts.tokens().revocations().refresh().await?;
    Ok(Json(json!({ "now_seconds": debug.clock.now().as_secs() })))
}
