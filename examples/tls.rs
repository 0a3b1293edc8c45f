//! TLS 1.2 and 1.3 in the process itself, by rustls, and a second listener that sends browsers from HTTP to HTTPS.
//!
//! ```text
//! cargo run --example tls
//! ```
//!
//! `BIND` and `HTTP_BIND` are the addresses to listen on, `PUBLIC_HOST` is where browsers are sent, `TLS_CERT` and
//! `TLS_KEY` are PEM files; without them a certificate is made that nobody trusts.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(unreachable_pub, reason = "the modules of a program have no outside")]

#[path = "server/serve.rs"]
mod serve;

use std::convert::Infallible;
use std::error::Error;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use portcullis::account::Accounts;
use portcullis::audit::MemorySink;
use portcullis::authz::Rule;
use portcullis::axum::account_routes;
use portcullis::crypto::StaticKeys;
use portcullis::gate::Gate;
use portcullis::store::MemoryStore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, version};
use tower::service_fn;

const LIMITS: serve::Limits =
    serve::Limits { connections: 400, silence: Duration::from_secs(10), farewell: Duration::from_secs(10) };

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let var = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = |name, default: &str| {
        let text = var(name, default);
        text.parse()
            .map_err(|_| format!("{name}: `{text}` is not an address with a port, such as `{default}`"))
    };
    let host = var("PUBLIC_HOST", "localhost:8443");
    let accounts = Accounts::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_keys(Arc::new(StaticKeys::generate()?))
        .with_audit(Arc::new(MemorySink::default()))
        .with_issuer(format!("https://{host}"))
        .with_audience(format!("https://{host}"))
        .build()
        .await?;
    let gate = Gate::builder().with_accounts(accounts.clone()).build().await?;
    let service = gate
        .router()
        .route(Method::GET, "/health", async || "ok\n", Rule::public())
        .add_routes_at("/api/auth", account_routes(&accounts, gate.tenant()))
        .finish()?;

    let (chain, key) = certificate()?;
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(tls));

    let https = serve::listen(address("BIND", "127.0.0.1:8443")?)?;
    let http = serve::listen(address("HTTP_BIND", "127.0.0.1:8080")?)?;
    println!("listening on https://{}", https.local_addr()?);
    println!("redirecting http://{} to https://{host}\n\ntry", http.local_addr()?);
    println!("  curl -ik https://{}/health            # with strict-transport-security", https.local_addr()?);
    println!("  curl -i http://{}/health -H 'host: evil.example'   # to {host}", http.local_addr()?);
    println!("  curl -i http://{}/health -H 'authorization: Bearer a'   # 403", http.local_addr()?);

    let redirect = service_fn(move |request: Request<Body>| ready(redirect(&host, &request)));
    let plain = |stream| ready(Ok(stream));
    tokio::join!(
        serve::serve(https, move |stream| tls.accept(stream), true, service, LIMITS, pending()),
        serve::serve(http, plain, false, redirect, LIMITS, pending()),
    );
    Ok(())
}

/// To the configured host, never to the one that was asked for. A program that sends something worth reading over HTTP is
/// refused instead, or nobody would notice (ASVS 4.1.2).
fn redirect(host: &str, request: &Request<Body>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let browses = matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::AUTHORIZATION)
        && path.starts_with('/');
    let mut response = Response::new(Body::empty());
    match HeaderValue::try_from(format!("https://{host}{path}")) {
        Ok(location) if browses => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
        _ => *response.status_mut() = StatusCode::FORBIDDEN,
    }
    Ok(response)
}

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn certificate() -> Result<Certificate, Box<dyn Error>> {
    if let (Ok(chain), Ok(key)) = (std::env::var("TLS_CERT"), std::env::var("TLS_KEY")) {
        let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
        return Ok((chain, PrivateKeyDer::from_pem_file(key)?));
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    Ok((vec![made.cert.into()], made.signing_key.into()))
}
