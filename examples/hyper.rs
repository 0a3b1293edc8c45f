//! Plain hyper 1 behind the gate: no framework, no router; the access map says who may call what.
//!
//! ```text
//! cargo run --example hyper
//! ```
//!
//! `BIND` is the address to listen on. `examples/server/serve.rs` also bounds the number of connections and speaks HTTP/2.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use portcullis::account::{Accounts, Registration};
use portcullis::audit::MemorySink;
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::crypto::StaticKeys;
use portcullis::gate::Gate;
use portcullis::network::Connection;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::store::MemoryStore;
use portcullis::validate::{BodyGuard, BodyGuardLayer, GuardedBody};
use portcullis::{Principal, TenantId};
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let user = Role::new("user").grants("notes:write");
    let roles = RoleModel::builder().add(user).add(Role::new("admin").grants("audit:read")).build()?;
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
        .add(Method::GET, "/health", Rule::public())
        .add(Method::GET, "/me", Rule::authenticated())
        .add(Method::POST, "/notes", Rule::permission("notes:write"))
        .add(Method::GET, "/audit", Rule::permission("audit:read"));
    let limit = RateLimit::builder("address")
        .add_quota(Quota::per_minute(60))
        .add_quota(Quota::per_hour(1000))
        .build()?;
    let gate = Gate::builder()
        .with_accounts(accounts.clone())
        .with_access_map(rules)
        .add_rate_limit(limit)
        .build()
        .await?;
    // Behind the gate, so that nobody unknown makes the service read.
    let service = ServiceBuilder::new()
        .layer(gate.layer())
        .layer(BodyGuardLayer::new(BodyGuard::new().with_max_bytes(64 * 1024)))
        .service(service_fn(answer));

    let tenant = TenantId::default();
    let password = || "correct horse battery staple".to_owned().into();
    accounts.register(&tenant, Registration::new("ada", "ada@example.com", password())).await?;
    let tokens = accounts.sign_in(&tenant, "ada", password()).await?.tokens;
    let bind = std::env::var("BIND").unwrap_or_else(|_| "127.0.0.1:8013".to_owned());
    let listener = TcpListener::bind(bind).await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!("listening on {base}\n\ntry");
    println!("  TOKEN={}", tokens.access_token.expose_secret());
    println!("  curl -i {base}/me                                        # 401");
    println!("  curl -i {base}/me -H \"authorization: Bearer $TOKEN\"      # 200: ada");
    println!("  curl -i {base}/notes -H \"authorization: Bearer $TOKEN\" -d 'a note'");
    println!("  curl -i {base}/audit -H \"authorization: Bearer $TOKEN\"   # 403");
    println!(
        "  for i in $(seq 70); do curl -s -o /dev/null -w '%{{http_code}} ' {base}/health; done   # 429 after 60"
    );

    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10)).max_buf_size(64 * 1024);
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        // By this the gate knows whom to count a request to.
        let connection = Connection::new(peer);
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(connection);
                request
            })
            .service(service.clone());
        tokio::spawn(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    }
}

/// It is called only with requests that the rules let through.
async fn answer(request: Request<GuardedBody<Incoming>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let who = request.extensions().get::<Principal>().and_then(Principal::subject);
    let text = who.map_or("hello".to_owned(), |who| format!("hello {who}"));
    // A body that is too large or too slow is an error here; the guard answers in our place then.
    Ok(match request.into_body().collect().await.map(|body| body.to_bytes().len()) {
        Ok(length) => Response::new(format!("{text}, {length} bytes\n").into()),
        Err(_) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}
