//! Ways around the rules of a running server, in bytes that no client would send: attack log A1, A2, A5, A8 and B5.

use serde_json::{Value, json};

use super::Server;
use super::access_map::{Row, rows};
use super::client::Api;

/// Every spelling of a path that some server has taken for the path itself.
fn spellings(path: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut add = |text: &str| all.push(text.as_bytes().to_vec());
    // Encoded: one character, the slashes, twice, in lower case, overlong.
    for (at, _) in path.char_indices().skip(1).step_by(3) {
        let (before, after) = path.split_at(at);
        let first = after.as_bytes()[0];
        for encoded in [format!("%{first:02X}"), format!("%{first:02x}"), format!("%25{first:02X}")] {
            add(&format!("{before}{encoded}{}", &after[1..]));
        }
    }
    for slash in
        ["%2f", "%2F", "%252f", "%5c", "\\", "//", "/./", "/x/../", "/;/", "/..;/", "/%2e/", "%c0%af"]
    {
        add(&path.replacen('/', &format!("/{slash}"), 1));
        let (before, last) = path.rsplit_once('/').unwrap();
        add(&format!("{before}{slash}{last}"));
        add(&format!("{path}{slash}"));
    }
    for end in [
        ";",
        ";a=b",
        ".",
        "..",
        "/",
        "/.",
        "/..",
        "//",
        "%00",
        "%0a",
        "%0d%0a",
        "%09",
        "%20",
        "%3f",
        "%23",
        "%",
        "%2",
        ".json",
        ".css",
        "~",
        "*",
        ":",
        "@",
        "%e2%80%8b",
        "?",
        "?a=b",
        "?;",
        "#",
        "#a",
    ] {
        add(&format!("{path}{end}"));
        // Behind these the rest is no path, and `/health` is everybody's.
        if !end.starts_with(['?', '#']) {
            add(&format!("/health{end}{path}"));
        }
        add(&format!("/health/..{end}{path}"));
    }
    for prefix in
        ["/", "/.", "/..", "/%2e%2e", "/api", "/api/..", "/health/..", "/.well-known/..", "http:/", "*", "."]
    {
        add(&format!("{prefix}{path}"));
    }
    add(&path.to_uppercase());
    add(&path.replacen("/api", "/API", 1));
    add(&path.replacen("/api", "", 1));
    add(&path.replacen("/api", "/Api", 1));
    add(&format!("http://health{path}"));
    add(&format!("http://127.0.0.1{path}"));
    add(&format!("//health{path}"));
    for byte in [b'\0', b'\t', b'\r', b'\n', 0x0b, 0x7f, 0x80, 0xff] {
        for at in [1, path.len() / 2, path.len()] {
            let mut bytes = path.as_bytes().to_vec();
            bytes.insert(at, byte);
            all.push(bytes);
        }
    }
    all
}

async fn status(api: &Api, method: &str, target: &[u8], headers: &str) -> u16 {
    let head = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"].concat();
    let answer = api.raw(&[&head, headers.as_bytes(), b"content-length: 0\r\n\r\n"].concat()).await;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map(str::parse);
    // What is no request at all may be answered by hanging up.
    match status {
        Some(status) => status.unwrap(),
        None => {
            assert_eq!(answer, "", "{}", String::from_utf8_lossy(target));
            400
        }
    }
}

/// A1: Spring CVE-2016-5007, CVE-2016-9879, CVE-2018-1199, CVE-2022-22978, CVE-2023-34035. A2: a prefix that goes missing.
/// Nobody gets past a rule by spelling the path in another way; nor does somebody known get to what is an administrator's.
// ASVS 8.3.1
#[tokio::test]
async fn no_spelling_of_a_path_gets_past_its_rule() {
    let server = Server::start();
    let api = server.api();
    let registered = api.register("ada").await;
    let (user, admin) = (api.sign_in("ada").await.access, api.admin().await.access);
    let id = registered["id"].as_str().unwrap();
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let mut asked = 0;
    for Row { method, path, rule } in rows().into_iter().filter(|row| row.rule != "public") {
        let path = path.replace("{id}", id);
        if method == "GET" && path.starts_with("/api/admin") {
            // What is asked for is there for whoever may.
            assert_eq!(status(&api, &method, path.as_bytes(), &bearer(&admin)).await, 200, "{path}");
        }
        let known = rule == "role admin" || rule.starts_with("permission users:");
        for target in spellings(&path) {
            let shown = format!("{method} {}", String::from_utf8_lossy(&target));
            let answer = status(&api, &method, &target, "").await;
            assert!((400..500).contains(&answer), "{shown:?}: {answer}");
            if known {
                let answer = status(&api, &method, &target, &bearer(&user)).await;
                assert!((400..500).contains(&answer), "{shown:?}, known: {answer}");
            }
            asked += 1;
        }
    }
    assert!(asked > 14 * 200, "{asked}");
    // All of it changed nothing, and the server is still there.
    let users = api.get("/api/admin/users").bearer(&admin).send().await.expect(200).json();
    assert_eq!(users.as_array().unwrap().len(), 2);
    api.me(&user).await.expect(200);
}

