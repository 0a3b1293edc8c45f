use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::firewall::tests::{at_most, parts};
use crate::firewall::{Firewall, FirewallRule};
use crate::request_context::RequestContext;

/// Attack log A4 and A6: who may send what.
// ASVS 4.1.3
#[test]
fn headers_that_are_taken_out() {
    let own = Firewall::builder()
        .add_internal_header(HeaderName::from_static("x-user-id"))
        .add_proxy_header(HeaderName::from_static("x-edge-country"))
        .allow_header(HeaderName::from_static("x-real-ip"))
        .build()
        .unwrap();
    let strict = Firewall::new();
    for (name, firewall, header, by_stranger, by_proxy) in [
        ("method", &strict, "x-http-method-override", false, false),
        ("method", &strict, "x-http-method", false, false),
        ("method", &strict, "x-method-override", false, false),
        ("method", &strict, "_method", false, false),
        ("path", &strict, "x-original-url", false, false),
        ("path", &strict, "x-rewrite-url", false, false),
        ("internal", &strict, "x-middleware-subrequest", false, false),
        ("httpoxy", &strict, "proxy", false, false),
        ("forwarded", &strict, "forwarded", false, true),
        ("forwarded", &strict, "x-forwarded-for", false, true),
        ("forwarded", &strict, "x-forwarded-whatever", false, true),
        ("request id", &strict, "x-request-id", false, true),
        ("address", &strict, "x-real-ip", false, true),
        ("user", &strict, "remote-user", false, true),
        ("nobody's", &strict, "x-user-id", true, true),
        ("listed", &own, "x-user-id", false, false),
        ("listed for proxies", &own, "x-edge-country", false, true),
        ("opened", &own, "x-real-ip", true, true),
        ("still there", &own, "x-method-override", false, false),
    ] {
        for (trusted, want) in [(false, by_stranger), (true, by_proxy)] {
            let mut parts = parts("GET", "/", &[(header, "a"), (header, "b"), ("accept", "c")]);
            let id = crate::RequestId::parse("x").unwrap();
            let context = RequestContext::new(id, crate::time::Timestamp::UNIX_EPOCH);
            parts.extensions.insert(context.with_trusted_proxy(trusted));
            assert_eq!(firewall.check(&mut parts), Ok(()), "{name}: {header}");
            assert_eq!(parts.headers.contains_key(header), want, "{name}: {header}, trusted: {trusted}");
            assert!(parts.headers.contains_key("accept"));
        }
        let mut parts = parts("GET", "/", &[(header, "a")]);
        assert_eq!(firewall.check(&mut parts), Ok(()));
        assert_eq!(parts.headers.contains_key(header), by_stranger, "{header} without a context");
    }
    for twin in ["x_user_id", "x-user_id", "x_edge_country"] {
        assert_eq!(
            own.check(&mut parts("GET", "/", &[(twin, "a")])),
            Err(FirewallRule::HeaderTwin),
            "{twin}"
        );
    }
}

/// What a check allocates.
fn allocations(firewall: &Firewall, parts: &mut Parts) -> u64 {
    allocation_counter::measure(|| assert_eq!(firewall.check(parts), Ok(()))).count_total
}

#[test]
fn an_ordinary_request_costs_no_allocation() {
    let firewall = Firewall::builder().add_host("api.example").build().unwrap();
    let headers = [
        ("host", "api.example"),
        ("authorization", "Bearer a"),
        ("accept", "application/json"),
        ("user-agent", "test/1.0"),
        ("cookie", "a=b"),
    ];
    for uri in ["/", "/.well-known/jwks.json", "/api/tasks/42?state=open&page=2&q=a%20b"] {
        assert_eq!(allocations(&firewall, &mut parts("GET", uri, &headers)), 0, "{uri}");
    }
}

/// Attack log H6 (CVE-2025-14550): repeated headers cost in proportion, and are counted before anything is done with them.
#[test]
fn repeated_headers_cost_in_proportion() {
    let repeated = |number: usize| {
        let mut parts = parts("GET", "/", &[]);
        for _ in 0..number {
            parts.headers.append("x-forwarded-for", HeaderValue::from_static("a"));
        }
        (0..number).for_each(|i| {
            let name = HeaderName::try_from(format!("x_{i}_y")).unwrap();
            parts.headers.insert(name, HeaderValue::from_static("a"));
        });
        parts
    };
    let open = Firewall::builder().with_max_headers(at_most(20_000)).build().unwrap();
    let [few, many] = [500, 1000].map(|number| allocations(&open, &mut repeated(number)));
    assert!(few > 0 && many < 3 * few, "{few} for 500, {many} for 1000");
    let strict = Firewall::new();
    let mut flood = repeated(1000);
    let counted = allocation_counter::measure(|| {
        assert_eq!(strict.check(&mut flood), Err(FirewallRule::HeaderCount));
    });
    assert_eq!(counted.count_total, 0);
}
