//! The ready-made endpoints in process, over memory: what the server tests see from outside, without a server.

use ::axum::body::{Body, to_bytes};
use http::{Request, header};
use portcullis::axum::{
    GateService, account_routes, account_routes_with_sign_in_limit, jwks_routes, sign_in_key,
};
use portcullis::crypto::RotationPolicy;
use portcullis::gate::Gate;
use portcullis::network::Connection;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::store::fault::{Failure, Operation};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{PASSWORD, World};

const NEW: &str = "an entirely different phrase";

async fn service(world: &World) -> GateService {
    let gate = Gate::builder().with_accounts(world.accounts.clone()).build().await.unwrap();
    gate.router()
        .add_routes_at("/auth", account_routes(&world.accounts, gate.tenant()))
        .add_routes(jwks_routes(&world.tokens))
        .finish()
        .unwrap()
}

async fn send(service: &GateService, request: Request<Body>) -> (u16, Value) {
    let response = service.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{status}: {error}"));
    if body.get("access_token").is_some() || status >= 400 {
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    }
    (status, body)
}

async fn post(service: &GateService, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    send(service, request.body(body).unwrap()).await
}

async fn get(service: &GateService, path: &str, token: Option<&str>) -> (u16, Value) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    send(service, request.body(Body::empty()).unwrap()).await
}

fn text<'v>(body: &'v Value, field: &str) -> &'v str {
    body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}"))
}

#[tokio::test]
async fn from_registration_to_sign_out() {
    let world = World::new().await;
    let service = service(&world).await;
    let ada =
        json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD, "full_name": "Ada L."});
    let (status, user) = post(&service, "/auth/register", None, ada.clone()).await;
    assert_eq!((status, text(&user, "username"), text(&user, "full_name")), (200, "ada", "Ada L."));
    assert_eq!(user["roles"], json!(["user"]));
    assert_eq!(post(&service, "/auth/register", None, ada).await.1["code"], "username_taken");

    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let (status, tokens) = post(&service, "/auth/login", None, login.clone()).await;
    assert_eq!((status, text(&tokens, "token_type"), &tokens["expires_in"]), (200, "bearer", &json!(600)));
    let token = text(&tokens, "access_token");
    let (status, me) = get(&service, "/auth/me", Some(token)).await;
    assert_eq!((status, &me["id"]), (200, &user["id"]));
    assert_eq!(get(&service, "/auth/me", None).await.1["code"], "unauthenticated");

    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let (status, refreshed) = post(&service, "/auth/refresh", None, refresh).await;
    assert_eq!(status, 200);
    let token = text(&refreshed, "access_token");
    let wrong = json!({"current_password": "not the password", "new_password": NEW});
    assert_eq!(post(&service, "/auth/password/change", Some(token), wrong).await.0, 422);
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let (status, changed) = post(&service, "/auth/password/change", Some(token), change).await;
    assert_eq!(status, 200);
    assert_eq!(get(&service, "/auth/me", Some(token)).await.1["code"], "token_stale");
    assert_eq!(post(&service, "/auth/login", None, login).await.1["code"], "sign_in_failed");

    let token = text(&changed, "access_token");
    assert_eq!(post(&service, "/auth/logout", Some(token), Value::Null).await.0, 200);
    assert_eq!(get(&service, "/auth/me", Some(token)).await.1["code"], "token_revoked");
    let refresh = json!({"refresh_token": changed["refresh_token"]});
    assert_eq!(post(&service, "/auth/refresh", None, refresh).await.1["code"], "refresh_invalid");
}

#[tokio::test]
async fn signing_out_elsewhere_and_everywhere() {
    let world = World::new().await;
    let service = service(&world).await;
    world.register("ada").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let login = json!({"username": "ada", "password": PASSWORD});
        tokens.push(post(&service, "/auth/login", None, login).await.1);
    }
    let [here, there, third] = &tokens[..] else { panic!() };
    let body = json!({"refresh_token": there["refresh_token"]});
    assert_eq!(post(&service, "/auth/logout", Some(text(here, "access_token")), body).await.0, 200);
    for (tokens, status) in [(here, 401), (there, 401), (third, 200)] {
        assert_eq!(get(&service, "/auth/me", Some(text(tokens, "access_token"))).await.0, status);
    }
    let last = post(&service, "/auth/login", None, json!({"username": "ada", "password": PASSWORD})).await.1;
    let everywhere = json!({"everywhere": true});
    assert_eq!(post(&service, "/auth/logout", Some(text(&last, "access_token")), everywhere).await.0, 200);
    assert_eq!(get(&service, "/auth/me", Some(text(third, "access_token"))).await.1["code"], "token_stale");
}

