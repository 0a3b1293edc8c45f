//! Who may call what: the table that the server prints, and that it means it.

use serde_json::Value;

use super::Server;
use super::process::run;

/// One row of the printed table.
pub struct Row {
    pub method: String,
    pub path: String,
    pub rule: String,
}

/// The table of the server in its test environment, debug routes included.
pub fn rows() -> Vec<Row> {
    rows_in("test")
}

pub fn rows_in(environment: &str) -> Vec<Row> {
    print(&[("ENVIRONMENT", environment)], "--access-map")
        .lines()
        .map(|line| {
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            Row { method, path, rule: words.collect::<Vec<_>>().join(" ") }
        })
        .collect()
}

/// Takes neither a database nor a key, and leaves nothing behind.
fn print(env: &[(&str, &str)], argument: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), env, &[argument]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was made");
    String::from_utf8(output.stdout).unwrap()
}

/// A change of the table is a change of who may do what: look at it twice, then replace `access_map.txt`.
// ASVS 8.1.1
#[test]
fn the_table_is_as_reviewed() {
    let printed = print(&[], "--access-map");
    assert_eq!(printed, include_str!("access_map.txt"), "printed:\n{printed}");
    let production =
        [("ENVIRONMENT", "production"), ("JWT_SECRET_KEY", "bad"), ("DATABASE_URL", "sqlite://missing/x.db")];
    assert_eq!(print(&production, "--access-map"), printed, "production serves the same");
    let json: Vec<Value> = serde_json::from_str(&print(&[], "--access-map=json")).unwrap();
    let rows_as_json = rows_in("production")
        .into_iter()
        .map(|row| serde_json::json!({ "method": row.method, "pattern": row.path, "rule": row.rule }));
    assert_eq!(json, rows_as_json.collect::<Vec<_>>());

    let test: Vec<_> = rows().into_iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let debug: Vec<_> = test.iter().filter(|route| route.contains("/api/debug/")).collect();
    assert_eq!(debug, ["GET /api/debug/error", "GET /api/debug/panic", "POST /api/debug/clock"]);
    assert_eq!(test.len() - debug.len(), printed.lines().count(), "only the debug routes come on top");
}

// ASVS 8.2.1
#[tokio::test]
async fn every_route_asks_who_is_there_unless_it_is_public() {
    let server = Server::start();
    let api = server.api();
    for Row { method, path, rule } in rows() {
        let path = path.replace("{id}", "1");
        let anonymous = api.ask(&method, &path).send().await;
        if rule == "public" {
            assert!(!matches!(anonymous.status, 401 | 403 | 404), "{method} {path}: {}", anonymous.status);
            continue;
        }
        anonymous.refused(401, "unauthenticated");
        api.ask(&method, &path).bearer("x.y.z").send().await.refused(401, "token_invalid");
        // The same for what looks like a way around.
        let overridden =
            api.ask("GET", "/health").header("x-original-url", &path).header("x-rewrite-url", &path);
        assert_eq!(overridden.send().await.expect(200).json()["status"], "ok");
    }
    for unmapped in ["/", "/api", "/api/auth", "/api/admin", "/api/auth/nothing", "/metrics", "/.env"] {
        api.get(unmapped).send().await.refused(404, "not_found");
    }
}
