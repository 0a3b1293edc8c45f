//! What is somebody else's, and what nobody may say about themselves.

use serde_json::{Value, json};

use super::access_map::rows;
use super::client::Api;
use super::{PASSWORD, Server};

/// Everything an administrator can see of users, tasks and notes.
async fn state(api: &Api, admin: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["/api/admin/users", "/api/tasks", "/api/notes"] {
        seen.push(api.get(path).bearer(admin).send().await.expect(200).json());
    }
    seen
}

/// A good body for each route that takes one. A new route without a row here fails the tests below.
fn good_body(method: &str, path: &str, refresh_token: &str) -> Option<Value> {
    Some(match (method, path) {
        ("POST", "/api/auth/register") => {
            json!({ "username": "new", "email": "new@example.com", "password": PASSWORD })
        }
        ("POST", "/api/auth/login") => json!({ "username": "ada", "password": PASSWORD }),
        ("POST", "/api/auth/refresh") => json!({ "refresh_token": refresh_token }),
        ("POST", "/api/auth/logout") => json!({ "everywhere": false }),
        ("POST", "/api/auth/password/change") => {
            json!({ "current_password": PASSWORD, "new_password": "quite another horse and battery" })
        }
        ("POST", "/api/tasks") => json!({ "title": "a task" }),
        ("POST", "/api/notes") | ("PUT", "/api/notes/{id}") => json!({ "title": "a note", "body": "text" }),
        ("PUT", "/api/admin/users/{id}/roles") => json!({ "roles": ["user"] }),
        ("PUT", "/api/admin/users/{id}/status") => json!({ "is_active": true }),
        ("POST", "/api/admin/keys/rotate") => json!({ "purpose": "blind_index" }),
        ("POST", "/api/debug/clock") => json!({ "advance_seconds": 0 }),
        ("DELETE", _) => return None,
        other => panic!("no body for {other:?}: add one"),
    })
}

/// B1: nobody gets a role, a flag, an id or somebody else's name by naming it. Every route that changes something, with
/// every field that somebody might try, is refused and changes nothing; without the field it succeeds.
// ASVS 15.3.3
#[tokio::test]
async fn fields_nobody_asked_for_are_refused() {
    let server = Server::start();
    let api = server.api();
    let ada = api.register("ada").await;
    let (ada_id, user, admin) =
        (ada["id"].as_str().unwrap().to_owned(), api.sign_in("ada").await, api.admin().await);
    let note = api.post("/api/notes", json!({ "title": "t", "body": "b" })).bearer(&user.access).send().await;
    let note = note.expect(201).json()["id"].as_str().unwrap().to_owned();
    let before = state(&api, &admin.access).await;
    let extra = json!({
        "id": "1", "user_id": ada_id, "sub": ada_id, "subject": ada_id, "owner": ada_id, "actor": ada_id,
        "created_by": ada_id, "role": "admin", "roles": ["admin"], "permissions": ["users:delete"],
        "scope": "admin", "is_admin": true, "is_superuser": true, "is_active": false, "status": "active",
        "disabled": false, "banned": false, "email_verified": true, "verified": true, "tenant": "other",
        "tenant_id": "other", "epoch": [9, 9], "revision": 9, "password_hash": "x", "created_at": 0,
        "profile": { "roles": ["admin"] }, "__proto__": { "roles": ["admin"] }, "constructor": {}, "": 1,
    });

    let mutating: Vec<_> = rows().into_iter().filter(|row| row.method != "GET").collect();
    assert!(mutating.len() >= 12);
    let mut asked = Vec::new();
    for row in &mutating {
        let Some(body) = good_body(&row.method, &row.path, &user.refresh) else { continue };
        let token = match row.rule.as_str() {
            "public" => None,
            "role admin" | "permission system:manage" => Some(&admin.access),
            _ => Some(&user.access),
        };
        let id = if row.path.starts_with("/api/notes") { &note } else { &ada_id };
        let path = row.path.replace("{id}", id);
        let ask =
            |body: Value| api.ask(&row.method, &path).bearer_if(token.map(String::as_str)).json(body).send();
        for (field, value) in extra.as_object().unwrap() {
            // Where a field belongs, it is not extra.
            if body.get(field).is_some() {
                continue;
            }
            let mut more = body.clone();
            more[field] = value.clone();
            ask(more).await.refused(422, "validation_failed");
        }
        // Twice the same key: which one counts?
        let (first, value) = body.as_object().unwrap().iter().next().unwrap();
        let twice = body.to_string().replacen('{', &format!("{{{}:{value},", json!(first)), 1);
        let twice =
            api.ask(&row.method, &path).bearer_if(token.map(String::as_str)).body("application/json", twice);
        twice.send().await.refused(422, "validation_failed");
        asked.push((row, path.clone(), token, body));
    }
    assert_eq!(state(&api, &admin.access).await, before, "nothing changed");
    for (field, value) in
        [("role", "admin"), ("is_admin", "true"), ("username", "root"), ("password", "again")]
    {
        let form = [("username", "ada"), ("password", PASSWORD), (field, value)];
        api.ask("POST", "/api/auth/login").form(&form).send().await.refused(422, "validation_failed");
    }
    // It was the field: without it each succeeds, whatever the query and other headers say.
    asked.sort_by_key(|(row, ..)| row.path.contains("/auth/"));
    asked.sort_by_key(|(row, ..)| {
        ["refresh", "change", "logout"].iter().position(|end| row.path.ends_with(end))
    });
    let mut user = user.clone();
    for (row, path, token, body) in asked {
        let token = token.map(|token| if *token == admin.access { &admin.access } else { &user.access });
        let path = format!("{path}?role=admin&user_id=1&is_admin=true");
        let ask = api.ask(&row.method, &path).bearer_if(token.map(String::as_str)).json(body);
        let answer =
            ask.header("x-user-id", "1").header("x-role", "admin").header("x-tenant", "other").send().await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        if row.path == "/api/admin/users/{id}/roles" {
            user = api.refresh(&user.refresh).await.expect(200).tokens();
        } else if row.path.ends_with("/change") {
            user = answer.tokens();
        }
    }
    let users = &state(&api, &admin.access).await[0];
    for user in users.as_array().unwrap() {
        let want = if user["username"] == "root" { json!(["admin"]) } else { json!(["user"]) };
        assert_eq!(user["roles"], want, "{user}");
        assert_eq!(user["is_active"], true);
    }
}

