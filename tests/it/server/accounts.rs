//! What a new user does first, and what a password must be.

use serde_json::{Value, json};

use super::{PASSWORD, Server};

/// Register, sign in, call, refresh, sign out; roles decide.
// ASVS 8.2.1
#[tokio::test]
async fn the_acceptance_checks() {
    let server = Server::start();
    let api = server.api();

    api.me("").await.refused(401, "token_invalid");
    api.get("/api/auth/me").send().await.refused(401, "unauthenticated");
    let body = json!({
        "username": "Ada", "email": "Ada@example.com", "password": PASSWORD, "full_name": "Ada Lovelace",
    });
    let ada = api.post("/api/auth/register", body).send().await.expect(200).json();
    let want = json!({
        "id": ada["id"], "username": "Ada", "email": "Ada@example.com", "full_name": "Ada Lovelace",
        "is_active": true, "roles": ["user"],
    });
    assert_eq!(ada, want);
    let user = api.sign_in("ada").await;
    assert_eq!(api.me(&user.access).await.expect(200).json(), ada);

    let tasks = |method: &str, path: &str, token: &str| api.ask(method, path).bearer(token);
    tasks("GET", "/api/tasks", &user.access).send().await.expect(200);
    let task = tasks("POST", "/api/tasks", &user.access).json(json!({ "title": "write" })).send().await;
    let task = format!("/api/tasks/{}", task.expect(201).json()["id"].as_str().unwrap());
    let users = format!("/api/admin/users/{}", ada["id"].as_str().unwrap());
    tasks("DELETE", &task, &user.access).send().await.refused(403, "forbidden");
    tasks("DELETE", &users, &user.access).send().await.refused(403, "forbidden");
    tasks("GET", "/api/admin/users", &user.access).send().await.refused(403, "forbidden");
    tasks("GET", "/api/admin/audit", &user.access).send().await.refused(403, "forbidden");

    let admin = api.admin().await;
    tasks("DELETE", &task, &admin.access).send().await.expect(204);
    tasks("DELETE", &task, &admin.access).send().await.refused(404, "not_found");
    let listed = tasks("GET", "/api/admin/users", &admin.access).send().await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    tasks("DELETE", &users, &admin.access).send().await.expect(204);
    api.me(&user.access).await.refused(401, "token_stale");
    api.refresh(&user.refresh).await.refused(401, "refresh_invalid");
    api.sign_in_with("ada", PASSWORD).await.refused(401, "sign_in_failed");
    let events = tasks("GET", "/api/admin/audit?limit=3", &admin.access).send().await.expect(200).json();
    assert!(events.as_array().unwrap().iter().any(|event| event["event"] == "user_deleted"), "{events}");
}

#[tokio::test]
async fn sign_in_by_name_or_address_by_json_or_form() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    for (name, fields) in [
        ("name", vec![("username", "ada")]),
        ("name in another case", vec![("username", "ADA")]),
        ("full-width name", vec![("username", "\u{ff41}\u{ff44}\u{ff41}")]),
        ("address", vec![("email", "ada@example.com")]),
        ("address in another case", vec![("email", "ADA@EXAMPLE.com")]),
        ("address as the user name", vec![("username", "ada@example.com")]),
    ] {
        let mut body: serde_json::Map<String, Value> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        body.insert("password".to_owned(), PASSWORD.into());
        let by_json = api.post("/api/auth/login", body.into()).send().await.expect(200).tokens();
        let form: Vec<_> = fields.into_iter().chain([("password", PASSWORD)]).collect();
        let by_form = api.ask("POST", "/api/auth/login").form(&form).send().await.expect(200).tokens();
        for tokens in [by_json, by_form] {
            assert_eq!(api.me(&tokens.access).await.expect(200).json()["username"], "ada", "{name}");
        }
    }
    // RFC 6749 section 4.3.2, as API explorers send it.
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", PASSWORD),
        ("scope", ""),
        ("client_id", ""),
        ("client_secret", ""),
    ];
    api.ask("POST", "/api/auth/login").form(&form).send().await.expect(200).tokens();
}