#[tokio::test]
async fn what_the_sign_in_form_may_say() {
    let world = World::new().await;
    let service = service(&world).await;
    world.register("ada").await;
    let password = PASSWORD.replace(' ', "+");
    for (form, status) in [
        (format!("username=ada&password={password}"), 200),
        (
            format!("grant_type=password&username=ada&password={password}&scope=&client_id=&client_secret="),
            200,
        ),
        (format!("grant_type=client_credentials&username=ada&password={password}"), 422),
        (format!("username=ada&password={password}&scope=tasks:read"), 422),
        (format!("username=ada&password={password}&client_id=app"), 422),
        (format!("username=ada&email=ada@example.com&password={password}"), 422),
        (format!("password={password}"), 422),
        (format!("username=ada&username=eve&password={password}"), 422),
        (format!("username=ada&password={password}&role=admin"), 422),
    ] {
        let request = Request::post("/auth/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(Body::from(form.clone()))
            .unwrap();
        assert_eq!(send(&service, request).await.0, status, "{form}");
    }
}

/// An outage is 503 with `Retry-After`, whichever endpoint meets it, and says nothing of its cause.
#[tokio::test]
async fn an_outage_is_503_everywhere() {
    let world = World::new().await;
    let service = service(&world).await;
    world.register("ada").await;
    let login = json!({"username": "ada", "password": PASSWORD});
    let tokens = post(&service, "/auth/login", None, login.clone()).await.1;
    let token = text(&tokens, "access_token");
    for operation in [
        Operation::UserInsert,
        Operation::UserFind,
        Operation::UserGet,
        Operation::UserReplace,
        Operation::TokenGet,
        Operation::TokenInsert,
        Operation::TokenConsume,
        Operation::TokenRevoke,
    ] {
        world.faults.fail_every(operation, Failure::NotDone);
    }
    let register = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    for (path, body) in [
        ("/auth/register", register),
        ("/auth/login", login),
        ("/auth/refresh", json!({"refresh_token": tokens["refresh_token"]})),
        ("/auth/logout", Value::Null),
        ("/auth/password/change", change),
    ] {
        let (status, body) = post(&service, path, Some(token), body).await;
        assert_eq!((status, text(&body, "code")), (503, "unavailable"), "{path}");
    }
    assert_eq!(get(&service, "/auth/me", Some(token)).await.0, 503);
}

#[tokio::test]
async fn the_public_keys_are_public() {
    let world = World::new().await;
    let (status, keys) = get(&service(&world).await, "/.well-known/jwks.json", None).await;
    assert_eq!(status, 200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert!(keys["keys"][0].get("d").is_none(), "the private half stays here");
    // Shorter than a new key is published ahead of its first use.
    let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
    let answer = service(&world).await.oneshot(request).await.unwrap();
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=300");
    assert!(RotationPolicy::default().publish_ahead().as_secs() > 300);
}

/// Contract of the limit on sign-in: an address has so many tries at a name, whether or not anybody has it, however it is
/// spelt, and whatever the password; and whoever is limited costs no hash.
// ASVS 6.3.1
#[tokio::test]
async fn sign_ins_are_limited_by_address_and_name() {
    let world = World::new().await;
    world.register("ada").await;
    world.register("bob").await;
    let gate = Gate::builder().with_accounts(world.accounts.clone()).build().await.unwrap();
    let limit = RateLimit::builder("sign-in").with_key(sign_in_key()).add_quota(Quota::per_minute(5)).build();
    let routes = account_routes_with_sign_in_limit(&world.accounts, gate.tenant(), limit.unwrap());
    let service = gate.router().add_routes_at("/auth", routes).finish().unwrap();
    let sign_in = async |from: &str, name: &str, password: &str| {
        let body = json!({ "username": name, "password": password }).to_string();
        let request = Request::post("/auth/login").header(header::CONTENT_TYPE, "application/json");
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Connection::new(from.parse().unwrap()));
        service.clone().oneshot(request).await.unwrap()
    };
    let (here, there) = ("192.0.2.7:1", "192.0.2.8:1");
    for (name, spellings, want) in
        [("known", ["ada", "ADA", "\u{ff41}da"], 200), ("nobody's", ["eve", "EVE", "eve"], 401)]
    {
        for n in 0..5 {
            let password = if n == 4 { PASSWORD } else { "a guess that is wrong" };
            let answer = sign_in(here, spellings[n % 3], password).await;
            assert_eq!(answer.status(), if n == 4 { want } else { 401 }, "{name}, {n}");
            let left = answer.headers()["ratelimit"].to_str().unwrap();
            assert!(left.contains(&format!("r={}", 4 - n)), "{name}, {n}: {left}");
        }
        let before = world.accounts.passwords().stats();
        let answer = sign_in(here, spellings[0], PASSWORD).await;
        assert_eq!(answer.status(), 429, "{name}");
        assert_eq!(answer.headers()["retry-after"], "12", "{name}");
        assert_eq!(
            format!("{:?}", world.accounts.passwords().stats()),
            format!("{before:?}"),
            "{name}: no hash"
        );
        assert_eq!(sign_in(there, spellings[0], PASSWORD).await.status(), want, "{name}, from elsewhere");
    }
    assert_eq!(sign_in(here, "bob", PASSWORD).await.status(), 200, "another name");
    world.clock.advance(std::time::Duration::from_secs(12));
    assert_eq!(sign_in(here, "ada", PASSWORD).await.status(), 200, "after the wait");
    assert_eq!(sign_in(here, "ada", PASSWORD).await.status(), 429);
}
