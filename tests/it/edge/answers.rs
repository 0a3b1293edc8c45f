//! What stands in an answer when the handler, the gate and its configuration all have something to say.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use http::{Method, Response};
use portcullis::RequestContext;
use portcullis::gate::GateBuilder;
use portcullis::headers::{Cacheable, SecurityHeaders};
use portcullis::time::ManualClock;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, service_fn};

use super::{ADA, APP, App, EVIL, ask, builder, cors, per_minute, send};

type Line = (&'static str, &'static str);

/// What the handler is to say.
#[derive(Clone, Copy, Debug)]
enum Says {
    Lines(&'static [Line]),
    /// The same, of what is the same for everybody.
    Cacheable(&'static [Line]),
    /// Lets every origin read what it answers, as many a handler does.
    Reflection,
}

/// Says what it is told to; its body is the id of the request.
async fn handler(request: Request) -> Response<Body> {
    let context = request.extensions().get::<RequestContext>().unwrap();
    let mut response = Response::builder();
    let says = request.extensions().get::<Says>().unwrap();
    match says {
        Says::Lines(lines) | Says::Cacheable(lines) => {
            for (name, value) in *lines {
                response = response.header(*name, *value);
            }
        }
        Says::Reflection => {
            for origin in request.headers().get_all("origin") {
                response = response.header("access-control-allow-origin", origin);
            }
            response = response
                .header("access-control-allow-credentials", "true")
                .header("access-control-expose-headers", "x-theirs");
        }
    }
    if let Says::Cacheable(_) = says {
        response = response.extension(Cacheable);
    }
    response.body(Body::from(context.id().to_string())).unwrap()
}

/// The handler as the gate's own route, and as a plain service behind its layer.
async fn apps(configure: &Configure<'_>, clock: &ManualClock) -> [(&'static str, App); 2] {
    let gate = configure(builder(clock)).build().await.unwrap();
    // The rows that nothing here serves.
    let unused = async || "";
    let routed = gate
        .router()
        .mapped(Method::GET, "/open", handler)
        .mapped(Method::POST, "/open", unused)
        .mapped(Method::GET, "/tasks/{id}", unused)
        .mapped(Method::GET, "/admin", unused)
        .mapped(Method::GET, "/panic", unused)
        .mapped(Method::GET, "/cached", unused)
        .finish()
        .unwrap();
    let gate = configure(builder(clock)).build().await.unwrap();
    let plain = service_fn(async |request| Ok::<_, Infallible>(handler(request).await));
    let layered = gate.layer().layer(plain);
    [("router", BoxCloneSyncService::new(routed)), ("layer", BoxCloneSyncService::new(layered))]
}

/// What the gate is like.
type Configure<'a> = dyn Fn(GateBuilder) -> GateBuilder + Sync + 'a;

/// Name, configuration, headers of the request, what the handler says, all lines of the answer but those of the preset.
type Row<'a> = (&'a str, &'a Configure<'a>, &'a [Line], Says, &'a [Line]);

const ID: Line = ("x-request-id", "<id>");
const POLICY: Line = ("ratelimit-policy", "\"address\";q=100;w=60");
const STATE: Line = ("ratelimit", "\"address\";r=99;t=1");
const NO_STORE: Line = ("cache-control", "no-store");
const CREDENTIALS: Line = ("access-control-allow-credentials", "true");
const ALLOWED: Line = ("access-control-allow-origin", "https://app.example");
const ORIGIN: Line = ("vary", "origin");
/// What an answer to a request with a credential depends on.
const VARY: Line = ("vary", "authorization, cookie, x-api-key, origin");
/// The same for an answer that sets a cookie.
const VARY_COOKIE: Line = ("vary", "origin, authorization, cookie, x-api-key");

fn plain(gate: GateBuilder) -> GateBuilder {
    gate
}

fn with_cors(gate: GateBuilder) -> GateBuilder {
    gate.with_cors(cors())
}

fn limited(gate: GateBuilder) -> GateBuilder {
    gate.add_rate_limit(per_minute(100))
}

