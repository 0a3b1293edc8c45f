//! What a gate costs on a route: a bare axum route, and the same behind a bearer token and a role.

use std::convert::Infallible;
use std::hint::black_box;

use axum::body::Body;
use criterion::Criterion;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, Uri};
use portcullis::authz::{AccessMap, Rule};
use secrecy::ExposeSecret as _;
use tokio::runtime::Runtime;
use tower::Service;

use crate::support::{ALGORITHMS, gate, in_memory, issue, token_policies};
use crate::table::Table;

const PATH: &str = "/tasks/{id}";

/// The same request for all: the bare route gets the header too, and ignores it.
struct Call {
    uri: Uri,
    authorization: HeaderValue,
}

impl Call {
    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        request
    }
}

async fn handler() -> &'static str {
    "done"
}

fn route<S>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    table: &mut Table,
    name: &str,
    call: &Call,
    service: &S,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let answer = async || {
        let mut service = service.clone();
        let response = service.call(call.request()).await.unwrap();
        assert_eq!(response.status(), 200);
        black_box(response);
    };
    allocation_counter::opt_out(|| {
        criterion.benchmark_group("route").bench_function(name, |b| b.to_async(runtime).iter(answer));
    });
    table.count(&format!("route/{name}"), || runtime.block_on(answer()));
}

pub fn run(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table) {
    for ((again, policy), algorithm) in
        token_policies().into_iter().flat_map(|policy| ALGORITHMS.map(|algorithm| (policy, algorithm)))
    {
        let (accounts, call, closed, layered) = runtime.block_on(async {
            let (accounts, user) = in_memory(algorithm, policy).await;
            let token = issue(&accounts, &user).await.access_token;
            let authorization = format!("Bearer {}", token.expose_secret());
            let call =
                Call { uri: "/tasks/42".parse().unwrap(), authorization: authorization.parse().unwrap() };

            let closed = gate(&accounts).build().await.unwrap().router();
            let closed = closed.route(Method::GET, PATH, handler, Rule::role("user")).finish().unwrap();
            let map = AccessMap::builder().add(Method::GET, PATH, Rule::role("user"));
            let layered = gate(&accounts).with_access_map(map).build().await.unwrap().layer();
            (accounts, call, closed, layered)
        });
        let plain: axum::Router = axum::Router::new().route(PATH, axum::routing::get(handler));
        if algorithm == ALGORITHMS[0] && again.is_empty() {
            route(criterion, runtime, table, "bare", &call, &plain.clone().with_state(()));
        }
        route(criterion, runtime, table, &format!("router-{algorithm}{again}"), &call, &closed);
        route(
            criterion,
            runtime,
            table,
            &format!("layer-{algorithm}{again}"),
            &call,
            &plain.layer(layered).with_state(()),
        );
        runtime.block_on(accounts.tokens().revocations().shutdown());
    }
}
