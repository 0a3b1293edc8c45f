//! What a request costs, as far as it can be told without a clock. Time and allocations are in `benches/`.

use http::{Method, Request, StatusCode};
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::gate::Gate;
use secrecy::ExposeSecret as _;
use tower::{Layer as _, ServiceExt as _};

use crate::support::World;

/// No store is asked about an access token, good or bad, and nothing is written about its use. Found out by a store
/// that keeps a trace; the follower of the revocation feed, which polls on its own, is stopped first.
#[tokio::test]
async fn the_bearer_path_makes_no_store_call() {
    let world = World::new().await;
    world.register("ada").await;
    let token = world.sign_in("ada").await.tokens.access_token;
    let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap();
    let rows = || AccessMap::builder().add(Method::GET, "/tasks/{id}", Rule::role("user"));
    let builder = Gate::builder().with_accounts(world.accounts.clone()).with_roles(roles);
    let gate = builder.with_access_map(rows()).build().await.unwrap();
    let handler = async || "done";
    let router =
        gate.router().route(Method::GET, "/tasks/{id}", handler, Rule::role("user")).finish().unwrap();
    let layer = gate.layer().layer(
        axum::Router::new()
            .route("/tasks/{id}", axum::routing::get(handler))
            .into_service::<axum::body::Body>(),
    );

    gate.shutdown().await;
    let before = world.faults.calls().len();
    assert!(before > 0, "the store keeps a trace");
    for number in 0..100 {
        let (bearer, want) = match number % 3 {
            0 => (token.expose_secret().to_owned(), StatusCode::OK),
            1 => (format!("{}A", token.expose_secret()), StatusCode::UNAUTHORIZED),
            _ => ("forged".to_owned(), StatusCode::UNAUTHORIZED),
        };
        let request = || {
            let request = Request::get("/tasks/42").header("authorization", format!("Bearer {bearer}"));
            request.body(axum::body::Body::empty()).unwrap()
        };
        assert_eq!(router.clone().oneshot(request()).await.unwrap().status(), want, "router, {number}");
        assert_eq!(layer.clone().oneshot(request()).await.unwrap().status(), want, "layer, {number}");
    }
    assert_eq!(world.faults.calls().get(before..), Some(&[][..]));
}