fn all(gate: GateBuilder) -> GateBuilder {
    limited(with_cors(gate))
}

fn without_headers(gate: GateBuilder) -> GateBuilder {
    all(gate).danger_without_headers()
}

/// All parts but the one that refuses most of what is there twice.
fn no_firewall(gate: GateBuilder) -> GateBuilder {
    all(gate).danger_without_firewall()
}

/// All parts, and headers without this name.
fn without(name: &'static str) -> impl Fn(GateBuilder) -> GateBuilder + Sync {
    move |gate| all(gate).with_headers(SecurityHeaders::api().remove_header(name).build().unwrap())
}

/// All parts, and a header of this name that says something else.
fn custom(name: &'static str) -> impl Fn(GateBuilder) -> GateBuilder + Sync {
    move |gate| all(gate).with_headers(SecurityHeaders::api().with_custom(name, "custom").build().unwrap())
}

/// Sorts the lines by their name; those of one name keep their order.
fn sorted<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_by_key(|(name, _)| *name);
    lines
}

async fn check(rows: &[Row<'_>]) {
    let preset = SecurityHeaders::api().build().unwrap();
    let mut wrong = Vec::new();
    for (name, configure, headers, says, want) in rows {
        let clock = ManualClock::default();
        for (form, app) in apps(configure, &clock).await {
            let mut request = ask("GET", "/open", headers);
            request.extensions_mut().insert(*says);
            let (status, answer, id) = send(&app, request).await;
            assert_eq!(status, 200, "{name}, {form}: {id}");
            let lines = answer.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            let lines = lines.map(|(name, value)| (name, if value == id { "<id>" } else { value }));
            let fixed = |(name, value): &(&str, &str)| {
                *name == "content-length" || preset.values().any(|(ours, said)| ours == name && said == value)
            };
            let lines = sorted(lines.filter(|line| !fixed(line)));
            let want = sorted(want.iter().copied());
            if lines != want {
                wrong.push(format!("{name}, {form}:\n  says {lines:?}\n  want {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// H4: who may read an answer is said by the gate alone as soon as an origin asks.
#[tokio::test]
async fn a_handler_lets_no_origin_in() {
    const THEIRS: Line = ("access-control-allow-origin", "https://evil.example");
    check(&[
        (
            "an origin that is allowed",
            &all,
            &[APP],
            Says::Reflection,
            &[CREDENTIALS, ALLOWED, POLICY, STATE, ORIGIN, ID],
        ),
        ("one that is not", &all, &[EVIL], Says::Reflection, &[POLICY, STATE, ORIGIN, ID]),
        ("null", &all, &[("origin", "null")], Says::Reflection, &[POLICY, STATE, ORIGIN, ID]),
        ("with a credential", &all, &[EVIL, ADA], Says::Reflection, &[NO_STORE, POLICY, STATE, VARY, ID]),
        (
            "allowed, with a credential",
            &all,
            &[APP, ADA],
            Says::Reflection,
            &[CREDENTIALS, ALLOWED, NO_STORE, POLICY, STATE, VARY, ID],
        ),
        ("two lines of origins", &no_firewall, &[APP, EVIL], Says::Reflection, &[POLICY, STATE, ORIGIN, ID]),
        (
            "two lines of one origin",
            &no_firewall,
            &[APP, APP],
            Says::Lines(&[]),
            &[POLICY, STATE, ORIGIN, ID],
        ),
        (
            "two lines from the handler",
            &all,
            &[APP],
            Says::Lines(&[THEIRS, THEIRS, CREDENTIALS]),
            &[CREDENTIALS, ALLOWED, POLICY, STATE, ORIGIN, ID],
        ),
        (
            "nothing allowed",
            &|gate| gate.with_cors(portcullis::cors::Cors::builder().build().unwrap()),
            &[EVIL],
            Says::Reflection,
            &[ID],
        ),
        (
            "no headers, an origin that is allowed",
            &without_headers,
            &[APP],
            Says::Reflection,
            &[CREDENTIALS, ALLOWED, POLICY, STATE, ORIGIN, ID],
        ),
        (
            "no headers, one that is not",
            &without_headers,
            &[EVIL],
            Says::Reflection,
            &[POLICY, STATE, ORIGIN, ID],
        ),
    ])
    .await;
}

/// Two lines of origins are no request to begin with: the firewall refuses them, and no page may read that.
#[tokio::test]
async fn two_origins_are_none() {
    for (form, app) in apps(&all, &ManualClock::default()).await {
        let (status, answer, _) = send(&app, ask("GET", "/open", &[APP, APP])).await;
        assert_eq!(status, 400, "{form}");
        assert!(
            answer.keys().all(|name| !name.as_str().starts_with("access-control-")),
            "{form}: {answer:?}"
        );
    }
}

/// What the gate says about a request and its limits, beside what a handler says.
#[tokio::test]
async fn the_gate_says_its_own_lines_once() {
    const THEIR_ID: Line = ("x-request-id", "theirs");
    const THEIR_POLICY: Line = ("ratelimit-policy", "\"theirs\";q=5;w=1");
    const THEIR_STATE: Line = ("ratelimit", "\"theirs\";r=4;t=1");
    const EVERYTHING: Says = Says::Lines(&[THEIR_ID, THEIR_STATE, THEIR_POLICY, ACCEPT]);
    const ACCEPT: Line = ("vary", "Accept");
    check(&[
        ("a name", &plain, &[], Says::Lines(&[THEIR_ID]), &[ID]),
        ("two names", &all, &[], Says::Lines(&[THEIR_ID, THEIR_ID]), &[POLICY, STATE, ORIGIN, ID]),
        ("a name, no headers", &without_headers, &[], Says::Lines(&[THEIR_ID]), &[POLICY, STATE, ORIGIN, ID]),
        (
            "a limit",
            &limited,
            &[],
            Says::Lines(&[THEIR_STATE, THEIR_POLICY]),
            &[THEIR_POLICY, POLICY, THEIR_STATE, STATE, ID],
        ),
        (
            "two limits",
            &all,
            &[],
            Says::Lines(&[THEIR_STATE, THEIR_STATE, THEIR_POLICY]),
            &[THEIR_POLICY, POLICY, THEIR_STATE, THEIR_STATE, STATE, ORIGIN, ID],
        ),
        ("a limit, none of ours", &plain, &[], Says::Lines(&[THEIR_STATE]), &[THEIR_STATE, ID]),
        (
            "a limit, no headers",
            &without_headers,
            &[],
            Says::Lines(&[THEIR_STATE, THEIR_POLICY]),
            &[THEIR_POLICY, POLICY, THEIR_STATE, STATE, ORIGIN, ID],
        ),
        (
            "no headers, nothing said",
            &without_headers,
            &[APP, ADA],
            Says::Lines(&[]),
            &[CREDENTIALS, ALLOWED, POLICY, STATE, ORIGIN, ID],
        ),
        (
            "no name",
            &without("x-request-id"),
            &[],
            EVERYTHING,
            &[THEIR_POLICY, POLICY, THEIR_STATE, STATE, ACCEPT, ORIGIN],
        ),
        ("no name, none said", &without("x-request-id"), &[], Says::Lines(&[]), &[POLICY, STATE, ORIGIN]),
        ("no state", &without("ratelimit"), &[], EVERYTHING, &[THEIR_POLICY, POLICY, ACCEPT, ORIGIN, ID]),
        (
            "no policy",
            &without("ratelimit-policy"),
            &[],
            EVERYTHING,
            &[THEIR_STATE, STATE, ACCEPT, ORIGIN, ID],
        ),
        ("no vary", &without("vary"), &[], EVERYTHING, &[THEIR_POLICY, POLICY, THEIR_STATE, STATE, ID]),
        (
            "a name for all",
            &custom("x-request-id"),
            &[],
            EVERYTHING,
            &[THEIR_POLICY, POLICY, THEIR_STATE, STATE, ACCEPT, ORIGIN, ("x-request-id", "custom")],
        ),
        (
            "a state for all",
            &custom("ratelimit"),
            &[],
            EVERYTHING,
            &[THEIR_POLICY, POLICY, ("ratelimit", "custom"), ACCEPT, ORIGIN, ID],
        ),
    ])
    .await;
}

/// H1: what an answer depends on is merged and never lost.
#[tokio::test]
async fn what_an_answer_depends_on_is_listed_once() {
    const ACCEPT: Line = ("vary", "Accept");
    const LANGUAGE: Line = ("vary", "Accept-Language");
    const THEIR_ORIGIN: Line = ("vary", "oRiGiN");
    check(&[
        ("nothing", &with_cors, &[], Says::Lines(&[]), &[ORIGIN, ID]),
        ("once", &with_cors, &[], Says::Lines(&[ACCEPT]), &[ACCEPT, ORIGIN, ID]),
        ("twice", &with_cors, &[], Says::Lines(&[ACCEPT, LANGUAGE]), &[ACCEPT, LANGUAGE, ORIGIN, ID]),
        ("another case", &with_cors, &[], Says::Lines(&[ACCEPT, THEIR_ORIGIN]), &[ACCEPT, THEIR_ORIGIN, ID]),
        (
            "in one line",
            &with_cors,
            &[APP],
            Says::Lines(&[("vary", "Accept, Origin")]),
            &[CREDENTIALS, ALLOWED, ("vary", "Accept, Origin"), ID],
        ),
        ("everything", &with_cors, &[], Says::Lines(&[("vary", "*")]), &[("vary", "*"), ID]),
        ("no CORS", &plain, &[], Says::Lines(&[ACCEPT]), &[ACCEPT, ID]),
        (
            "no headers",
            &without_headers,
            &[],
            Says::Lines(&[ACCEPT, THEIR_ORIGIN]),
            &[POLICY, STATE, ACCEPT, THEIR_ORIGIN, ID],
        ),
        ("a credential", &with_cors, &[ADA], Says::Lines(&[]), &[NO_STORE, VARY, ID]),
        (
            "a credential, once",
            &with_cors,
            &[ADA],
            Says::Lines(&[ACCEPT]),
            &[NO_STORE, ("vary", "Accept, authorization, cookie, x-api-key, origin"), ID],
        ),
        (
            "a credential, twice",
            &with_cors,
            &[ADA],
            Says::Lines(&[ACCEPT, LANGUAGE]),
            &[NO_STORE, ("vary", "Accept, authorization, cookie, x-api-key, origin"), LANGUAGE, ID],
        ),
        (
            "a credential, another case",
            &with_cors,
            &[ADA],
            Says::Lines(&[THEIR_ORIGIN]),
            &[NO_STORE, ("vary", "oRiGiN, authorization, cookie, x-api-key"), ID],
        ),
    ])
    .await;
}

/// Nobody in between stores what is for one.
#[tokio::test]
async fn cookies_are_not_stored_and_pictures_are() {
    const ONE: Line = ("set-cookie", "a=1");
    const TWO: Line = ("set-cookie", "b=2");
    const PUBLIC: Line = ("cache-control", "public, max-age=60");
    check(&[
        (
            "two cookies",
            &all,
            &[],
            Says::Lines(&[ONE, TWO]),
            &[NO_STORE, POLICY, STATE, ONE, TWO, VARY_COOKIE, ID],
        ),
        (
            "two cookies of one that is known",
            &all,
            &[ADA],
            Says::Lines(&[ONE, TWO, PUBLIC]),
            &[NO_STORE, POLICY, STATE, ONE, TWO, VARY, ID],
        ),
        ("public", &all, &[ADA], Says::Cacheable(&[PUBLIC]), &[PUBLIC, POLICY, STATE, ORIGIN, ID]),
        (
            "public, with a cookie",
            &all,
            &[ADA],
            Says::Cacheable(&[PUBLIC, ONE, TWO]),
            &[NO_STORE, POLICY, STATE, ONE, TWO, VARY_COOKIE, ID],
        ),
        ("not public", &all, &[ADA], Says::Lines(&[PUBLIC]), &[NO_STORE, POLICY, STATE, VARY, ID]),
    ])
    .await;
}
