//! What a client may get wrong, and what it is told.

use http::header::ALLOW;
use serde_json::json;

use super::{PASSWORD, Server};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

// ASVS 4.1.1, 16.5.1
#[tokio::test]
async fn bodies() {
    let server = Server::start();
    let api = server.api();
    let good = json!({ "username": "ada", "email": "ada@example.com", "password": PASSWORD }).to_string();
    let large =
        json!({ "username": "ada", "email": "a@example.com", "password": "x".repeat(70_000) }).to_string();
    let deep = "[".repeat(60_000);
    let deep_value = format!("{{\"username\":{}", "{\"a\":".repeat(10_000));
    let not_utf8 = b"{\"username\":\"\xff\",\"email\":\"a@example.com\",\"password\":\"x\"}";
    for (name, path, content_type, body, status, code) in [
        ("nothing", "register", JSON, &b""[..], 400, "malformed_request"),
        ("cut", "register", JSON, b"{\"username\":\"ada\"", 400, "malformed_request"),
        ("not json", "register", JSON, b"username=ada", 400, "malformed_request"),
        ("not utf-8", "register", JSON, not_utf8, 400, "malformed_request"),
        ("two documents", "register", JSON, b"{}{}", 400, "malformed_request"),
        ("an array", "register", JSON, b"[]", 422, "validation_failed"),
        ("null", "register", JSON, b"null", 422, "validation_failed"),
        ("nothing in it", "register", JSON, b"{}", 422, "validation_failed"),
        ("a number for a name", "register", JSON, b"{\"username\":1}", 422, "validation_failed"),
        ("deep", "register", JSON, deep.as_bytes(), 422, "validation_failed"),
        ("deep in a field", "register", JSON, deep_value.as_bytes(), 422, "validation_failed"),
        ("large", "register", JSON, large.as_bytes(), 413, "body_too_large"),
        ("large", "login", JSON, large.as_bytes(), 413, "body_too_large"),
        ("large", "login", FORM, large.as_bytes(), 413, "body_too_large"),
        ("form", "register", FORM, b"username=ada", 415, "unsupported_media_type"),
        ("text", "register", "text/plain", good.as_bytes(), 415, "unsupported_media_type"),
        ("multipart", "login", "multipart/form-data; boundary=x", b"--x--", 415, "unsupported_media_type"),
        ("no type", "login", "", good.as_bytes(), 415, "unsupported_media_type"),
        ("empty form", "login", FORM, b"", 422, "validation_failed"),
        ("no password", "login", FORM, b"username=ada", 422, "validation_failed"),
        ("two user names", "login", FORM, b"username=a&username=b&password=c", 422, "validation_failed"),
        ("two passwords", "login", FORM, b"username=a&password=b&password=c", 422, "validation_failed"),
        ("name and address", "login", FORM, b"username=a&email=b&password=c", 422, "validation_failed"),
        ("nobody", "login", FORM, b"password=c", 422, "validation_failed"),
        ("another grant", "login", FORM, b"grant_type=x&username=a&password=c", 422, "validation_failed"),
        ("less than all", "login", FORM, b"scope=tasks:read&username=a&password=c", 422, "validation_failed"),
        ("a client", "login", FORM, b"client_id=x&username=a&password=c", 422, "validation_failed"),
        ("no token", "refresh", JSON, b"{}", 422, "validation_failed"),
        ("a null token", "refresh", JSON, b"{\"refresh_token\":null}", 422, "validation_failed"),
    ] {
        let ask = api.ask("POST", &format!("/api/auth/{path}")).body(content_type, body.to_vec());
        let answer = ask.send().await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        answer.refused(status, code);
    }
    // Chunked, so that no length warns of it.
    let chunk = format!("{:x}\r\n{}\r\n", large.len(), large);
    for content_type in [JSON, FORM] {
        let head = format!(
            "POST /api/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
             transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        );
        assert!(api.raw(head.as_bytes()).await.starts_with("HTTP/1.1 413 "), "{content_type}");
    }
    // All that was refused; the good one is good.
    api.ask("POST", "/api/auth/register")
        .body("Application/JSON; charset=utf-8", good)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn credentials() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let token = api.sign_in("ada").await.access;
    let me = "/api/auth/me";
    let bearer = format!("Bearer {token}");
    for (name, path, headers, code) in [
        ("basic", me, vec!["Basic YTpi"], "scheme_unsupported"),
        ("no scheme", me, vec![token.as_str()], "scheme_unsupported"),
        ("no token", me, vec!["Bearer"], "token_invalid"),
        ("in the query", &format!("{me}?access_token={token}"), vec![], "credential_in_url"),
        ("in the query too", &format!("{me}?access_token={token}"), vec![&bearer], "credential_in_url"),
        ("in the query, escaped", &format!("{me}?%61ccess_token={token}"), vec![], "credential_in_url"),
        ("two tokens in one", me, vec![&format!("{bearer}, {bearer}")], "token_invalid"),
        ("cut", me, vec![&bearer[..bearer.len() - 1]], "token_invalid"),
        ("large", me, vec![&format!("Bearer {}", "x".repeat(9000))], "token_invalid"),
    ] {
        let ask = headers.into_iter().fold(api.get(path), |ask, value| ask.header("authorization", value));
        let answer = ask.send().await.expect(401);
        assert_eq!(answer.json()["code"], code, "{name}");
    }
    // Two of them have no one meaning.
    for first in [bearer.as_str(), "Basic YTpi"] {
        let ask = api.get(me).header("authorization", first).header("authorization", &bearer);
        ask.send().await.refused(400, "malformed_request");
    }
    // A public route does not even read them.
    api.get("/health").bearer("nonsense").send().await.expect(200);
    api.me(&token).await.expect(200);
}

