//! Everything in front of a handler: CORS, eight headers, a limit by address, a bearer token and a role. The usual stack
//! of tower-http, tower_governor and a JWT layer beside the gate, which does more.

use std::sync::Arc;

use axum::Router;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use portcullis::authz::Rule;
use portcullis::axum::GateService;
use portcullis::context::ContextLayer;
use portcullis::cors::Cors;
use portcullis::crypto::Algorithm;
use portcullis::gate::{Gate, GateBuilder};
use portcullis::headers::SecurityHeaders;
use portcullis::rate_limit::{Quota, RateKey, RateLimit, RateLimitLayer};
use portcullis::token::Tokens;
use tokio::runtime::Runtime;
use tower::ServiceBuilder;
use tower_governor::GovernorLayer;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::PeerIpKeyExtractor;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::bearer::{Answer, axum_jwt_auth, bare, gate, handler, jwt_authorizer};
use crate::calls::{Answers, Calls, Timed, Visit, answer, plain_request};
use crate::contest::{Contest, Kind};
use crate::material::{Material, runtime};
use crate::measure::measure;

pub const ORIGIN: &str = "https://app.example";

type Governor = Arc<
    GovernorConfig<PeerIpKeyExtractor, governor::middleware::NoOpMiddleware<governor::clock::QuantaInstant>>,
>;

pub fn run() -> String {
    [Algorithm::Hs256, Algorithm::EdDsa]
        .map(|algorithm| with(&Material::new(algorithm)).to_string())
        .join("\n")
}

fn with(material: &Material) -> Contest {
    let mut contest = Contest::new(title(material.algorithm));
    let runtime = runtime();
    let calls = Calls::new(material);
    everybody(material, &runtime, &mut Timed { contest: &mut contest, calls: &calls });
    for (row, allocations) in
        [("portcullis, the whole gate, the first time", 14), ("portcullis, the whole gate, again", 8)]
    {
        // The first time a signature is most of it, for everybody.
        if material.algorithm == Algorithm::Hs256 || row.ends_with("again") {
            contest.target_of_peer(row, 0.25);
        }
        contest.target_of_allocations(row, allocations);
    }
    contest.note("the gate also has firewall, request id, origin check and audit");
    contest
}

pub fn title(algorithm: Algorithm) -> String {
    format!("stack with {algorithm}")
}

/// Shows the visitor each who does this, in front of the same handler.
pub fn everybody(material: &Material, runtime: &Runtime, visitor: &mut impl Visit) {
    visitor.visit(Kind::Bare, "bare", bare());
    let router = with_headers(runtime.block_on(usual_with_layer(material)));
    visitor.visit(Kind::Peer, "usual stack, jwt-authorizer, one ServiceBuilder", router);
    let router = with_headers(usual_with_extractor(material));
    visitor.visit(Kind::Peer, "usual stack, axum-jwt-auth, one ServiceBuilder", router);
    let (governor, eight, jwt) = (governor(), eight(), runtime.block_on(jwt_authorizer(material)));
    let token =
        ServiceBuilder::new().map_response(|Answer(response)| response).layer(jwt).map_response(Answer);
    let router = with_headers(separate(bare().layer(token), &governor, &eight));
    visitor.visit(Kind::Peer, "usual stack, jwt-authorizer, separate layers", router);
    let router = with_headers(separate(axum_jwt_auth(material), &governor, &eight));
    visitor.visit(Kind::Peer, "usual stack, axum-jwt-auth, separate layers", router);

    let tokens = material.tokens(runtime);
    let (gate, closed) = runtime.block_on(gated(&tokens, Quota::per_second(u32::MAX)));
    visitor.visit(Kind::Ours, "portcullis, the whole gate", with_headers(closed));
    runtime.block_on(async {
        gate.shutdown().await;
        tokens.revocations().shutdown().await;
    });
}

/// What everybody puts in front, but for the token.
macro_rules! before {
    () => {{
        let eight = eight();
        let set = |n: usize| SetResponseHeaderLayer::overriding(eight[n].0.clone(), eight[n].1.clone());
        ServiceBuilder::new()
            .layer(cors())
            .layer(set(0))
            .layer(set(1))
            .layer(set(2))
            .layer(set(3))
            .layer(set(4))
            .layer(set(5))
            .layer(set(6))
            .layer(set(7))
            .layer(GovernorLayer::new(governor()))
    }};
}