/// Length alone by default; the composition preset where `PASSWORD_*` asks for it. Passwords count as they are.
// ASVS 6.2.1, 6.2.5, 6.2.8, 6.2.9
#[tokio::test]
async fn weak_passwords_are_refused_and_strong_ones_accepted() {
    let default = Server::start();
    let composition = Server::start_with(&[
        ("PASSWORD_MIN_LENGTH", "10"),
        ("PASSWORD_REQUIRE_UPPERCASE", "true"),
        ("PASSWORD_REQUIRE_LOWERCASE", "true"),
        ("PASSWORD_REQUIRE_NUMBERS", "true"),
        ("PASSWORD_REQUIRE_SPECIAL", "false"),
    ]);
    let (long, nul) = ("é".repeat(64), "before\0after, and then some");
    for (server, password, reasons) in [
        (&default, "", vec!["too_short"]),
        (&default, "Tr0ub4dor&3", vec!["too_short"]),
        (&default, "x".repeat(257).as_str(), vec!["too_long"]),
        (&default, "somebodysomebody", vec!["context_word"]),
        (&default, PASSWORD, vec![]),
        (&default, &long, vec![]),
        (&default, nul, vec![]),
        (&composition, "weak", vec!["too_short", "missing_uppercase", "missing_digit"]),
        (&composition, "ALLUPPER1234", vec!["missing_lowercase"]),
        (&composition, "Short1Pass", vec![]),
        (&composition, PASSWORD, vec!["missing_uppercase", "missing_digit"]),
    ] {
        let api = server.api();
        let body = json!({ "username": "somebody", "email": "some@example.com", "password": password });
        let answer = api.post("/api/auth/register", body).send().await;
        if !reasons.is_empty() {
            let want: Vec<_> = reasons.iter().map(|code| format!("password {code}")).collect();
            assert_eq!(answer.refused(422, "password_rejected").reasons(), want, "{password:.40}");
            continue;
        }
        let id = answer.expect(200).json()["id"].as_str().unwrap().to_owned();
        api.sign_in_with("somebody", password).await.expect(200);
        for other in ["", &password[..password.len() - 2], &password.to_uppercase()] {
            api.sign_in_with("somebody", other).await.refused(401, "sign_in_failed");
        }
        let admin = api.admin().await;
        api.ask("DELETE", &format!("/api/admin/users/{id}")).bearer(&admin.access).send().await.expect(204);
    }
}

/// The same name in other clothes is the same name (D3).
#[tokio::test]
async fn twins_are_duplicates() {
    let server = Server::start();
    let api = server.api();
    let register = |username: &str, email: &str| {
        api.post("/api/auth/register", json!({ "username": username, "email": email, "password": PASSWORD }))
            .send()
    };
    register("\u{e9}mile.k", "emile@example.com").await.expect(200);
    for (name, twin) in [
        ("same", "\u{e9}mile.k"),
        ("case", "\u{c9}MILE.K"),
        ("decomposed", "e\u{301}mile.k"),
        ("full width", "\u{e9}\u{ff4d}\u{ff49}\u{ff4c}\u{ff45}.\u{ff4b}"),
        ("kelvin sign", "\u{e9}mile.\u{212a}"),
        ("the administrator's", "ROOT"),
    ] {
        let answer = register(twin, "other@example.com").await;
        assert_eq!(answer.json()["code"], "username_taken", "{name}");
    }
    for twin in ["EMILE@example.com", "emile@EXAMPLE.COM", "\u{ff45}mile@example.com"] {
        register("other", twin).await.refused(409, "email_taken");
    }
    // Not a twin, but another person.
    register("emile.k", "emile.k@example.com").await.expect(200);
    for (field, code, username, email) in [
        ("username", "invalid_character", "ada@example.com", "ada@example.com"),
        ("username", "invalid_character", "a\u{202e}da", "ada@example.com"),
        ("username", "invalid_character", "ada\0", "ada@example.com"),
        ("username", "too_short", "", "ada@example.com"),
        ("username", "too_long", &"a".repeat(65), "ada@example.com"),
        ("email", "invalid_email", "ada", "ada"),
        ("email", "invalid_email", "ada", "ada@example.com,eve@example.com"),
        ("email", "invalid_email", "ada", "ada@example.com\r\nBcc: eve@example.com"),
        ("email", "invalid_email", "ada", "ada@192.0.2.1"),
    ] {
        let answer = register(username, email).await.refused(422, "validation_failed");
        assert_eq!(answer.reasons(), [format!("{field} {code}")], "{username:?} {email:?}");
    }
}