#[tokio::test]
async fn methods() {
    // What the firewall lets through at all.
    const ALL: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
    let server = Server::start();
    let api = server.api();
    for (method, path, allow) in [
        ("GET", "/api/auth/login", "POST"),
        ("HEAD", "/api/auth/login", "POST"),
        ("DELETE", "/api/auth/me", "GET, HEAD"),
        ("OPTIONS", "/api/auth/me", "GET, HEAD"),
        ("TRACE", "/health", ALL),
        ("BREW", "/health", ALL),
        ("get", "/health", ALL),
        ("PATCH", "/api/notes/1", "DELETE, GET, HEAD, PUT"),
    ] {
        let answer = api.ask(method, path).send().await.expect(405);
        assert_eq!(answer.headers[ALLOW], allow, "{method} {path}");
    }
    let head = api.ask("HEAD", "/health").send().await.expect(200);
    assert!(head.body.is_empty());
    let head = api.ask("HEAD", "/api/auth/me").send().await.expect(401);
    assert!(head.body.is_empty() && head.headers.contains_key("www-authenticate"));
    // A method in a header is not a method.
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        api.ask("GET", "/api/auth/login").header(name, "POST").send().await.expect(405);
    }
}

/// A1, A3: another spelling of a path is another path.
#[tokio::test]
async fn paths() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let token = api.sign_in("ada").await.access;
    for path in [
        "//api/auth/me",
        "/api//auth/me",
        "/api/auth/me%00",
        "/api/auth/me;x=1",
        "/api/./auth/me",
        "/api/tasks/../auth/me",
        "/api/tasks/..%2fauth/me",
        "/api%2fauth%2fme",
        "/api/auth/me%2f",
        "/.well-known//jwks.json",
    ] {
        api.get(path).send().await.refused(400, "malformed_request");
        api.get(path).bearer(&token).send().await.refused(400, "malformed_request");
    }
    // These have one meaning, and it is another path; the last one is the same path.
    for path in ["/api/auth/me/", "/api/auth/ME", "/api/auth/me%20"] {
        api.get(path).send().await.refused(404, "not_found");
        api.get(path).bearer(&token).send().await.refused(404, "not_found");
    }
    api.get("/api/auth/%6de").send().await.refused(401, "unauthenticated");
    api.get("/api/auth/%6de").bearer(&token).send().await.expect(200);
    for path in ["/api/notes/%00", "/api/notes/%FF", "/api/notes/..%2f..", "/api/notes/%zz"] {
        api.get(path).bearer(&token).send().await.refused(400, "malformed_request");
    }
    api.get("/api/notes/a%20b").send().await.refused(401, "unauthenticated");
    api.get("/api/notes/a%20b").bearer(&token).send().await.refused(404, "not_found");
    let long = format!("/api/notes/{}", "a".repeat(20_000));
    api.get(&long).bearer(&token).send().await.refused(414, "uri_too_long");

    let admin = api.admin().await.access;
    for path in ["a%20b", "nobody", &"a".repeat(1000)] {
        let path = format!("/api/admin/users/{path}");
        api.ask("DELETE", &path).bearer(&admin).send().await.refused(404, "not_found");
        let roles = api.ask("PUT", &format!("{path}/roles")).bearer(&admin).json(json!({ "roles": [] }));
        roles.send().await.refused(404, "not_found");
    }
    for query in ["limit=x", "limit=-1", "limit=1&limit=2", "after=a%20b", "role=admin", "=", "limit"] {
        let path = format!("/api/admin/users?{query}");
        api.get(&path).bearer(&admin).send().await.refused(422, "validation_failed");
    }
    api.get("/api/admin/audit?before=x").bearer(&admin).send().await.refused(422, "validation_failed");
    let page = api.get("/api/admin/users?limit=0").bearer(&admin).send().await.expect(200).json();
    assert_eq!(page.as_array().unwrap().len(), 1, "at least one");
}

/// What goes wrong inside stays inside, and the server goes on.
// ASVS 16.5.1, 16.5.4
#[tokio::test]
async fn defects_show_nothing() {
    let server = Server::start();
    let api = server.api();
    for _ in 0..3 {
        api.get("/api/debug/error").send().await.refused(500, "internal_error");
        api.get("/api/debug/panic").send().await.refused(500, "internal_error");
    }
    api.get("/health").send().await.expect(200);
    assert!(server.output().contains("canary 7f3a"), "the operator sees the cause");
    for environment in ["development", "production"] {
        let secret = ("JWT_SECRET_KEY", "Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP");
        let root = ("ENCRYPTION_KEY", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
        let server = Server::start_with(&[("ENVIRONMENT", environment), secret, root]);
        for path in ["/api/debug/error", "/api/debug/panic", "/api/debug/clock"] {
            server.api().get(path).send().await.refused(404, "not_found");
        }
    }
}