/// B2: every route that takes an id, asked by somebody whose it is not.
// ASVS 8.2.2
#[tokio::test]
async fn what_is_somebody_elses_is_out_of_reach() {
    let server = Server::start();
    let api = server.api();
    let ada = api.register("ada").await["id"].as_str().unwrap().to_owned();
    api.register("eve").await;
    let (owner, other, admin) = (api.sign_in("ada").await, api.sign_in("eve").await, api.admin().await);
    let create = |path: &str, body: Value| api.post(path, body).bearer(&owner.access).send();
    let id = |body: Value| body["id"].as_str().unwrap().to_owned();
    let note = id(create("/api/notes", json!({ "title": "t", "body": "b" })).await.expect(201).json());
    let task = id(create("/api/tasks", json!({ "title": "t" })).await.expect(201).json());
    let before = state(&api, &admin.access).await;

    let taking_ids: Vec<_> = rows().into_iter().filter(|row| row.path.contains('{')).collect();
    assert!(taking_ids.len() >= 7);
    for row in &taking_ids {
        let (theirs, want) = match row.path.split('/').nth(2).unwrap() {
            "notes" => (&note, (404, "not_found")),
            "tasks" => (&task, (403, "forbidden")),
            "admin" => (&ada, (403, "forbidden")),
            group => panic!("no id for {group}: add one"),
        };
        let ask = |id: &str| {
            let ask = api.ask(&row.method, &row.path.replace("{id}", id)).bearer(&other.access);
            match good_body(if row.method == "GET" { "DELETE" } else { &row.method }, &row.path, "") {
                Some(body) => ask.json(body).send(),
                None => ask.send(),
            }
        };
        let refused = ask(theirs).await.refused(want.0, want.1);
        // What is not theirs looks like what is not there.
        let absent = ask("AAAAAAAAAAAAAAAAAAAAAA").await;
        assert_eq!(
            (refused.status, refused.body),
            (absent.status, absent.body),
            "{} {}",
            row.method,
            row.path
        );
    }
    assert_eq!(state(&api, &admin.access).await, before, "nothing changed");
    let listed = api.get("/api/notes").bearer(&other.access).send().await.expect(200).json();
    assert_eq!(listed, json!([]), "not in a list either");

    // The owner may, and so may an administrator.
    let path = format!("/api/notes/{note}");
    for token in [&owner.access, &admin.access] {
        assert_eq!(api.get(&path).bearer(token).send().await.expect(200).json()["owner"], ada.as_str());
    }
    let change = api.ask("PUT", &path).bearer(&admin.access).json(json!({ "title": "t", "body": "c" }));
    assert_eq!(change.send().await.expect(200).json()["owner"], ada.as_str(), "it stays the owner's");
    api.ask("DELETE", &path).bearer(&owner.access).send().await.expect(204);
    api.get(&path).bearer(&admin.access).send().await.refused(404, "not_found");
}

/// Nobody hands out more than they hold.
// ASVS 8.2.3
#[tokio::test]
async fn nobody_grants_a_role_above_their_own() {
    let server = Server::start();
    let api = server.api();
    let admin = api.admin().await;
    let ada = api.register("ada").await;
    let path = format!("/api/admin/users/{}/roles", ada["id"].as_str().unwrap());
    let ask =
        |roles: Value| api.ask("PUT", &path).bearer(&admin.access).json(json!({ "roles": roles })).send();
    ask(json!(["superadmin"])).await.refused(403, "forbidden");
    let granted = ask(json!(["moderator", "admin", "admin"])).await.expect(200).json();
    assert_eq!(granted["roles"], json!(["admin", "moderator"]), "each once");
    let own = api.me(&admin.access).await.expect(200).json();
    let path = format!("/api/admin/users/{}/roles", own["id"].as_str().unwrap());
    let climb = api.ask("PUT", &path).bearer(&admin.access).json(json!({ "roles": ["superadmin"] }));
    climb.send().await.refused(403, "forbidden");
}
