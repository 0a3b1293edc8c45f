//! A client that hangs up in the middle leaves nothing half done and nothing unrecorded.

use std::time::Duration;

use ::axum::body::Body;
use http::{Request, header};
use portcullis::audit::EventName;
use portcullis::axum::account_routes;
use portcullis::gate::Gate;
use tower::ServiceExt as _;

use crate::support::World;

/// Guessing passwords and closing the connection before the answer would otherwise leave no trace.
// ASVS 16.3.1
#[tokio::test]
async fn a_client_that_hangs_up_is_audited_all_the_same() {
    let world = World::new().await;
    world.register("ada").await;
    let gate = Gate::builder().with_accounts(world.accounts.clone()).build().await.unwrap();
    let service = gate
        .router()
        .add_routes_at("/auth", account_routes(&world.accounts, gate.tenant()))
        .finish()
        .unwrap();

    let request = Request::post("/auth/login")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"username":"ada","password":"a wrong password guess"}"#))
        .unwrap();
    let mut answer = Box::pin(service.oneshot(request));
    // As far as the hash, which runs elsewhere; then the connection is gone.
    while world.accounts.passwords().stats().running == 0 && world.accounts.passwords().computations() == 1 {
        assert!(poll_once(&mut answer).await.is_none());
        tokio::task::yield_now().await;
    }
    drop(answer);

    let recorded = async {
        while !world.audit.events().iter().any(|event| event.name() == EventName::AuthnLoginFail) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded).await.unwrap();
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
