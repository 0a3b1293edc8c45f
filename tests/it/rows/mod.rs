//! Row rules: SQLite, rows in memory, the policy of a route, and a reading of the rule that is as plain as can be, agree.

mod reference;

use std::sync::OnceLock;

use portcullis::authz::AccessRequest;
use portcullis::authz::policy::rows::{Dialect, RowRule, Value, all_of, any_of, field, not};
use portcullis::authz::policy::{Decision, Policy as _, PolicyOutcome};
use portcullis::{Principal, Subject, TenantId};
use proptest::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Row as _};

use reference::{FIELDS, FLAG, Stored, Tree, Who, roles, row, tree, who};

/// Columns that change what they are given, or compare in ways of their own.
const TABLE: &str = "CREATE TABLE rows (id INTEGER PRIMARY KEY, tenant TEXT COLLATE NOCASE, owner TEXT COLLATE NOCASE,
    trimmed TEXT COLLATE RTRIM, number INTEGER, numeric NUMERIC, anything, blob BLOB, \"group\" VARCHAR(9), flag BOOLEAN)";

async fn database() -> SqlitePool {
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    pool
}

fn bind<'q>(
    query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    value: &Value<'_>,
) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Text(text) => query.bind(text.to_string()),
        Value::Integer(number) => query.bind(*number),
        Value::Boolean(yes) => query.bind(*yes),
    }
}

