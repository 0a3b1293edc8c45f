//! Who is asking, and do they have the role: in front of an axum handler that does nothing, in this process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum_login::tower_sessions::{MemoryStore as Sessions, SessionManagerLayer};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId, login_required};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use jwt_authorizer::{AuthError, IntoLayer as _, JwtAuthorizer, Validation};
use portcullis::TenantId;
use portcullis::authn::{AuthenticateLayer, BearerScheme};
use portcullis::authz::{AuthorizeLayer, Authorizer, Role, RoleModel, Rule};
use portcullis::crypto::Algorithm;
use portcullis::gate::{Gate, GateBuilder};
use portcullis::token::{AccessTokens, Tokens, jwks};
use tokio::runtime::Runtime;
use tower::{Service as _, ServiceBuilder};
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

use crate::calls::{Calls, Timed, Visit, plain_request};
use crate::contest::{Contest, Kind};
use crate::material::{AUDIENCE, ISSUER, Material, Payload, runtime};

pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

pub fn run() -> String {
    ALGORITHMS.map(|algorithm| with(&Material::new(algorithm)).to_string()).join("\n")
}

fn with(material: &Material) -> Contest {
    let mut contest = Contest::new(title(material.algorithm));
    let runtime = runtime();
    let calls = Calls::new(material);
    everybody(material, &runtime, &mut Timed { contest: &mut contest, calls: &calls });
    if material.algorithm == Algorithm::Hs256 {
        // Not a token: a session found by its cookie, for who would rather have that.
        let (mut router, cookie) = runtime.block_on(axum_login());
        let calls = Calls::of(COOKIE, cookie, HeaderValue::from_static("id=forged"));
        contest.note(format!(
            "a cookie instead, by axum-login 0.18 and tower-sessions: {}",
            calls.describe(&mut router, &mut bare())
        ));
    }
    for row in ["portcullis, its two layers alone, the first time", "portcullis, its two layers alone, again"]
    {
        let hmac = material.algorithm == Algorithm::Hs256;
        // The first time a signature is most of it, for everybody.
        if hmac || row.ends_with("again") {
            contest.target_of_peer(row, if hmac { 0.3 } else { 1.0 / 60.0 });
        }
        contest.target_of_allocations(row, 8);
    }
    contest.note(
        "the whole gate also has firewall, headers, request id, origin check, client address and audit",
    );
    contest
}

pub fn title(algorithm: Algorithm) -> String {
    format!("bearer {algorithm} and a role, in axum")
}

/// Shows the visitor each who does this, in front of the same handler.
pub fn everybody(material: &Material, runtime: &Runtime, visitor: &mut impl Visit) {
    visitor.visit(Kind::Bare, "bare", bare());
    visitor.visit(Kind::Peer, "axum-jwt-auth 0.7", axum_jwt_auth(material));
    let router = runtime.block_on(jwt_authorizer_layered(material, bare()));
    visitor.visit(Kind::Peer, "jwt-authorizer 0.15", router);
    let router = runtime.block_on(oauth2_resource_server(material));
    visitor.visit(Kind::Peer, "tower-oauth2-resource-server 0.12", router);

    let tokens = material.tokens(runtime);
    let scheme = BearerScheme::new(AccessTokens::new(tokens.clone(), TenantId::default()));
    let authorize = AuthorizeLayer::new(Rule::role("user"), &Authorizer::new(roles())).expect("is a role");
    let layers = ServiceBuilder::new().layer(AuthenticateLayer::new(scheme)).layer(authorize);
    visitor.visit(Kind::Ours, "portcullis, its two layers alone", bare().layer(layers));
    runtime.block_on(tokens.revocations().shutdown());
    // Tokens of its own: what the layers have seen would not come the first time.
    let tokens = material.tokens(runtime);
    let gate = runtime.block_on(gate(&tokens).build()).expect("the gate stands");
    let whole = gate.router().route(Method::GET, "/tasks/{id}", handler, Rule::role("user"));
    visitor.visit(Kind::Ours, "portcullis, the whole gate", whole.finish().expect("is closed"));
    runtime.block_on(async {
        gate.shutdown().await;
        tokens.revocations().shutdown().await;
    });
}

pub fn bare() -> Router {
    Router::new().route("/tasks/{id}", get(handler))
}

pub async fn handler() -> &'static str {
    "done"
}

fn roles() -> RoleModel {
    RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().expect("roles are well-formed")
}

pub fn gate(tokens: &Tokens) -> GateBuilder {
    let verifier = AccessTokens::new(tokens.clone(), TenantId::default());
    Gate::builder().with_access_tokens(verifier).with_roles(roles())
}