/// A5: Spring CVE-2025-41248 and -41249. Other methods, the fallback, what follows an error, and a connection that others
/// used before: each goes through the gate of its own accord.
// ASVS 8.2.1
#[tokio::test]
async fn no_second_way_leads_past_the_gate() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    let user = api.sign_in("ada").await.access;
    let rows = rows();
    for method in
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "QUERY"]
    {
        for Row { path, .. } in rows.iter().filter(|row| row.rule != "public") {
            let path = path.replace("{id}", "1");
            let answer = status(&api, method, path.as_bytes(), "").await;
            assert!(matches!(answer, 401 | 405), "{method} {path}: {answer}");
        }
        for path in ["/", "/none", "/api", "*"] {
            let answer = status(&api, method, path.as_bytes(), "").await;
            assert!(matches!(answer, 400 | 404 | 405), "{method} {path}: {answer}");
        }
    }
    // One connection: who was known before is not known now, also after an error and a panic.
    let ask = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let bearer = format!("authorization: Bearer {user}\r\n");
    let pipelined = [
        ask("/api/auth/me", &bearer),
        ask("/api/auth/me", ""),
        ask("/api/debug/error", &bearer),
        ask("/api/auth/me", ""),
        ask("/none", &bearer),
        ask("/api/notes", ""),
        ask("/api/debug/panic", &bearer),
        ask("/api/auth/me", "connection: close\r\n"),
    ];
    let answers = api.raw(pipelined.concat().as_bytes()).await;
    let statuses: Vec<_> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.get(..3).unwrap()).collect();
    assert_eq!(statuses, ["200", "401", "500", "401", "404", "401", "500", "401"], "{answers}");
}

/// A8: Spring CVE-2026-41847. What was authorised is what the handler gets: not another method, path, id, host or body that
/// the same request names elsewhere.
#[tokio::test]
async fn the_handler_gets_the_request_that_was_authorised() {
    let server = Server::start();
    let api = server.api();
    api.register("ada").await;
    api.register("eve").await;
    let (owner, eve) = (api.sign_in("ada").await.access, api.sign_in("eve").await.access);
    let create = async |token: &str, title: &str| -> String {
        let made = api.post("/api/notes", json!({ "title": title, "body": "b" })).bearer(token).send().await;
        made.expect(201).json()["id"].as_str().unwrap().to_owned()
    };
    let (theirs, own) = (create(&owner, "ada's").await, create(&eve, "eve's").await);
    let path = format!("/api/notes/{own}");
    for (name, query, headers) in [
        ("query", format!("?id={theirs}&method=DELETE"), vec![]),
        ("override", String::new(), vec![("x-http-method-override", "DELETE"), ("x-method-override", "PUT")]),
        (
            "rewrite",
            String::new(),
            vec![("x-original-url", "/api/admin/users"), ("x-rewrite-url", "/api/admin/users")],
        ),
        (
            "forwarded",
            String::new(),
            vec![("x-forwarded-uri", "/api/admin/users"), ("x-forwarded-prefix", "/api/admin")],
        ),
        (
            "somebody else",
            String::new(),
            vec![("x-user-id", "root"), ("x-forwarded-user", "root"), ("remote-user", "root")],
        ),
    ] {
        let ask = api.get(&format!("{path}{query}")).bearer(&eve);
        let ask = headers.into_iter().fold(ask, |ask, (header, value)| ask.header(header, value));
        let note = ask.send().await.expect(200).json();
        assert_eq!(
            (&note["id"], &note["title"]),
            (&Value::from(own.as_str()), &Value::from("eve's")),
            "{name}"
        );
    }
    // Two lengths: whatever is left over is nobody's request, and least of all an authorised one.
    let smuggled = format!("DELETE /api/notes/{theirs} HTTP/1.1\r\nhost: x\r\n\r\n");
    for lengths in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", smuggled.len() + 5),
        format!("content-length: 0\r\ncontent-length: {}\r\n", smuggled.len()),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "content-length: +0\r\n".to_owned(),
    ] {
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {owner}\r\n{lengths}\r\n");
        let answers = api
            .raw(
                format!("{head}0\r\n\r\n{smuggled}GET /none HTTP/1.1\r\nconnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .await;
        assert!(!answers.contains("HTTP/1.1 2"), "{lengths}: {answers}");
    }
    for (token, id) in [(&owner, &theirs), (&eve, &own)] {
        api.get(&format!("/api/notes/{id}")).bearer(token).send().await.expect(200);
    }
}

/// B5: what is empty grants nothing: neither no role at all nor a token limited to nothing.
// ASVS 8.2.1
#[tokio::test]
async fn nothing_held_is_nothing_granted() {
    let server = Server::start();
    let api = server.api();
    let ada = api.register("ada").await;
    let admin = api.admin().await.access;
    let path = format!("/api/admin/users/{}/roles", ada["id"].as_str().unwrap());
    let emptied = api.ask("PUT", &path).bearer(&admin).json(json!({ "roles": [] })).send().await;
    assert_eq!(emptied.expect(200).json()["roles"], json!([]));
    let token = api.sign_in("ada").await.access;
    let mut refused = 0;
    for Row { method, path, rule } in rows() {
        if rule.starts_with("role ") || rule.starts_with("permission ") {
            let path = path.replace("{id}", "1");
            api.ask(&method, &path).bearer(&token).json(json!({})).send().await.refused(403, "forbidden");
            refused += 1;
        }
    }
    assert!(refused >= 8, "{refused}");
    api.me(&token).await.expect(200);
}
