use http::Request;

use super::*;
use crate::time::{ManualClock, Timestamp};

fn parts(peer: Option<&str>, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut parts = request.body(()).unwrap().into_parts().0;
    if let Some(peer) = peer {
        parts.extensions.insert(Connection::new(peer.parse().unwrap()));
    }
    parts
}

fn trusting(proxies: Result<TrustedProxies, crate::ConfigError>) -> Resolver {
    Resolver::new().with_trusted_proxies(proxies.unwrap()).with_clock(Arc::new(ManualClock::default()))
}

const PROXIES: [&str; 3] = ["10.0.0.0/8", "2001:db8:1::/48", "fe80::/10"];
const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";

/// Attack log G5 and R2: who the client is.
// ASVS 4.1.3, 15.3.4
#[test]
fn the_client_by_x_forwarded_for() {
    let resolver = trusting(TrustedProxies::x_forwarded_for(PROXIES));
    let (proxy, stranger) = ("10.0.0.1:4711", "198.51.100.1:4711");
    for (name, peer, headers, want, secure) in [
        ("nothing said", proxy, &[][..], "10.0.0.1", false),
        ("by a stranger", stranger, &[(FOR, "192.0.2.7"), (PROTO, "https")], "198.51.100.1", false),
        ("one proxy", proxy, &[(FOR, "192.0.2.7"), (PROTO, "https")], "192.0.2.7", true),
        ("what the client wrote to the left", proxy, &[(FOR, "203.0.113.9, 192.0.2.7")], "192.0.2.7", false),
        (
            "a trusted address to the left of the client",
            proxy,
            &[(FOR, "10.0.0.9, 192.0.2.7")],
            "192.0.2.7",
            false,
        ),
        ("two proxies", proxy, &[(FOR, "1.1.1.1, 192.0.2.7, 10.0.0.2")], "192.0.2.7", false),
        ("two lines", proxy, &[(FOR, "192.0.2.7"), (FOR, "10.0.0.2")], "192.0.2.7", false),
        ("two lines, one of the client", proxy, &[(FOR, "1.1.1.1"), (FOR, "192.0.2.7")], "192.0.2.7", false),
        (
            "three lines",
            proxy,
            &[(FOR, "1.1.1.1"), (FOR, "192.0.2.7"), (FOR, "10.0.0.3,10.0.0.2")],
            "192.0.2.7",
            false,
        ),
        ("all of them proxies", proxy, &[(FOR, "10.0.0.3, 10.0.0.2")], "10.0.0.3", false),
        ("unknown", proxy, &[(FOR, "192.0.2.7, unknown")], "10.0.0.1", false),
        ("unknown before a proxy", proxy, &[(FOR, "192.0.2.7, unknown, 10.0.0.2")], "10.0.0.2", false),
        ("hidden", proxy, &[(FOR, "192.0.2.7, _x, 10.0.0.2")], "10.0.0.2", false),
        ("garbage", proxy, &[(FOR, "192.0.2.7, <script>")], "10.0.0.1", false),
        ("empty", proxy, &[(FOR, "")], "10.0.0.1", false),
        ("an empty entry", proxy, &[(FOR, "192.0.2.7, , 10.0.0.2")], "10.0.0.2", false),
        ("a name", proxy, &[(FOR, "example.com")], "10.0.0.1", false),
        ("mapped", proxy, &[(FOR, "::ffff:192.0.2.7")], "192.0.2.7", false),
        ("a mapped proxy", proxy, &[(FOR, "192.0.2.7, ::ffff:10.0.0.2")], "192.0.2.7", false),
        ("a mapped peer", "[::ffff:10.0.0.1]:1", &[(FOR, "192.0.2.7:80")], "192.0.2.7", false),
        ("a peer with a zone", "[fe80::1%3]:1", &[(FOR, "[2001:DB8::7]:80")], "2001:db8::7", false),
        ("a proxy with a zone", proxy, &[(FOR, "192.0.2.7, fe80::2%eth0")], "192.0.2.7", false),
        ("the other header", proxy, &[("forwarded", "for=192.0.2.7;proto=https")], "10.0.0.1", false),
        ("http", proxy, &[(FOR, "192.0.2.7"), (PROTO, "http")], "192.0.2.7", false),
        ("forged https", proxy, &[(FOR, "1.1.1.1, 192.0.2.7"), (PROTO, "https, http")], "192.0.2.7", false),
        (
            "forged https, two lines",
            proxy,
            &[(FOR, "192.0.2.7"), (PROTO, "https"), (PROTO, "http")],
            "192.0.2.7",
            false,
        ),
        ("forged http", proxy, &[(FOR, "192.0.2.7"), (PROTO, "http, https")], "192.0.2.7", true),
        (
            "two proxies, https outside",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "https,http")],
            "192.0.2.7",
            true,
        ),
        (
            "two proxies, http outside",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "http,https")],
            "192.0.2.7",
            false,
        ),
        (
            "two proxies, one word",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "https")],
            "192.0.2.7",
            true,
        ),
        (
            "three proxies, too few words",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (PROTO, "https,https")],
            "192.0.2.7",
            false,
        ),
        (
            "three proxies",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (PROTO, "https,http,http")],
            "192.0.2.7",
            true,
        ),
        (
            "three proxies, forged",
            proxy,
            &[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (PROTO, "https,http,https,https")],
            "192.0.2.7",
            false,
        ),
        ("only the channel", proxy, &[(PROTO, "https")], "10.0.0.1", true),
        ("wss", proxy, &[(PROTO, "wss")], "10.0.0.1", false),
    ] {
        let context = resolver.resolve(&parts(Some(peer), headers));
        assert_eq!(context.client().unwrap().to_string(), want, "{name}");
        assert_eq!(context.is_secure(), secure, "{name}");
        assert_eq!(context.is_from_trusted_proxy(), peer != stranger, "{name}");
    }
}