/// The usual stack in one `ServiceBuilder`, with jwt-authorizer.
pub async fn usual_with_layer(material: &Material) -> Router {
    let jwt = jwt_authorizer(material).await;
    bare().layer(before!().map_response(|Answer(response)| response).layer(jwt).map_response(Answer))
}

/// The usual stack in one `ServiceBuilder`, with axum-jwt-auth.
pub fn usual_with_extractor(material: &Material) -> Router {
    axum_jwt_auth(material).layer(before!())
}

/// Our gate with the same.
pub async fn gated(tokens: &Tokens, quota: Quota) -> (Gate, GateService) {
    let gate = whole(gate(tokens), limit(quota)).build().await.expect("the gate stands");
    let closed = gate.router().route(Method::GET, "/tasks/{id}", handler, Rule::role("user"));
    let closed = closed.finish().expect("is closed");
    (gate, closed)
}

/// What it costs to tell somebody to wait.
pub fn refused() -> String {
    let mut contest = Contest::new("429");
    let runtime = runtime();
    contest.add(Kind::Bare, "bare, 200", answered(bare(), StatusCode::OK));

    let config =
        GovernorConfigBuilder::default().per_second(3600).burst_size(1).finish().expect("is a quota");
    let router = bare().layer(GovernorLayer::new(config));
    contest.add(Kind::Peer, "tower_governor 0.8", answered(router, StatusCode::TOO_MANY_REQUESTS));

    let layers = ServiceBuilder::new()
        .layer(ContextLayer::default())
        .layer(RateLimitLayer::new(limit(Quota::per_hour(1))));
    contest.add(Kind::Ours, "portcullis, its layer and the context", {
        answered(bare().layer(layers), StatusCode::TOO_MANY_REQUESTS)
    });
    let material = Material::new(Algorithm::Hs256);
    let tokens = material.tokens(&runtime);
    let (gate, closed) = runtime.block_on(gated(&tokens, Quota::per_hour(1)));
    contest.add(Kind::Ours, "portcullis, the whole gate", answered(closed, StatusCode::TOO_MANY_REQUESTS));
    for row in ["portcullis, its layer and the context", "portcullis, the whole gate"] {
        contest.target_of_bare(row, 1.2);
        contest.target_of_allocations(row, 0);
    }
    contest.note("the gate's answer has CORS and eight headers and is a problem document");
    runtime.block_on(async {
        gate.shutdown().await;
        tokens.revocations().shutdown().await;
    });
    contest.to_string()
}

fn answered<S: Answers>(mut service: S, status: StatusCode) -> crate::measure::Cost {
    answer(&mut service, plain_request());
    measure(|| {
        let response = answer(&mut service, plain_request());
        assert_eq!(response.status(), status);
        response
    })
}

/// Looks that what a stack says it does is done.
fn with_headers<S: Answers>(mut service: S) -> S {
    let response = answer(&mut service, plain_request());
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let headers = response.headers();
    assert_eq!(headers.get("access-control-allow-origin"), Some(&HeaderValue::from_static(ORIGIN)));
    assert!(eight().iter().all(|(name, _)| headers.contains_key(name)), "{headers:?}");
    service
}

fn separate(router: Router, governor: &Governor, eight: &[(http::HeaderName, HeaderValue)]) -> Router {
    let router = router.layer(GovernorLayer::new(governor.clone()));
    let set = |router: Router, (name, value): &(http::HeaderName, HeaderValue)| {
        router.layer(SetResponseHeaderLayer::overriding(name.clone(), value.clone()))
    };
    eight.iter().fold(router, set).layer(cors())
}

/// A limit nobody reaches.
fn governor() -> Governor {
    let config = GovernorConfigBuilder::default().per_nanosecond(1).burst_size(u32::MAX).finish();
    Arc::new(config.expect("is a quota"))
}

fn eight() -> Vec<(http::HeaderName, HeaderValue)> {
    let headers = SecurityHeaders::api().build().expect("the preset stands");
    headers.values().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN))
        .allow_methods([Method::GET])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
}

/// All that `usual_with_layer` has, and more.
pub fn whole(gate: GateBuilder, limit: RateLimit) -> GateBuilder {
    let cors = Cors::builder()
        .allow_origin(ORIGIN)
        .allow_methods([Method::GET])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .build();
    gate.with_cors(cors.expect("does not contradict itself")).with_tls(true).add_rate_limit(limit)
}

fn limit(quota: Quota) -> RateLimit {
    let limit = RateLimit::builder("address").with_key(RateKey::address()).add_quota(quota);
    limit.build().expect("can stand")
}
