//! A plain tower service behind the gate: no framework, everything in memory.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! Watch how one service answers differently: nobody is told who they are not (401), somebody is told what they may not
//! do (403), a route without a rule isn't there (404), and after sign-out the same token is dead at once. The audit
//! trail at the end names what happened, and holds no secret.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use portcullis::account::{Accounts, Registration};
use portcullis::audit::MemorySink;
use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
use portcullis::crypto::StaticKeys;
use portcullis::gate::Gate;
use portcullis::store::MemoryStore;
use portcullis::{Principal, Rejection, TenantId};
use secrecy::ExposeSecret as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let audit = MemorySink::default();
    let roles = RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add(Role::new("admin").inherits("user").grants("tasks:*"))
        .build()?;
    let accounts = Accounts::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_keys(Arc::new(StaticKeys::generate()?))
        .with_audit(Arc::new(audit.clone()))
        .with_issuer("https://id.example")
        .with_audience("https://api.example")
        .with_roles(roles)
        .with_default_roles(["user"])
        .build()
        .await?;
    let rules = AccessMap::builder()
        .add(Method::GET, "/health", Rule::public())
        .add(Method::GET, "/tasks", Rule::permission("tasks:read"))
        .add(Method::DELETE, "/tasks/{id}", Rule::role("admin"));
    let gate = Gate::builder().with_accounts(accounts.clone()).with_access_map(rules).build().await?;
    let service = gate.layer().layer(service_fn(hello));

    let tenant = TenantId::default();
    let password = || "correct horse battery staple".to_owned().into();
    let ada = accounts.register(&tenant, Registration::new("ada", "ada@example.com", password())).await?;
    let tokens = accounts.sign_in(&tenant, "ADA@example.com", password()).await?.tokens;
    let token = tokens.access_token.expose_secret();

    let call = async |who: &str, method: &str, path: &str, token: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = service.clone().oneshot(request.body(())?).await?;
        let code = response.extensions().get::<Rejection>().map_or("", |why| why.code().as_str());
        println!("{who:16} {method:6} {path:10} {} {code}", response.status());
        Ok::<_, Box<dyn Error>>(())
    };
    call("nobody", "GET", "/health", None).await?;
    call("nobody", "GET", "/tasks", None).await?;
    call("a forger", "GET", "/tasks", Some(&token.replace('.', ".A"))).await?;
    call("ada", "GET", "/tasks", Some(token)).await?;
    call("ada", "DELETE", "/tasks/1", Some(token)).await?;
    call("ada", "GET", "/forgotten", Some(token)).await?;
    accounts.sign_out(&tenant, &ada.id, &tokens.family).await?;
    call("ada, signed out", "GET", "/tasks", Some(token)).await?;
    gate.shutdown().await;

    let events = audit.events();
    println!("\naudit: {}", events.iter().map(|event| event.name().as_str()).collect::<Vec<_>>().join(", "));
    Ok(())
}

/// The service: it is called only with requests that the rules let through.
async fn hello(request: Request<()>) -> Result<Response<Bytes>, Infallible> {
    let who = request.extensions().get::<Principal>().and_then(Principal::subject);
    Ok(Response::new(who.map_or("hello".into(), |who| format!("hello {who}").into())))
}