#[test]
fn the_client_by_forwarded() {
    let resolver = trusting(TrustedProxies::forwarded(PROXIES));
    let (proxy, stranger) = ("10.0.0.1:4711", "198.51.100.1:4711");
    let header = "forwarded";
    for (name, peer, headers, want, secure) in [
        ("by a stranger", stranger, &[(header, "for=192.0.2.7;proto=https")][..], "198.51.100.1", false),
        ("one proxy", proxy, &[(header, "for=192.0.2.7;proto=https")], "192.0.2.7", true),
        ("quoted", proxy, &[(header, "proto=https;for=\"[2001:db8::7]:4711\"")], "2001:db8::7", true),
        ("to the left", proxy, &[(header, "for=1.1.1.1;proto=https, for=192.0.2.7")], "192.0.2.7", false),
        (
            "two proxies",
            proxy,
            &[(header, "for=192.0.2.7;proto=https, for=10.0.0.2;proto=http")],
            "192.0.2.7",
            true,
        ),
        (
            "two lines",
            proxy,
            &[(header, "for=1.1.1.1, for=192.0.2.7"), (header, "for=\"10.0.0.2:80\"")],
            "192.0.2.7",
            false,
        ),
        ("unknown", proxy, &[(header, "for=192.0.2.7, for=unknown;proto=https")], "10.0.0.1", true),
        ("hidden", proxy, &[(header, "for=192.0.2.7, for=_x, for=10.0.0.2")], "10.0.0.2", false),
        ("garbage to the left", proxy, &[(header, "for=\"x, for=192.0.2.7")], "192.0.2.7", false),
        ("an escaped quote to the left", proxy, &[(header, "for=\"\\\", for=192.0.2.7")], "192.0.2.7", false),
        (
            "a quote of another line",
            proxy,
            &[(header, "for=\"x"), (header, "for=192.0.2.7")],
            "192.0.2.7",
            false,
        ),
        ("garbage", proxy, &[(header, "for=192.0.2.7, for=")], "10.0.0.1", false),
        ("the other header", proxy, &[(FOR, "192.0.2.7"), (PROTO, "https")], "10.0.0.1", false),
        ("nobody named", proxy, &[(header, "by=10.0.0.1")], "10.0.0.1", false),
        ("two at once", proxy, &[(header, "for=192.0.2.7;for=10.0.0.2;proto=https")], "10.0.0.1", false),
    ] {
        let context = resolver.resolve(&parts(Some(peer), headers));
        assert_eq!(context.client().unwrap().to_string(), want, "{name}");
        assert_eq!(context.is_secure(), secure, "{name}");
    }
}

