//! Sealed values in a real database: bytes and text go in and out, and nothing is opened on the way.

use portcullis::crypto::blind_index::IndexValue;
use sqlx::Row as _;
use sqlx::types::Text;

use super::*;
use crate::support::postgres::Postgres;

#[tokio::test]
async fn sealed_columns_of_sqlite() {
    let (vault, _) = vault(&Turning::new()).await;
    let names = vault.blind_index("users", "name", |index| index).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}?mode=rwc", file.display())).await.unwrap();
    sqlx::query("CREATE TABLE users (id TEXT PRIMARY KEY, name BLOB, phone TEXT, name_index BLOB) STRICT")
        .execute(&pool)
        .await
        .unwrap();
    let tenant = tenant("t");
    for (id, name) in [("1", Some("canary-ada")), ("2", Some("canary-ada")), ("3", None)] {
        let at = |column| FieldContext::new(&tenant, "users", column, id);
        let sealed = name.map(|name| vault.seal(&name.to_owned(), &at("name")).unwrap());
        let phone = Text(vault.seal(&"canary-555".to_owned(), &at("phone")).unwrap());
        sqlx::query("INSERT INTO users VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(sealed)
            .bind(phone)
            .bind(name.map(|name| names.value(&tenant, name)))
            .execute(&pool)
            .await
            .unwrap();
    }
    let mut found = 0;
    for candidate in names.candidates(&tenant, "canary-ada") {
        let rows = sqlx::query("SELECT id, name, phone, name_index FROM users WHERE name_index = ?")
            .bind(candidate)
            .fetch_all(&pool)
            .await
            .unwrap();
        for row in rows {
            let id: String = row.get(0);
            let at = |column| FieldContext::new(&tenant, "users", column, &id);
            let name: Encrypted<String> = row.get(1);
            let phone: Text<Encrypted<String>> = row.get(2);
            let _: IndexValue = row.get(3);
            assert_eq!(vault.open(&name, &at("name")).await.unwrap(), "canary-ada");
            assert_eq!(vault.open(&phone, &at("phone")).await.unwrap(), "canary-555");
            found += 1;
        }
    }
    assert_eq!(found, 2);
    let none: Option<Encrypted<String>> =
        sqlx::query_scalar("SELECT name FROM users WHERE id = '3'").fetch_one(&pool).await.unwrap();
    assert!(none.is_none());
    let distinct: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT name) FROM users").fetch_one(&pool).await.unwrap();
    assert_eq!(distinct, 2, "equal values look different");
    let nonsense = sqlx::query_scalar::<_, Encrypted<String>>("SELECT x'00ff'").fetch_one(&pool).await;
    assert!(nonsense.is_err());
    pool.close().await;
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"), "in clear in the file");
}

/// The same columns in PostgreSQL: `BYTEA` and `TEXT`.
#[tokio::test]
async fn sealed_columns_of_postgres() {
    let Some(postgres) = Postgres::start().await else { return };
    let (vault, _) = vault(&Turning::new()).await;
    let names = vault.blind_index("users", "name", |index| index).unwrap();
    let tenant = tenant("t");
    let mut connection = postgres.pool.acquire().await.unwrap();
    sqlx::query("CREATE TEMPORARY TABLE users (id TEXT, name BYTEA, phone TEXT, name_index BYTEA)")
        .execute(&mut *connection)
        .await
        .unwrap();
    for (id, name) in [("1", Some("ada")), ("2", Some("ada")), ("3", None)] {
        let at = |column| FieldContext::new(&tenant, "users", column, id);
        sqlx::query("INSERT INTO users VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(name.map(|name| vault.seal(&name.to_owned(), &at("name")).unwrap()))
            .bind(Text(vault.seal(&"555".to_owned(), &at("phone")).unwrap()))
            .bind(name.map(|name| names.value(&tenant, name)))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    let mut found = 0;
    for candidate in names.candidates(&tenant, "ada") {
        let rows = sqlx::query("SELECT id, name, phone FROM users WHERE name_index = $1").bind(candidate);
        for row in rows.fetch_all(&mut *connection).await.unwrap() {
            let id: String = row.get(0);
            let at = |column| FieldContext::new(&tenant, "users", column, &id);
            let (name, phone): (Encrypted<String>, Text<Encrypted<String>>) = (row.get(1), row.get(2));
            assert_eq!(vault.open(&name, &at("name")).await.unwrap(), "ada");
            assert_eq!(vault.open(&phone, &at("phone")).await.unwrap(), "555");
            found += 1;
        }
    }
    assert_eq!(found, 2);
    let none = sqlx::query_scalar("SELECT name FROM users WHERE id = '3'");
    let none: Option<Encrypted<String>> = none.fetch_one(&mut *connection).await.unwrap();
    assert!(none.is_none());
}
