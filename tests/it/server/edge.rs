//! What stands in front of the routes of the running server.

use serde_json::json;

use super::access_map::rows;
use super::{PASSWORD, Server};

const LIMITS: [(&str, &str); 3] =
    [("RATE_LIMIT_PER_MINUTE", ""), ("RATE_LIMIT_PER_HOUR", ""), ("SIGN_IN_PER_MINUTE", "")];

/// 60 a minute, and whoever rotates `X-Forwarded-For` gets no more (R2).
#[tokio::test]
async fn seventy_quick_requests_are_sixty() {
    let server = Server::start_with(&LIMITS);
    let api = server.api();
    let mut passed = 0;
    for n in 0..70 {
        let ask = api.get("/health").header("x-forwarded-for", &format!("198.51.100.{n}"));
        let answer = ask.send().await;
        match answer.status {
            200 => passed += 1,
            _ => {
                let wait = &answer.refused(429, "rate_limited").headers["retry-after"];
                assert!(wait.to_str().unwrap().parse::<u32>().unwrap() >= 1);
            }
        }
    }
    // A slow machine has earned a few more by the time the last one is sent.
    assert!((60..66).contains(&passed), "{passed}");
}

/// Behind a proxy that is trusted, each of its clients counts by itself.
#[tokio::test]
async fn clients_of_a_trusted_proxy() {
    let server =
        Server::start_with(&[("RATE_LIMIT_PER_MINUTE", "2"), ("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")]);
    let api = server.api();
    for client in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(api.get("/health").header("x-forwarded-for", client).send().await.status);
        }
        assert_eq!(statuses, [200, 200, 429], "{client}");
    }
}

#[tokio::test]
async fn five_tries_a_minute_at_a_name() {
    let server = Server::start_with(&LIMITS);
    let api = server.api();
    api.register("ada").await;
    let sign_in = async |name: &str| {
        let body = json!({ "username": name, "password": "a guess that is wrong" });
        api.post("/api/auth/login", body).send().await.status
    };
    for name in ["ada", "nobody"] {
        let mut statuses = Vec::new();
        for _ in 0..7 {
            statuses.push(sign_in(name).await);
        }
        assert_eq!(statuses[..5], [401; 5], "{name}");
        assert!(statuses.contains(&429), "{name}: {statuses:?}");
    }
}

/// A7: every route, allowed or not, answers with the preset.
#[tokio::test]
async fn every_route_answers_with_the_headers() {
    let server = Server::start();
    let api = server.api();
    let admin = api.admin().await;
    for row in rows() {
        for token in [None, Some(admin.access.as_str())] {
            let ask = api.ask(&row.method, &row.path.replace("{id}", "1"));
            let answer = ask.bearer_if(token).send().await;
            for (name, value) in [
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.headers[name], value, "{} {}: {name}", row.method, row.path);
            }
            assert!(answer.headers.contains_key("x-request-id") && answer.headers.contains_key("ratelimit"));
            assert!(!answer.headers.contains_key("server"));
        }
    }
}

/// H4, H8: pages of other origins read and change what the operator lets them.
#[tokio::test]
async fn pages_of_other_origins() {
    let app = "https://app.example";
    let server = Server::start_with(&[("CORS_ORIGINS", app), ("CORS_ALLOW_CREDENTIALS", "true")]);
    let api = server.api();
    api.register("ada").await;
    let sign_in = json!({ "username": "ada", "password": PASSWORD });
    for (origin, status) in [(app, 200), ("https://evil.example", 403), ("null", 403)] {
        let preflight = api.ask("OPTIONS", "/api/auth/login").header("origin", origin);
        let answer = preflight.header("access-control-request-method", "POST").send().await.expect(204);
        assert_eq!(answer.headers.contains_key("access-control-allow-origin"), status == 200, "{origin}");
        let answer = api.post("/api/auth/login", sign_in.clone()).header("origin", origin).send().await;
        assert_eq!(answer.status, status, "{origin}");
        assert_eq!(answer.headers.contains_key("access-control-allow-origin"), status == 200, "{origin}");
    }
}
