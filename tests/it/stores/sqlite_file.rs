//! What is particular to a store in a file.

use std::sync::Arc;
use std::time::Duration;

use portcullis::TenantId;
use portcullis::audit::{AuditEvent, AuditSink, EventName};
use portcullis::backend::sqlite::SqliteStore;
use portcullis::error::{ErrorKind, Result};
use portcullis::id::Subject;
use portcullis::store::conformance::{CHECKS, Harness, check};
use portcullis::store::{TokenStore, User, UserInsertion, UserStore};
use portcullis::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tempfile::TempDir;

fn user(id: &str) -> User {
    User::new(TenantId::default(), Subject::parse(id).unwrap(), Timestamp::UNIX_EPOCH)
}

/// Every call goes through another of several stores over one file, as if each were a process of its own: nothing
/// but the database itself stands between the racers.
struct ManyProcesses {
    stores: Vec<SqliteStore>,
    next: std::sync::atomic::AtomicUsize,
    _dir: TempDir,
}

impl ManyProcesses {
    fn any(&self) -> SqliteStore {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.stores[number % self.stores.len()].clone()
    }
}

impl Harness for ManyProcesses {
    fn users(&self) -> Arc<dyn UserStore> {
        Arc::new(self.any())
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.any())
    }

    async fn reopen(&mut self) -> Result<bool> {
        Ok(false)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn races_between_processes_end_the_same_way() {
    for name in CHECKS.iter().filter(|name| name.starts_with("racing_")) {
        let dir = tempfile::tempdir().unwrap();
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(SqliteStore::open(dir.path().join("app.db")).await.unwrap());
        }
        check(name, ManyProcesses { stores, next: 0.into(), _dir: dir }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_may_start_together() {
    let dir = tempfile::tempdir().unwrap();
    let opening: Vec<_> =
        (0..8).map(|_| tokio::spawn(SqliteStore::open(dir.path().join("app.db")))).collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let _ = UserStore::insert(&store, &user("u")).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name());
    }
    assert!(names.len() > 1, "the log is among them: {names:?}");
}

#[tokio::test]
async fn every_write_waits_for_the_disk() {
    const FULL: i64 = 2;
    const ON: i64 = 1;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let pragma =
        async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(store.pool()).await.unwrap();
    assert_eq!(pragma("PRAGMA synchronous").await, FULL);
    assert_eq!(pragma("PRAGMA foreign_keys").await, ON);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(store.pool()).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lives_beside_the_applications_own_tables() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("app.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    for sql in [
        "CREATE TABLE users (id INTEGER)",
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, success BOOLEAN, checksum BLOB)",
        "INSERT INTO _sqlx_migrations VALUES (1, TRUE, x'00')",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    for _ in 0..2 {
        // The second time, there is nothing left to do.
        let store = SqliteStore::new(pool.clone()).await.unwrap();
        assert_eq!(store.pool().size(), pool.size());
    }
    let store = SqliteStore::new(pool.clone()).await.unwrap();
    assert_eq!(UserStore::insert(&store, &user("u")).await.unwrap(), UserInsertion::Inserted);
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&pool)
        .await
        .unwrap();
    let foreign: Vec<&String> = tables
        .iter()
        .filter(|name| !name.starts_with("portcullis_") && !name.starts_with("sqlite_"))
        .collect();
    assert_eq!(foreign, ["users", "_sqlx_migrations"]);
    let applied: i64 =
        sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(applied, 1);
}

#[tokio::test]
async fn every_table_is_strict() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let loose: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM pragma_table_list WHERE name LIKE 'portcullis%' AND name <> 'portcullis_migrations' \
         AND strict = 0",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(loose, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_a_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is no database. ".repeat(100)).unwrap();
    for (name, opened, want) in [
        ("no database", SqliteStore::open(&text).await, ErrorKind::Corrupt),
        ("no such folder", SqliteStore::open(dir.path().join("no/app.db")).await, ErrorKind::Unavailable),
        ("in memory", SqliteStore::open_url("sqlite::memory:").await, ErrorKind::Internal),
        ("in memory, named", SqliteStore::open_url("sqlite:file:x?mode=memory").await, ErrorKind::Internal),
        ("another database", SqliteStore::open_url("postgres://localhost/x").await, ErrorKind::Internal),
    ] {
        assert_eq!(opened.unwrap_err().kind(), want, "{name}");
    }
    let url = format!("sqlite://{}", dir.path().join("by-url.db").display());
    assert!(SqliteStore::open_url(&url).await.is_ok(), "{url}");
}

#[tokio::test]
async fn what_was_tampered_with_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let _ = UserStore::insert(&store, &user("u")).await.unwrap();
    for sql in [
        "UPDATE portcullis_users SET body = 'null'",
        "UPDATE portcullis_users SET body = '{\"tenant\":1}'",
        "UPDATE portcullis_users SET revision = -1",
    ] {
        sqlx::query(sql).execute(store.pool()).await.unwrap();
        let error = UserStore::get(&store, &TenantId::default(), &user("u").id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{sql}");
    }
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    store.close().await;
    let error = UserStore::insert(&store, &user("u")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_temporary());
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    for micros in (0..2_000).step_by(50) {
        let mut user = user(&format!("u{micros}"));
        user.username = Some(portcullis::store::LoginName {
            text: format!("n{micros}"),
            canonical: format!("n{micros}"),
        });
        let _ = tokio::time::timeout(Duration::from_micros(micros), UserStore::insert(&store, &user)).await;
        // A commit may still be under way; the next writer's turn is behind it.
        let _ = UserStore::insert(&store, &self::user(&format!("next{micros}"))).await.unwrap();
        // Whole or not at all.
        let is_there = UserStore::get(&store, &user.tenant, &user.id).await.unwrap().is_some();
        for key in user.login_keys() {
            assert_eq!(store.find(&user.tenant, &key).await.unwrap().is_some(), is_there, "{micros}");
        }
    }
    assert_eq!(UserStore::insert(&store, &user("after")).await.unwrap(), UserInsertion::Inserted);
}

#[tokio::test]
async fn audit_events_are_kept_and_cannot_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let event = |number: i64, tenant: &str| {
        AuditEvent::new(
            EventName::AuthnLoginFail,
            Timestamp::from_secs(number),
            TenantId::parse(tenant).unwrap(),
        )
        .with_detail("number", number.to_string())
    };
    store.record(&[event(1, "a"), event(2, "b"), event(3, "a")]).await.unwrap();
    store.record(&[event(4, "a")]).await.unwrap();
    store.record(&[]).await.unwrap();
    store.flush().await.unwrap();
    store.close().await;
    let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
    let numbers = async |before, limit| {
        let page = store.audit_events(&TenantId::parse("a").unwrap(), before, limit).await.unwrap();
        page.into_iter().map(|(at, event)| (at, event["details"]["number"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 2).await, [(4, "4".into()), (3, "3".into())], "newest first");
    assert_eq!(numbers(Some(3), 2).await, [(1, "1".into())], "the page before, and no other tenant's");
    for sql in ["DELETE FROM portcullis_audit", "UPDATE portcullis_audit SET body = '{}'"] {
        assert!(sqlx::query(sql).execute(store.pool()).await.is_err(), "{sql}");
    }
    assert_eq!(numbers(None, 10).await.len(), 3);
}

#[tokio::test]
async fn nothing_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("canary.db")).await.unwrap();
    assert_eq!(format!("{store:?}"), "SqliteStore(..)");
    assert_eq!(format!("{:?}", portcullis::store::MemoryStore::new()), "MemoryStore(..)");
}
