//! Nothing secret in a log or in the database (R8, contract 10).

use serde_json::json;

use super::{ADMIN_PASSWORD, Server};

// ASVS 11.4.2, 16.2.5
#[tokio::test]
async fn no_secret_is_logged_or_stored() {
    const FIRST: &str = "canary-one, a password nobody prints";
    const SECOND: &str = "canary-two, a password nobody prints";
    const TYPO: &str = "canary-three, in the wrong field";
    let mut server = Server::start_with(&[("RUST_LOG", "trace")]);
    let api = server.api();
    let body = json!({ "username": "ada", "email": "ada@example.com", "password": FIRST });
    let ada = api.post("/api/auth/register", body.clone()).send().await.expect(200).json();
    api.post("/api/auth/register", body).send().await.expect(409);
    api.sign_in_with(TYPO, FIRST).await.expect(401);
    api.sign_in_with("ada", TYPO).await.expect(401);
    let mut secrets = Vec::new();
    let mut digested = Vec::new();
    let mut keep = |tokens: &super::client::Tokens| {
        let (_, secret) = tokens.refresh.split_once('.').unwrap();
        digested.push(secret.to_owned());
        let (unsigned, signature) = tokens.access.rsplit_once('.').unwrap();
        secrets.extend([unsigned.to_owned(), signature.to_owned()]);
    };
    let first = api.sign_in_with("ada", FIRST).await.expect(200).tokens();
    let second = api.refresh(&first.refresh).await.expect(200).tokens();
    let again = api.refresh(&first.refresh).await.expect(200).tokens();
    api.me(&second.access).await.expect(200);
    let change = json!({ "current_password": FIRST, "new_password": SECOND });
    let change = api.post("/api/auth/password/change", change).bearer(&second.access).send().await;
    let third = change.expect(200).tokens();
    api.me(&second.access).await.expect(401);
    api.refresh(&second.refresh).await.expect(401);
    api.get(&format!("/api/auth/me?access_token={}", third.access)).send().await.expect(401);
    api.get("/api/auth/me").bearer(&third.access).bearer(&third.access).send().await.expect(400);
    let admin = api.admin().await;
    let path = format!("/api/admin/users/{}/roles", ada["id"].as_str().unwrap());
    let roles = api.ask("PUT", &path).bearer(&admin.access).json(json!({ "roles": ["guest"] }));
    roles.send().await.expect(200);
    let audit = api.get("/api/admin/audit").bearer(&admin.access).send().await.expect(200);
    let audit = String::from_utf8(audit.body.to_vec()).unwrap();
    api.get("/api/debug/error").send().await.expect(500);
    for tokens in [&first, &second, &again, &third, &admin] {
        keep(tokens);
    }
    let logout = json!({ "refresh_token": admin.refresh });
    api.post("/api/auth/logout", logout).bearer(&admin.access).send().await.expect(200);

    let passwords = [FIRST, SECOND, TYPO, ADMIN_PASSWORD].map(str::to_owned);
    // Read while it runs: closing folds the log of the database into its file.
    server.kill();
    let database =
        ["server.db", "server.db-wal"].map(|name| std::fs::read(server.folder().join(name)).unwrap());
    let output = server.output();
    assert!(output.lines().count() > 30, "it logs at all: {output}");
    assert!(audit.contains("authn_login_fail") && audit.contains("authn_password_change"), "{audit}");
    for secret in passwords.iter().chain(&digested).chain(&secrets) {
        assert!(!output.contains(secret), "in the log: {secret}");
        assert!(!audit.contains(secret), "in the audit trail: {secret}");
        for file in &database {
            assert!(!contains(file, secret.as_bytes()), "in the database: {secret}");
        }
    }
    assert!(!output.contains("$argon2"), "a password hash is in the log");
    assert!(!audit.contains("$argon2"), "a password hash is in the audit trail");
    assert!(
        database.iter().any(|file| contains(file, b"$argon2id$v=19$m=19456,t=2,p=1$")),
        "this finds something"
    );
    let key = std::fs::read_to_string(server.folder().join("portcullis-server.keys.json")).unwrap();
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    for text in strings(&key).into_iter().filter(|text| text.len() >= 40) {
        assert!(!output.contains(&text), "a key is in the log");
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn strings(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(values) => values.iter().flat_map(strings).collect(),
        serde_json::Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// H2: what a client sends never becomes a line of its own in the log or the audit trail.
// ASVS 16.4.1
#[tokio::test]
async fn h2_nobody_writes_lines_into_the_log_or_the_audit_trail() {
    const LINE: &str =
        "\r\n2026-01-01T00:00:00Z ERROR forged: the administrator did it\u{1b}[2J\u{85}\u{2028}";
    let server = Server::start_with(&[("RUST_LOG", "trace")]);
    let api = server.api();
    api.register("ada").await;
    for name in [format!("ada{LINE}"), LINE.to_owned(), format!("{LINE}@example.com")] {
        let answer = api.sign_in_with(&name, LINE).await;
        assert!(answer.status == 401 || answer.status == 422, "{answer:?}");
        let new = json!({ "username": name, "email": format!("x{LINE}@example.com"), "password": LINE });
        api.post("/api/auth/register", new).send().await.expect(422);
    }
    let tokens = api.sign_in("ada").await;
    api.refresh(LINE).await.expect(401);
    let note = json!({ "title": LINE, "body": LINE });
    api.post("/api/notes", note).bearer(&tokens.access).send().await;
    for path in ["/api/notes/%0d%0a2026 ERROR forged".replace(' ', "%20"), "/%0aforged".to_owned()] {
        api.get(&path).bearer(&tokens.access).header("x-request-id", "a\tforged").send().await;
    }
    let admin = api.admin().await;
    let audit = api.get("/api/admin/audit").bearer(&admin.access).send().await.expect(200);
    assert!(audit.json().as_array().unwrap().len() >= 4);
    let log = std::fs::read_to_string(server.folder().join("stderr")).unwrap();
    for line in log.split(['\n', '\r', '\u{85}', '\u{2028}']).filter(|line| !line.is_empty()) {
        assert!(!line.starts_with("2026-01-01T00:00:00Z") && !line.starts_with("forged"), "{line:?}");
    }
    assert!(!log.contains('\u{1b}'), "a terminal would obey");
}
