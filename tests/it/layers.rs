//! The single layers, and what the tests of all layers share.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::authn::{AuthScheme, AuthenticateLayer, BearerScheme, Outcome};
use portcullis::authz::policy::{Decision, Policy, PolicyOutcome, assurance, hidden, role};
use portcullis::authz::{
    AccessMap, AccessMapBuilder, AccessRequest, AuthorizeLayer, Authorizer, Role, RoleModel, Rule,
};
use portcullis::gate::Gate;
use portcullis::principal::{Assurance, Principal, Verified};
use portcullis::rejection::{Rejection, RejectionCode};
use portcullis::render::GrpcStatus;
use portcullis::token::{TokenRefusal, VerifyAccessToken};
use portcullis::{Subject, TenantId};
use tower::{Layer, Service, ServiceExt};

/// Tokens that say what they are: `user`, `admin`, `scoped`, and one for each refusal.
#[derive(Clone, Copy)]
pub struct Tokens;

impl VerifyAccessToken for Tokens {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        let somebody = Principal::user(TenantId::default(), Subject::parse("u-1").unwrap());
        Ok(Verified::vouch(match token {
            "user" => somebody.with_roles(["user"]),
            "admin" => somebody.with_roles(["admin"]),
            "scoped" => somebody.with_roles(["admin"]).with_scopes(["tasks:read"]),
            "guest" => somebody,
            "elsewhere" => Principal::user(TenantId::parse("other").unwrap(), Subject::parse("u-1").unwrap()),
            "expired" => return Err(TokenRefusal::Expired),
            "stale" => return Err(TokenRefusal::Stale),
            "revoked" => return Err(TokenRefusal::Revoked),
            "foreign" => return Err(TokenRefusal::OtherTenant),
            "unsure" => return Err(TokenRefusal::Unavailable),
            _ => return Err(TokenRefusal::Invalid),
        }))
    }
}

pub fn roles() -> RoleModel {
    RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add(Role::new("admin").inherits("user").grants("tasks:*").grants("users:delete"))
        .build()
        .unwrap()
}

pub async fn gate(map: AccessMapBuilder) -> Gate {
    let builder = Gate::builder().with_access_tokens(Tokens).with_roles(roles());
    builder.with_realm("test").with_access_map(map).build().await.unwrap()
}

/// A scheme that decides later: header `x-late`.
pub struct Late;

impl AuthScheme for Late {
    fn authenticate(&self, request: &Parts) -> Outcome {
        let Some(value) = request.headers.get("x-late") else { return Outcome::Absent };
        let token = value.to_str().unwrap_or_default().to_owned();
        Outcome::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            Tokens.verify(&token).map_err(|_| Rejection::new(RejectionCode::TokenInvalid))
        }))
    }

    fn challenge(&self) -> Arc<str> {
        "Late".into()
    }
}

/// A policy that decides later.
pub struct LatePolicy(pub Decision);

impl Policy for LatePolicy {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        let decision = self.0;
        PolicyOutcome::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(decision)
        }))
    }
}

/// An inner service that counts its calls at once, not when its future is polled, and says who asks. It panics when it
/// is called without having been polled ready, and a clone of it is not ready.
#[derive(Default)]
pub struct Inner {
    pub calls: Arc<AtomicUsize>,
    ready: bool,
}

impl Inner {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), ready: false }
    }
}

impl<B> Service<Request<B>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been polled ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        let who = match request.extensions().get::<Principal>() {
            None => "no principal".to_owned(),
            Some(principal) => principal.subject().map_or("anonymous".to_owned(), ToString::to_string),
        };
        std::future::ready(Ok(Response::new(who.into())))
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub code: Option<RejectionCode>,
}

impl Answer {
    pub fn challenge(&self) -> &str {
        self.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
    }
}

pub async fn send<S, B, ReqBody>(service: &S, request: Request<ReqBody>) -> Answer
where
    S: Service<Request<ReqBody>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        code: parts.extensions.get::<Rejection>().map(Rejection::code),
    }
}