/// The rows as they came out of being stored.
async fn store(pool: &SqlitePool, rows: &[Vec<Value<'static>>]) -> Vec<Stored> {
    sqlx::query("DELETE FROM rows").execute(pool).await.unwrap();
    for values in rows {
        let insert = sqlx::query("INSERT INTO rows VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        values.iter().fold(insert, bind).execute(pool).await.unwrap();
    }
    let names: Vec<_> = FIELDS.iter().chain([&FLAG]).map(|name| format!("[{name}]")).collect();
    let kinds: Vec<_> = names.iter().map(|name| format!("typeof({name})")).collect();
    let sql = format!("SELECT id, {}, {} FROM rows ORDER BY id", names.join(", "), kinds.join(", "));
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
    let stored = found.iter().map(|row| {
        let values = FIELDS.iter().chain([&FLAG]).enumerate().map(|(nth, name)| {
            let kind: String = row.get(nth + 2 + FIELDS.len());
            let value = match kind.as_str() {
                "null" => Value::Null,
                "text" => row.get_unchecked::<String, _>(nth + 1).into(),
                "integer" if *name == FLAG => row.get_unchecked::<bool, _>(nth + 1).into(),
                "integer" => row.get_unchecked::<i64, _>(nth + 1).into(),
                // Numbers with a point are no values of ours. Only the flag is ever compared with this one.
                _ => true.into(),
            };
            (*name, value)
        });
        Stored { id: row.get(0), values: values.collect() }
    });
    stored.collect()
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

fn pool() -> &'static SqlitePool {
    static POOL: OnceLock<SqlitePool> = OnceLock::new();
    POOL.get_or_init(|| runtime().block_on(database()))
}

/// Whether the rows a database selects, those a predicate picks and those whose route is open are those of the rule.
async fn agree(pool: &SqlitePool, tree: &Tree, who: &Who, stored: &[Stored]) -> Result<(), TestCaseError> {
    let (roles, principal) = (roles(), who.principal());
    let rule = RowRule::with_tenant_field("tenant", tree.test(), &roles).unwrap();
    let request = AccessRequest::new(&principal, &roles, "list", "rows");
    let seen = rule.visible_to(&request).unwrap();

    let known = |row: &Stored| {
        let whole = [Tree::Tenant("tenant"), tree.clone()];
        who.subject.and_then(|_| Tree::All(whole.to_vec()).answer(who, row))
    };
    let ids = |rows: &mut dyn Iterator<Item = &Stored>| rows.map(|row| row.id).collect::<Vec<_>>();
    let want = ids(&mut stored.iter().filter(|row| known(row) == Some(true)));

    // Between other conditions and parameters.
    let sql = seen.to_sql(Dialect::Sqlite, 1);
    let statement = format!("SELECT id FROM rows WHERE id > ?1 AND {} ORDER BY id", sql.text);
    let query = sql.values.iter().fold(sqlx::query(AssertSqlSafe(statement)).bind(-1_i64), bind);
    let listed: Vec<i64> = query.fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect();
    prop_assert_eq!(&listed, &want, "SQL: {} {:?}", &sql.text, &sql.values);

    let picked = ids(&mut stored.iter().filter(|row| seen.allows(*row)));
    prop_assert_eq!(&picked, &want, "in memory");
    if seen.is_nothing() {
        prop_assert!(want.is_empty());
    }
    prop_assert!(!seen.is_everything(), "there is always the tenant");

    let table = stored.to_vec();
    let policy = rule.policy(move |_: TenantId, id: i64| {
        let row = table.iter().find(|row| row.id == id).cloned();
        async move { Ok(row) }
    });
    for row in stored {
        let path = format!("/rows/{}", row.id);
        let decision = match policy.decide(&AccessRequest::new(&principal, &roles, "GET", &path)) {
            PolicyOutcome::Ready(decision) => decision,
            PolicyOutcome::Pending(future) => future.await.unwrap(),
            _ => unreachable!(),
        };
        match (known(row), who.subject) {
            (Some(true), _) => prop_assert_eq!(decision, Decision::Allow),
            (_, None) => prop_assert_eq!(decision, Decision::Deny),
            (Some(false), _) if !seen.is_nothing() => prop_assert_eq!(decision, Decision::Deny),
            (None, _) => prop_assert_eq!(decision, Decision::Abstain),
            (Some(false), _) => prop_assert_ne!(decision, Decision::Allow),
        }
    }

    // Of what a rule compares with, nothing is in the text, nor of who asks.
    let harmless = RowRule::with_tenant_field("tenant", tree.harmless().test(), &roles).unwrap();
    let tame = harmless.visible_to(&request).unwrap().to_sql(Dialect::Sqlite, 1);
    prop_assert_eq!(&sql.text, &tame.text);
    prop_assert_eq!(sql.values.len(), tame.values.len());
    let postgres = seen.to_sql(Dialect::Postgres, 1);
    prop_assert_eq!(
        &postgres.text,
        &harmless.visible_to(&request).unwrap().to_sql(Dialect::Postgres, 1).text
    );
    prop_assert_eq!(sql.values, postgres.values);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    // ASVS 1.2.4
    #[test]
    fn a_list_a_predicate_and_a_route_agree(
        trees in prop::collection::vec((tree(), who()), 1..8),
        rows in prop::collection::vec(row(), 1..12),
    ) {
        let pool = pool();
        runtime().block_on(async {
            let stored = store(pool, &rows).await;
            for (tree, who) in &trees {
                agree(pool, tree, who, &stored).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// The largest rule that can be built is one that the database takes.
#[tokio::test]
async fn the_largest_rule_is_not_too_large_for_the_database() {
    let pool = database().await;
    let (roles, who) = (roles(), Principal::user(TenantId::default(), Subject::parse("ada").unwrap()));
    let leaves =
        |count| (0..count).map(|n| if n % 2 == 0 { field("number").is(n) } else { field("owner").is_null() });
    let wide = any_of(leaves(497));
    let deep = (0..14)
        .fold(all_of([any_of(leaves(440))]), |test, _| any_of([all_of([test, field("flag").is_null()])]));
    assert!(RowRule::with_tenant_field("tenant", any_of(leaves(498)), &roles).is_err());
    for (name, test) in [("wide", wide), ("negated", not(any_of(leaves(496)))), ("deep", deep)] {
        let rule = RowRule::with_tenant_field("tenant", test, &roles).unwrap();
        let seen = rule.visible_to(&AccessRequest::new(&who, &roles, "list", "rows")).unwrap();
        let sql = seen.to_sql(Dialect::Sqlite, 0);
        let statement = format!("SELECT id FROM rows WHERE {}", sql.text);
        let query = sql.values.iter().fold(sqlx::query(AssertSqlSafe(statement)), bind);
        assert!(query.fetch_all(&pool).await.is_ok(), "{name}");
    }
}

/// SQLite takes an unknown name in quotation marks for a text, and an unquoted word for what it means in SQL.
#[tokio::test]
async fn a_column_that_is_not_there_is_an_error_and_not_a_text() {
    let pool = database().await;
    let (roles, who) = (roles(), Principal::user(TenantId::default(), Subject::parse("ownr").unwrap()));
    for test in [field("ownr").is_subject(), not(field("ownr").is("x")), not(field("true").is_null())] {
        let rule = RowRule::of_tenant(TenantId::default(), test, &roles).unwrap();
        let seen = rule.visible_to(&AccessRequest::new(&who, &roles, "list", "rows")).unwrap();
        let sql = seen.to_sql(Dialect::Sqlite, 0);
        let statement = format!("SELECT id FROM rows WHERE {}", sql.text);
        let query = sql.values.iter().fold(sqlx::query(AssertSqlSafe(statement)), bind);
        let error = query.fetch_all(&pool).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("no such column"), "{rule}: {error}");
    }
}

/// The condition can be answered from an index.
#[tokio::test]
async fn an_index_is_used() {
    let pool = database().await;
    for index in ["CREATE INDEX a ON rows (numeric)", "CREATE INDEX b ON rows (\"group\")"] {
        sqlx::query(index).execute(&pool).await.unwrap();
    }
    let (roles, who) = (roles(), Principal::user(TenantId::default(), Subject::parse("ada").unwrap()));
    for (test, want) in [
        (field("numeric").is(1), "USING INDEX a"),
        (field("group").is_subject(), "USING INDEX b"),
        (field("group").is_one_of(["x", "y"]), "USING INDEX b"),
    ] {
        let rule = RowRule::of_tenant(TenantId::default(), test, &roles).unwrap();
        let seen = rule.visible_to(&AccessRequest::new(&who, &roles, "list", "rows")).unwrap();
        let sql = seen.to_sql(Dialect::Sqlite, 0);
        let statement = format!("EXPLAIN QUERY PLAN SELECT * FROM rows WHERE {}", sql.text);
        let query = sql.values.iter().fold(sqlx::query(AssertSqlSafe(statement)), bind);
        let plan: String = query.fetch_one(&pool).await.unwrap().get("detail");
        assert!(plan.contains(want), "{rule}: {plan}");
    }
}
