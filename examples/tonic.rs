//! A gRPC service of tonic behind the gate: refusals are gRPC statuses, `16` for 401, `7` for 403, `8` for 429.
//!
//! ```text
//! cargo run --example tonic
//! ```
//!
//! `BIND` is the address to listen on. The service is written by hand, with plain text as its messages; yours comes from
//! `tonic-prost-build` and is added in the same way.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "tonic/greeter.rs"]
mod greeter;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use portcullis::TenantId;
use portcullis::account::{Accounts, Registration};
use portcullis::audit::MemorySink;
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::crypto::StaticKeys;
use portcullis::gate::Gate;
use portcullis::network::Connection;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::render::GrpcStatus;
use portcullis::store::MemoryStore;
use portcullis::validate::{BodyGuard, BodyGuardLayer, GuardedBody};
use secrecy::ExposeSecret as _;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tower::util::MapRequestLayer;

use crate::greeter::Greeter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let user = Role::new("user").grants("greetings:read");
    let roles = RoleModel::builder().add(user).add(Role::new("admin").grants("greetings:delete")).build()?;
    let accounts = Accounts::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_keys(Arc::new(StaticKeys::generate()?))
        .with_audit(Arc::new(MemorySink::default()))
        .with_issuer("https://id.example")
        .with_audience("https://api.example")
        .with_roles(roles)
        .with_default_roles(["user"])
        .build()
        .await?;
    let rules = AccessMap::builder()
        .add(Method::POST, "/demo.Greeter/Hello", Rule::permission("greetings:read"))
        .add(Method::POST, "/demo.Greeter/Forget", Rule::permission("greetings:delete"));
    let limit = RateLimit::builder("address").add_quota(Quota::per_minute(60)).build()?;
    let gate = Gate::builder()
        .with_accounts(accounts.clone())
        .with_access_map(rules)
        .add_rate_limit(limit)
        .build()
        .await?;

    let tenant = TenantId::default();
    let password = || "correct horse battery staple".to_owned().into();
    accounts.register(&tenant, Registration::new("ada", "ada@example.com", password())).await?;
    let tokens = accounts.sign_in(&tenant, "ada", password()).await?.tokens;
    let incoming = TcpIncoming::bind(std::env::var("BIND").as_deref().unwrap_or("127.0.0.1:8014").parse()?)?;
    let base = format!("http://{}", incoming.local_addr()?);
    println!("listening on {base}\n\ntry, with the name `ada` as the message");
    println!("  TOKEN={}", tokens.access_token.expose_secret());
    let call = "printf '\\0\\0\\0\\0\\003ada' | curl -si --http2-prior-knowledge -H 'content-type: application/grpc'";
    println!("  {call} --data-binary @- {base}/demo.Greeter/Hello   # grpc-status: 16");
    for (method, status) in [("Hello", 0), ("Forget", 7)] {
        println!(
            "  {call} -H \"authorization: Bearer $TOKEN\" --data-binary @- {base}/demo.Greeter/{method}   # {status}"
        );
    }

    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .max_concurrent_streams(100)
        .layer(MapRequestLayer::new(connection))
        .layer(gate.layer().with_renderer(GrpcStatus))
        // For calls that stream without end: `.with_deadline(Duration::MAX)`.
        .layer(BodyGuardLayer::new(BodyGuard::new()).with_renderer(GrpcStatus))
        .layer(MapRequestLayer::new(|request: Request<GuardedBody<Body>>| request.map(Body::new)))
        .add_service(Greeter)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

/// What tonic knows of the connection, in the gate's words. By this it knows whom to count a request to.
fn connection(mut request: Request<Body>) -> Request<Body> {
    let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    if let Some(peer) = peer {
        request.extensions_mut().insert(Connection::new(peer));
    }
    request
}
