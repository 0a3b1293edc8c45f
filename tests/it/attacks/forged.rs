//! What only a proxy or the service itself may say, said by a client.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response};
use portcullis::RequestContext;
use portcullis::authz::policy::from_network;
use portcullis::authz::{AccessMap, Rule};
use portcullis::context::{ContextLayer, Resolver, TrustedProxies};
use portcullis::firewall::{Firewall, FirewallLayer};
use portcullis::network::Connection;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::layers::gate;

type App = BoxCloneSyncService<Request<()>, Response<Bytes>, Infallible>;

/// Context, firewall and gate around a service that says what it sees.
async fn app(proxies: TrustedProxies) -> App {
    let map = AccessMap::builder()
        .add(Method::GET, "/open", Rule::public())
        .add(Method::GET, "/office", Rule::policy(from_network(["10.0.0.0/8", "192.0.2.0/24"])))
        .add(Method::GET, "/tasks", Rule::permission("tasks:read"))
        .add(Method::DELETE, "/open", Rule::permission("users:delete"));
    let seen = service_fn(async |request: Request<()>| {
        let context = request.extensions().get::<RequestContext>().unwrap();
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        let (client, secure) = (context.client().unwrap(), context.is_secure());
        let seen = format!("{} {} {client} {secure} {names:?}", request.method(), request.uri());
        Ok::<_, Infallible>(Response::new(Bytes::from(seen)))
    });
    let service = FirewallLayer::new(Firewall::new()).layer(gate(map).await.layer().layer(seen));
    let resolver = Resolver::new().with_trusted_proxies(proxies);
    BoxCloneSyncService::new(ContextLayer::new(resolver).layer(service))
}

async fn ask(app: &App, path: &str, peer: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
    let mut request = Request::get(path).header("authorization", "Bearer user");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(Connection::new(peer.parse().unwrap()));
    let response = app.clone().oneshot(request).await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap(), id)
}

/// Attack log A4 (CVE-2025-29927): every header that means something inside, with every value a forger would like, is as if
/// it had not been sent.
// ASVS 4.1.3, 15.3.4
#[tokio::test]
async fn a_forged_internal_header_has_no_effect() {
    let forged = [
        ("forwarded", "for=10.0.0.1;proto=https;host=internal.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-for", "127.0.0.1, ::1, 10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "internal.example"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/open"),
        ("x-forwarded-user", "admin"),
        ("x-real-ip", "10.0.0.1"),
        ("true-client-ip", "10.0.0.1"),
        ("cf-connecting-ip", "10.0.0.1"),
        ("x-request-id", "chosen-by-me"),
        ("x-middleware-subrequest", "middleware:middleware:middleware"),
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("_method", "DELETE"),
        ("x-original-url", "/tasks"),
        ("x-rewrite-url", "/tasks"),
        ("remote-user", "admin"),
        ("x-remote-user", "admin"),
        ("proxy", "http://evil.example"),
    ];
    let trusting = || ["10.0.0.0/8"];
    for (stack, proxies) in [
        ("no proxies", TrustedProxies::none()),
        ("X-Forwarded-For", TrustedProxies::x_forwarded_for(trusting()).unwrap()),
        ("Forwarded", TrustedProxies::forwarded(trusting()).unwrap()),
    ] {
        let app = app(proxies).await;
        for path in ["/open", "/office", "/tasks", "/nothing"] {
            let plain = ask(&app, path, "198.51.100.1:4711", &[]).await;
            for header in forged {
                let got = ask(&app, path, "198.51.100.1:4711", &[header]).await;
                assert_eq!((got.0, &got.1), (plain.0, &plain.1), "{stack}: {path} with {header:?}");
                assert_eq!(got.2.len(), 22, "{stack}: {path} with {header:?}");
                assert_ne!(got.2, plain.2);
            }
        }
        // The same from a proxy that is trusted is believed, as far as it is asked.
        let (status, seen, id) = ask(
            &app,
            "/office",
            "10.0.0.9:1",
            &[("x-forwarded-for", "192.0.2.7"), ("x-request-id", "of-the-proxy")],
        )
        .await;
        let (client, kept) = match stack {
            "no proxies" => ("10.0.0.9", false),
            "Forwarded" => ("10.0.0.9", true),
            _ => ("192.0.2.7", true),
        };
        assert_eq!(status, 200, "{stack}");
        assert!(seen.contains(client), "{stack}: {seen}");
        assert_eq!(id == "of-the-proxy", kept, "{stack}");
    }
}

/// Attack log R2 (tower_governor's `SmartIpKeyExtractor`: 200 of 200 requests passed) and G5: a peer that writes another
/// address into each request is one client; behind a proxy that appends, so is the client of that proxy.
#[tokio::test]
async fn rotating_addresses_are_one_client() {
    let key = |peer: &'static str, line: &'static str| {
        let proxies = TrustedProxies::x_forwarded_for(["10.0.0.0/8"]).unwrap();
        let resolver = Resolver::new().with_trusted_proxies(proxies);
        (0..200)
            .map(|number| {
                let value = line.replace("{}", &number.to_string());
                let mut request = Request::get("/").header("x-forwarded-for", value).body(()).unwrap();
                request.extensions_mut().insert(Connection::new(peer.parse().unwrap()));
                resolver.resolve(&request.into_parts().0).client().unwrap().to_string()
            })
            .collect::<std::collections::BTreeSet<_>>()
    };
    for (name, peer, line, want) in [
        ("an untrusted peer", "198.51.100.1:1", "203.0.113.{}", "198.51.100.1"),
        ("an untrusted peer with a port", "198.51.100.1:1", "203.0.113.{}:80, 10.0.0.1", "198.51.100.1"),
        ("behind a proxy", "10.0.0.1:1", "203.0.113.{}, 198.51.100.1", "198.51.100.1"),
        (
            "behind two, with garbage",
            "10.0.0.1:1",
            "203.0.113.{}, \"x, 198.51.100.1, 10.0.0.2",
            "198.51.100.1",
        ),
        ("behind a proxy that says nothing", "10.0.0.1:1", "203.0.113.{}, unknown", "10.0.0.1"),
    ] {
        assert_eq!(key(peer, line).into_iter().collect::<Vec<_>>(), [want], "{name}");
    }
}
