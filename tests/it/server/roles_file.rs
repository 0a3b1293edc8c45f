//! Roles in a file, changed while the server runs.

use std::time::Duration;

use serde_json::json;

use super::Server;

const ROLES: &str = r#"
[[roles]]
name = "user"
grants = ["tasks:read"]

[[roles]]
name = "admin"
inherits = ["user"]
grants = ["*:*"]
"#;

/// What a changed file grants or takes away binds for tokens that are out; a broken file changes nothing.
#[tokio::test]
async fn a_changed_file_binds_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roles.toml");
    let write = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    write(ROLES);
    let server = Server::start_with(&[("ROLES_FILE", file.to_str().unwrap())]);
    let api = server.api();
    api.register("ada").await;
    let token = api.sign_in("ada").await.access;
    let create =
        async || api.post("/api/tasks", json!({ "title": "a task" })).bearer(&token).send().await.status;
    let becomes = async |want: u16| {
        for _ in 0..100 {
            if create().await == want {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it did not become {want}");
    };
    let is_logged = async |what: &str| {
        for _ in 0..100 {
            if server.output().contains(what) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`{what}` is not in the log");
    };
    assert_eq!(create().await, 403);
    let more = ROLES.replacen("\"tasks:read\"", "\"tasks:*\"", 1);
    write(&more);
    becomes(201).await;

    write(&more.replace("grants", "grant"));
    is_logged("unknown field `grant`").await;
    assert_eq!(create().await, 201, "the roles before stay in force");
    write(&more.replace("admin", "boss"));
    is_logged("role `admin`: is named in the configuration").await;
    assert_eq!(create().await, 201, "the roles before stay in force");

    write(ROLES);
    becomes(403).await;
}