/// A request with these `Authorization` headers.
pub fn get<B: Default>(path: &str, authorization: &[&str]) -> Request<B> {
    let mut request = Request::builder().method(Method::GET).uri(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    request.body(B::default()).unwrap()
}

#[tokio::test]
async fn the_bearer_scheme_answers_as_rfc_6750_describes() {
    let scheme = BearerScheme::new(Tokens).with_realm("test").unwrap();
    let service = AuthenticateLayer::new(scheme).layer(Inner::default());
    let invalid_token = "Bearer realm=\"test\", error=\"invalid_token\"";
    let invalid_request = "Bearer realm=\"test\", error=\"invalid_request\"";
    for (name, path, headers, status, body, challenge) in [
        ("nothing", "/", &[][..], 200, "anonymous", ""),
        ("good", "/", &["Bearer user"], 200, "u-1", ""),
        ("good, other case", "/", &["bEARER user"], 200, "u-1", ""),
        ("forged", "/", &["Bearer forged"], 401, "token_invalid", invalid_token),
        ("malformed", "/", &["Bearer a b"], 401, "token_invalid", invalid_token),
        ("expired", "/", &["Bearer expired"], 401, "token_expired", invalid_token),
        ("stale", "/", &["Bearer stale"], 401, "token_stale", invalid_token),
        ("revoked", "/", &["Bearer revoked"], 401, "token_revoked", invalid_token),
        ("another tenant's", "/", &["Bearer foreign"], 404, "not_found", ""),
        ("another tenant's, not noticed by the verifier", "/", &["Bearer elsewhere"], 404, "not_found", ""),
        ("revocation unknown", "/", &["Bearer unsure"], 503, "unavailable", ""),
        ("twice", "/", &["Bearer user", "Bearer user"], 401, "credential_ambiguous", invalid_request),
        ("in the query", "/?access_token=user", &[], 401, "credential_in_url", invalid_request),
        ("in both", "/?access_token=user", &["Bearer user"], 401, "credential_in_url", invalid_request),
        ("another scheme", "/", &["Basic dTpw"], 401, "scheme_unsupported", "Bearer realm=\"test\""),
        ("no scheme", "/", &[""], 401, "scheme_unsupported", "Bearer realm=\"test\""),
    ] {
        let answer = send(&service, get::<()>(path, headers)).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(body), "{name}: {}", answer.body);
        assert_eq!(answer.challenge(), challenge, "{name}");
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{name}");
        assert_eq!(answer.code.map(|code| code.status()), (status != 200).then_some(status), "{name}");
    }
}

#[tokio::test]
async fn the_first_scheme_that_finds_its_credential_decides_alone() {
    let inner = Inner::default();
    let service = AuthenticateLayer::new(BearerScheme::new(Tokens)).add_scheme(Late).layer(inner.clone());
    for (name, bearer, late, status) in [
        ("only the first", Some("Bearer user"), None, 200),
        ("only the second", None, Some("user"), 200),
        ("first bad, second good", Some("Bearer forged"), Some("user"), 401),
        ("first good, second bad", Some("Bearer user"), Some("forged"), 200),
        ("only the second, bad", None, Some("forged"), 401),
        ("neither", None, None, 200),
    ] {
        let mut request = get::<()>("/", bearer.as_slice());
        if let Some(late) = late {
            request.headers_mut().insert("x-late", late.parse().unwrap());
        }
        assert_eq!(send(&service, request).await.status, status, "{name}");
    }
    let unclaimed = send(&service, get::<()>("/", &["Digest x"])).await;
    assert_eq!(unclaimed.challenge(), "Bearer, Late", "both ways in are offered");
}

#[tokio::test]
async fn authorization_headers_are_hidden_from_debug_output() {
    let service = AuthenticateLayer::new(BearerScheme::new(Tokens)).layer(tower::service_fn(
        async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{request:?}"))))
        },
    ));
    let answer = send(&service, get("/", &["Bearer user"])).await;
    assert!(answer.body.contains("Sensitive") && !answer.body.contains("Bearer"), "{}", answer.body);
}

#[tokio::test]
async fn authorize_tells_401_from_403_and_names_the_missing_scope() {
    let authenticate = AuthenticateLayer::new(BearerScheme::new(Tokens));
    let delete = AuthorizeLayer::new(Rule::permission("users:delete"), &Authorizer::new(roles())).unwrap();
    let inner = Inner::default();
    let service = authenticate.layer(delete.layer(inner.clone()));
    for (name, token, status, code, challenge) in [
        ("anonymous", None, 401, "unauthenticated", "Bearer"),
        ("user", Some("Bearer user"), 403, "forbidden", ""),
        (
            "scoped",
            Some("Bearer scoped"),
            403,
            "insufficient_scope",
            "Bearer error=\"insufficient_scope\", scope=\"users:delete\"",
        ),
        ("admin", Some("Bearer admin"), 200, "", ""),
    ] {
        let answer = send(&service, get::<()>("/", token.as_slice())).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(code), "{name}: {}", answer.body);
        assert_eq!(answer.challenge(), challenge, "{name}");
    }
    assert_eq!(inner.calls(), 1);
}

