//! Refresh, and what ends what (contract 7 and 8).

use serde_json::{Value, json};

use super::client::{Api, Tokens};
use super::{PASSWORD, Server};

const NEW_PASSWORD: &str = "quite another horse and battery";

async fn put(api: &Api, admin: &Tokens, user: &Value, what: &str, body: Value) {
    let path = format!("/api/admin/users/{}/{what}", user["id"].as_str().unwrap());
    api.ask("PUT", &path).bearer(&admin.access).json(body).send().await.expect(200);
}

async fn is_dead(api: &Api, tokens: &Tokens, code: &str) {
    api.me(&tokens.access).await.refused(401, code);
    api.refresh(&tokens.refresh).await.refused(401, "refresh_invalid");
}

/// Rotation; a replay within grace gives the very same successor; after grace it is theft, and the family dies.
// ASVS 10.4.5
#[tokio::test]
async fn refresh_rotates_and_reuse_ends_the_family() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let first = api.sign_in("ada").await;
    let other = api.sign_in("ada").await;

    let second = api.refresh(&first.refresh).await.expect(200).tokens();
    assert_ne!(second.refresh, first.refresh);
    let replayed = api.refresh(&first.refresh).await.expect(200).tokens();
    assert_eq!(replayed.refresh, second.refresh, "the same successor");
    for tokens in [&first, &second, &replayed] {
        api.me(&tokens.access).await.expect(200);
    }
    let racing = (0..8).map(|_| {
        let (api, refresh) = (api.clone(), second.refresh.clone());
        tokio::spawn(async move { api.refresh(&refresh).await.expect(200).tokens().refresh })
    });
    let mut successors = Vec::new();
    for racer in racing.collect::<Vec<_>>() {
        successors.push(racer.await.unwrap());
    }
    assert!(successors.iter().all(|successor| *successor == successors[0]), "one lineage");

    api.advance(11).await;
    let live = api.refresh(&successors[0]).await.expect(200).tokens();
    api.refresh(&second.refresh).await.refused(401, "refresh_invalid");
    is_dead(&api, &live, "token_revoked").await;
    api.me(&first.access).await.refused(401, "token_revoked");
    // The other sign-in is another family.
    api.me(&other.access).await.expect(200);
    api.refresh(&other.refresh).await.expect(200);
    let admin = api.admin().await;
    let events = api.get("/api/admin/audit").bearer(&admin.access).send().await.expect(200).json();
    assert!(events.as_array().unwrap().iter().any(|event| event["event"] == "authn_token_reuse"), "{events}");
}

/// A replay within grace is theft too, once the successor has been used.
#[tokio::test]
async fn a_replay_after_the_successor_was_used_ends_the_family() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let first = api.sign_in("ada").await;
    let second = api.refresh(&first.refresh).await.expect(200).tokens();
    let third = api.refresh(&second.refresh).await.expect(200).tokens();
    api.refresh(&first.refresh).await.refused(401, "refresh_invalid");
    is_dead(&api, &third, "token_revoked").await;
}

// ASVS 7.3.1, 7.3.2
#[tokio::test]
async fn tokens_expire() {
    let server = Server::start_with(&[
        ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "2"),
        ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "1"),
    ]);
    let api = server.api();
    api.register("ada").await;
    let answer = api.sign_in_with("ada", PASSWORD).await.expect(200);
    assert_eq!(answer.json()["expires_in"], 120);
    let tokens = answer.tokens();
    api.advance(110).await;
    api.me(&tokens.access).await.expect(200);
    api.advance(10).await;
    api.me(&tokens.access).await.refused(401, "token_expired");
    let fresh = api.refresh(&tokens.refresh).await.expect(200).tokens();
    api.me(&fresh.access).await.expect(200);
    api.advance(24 * 60 * 60).await;
    api.refresh(&fresh.refresh).await.refused(401, "refresh_invalid");
}