#[test]
fn the_channel_is_not_the_clients_word() {
    let mut forged = Request::get("https://example.com/").body(()).unwrap().into_parts().0;
    let peer = "198.51.100.1:4711".parse().unwrap();
    for (name, connection, resolver, want) in [
        ("no connection", None, Resolver::new(), false),
        ("plain", Some(Connection::new(peer)), Resolver::new(), false),
        ("TLS", Some(Connection::new(peer).with_tls(true)), Resolver::new(), true),
        ("always TLS", Some(Connection::new(peer)), Resolver::new().with_tls(true), true),
        ("always TLS, no connection", None, Resolver::new().with_tls(true), true),
    ] {
        forged.extensions.clear();
        connection.map(|connection| forged.extensions.insert(connection));
        assert_eq!(resolver.resolve(&forged).is_secure(), want, "{name}");
    }
    // What the proxy says of the client goes before what it speaks itself.
    let resolver = trusting(TrustedProxies::x_forwarded_for(PROXIES)).with_tls(true);
    for (headers, want) in [(&[(PROTO, "http")][..], false), (&[], true)] {
        assert_eq!(resolver.resolve(&parts(Some("10.0.0.1:1"), headers)).is_secure(), want);
    }
}

/// Attack log A4: only a trusted proxy names a request.
#[test]
fn whose_name_a_request_bears() {
    let resolver = trusting(TrustedProxies::x_forwarded_for(PROXIES));
    let (long, id) = ("a".repeat(129), "x-request-id");
    for (name, peer, headers, kept) in [
        ("a proxy's", Some("10.0.0.1:1"), &[(id, "7f3c-a")][..], true),
        ("a stranger's", Some("192.0.2.7:1"), &[(id, "7f3c-a")], false),
        ("nobody's", None, &[(id, "7f3c-a")], false),
        ("two", Some("10.0.0.1:1"), &[(id, "7f3c-a"), (id, "7f3c-a")], false),
        ("with a space", Some("10.0.0.1:1"), &[(id, "7f3c a")], false),
        ("injecting", Some("10.0.0.1:1"), &[(id, "7f3c\"}")], false),
        ("not ASCII", Some("10.0.0.1:1"), &[(id, "\u{e4}")], false),
        ("empty", Some("10.0.0.1:1"), &[(id, "")], false),
        ("too long", Some("10.0.0.1:1"), &[(id, &long)], false),
        ("none", Some("10.0.0.1:1"), &[], false),
    ] {
        let context = resolver.resolve(&parts(peer, headers));
        assert_eq!(context.id().as_str() == "7f3c-a", kept, "{name}");
        assert!(kept || context.id().as_str().len() == 22, "{name}");
    }
}

#[test]
fn a_context_is_made_once() {
    let resolver = trusting(TrustedProxies::x_forwarded_for(PROXIES));
    let mut parts = parts(Some("192.0.2.7:1"), &[]);
    let first = resolver.resolve(&parts);
    assert_eq!(first.received(), ManualClock::default().now());
    assert_ne!(first.id(), resolver.resolve(&parts).id());
    parts.extensions.insert(first.clone());
    assert_eq!(resolver.resolve(&parts), first);
    let further_out = RequestContext::new(RequestId::parse("x").unwrap(), Timestamp::UNIX_EPOCH);
    parts.extensions.insert(further_out.clone());
    assert_eq!(resolver.resolve(&parts), further_out);
}
