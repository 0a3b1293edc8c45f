//! A condition on the address, through the gate.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response};
use portcullis::authz::policy::{from_network, not};
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::context::ContextLayer;
use portcullis::gate::Gate;
use portcullis::gate::testing::{Cast, act_as};
use portcullis::network::{ClientAddress, Connection};
use portcullis::{RequestContext, RequestId};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::Log;

/// The address comes from the request's context alone: no header stands in for it, no other extension does, and without it
/// nobody gets in.
#[tokio::test]
async fn the_gate_goes_by_the_address_of_the_extensions() {
    let (log, _listening) = Log::listen();
    let cast = Cast::new().add("ada", act_as("default", "ada"));
    let office = ["10.0.0.0/8", "::1"];
    let map = AccessMap::builder().add(Method::GET, "/inside", Rule::policy(from_network(office))).add(
        Method::GET,
        "/outside",
        Rule::policy(not(from_network(office))),
    );
    let builder = Gate::builder().with_access_tokens(cast.clone()).with_access_map(map);
    let gate = builder.with_roles(RoleModel::builder().add(Role::new("user")).build().unwrap());
    let gate = gate.build().await.unwrap();
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new())));
    let service = ContextLayer::default().layer(gate.layer().layer(inner));
    for (address, inside, outside) in [
        (Some("10.0.0.1:1234"), 200, 403),
        (Some("[::ffff:10.0.0.1]:1234"), 200, 403),
        (Some("[::1]:1234"), 200, 403),
        (Some("127.0.0.1:1234"), 403, 200),
        (Some("[::ffff:192.0.2.1]:1234"), 403, 200),
        (None, 403, 403),
    ] {
        for (path, want) in [("/inside", inside), ("/outside", outside)] {
            let mut request = Request::get(path).header("x-forwarded-for", "10.0.0.1").body(()).unwrap();
            if let Some(address) = address {
                let address: SocketAddr = address.parse().unwrap();
                request.extensions_mut().insert(Connection::new(address));
            }
            request.extensions_mut().insert(ClientAddress::new("10.0.0.1".parse().unwrap()));
            let response = service.clone().oneshot(cast.ask_as("ada", request)).await.unwrap();
            assert_eq!(response.status(), want, "{path} from {address:?}");
        }
    }
    let logged = |what: &str| log.lines().iter().filter(|line| line.contains(what)).count();
    let missed = || (logged("no client address"), logged("without the address of their connection"));
    assert_eq!(missed(), (2, 1), "once for each policy, once for the layer: {:?}", log.lines());
    let again = cast.ask_as("ada", Request::get("/inside").body(()).unwrap());
    assert_eq!(service.oneshot(again).await.unwrap().status(), 403);
    assert_eq!(missed(), (2, 1));

    // Without the layer, whoever makes the context says who is calling.
    let alone = gate.layer().layer(inner);
    let mut request = Request::get("/inside").body(()).unwrap();
    let context = RequestContext::new(RequestId::mint().unwrap(), portcullis::time::Timestamp::UNIX_EPOCH);
    request.extensions_mut().insert(context.with_client(ClientAddress::new("10.9.8.7".parse().unwrap())));
    assert_eq!(alone.oneshot(cast.ask_as("ada", request)).await.unwrap().status(), 200);

    let map = AccessMap::builder().add(Method::GET, "/", Rule::policy(not(from_network(["10.0.0.1/8"]))));
    let refused = Gate::builder().with_access_tokens(cast).with_access_map(map).build().await.unwrap_err();
    assert!(refused.to_string().contains("`10.0.0.1/8`"), "{refused}");
}
