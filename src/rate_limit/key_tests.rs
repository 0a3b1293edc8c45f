use http::{HeaderName, Request};

use super::*;
use crate::id::{RequestId, Subject, TenantId, TokenId};
use crate::principal::Principal;
use crate::request_context::RequestContext;
use crate::time::Timestamp;

fn request(client: Option<&str>, principal: Option<Principal>) -> Request<()> {
    let mut context = RequestContext::new(RequestId::parse("r").unwrap(), Timestamp::UNIX_EPOCH);
    if let Some(client) = client {
        context = context.with_client(ClientAddress::new(client.parse().unwrap()));
    }
    let mut request = Request::new(());
    request.extensions_mut().insert(context);
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    request
}

fn bytes(key: &RateKey, request: &Request<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&RateRequest::new(request, || Timestamp::UNIX_EPOCH), &mut bytes);
    bytes
}

fn user(tenant: &str, subject: &str) -> Principal {
    Principal::user(TenantId::parse(tenant).unwrap(), Subject::parse(subject).unwrap())
}

/// Rows R3 and G5.
#[test]
fn addresses_that_are_one_client() {
    let by = |key: &RateKey, address: &str| bytes(key, &request(Some(address), None));
    let default = RateKey::address();
    for (a, b, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "::ffff:c000:201", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8::1", "2001:DB8::FFFF:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("2001:db8::1", "2001:db9::1", false),
        ("::192.0.2.1", "192.0.2.1", false),
        ("::", "0.0.0.0", false),
    ] {
        assert_eq!(by(&default, a) == by(&default, b), same, "{a} {b}");
    }
    for (bits, a, b, same) in [
        (56, "2001:db8:0:1::1", "2001:db8:0:ff::1", true),
        (56, "2001:db8:0:1::1", "2001:db8:0:100::1", false),
        (128, "2001:db8::1", "2001:db8::2", false),
        (127, "2001:db8::2", "2001:db8::3", true),
        (1, "::1", "7fff::1", true),
        (32, "192.0.2.1", "192.0.2.2", false),
    ] {
        let key = RateKey::address_with_ipv6_prefix(bits);
        assert_eq!(by(&key, a) == by(&key, b), same, "/{bits}: {a} {b}");
    }
}

#[test]
fn who_is_counted_with_whom() {
    let ada = || user("default", "ada");
    let token = |id: &str| {
        let program = Principal::api_key(TenantId::default(), Subject::parse("ada").unwrap());
        program.with_token(TokenId::parse(id).unwrap(), Timestamp::MAX)
    };
    let anonymous = || Principal::anonymous(TenantId::default());
    let (near, far) = (Some("192.0.2.1"), Some("192.0.2.2"));
    for (name, key, a, b, same) in [
        ("address", RateKey::address(), (near, Some(ada())), (near, Some(user("t", "x"))), true),
        ("no address", RateKey::address(), (None, None), (None, None), true),
        ("no address and one", RateKey::address(), (None, None), (near, None), false),
        ("principal", RateKey::principal(), (near, Some(ada())), (far, Some(ada())), true),
        ("other tenant", RateKey::principal(), (near, Some(ada())), (near, Some(user("t", "ada"))), false),
        ("other kind", RateKey::principal(), (near, Some(ada())), (near, Some(token("k1"))), false),
        (
            "anonymous, apart",
            RateKey::principal(),
            (near, Some(anonymous())),
            (far, Some(anonymous())),
            false,
        ),
        ("anonymous or nobody", RateKey::principal(), (near, Some(anonymous())), (near, None), true),
        (
            "keys of one subject",
            RateKey::principal(),
            (near, Some(token("k1"))),
            (far, Some(token("k2"))),
            true,
        ),
        ("keys apart", RateKey::api_key(), (near, Some(token("k1"))), (near, Some(token("k2"))), false),
        ("a token is no key", RateKey::api_key(), (near, Some(ada())), (far, Some(ada())), true),
        ("tenant", RateKey::tenant(), (near, Some(ada())), (far, Some(user("default", "ben"))), true),
        ("tenants apart", RateKey::tenant(), (near, Some(ada())), (near, Some(user("t", "ada"))), false),
        (
            "both",
            RateKey::address().and(RateKey::principal()),
            (near, Some(ada())),
            (far, Some(ada())),
            false,
        ),
    ] {
        let (a, b) = (request(a.0, a.1), request(b.0, b.1));
        assert_eq!(bytes(&key, &a) == bytes(&key, &b), same, "{name}");
    }
}

#[test]
fn parts_keep_their_places() {
    let (a, b) = (HeaderName::from_static("a"), HeaderName::from_static("b"));
    let both = RateKey::header(a).and(RateKey::header(b));
    let of = |headers: &[(&'static str, &'static str)]| {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, http::HeaderValue::from_static(value));
        }
        bytes(&both, &request)
    };
    let mut seen = std::collections::HashSet::new();
    for headers in [
        &[][..],
        &[("a", "")],
        &[("b", "")],
        &[("a", ""), ("b", "")],
        &[("a", "x")],
        &[("b", "x")],
        &[("a", "x"), ("a", "x")],
        &[("a", "xx")],
        &[("a", "x"), ("b", "x")],
    ] {
        assert!(seen.insert(of(headers)), "{headers:?}");
    }
    let written = |write: fn(&mut KeyWriter<'_>)| {
        let key = RateKey::from_fn(move |_, key| write(key)).and(RateKey::tenant());
        bytes(&key, &Request::new(()))
    };
    assert!(seen.insert(written(|_| {})));
    assert!(seen.insert(written(|key| key.text(""))));
    assert!(seen.insert(written(|key| key.text("ab"))));
    assert!(seen.insert(written(|key| {
        key.text("a");
        key.text("b");
    })));
    assert!(seen.insert(written(|key| key.number(0))));
    assert_eq!(written(|key| key.text("a")), written(|key| key.bytes(b"a")));
}

/// Row R2: what a client writes into a header is nobody's address.
#[test]
fn forwarding_headers_are_not_read() {
    let mut forged = request(Some("192.0.2.1"), None);
    let plain = bytes(&RateKey::address(), &forged);
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"] {
        forged.headers_mut().insert(name, http::HeaderValue::from_static("198.51.100.7"));
    }
    assert_eq!(bytes(&RateKey::address(), &forged), plain);
}
