//! Who may call what: the table that the server prints, and that it means it.

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
    print(&[("ENVIRONMENT", "test")])
        .lines()
        .map(|line| {
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            Row { method, path, rule: words.collect::<Vec<_>>().join(" ") }
        })
        .collect()
}

fn print(env: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), env, &["--access-map"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A change of the table is a change of who may do what: look at it twice, then replace `access_map.txt`.
// ASVS 8.1.1
#[test]
fn the_table_is_as_reviewed() {
    let printed = print(&[]);
    assert_eq!(printed, include_str!("access_map.txt"), "printed:\n{printed}");
    let secret = [("JWT_SECRET_KEY", "Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP"), ("ENVIRONMENT", "production")];
    assert_eq!(print(&secret), printed, "production serves the same");

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
