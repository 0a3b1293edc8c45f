//! Who has an account here? Sign-in does not say, byte for byte.

use serde_json::json;

use super::{PASSWORD, Server};

/// G3: whatever is wrong with a sign-in, the bytes that come back are the same.
// ASVS 6.3.8
#[tokio::test]
async fn every_failed_sign_in_is_answered_with_the_same_bytes() {
    let server = Server::start();
    let api = server.api();
    api.register("known").await;
    let disabled = api.register("disabled").await;
    let admin = api.admin().await;
    let status = format!("/api/admin/users/{}/status", disabled["id"].as_str().unwrap());
    let off = api.ask("PUT", &status).bearer(&admin.access).json(json!({ "is_active": false })).send().await;
    assert_eq!(off.expect(200).json()["is_active"], false);

    let long = "x".repeat(50_000);
    let mut seen = None;
    for (identifier, password) in [
        ("unknown", PASSWORD),
        ("unknown@example.com", PASSWORD),
        ("known", "a wrong password"),
        ("KNOWN@example.com", ""),
        ("known", &"x".repeat(1025)),
        ("known", "nul\0inside"),
        ("disabled", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("disabled", "a wrong password"),
        ("", ""),
        ("\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("%", PASSWORD),
        ("\u{202e}nwonk", PASSWORD),
        ("known\u{200b}", PASSWORD),
        (&long, PASSWORD),
    ] {
        for field in ["username", "email"] {
            let body = json!({ field: identifier, "password": password }).to_string();
            let request = format!(
                "POST /api/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = nameless(&api.raw(request.as_bytes()).await);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{identifier:.20}: {answer}");
            assert_eq!(seen.get_or_insert_with(|| answer.clone()), &answer, "{identifier:.20}");
        }
    }
    assert!(seen.unwrap().contains("sign_in_failed"));
    api.sign_in("known").await;
}

/// Without the name of the request, which is another each time.
fn nameless(answer: &str) -> String {
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("x-request-id: ")).collect()
}

/// Refresh tokens that are foreign, spent, made up or no token at all are told apart by nothing either.
#[tokio::test]
async fn every_failed_refresh_is_answered_alike() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let ended = api.sign_in("ada").await;
    api.post("/api/auth/logout", json!({})).bearer(&ended.access).send().await.expect(200);
    let (id, secret) = ended.refresh.split_once('.').unwrap();
    let mut seen = None;
    for token in [
        ended.refresh.as_str(),
        ended.access.as_str(),
        "",
        ".",
        "x.y",
        &format!("{id}.{}", "A".repeat(secret.len())),
        &format!("{}.{secret}", "A".repeat(id.len())),
        &"x".repeat(60_000),
    ] {
        let answer = api.refresh(token).await.refused(401, "refresh_invalid");
        let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        let answer = (names, answer.body);
        assert_eq!(seen.get_or_insert_with(|| answer.clone()), &answer, "{token:.20}");
    }
}