// ASVS 7.4.1
#[tokio::test]
async fn sign_out_ends_this_sign_in_or_all() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    api.register("eve").await;
    let logout = |tokens: &Tokens, body: Option<Value>| {
        let ask = api.ask("POST", "/api/auth/logout").bearer(&tokens.access);
        match body {
            Some(body) => ask.json(body).send(),
            None => ask.send(),
        }
    };
    let (one, two, three) = (api.sign_in("ada").await, api.sign_in("ada").await, api.sign_in("ada").await);
    let eve = api.sign_in("eve").await;

    logout(&one, None).await.expect(200);
    is_dead(&api, &one, "token_revoked").await;
    api.me(&two.access).await.expect(200);
    // Somebody else's refresh token ends nothing of theirs.
    logout(&eve, Some(json!({ "refresh_token": two.refresh }))).await.expect(200);
    is_dead(&api, &eve, "token_revoked").await;
    let two = api.refresh(&two.refresh).await.expect(200).tokens();
    // One's own ends that sign-in as well.
    logout(&two, Some(json!({ "refresh_token": three.refresh }))).await.expect(200);
    is_dead(&api, &two, "token_revoked").await;
    is_dead(&api, &three, "token_revoked").await;

    let (four, five) = (api.sign_in("ada").await, api.sign_in("ada").await);
    logout(&four, Some(json!({ "everywhere": true }))).await.expect(200);
    api.me(&four.access).await.expect(401);
    is_dead(&api, &five, "token_stale").await;
    api.sign_in("ada").await;
}

// ASVS 8.3.2
#[tokio::test]
async fn a_change_of_roles_binds_at_once() {
    let server = Server::start();
    let api = server.api();
    let ada = api.register("ada").await;
    let (tokens, admin) = (api.sign_in("ada").await, api.admin().await);
    let task =
        api.post("/api/tasks", json!({ "title": "x" })).bearer(&tokens.access).send().await.expect(201);
    let task = format!("/api/tasks/{}", task.json()["id"].as_str().unwrap());
    let delete = |tokens: &Tokens| api.ask("DELETE", &task).bearer(&tokens.access).send();
    delete(&tokens).await.refused(403, "forbidden");

    put(&api, &admin, &ada, "roles", json!({ "roles": ["moderator"] })).await;
    api.me(&tokens.access).await.refused(401, "token_stale");
    let moderator = api.refresh(&tokens.refresh).await.expect(200).tokens();
    delete(&moderator).await.expect(204);
    api.get("/api/admin/users").bearer(&moderator.access).send().await.refused(403, "forbidden");

    put(&api, &admin, &ada, "roles", json!({ "roles": ["guest"] })).await;
    delete(&moderator).await.refused(401, "token_stale");
    let guest = api.refresh(&moderator.refresh).await.expect(200).tokens();
    let create = api.post("/api/tasks", json!({ "title": "x" })).bearer(&guest.access).send().await;
    create.refused(403, "forbidden");
    let unknown = format!("/api/admin/users/{}/roles", ada["id"].as_str().unwrap());
    let unknown = api.ask("PUT", &unknown).bearer(&admin.access).json(json!({ "roles": ["nobody"] }));
    assert_eq!(unknown.send().await.refused(422, "validation_failed").reasons(), ["roles unknown_role"]);
}

// ASVS 6.2.2, 6.2.3, 7.4.3
#[tokio::test]
async fn a_change_of_password_ends_the_other_sign_ins() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let (here, elsewhere) = (api.sign_in("ada").await, api.sign_in("ada").await);
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        api.post("/api/auth/password/change", body).bearer(&here.access).send()
    };
    assert_eq!(
        change("a wrong password", NEW_PASSWORD).await.expect(422).reasons(),
        ["current_password incorrect"]
    );
    assert_eq!(change(PASSWORD, "short").await.expect(422).reasons(), ["password too_short"]);
    api.me(&here.access).await.expect(200);
    let changed = change(PASSWORD, NEW_PASSWORD).await.expect(200).tokens();
    api.me(&changed.access).await.expect(200);
    is_dead(&api, &here, "token_stale").await;
    is_dead(&api, &elsewhere, "token_stale").await;
    api.refresh(&changed.refresh).await.expect(200);
    api.sign_in_with("ada", PASSWORD).await.refused(401, "sign_in_failed");
    api.sign_in_with("ada", NEW_PASSWORD).await.expect(200);
}

// ASVS 7.4.2
#[tokio::test]
async fn disabling_ends_everything() {
    let server = Server::start();
    let api = server.api();
    let ada = api.register("ada").await;
    let (one, two, admin) = (api.sign_in("ada").await, api.sign_in("ada").await, api.admin().await);
    put(&api, &admin, &ada, "status", json!({ "is_active": false })).await;
    is_dead(&api, &one, "token_stale").await;
    is_dead(&api, &two, "token_stale").await;
    api.sign_in_with("ada", PASSWORD).await.refused(401, "sign_in_failed");
    put(&api, &admin, &ada, "status", json!({ "is_active": true })).await;
    is_dead(&api, &one, "token_stale").await;
    api.sign_in("ada").await;
}