/// An extractor; the handler asks for the role.
pub fn axum_jwt_auth(material: &Material) -> Router {
    let decoder =
        axum_jwt_auth::LocalDecoder::new(vec![material.decoding_key_10()], material.validation_10());
    let decoder: axum_jwt_auth::Decoder<Payload> = Arc::new(decoder.expect("is well-formed"));
    let handler = async |claims: axum_jwt_auth::Claims<Payload>| {
        if is_user(&claims.claims) { "done".into_response() } else { StatusCode::FORBIDDEN.into_response() }
    };
    Router::new().route("/tasks/{id}", get(handler)).with_state(decoder)
}

fn is_user(claims: &Payload) -> bool {
    claims.roles.iter().any(|role| role == "user")
}

/// A response that can be made of another axum's refusal: the crate is for axum 0.7.
pub struct Answer(pub Response);

impl From<AuthError> for Answer {
    fn from(_: AuthError) -> Self {
        Self(StatusCode::UNAUTHORIZED.into_response())
    }
}

pub async fn jwt_authorizer(material: &Material) -> jwt_authorizer::layer::AuthorizationLayer<Payload> {
    let builder = match material.algorithm {
        Algorithm::Hs256 => JwtAuthorizer::<Payload>::from_secret(material.secret()),
        Algorithm::EdDsa => JwtAuthorizer::from_ed_pem_text(&material.pem),
        _ => JwtAuthorizer::from_ec_pem_text(&material.pem),
    };
    let validation = Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]).nbf(true).leeway(0);
    builder.validation(validation).check(is_user).build().await.expect("is well-formed").into_layer()
}

async fn jwt_authorizer_layered(material: &Material, router: Router) -> Router {
    router.layer(
        ServiceBuilder::new()
            .map_response(|Answer(response)| response)
            .layer(jwt_authorizer(material).await)
            .map_response(Answer),
    )
}

/// Leaves the claims in the extensions; the handler asks for the role.
async fn oauth2_resource_server(material: &Material) -> Router {
    let set = match material.algorithm {
        Algorithm::Hs256 => {
            use base64::Engine as _;
            let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&material.private);
            let id = material.ours.id().as_str();
            serde_json::json!({"keys": [{"kty": "oct", "kid": id, "alg": "HS256", "k": secret}]})
        }
        _ => jwks(&material.codec().keyring()),
    };
    let tenant = TenantConfiguration::static_builder(set.to_string())
        .allowed_algorithms(&[material.algorithm.as_str().parse().expect("is known")])
        .claims_validation(ClaimsValidationSpec::new().exp(true).iss(ISSUER).aud(&vec![AUDIENCE.to_owned()]))
        .build();
    let server =
        OAuth2ResourceServer::<Payload>::builder().add_tenant(tenant.expect("is well-formed")).build().await;
    let handler = async |request: Request| match request.extensions().get::<Payload>() {
        Some(claims) if is_user(claims) => "done".into_response(),
        _ => StatusCode::FORBIDDEN.into_response(),
    };
    Router::new().route("/tasks/{id}", get(handler)).layer(server.expect("starts").into_layer())
}

#[derive(Clone, Debug)]
struct User(u64);

impl AuthUser for User {
    type Id = u64;

    fn id(&self) -> u64 {
        self.0
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"0123456789abcdef0123456789abcdef"
    }
}

#[derive(Clone)]
struct Users(Arc<HashMap<u64, User>>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = u64;
    type Error = Infallible;

    async fn authenticate(&self, id: u64) -> Result<Option<User>, Infallible> {
        self.get_user(&id).await
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(id).cloned())
    }
}

/// A router that asks for a session, and the cookie of one.
async fn axum_login() -> (Router, HeaderValue) {
    let users = Users(Arc::new((0..1000).map(|id| (id, User(id))).collect()));
    let layer = AuthManagerLayerBuilder::new(users, SessionManagerLayer::new(Sessions::default())).build();
    let login = async |State(()): State<()>, mut session: AuthSession<Users>| {
        session.login(&User(7)).await.expect("the store is there");
    };
    let mut router = Router::new()
        .route("/tasks/{id}", get(handler))
        .route_layer(login_required!(Users))
        .route("/login", get(login))
        .layer(layer);
    let mut request = plain_request();
    *request.uri_mut() = http::Uri::from_static("/login");
    let response = router.call(request).await.expect("answers");
    let cookie = response.headers().get(SET_COOKIE).expect("has a cookie").to_str().expect("is text");
    let cookie = HeaderValue::try_from(cookie.split(';').next().expect("has a value")).expect("is a header");
    drop(cookie.clone());
    (router, cookie)
}