#[tokio::test]
async fn authorize_without_authentication_outside_fails_closed() {
    let inner = Inner::default();
    let service =
        AuthorizeLayer::new(Rule::anyone(), &Authorizer::new(roles())).unwrap().layer(inner.clone());
    let answer = send(&service, get::<()>("/", &["Bearer admin"])).await;
    assert_eq!((answer.status.as_u16(), answer.code), (500, Some(RejectionCode::Internal)));
    assert_eq!(inner.calls(), 0);
    assert!(AuthorizeLayer::new(Rule::public(), &Authorizer::new(roles())).is_err());
    assert!(AuthorizeLayer::new(Rule::role("amdin"), &Authorizer::new(roles())).is_err());
}

#[tokio::test]
async fn any_body_and_any_rendering() {
    // A body of our own, through a closure.
    #[derive(Debug, PartialEq)]
    struct Word(&'static str);
    let render = |rejection: &Rejection| {
        let mut response = Response::new(Word(rejection.code().as_str()));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };
    let layer = AuthenticateLayer::new(BearerScheme::new(Tokens)).with_renderer(render);
    let service = layer
        .layer(tower::service_fn(async |_: Request<Word>| Ok::<_, Infallible>(Response::new(Word("in")))));
    let request = Request::get("/").header("authorization", "Bearer forged").body(Word("out")).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.extensions().get::<Rejection>().unwrap().code(), RejectionCode::TokenInvalid);
    assert_eq!(response.into_body(), Word("token_invalid"));

    // tonic's body, both ways.
    type Body = tonic::body::Body;
    let map = AccessMap::builder().add(Method::POST, "/pkg.Greeter/Hello", Rule::authenticated()).add(
        Method::POST,
        "/pkg.Greeter/Wipe",
        Rule::role("admin"),
    );
    let map = map.add(Method::POST, "/pkg.Greeter/Secret", Rule::policy(hidden(role("admin"))));
    let map = map.add(Method::POST, "/pkg.Greeter/Sure", Rule::policy(assurance(Assurance::Aal2)));
    let service =
        gate(map).await.layer().with_renderer(GrpcStatus).layer(tower::service_fn(
            async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())),
        ));
    for (name, method, path, token, status) in [
        ("allowed", Method::POST, "/pkg.Greeter/Hello", Some("Bearer user"), None),
        ("anonymous", Method::POST, "/pkg.Greeter/Hello", None, Some("16")),
        ("forged", Method::POST, "/pkg.Greeter/Hello", Some("Bearer forged"), Some("16")),
        ("forbidden", Method::POST, "/pkg.Greeter/Wipe", Some("Bearer user"), Some("7")),
        ("hidden", Method::POST, "/pkg.Greeter/Secret", Some("Bearer user"), Some("5")),
        ("hidden, nobody", Method::POST, "/pkg.Greeter/Secret", None, Some("16")),
        ("sign in again", Method::POST, "/pkg.Greeter/Sure", Some("Bearer user"), Some("16")),
        ("limited token", Method::POST, "/pkg.Greeter/Wipe", Some("Bearer scoped"), Some("7")),
        ("another tenant's", Method::POST, "/pkg.Greeter/Hello", Some("Bearer elsewhere"), Some("5")),
        ("unmapped", Method::POST, "/pkg.Greeter/Hidden", Some("Bearer admin"), Some("5")),
        ("method", Method::GET, "/pkg.Greeter/Hello", Some("Bearer admin"), Some("12")),
        ("unsure", Method::POST, "/pkg.Greeter/Hello", Some("Bearer unsure"), Some("14")),
    ] {
        let mut request = get::<Body>(path, token.as_slice());
        *request.method_mut() = method;
        let answer = send(&service, request).await;
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.headers.get("grpc-status").map(|value| value.to_str().unwrap()), status, "{name}");
    }

    // axum's body.
    let service = AuthenticateLayer::new(BearerScheme::new(Tokens)).layer(tower::service_fn(
        async |request: Request<axum::body::Body>| Ok::<_, Infallible>(Response::new(request.into_body())),
    ));
    assert_eq!(send(&service, get("/", &["Bearer forged"])).await.status, 401);
}

/// A layer that stands outside authentication lets nobody in, and the log says why, once.
#[tokio::test]
async fn a_layer_outside_authentication_fails_closed() {
    let (log, _listening) = crate::support::Log::listen();
    let inner = Inner::default();
    let service =
        AuthorizeLayer::new(Rule::authenticated(), &Authorizer::new(roles())).unwrap().layer(inner.clone());
    for _ in 0..3 {
        assert_eq!(send(&service, get::<()>("/", &["Bearer admin"])).await.status, 500);
    }
    assert_eq!(inner.calls(), 0);
    let told = log.lines().iter().filter(|line| line.contains("no principal in the request")).count();
    assert_eq!(told, 1, "{:?}", log.lines());
}
