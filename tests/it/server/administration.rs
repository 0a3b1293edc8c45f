//! The last administrator, over HTTP.

use serde_json::json;

use super::Server;
use super::client::Api;

async fn id(api: &Api, token: &str) -> String {
    api.me(token).await.expect(200).json()["id"].as_str().unwrap().to_owned()
}

/// Not by demotion, not by disabling, not by deletion, not even by two of them who do it to each other at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_is_always_an_administrator() {
    let server = Server::start();
    let api = server.api();
    let root = api.admin().await;
    let path = format!("/api/admin/users/{}", id(&api, &root.access).await);
    let ask = |method: &str, what: &str| api.ask(method, &format!("{path}{what}")).bearer(&root.access);
    ask("PUT", "/roles").json(json!({ "roles": ["user"] })).send().await.refused(409, "last_holder");
    ask("PUT", "/status").json(json!({ "is_active": false })).send().await.refused(409, "last_holder");
    ask("DELETE", "").send().await.refused(409, "last_holder");
    let events = api.get("/api/admin/audit?limit=1").bearer(&root.access).send().await.expect(200).json();
    let event = &events[0];
    assert_eq!((&event["event"], &event["details"]["action"]), (&json!("authz_fail"), &json!("delete")));
    assert_eq!(event["details"]["reason"], "last_holder");

    let eve = api.register("eve").await["id"].as_str().unwrap().to_owned();
    let eve_path = format!("/api/admin/users/{eve}");
    let raise = api.ask("PUT", &format!("{eve_path}/roles")).bearer(&root.access);
    raise.json(json!({ "roles": ["admin"] })).send().await.expect(200);
    let eve = api.sign_in("eve").await;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..16 {
        let (target, acting) = if racer % 2 == 0 { (&eve_path, &root) } else { (&path, &eve) };
        let ask = api.ask("PUT", &format!("{target}/roles")).bearer(&acting.access);
        let ask = ask.json(json!({ "roles": ["user"] }));
        racers.spawn(async move { ask.send().await.status });
    }
    let answers = racers.join_all().await;
    // Who has fallen is stale, refused, or was too late; the other goes on.
    assert!(answers.iter().all(|status| matches!(status, 200 | 401 | 403 | 503)), "{answers:?}");
    let mut left = 0;
    for tokens in [&root, &eve] {
        let refreshed = api.refresh(&tokens.refresh).await.expect(200).tokens();
        let users = api.get("/api/admin/users").bearer(&refreshed.access).send().await;
        left += usize::from(users.status == 200);
    }
    assert_eq!(left, 1, "{answers:?}");
}
