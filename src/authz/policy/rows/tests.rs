use proptest::prelude::*;

use super::*;
use crate::authz::Refused;
use crate::authz::policy::testing::{ada, down, model, nobody, verdict};
use crate::authz::policy::{self, Decision, hidden, policy_fn};
use crate::error::ErrorKind;
use crate::id::Subject;
use crate::principal::Principal;

fn rule(test: RowTest) -> Result<RowRule, ConfigError> {
    RowRule::with_tenant_field("tenant", test, &model())
}

fn seen_by(rule: &RowRule, principal: &Principal) -> Condition {
    rule.visible_to(&AccessRequest::new(principal, &model(), "list", "notes")).unwrap()
}

#[test]
fn what_cannot_be_a_rule() {
    let is_null = |name: &str| field(name).is_null();
    let deep = |levels: usize| (0..levels).fold(is_null("a"), |test, _| not(test));
    let nested = |levels: usize| (0..levels).fold(is_null("a"), |test, _| any_of([test]));
    for (name, test, want) in [
        ("column", is_null("a"), ""),
        ("table and column", is_null("_notes.Owner_2"), ""),
        ("63 characters", is_null(&"a".repeat(63)), ""),
        ("64 characters", is_null(&"a".repeat(64)), "field `aaaaa"),
        ("nothing", is_null(""), "field ``: cannot be"),
        ("digit", is_null("1a"), "field `1a`: cannot be"),
        ("two dots", is_null("a.b.c"), "field `a.b.c`: cannot be"),
        ("dot at the end", is_null("a."), "field `a.`: cannot be"),
        ("injection", is_null("a] OR 1=1 --"), "field `a] OR"),
        ("quotation mark", is_null("a\"b"), "field `a\\\"b`"),
        ("line break", is_null("a\n"), "field `a\\n`"),
        ("not ASCII", is_null("\u{e4}"), "field"),
        ("bad name in `is`", field("").is(1), "field ``: cannot be"),
        ("bad name of the owner", owner_or(field(""), "notes:moderate"), "field ``: cannot be"),
        ("null", field("a").is(Value::Null), "field `a`: is compared with null"),
        ("null inside", field("a").is_one_of([Value::from(1), Value::Null]), "field `a`: is compared"),
        ("kinds", field("a").is_one_of([Value::from(1), "1".into()]), "field `a`: is compared"),
        (
            "kinds, negated",
            not(field("a").is_one_of([Value::from(1), true.into()])),
            "field `a`: is compared",
        ),
        ("nothing to compare with", field("a").is_one_of([0; 0]), ""),
        ("role", all_of([is_null("a"), holds_role("amdin")]), "role `amdin`: is asked for but not defined"),
        ("permission", not(holds("notes:*")), "permission `notes:*`: has a wildcard"),
        ("permission nobody has", holds("notez:read"), "permission `notez:read`: is asked for"),
        ("scope", field("a").is_subject_with_scope("notes"), "permission `notes`: has not the form"),
        ("scope nobody has", field("a").is_subject_with_scope("x:y"), "permission `x:y`: is asked for"),
        ("policy", by(policy::role("amdin")), "role `amdin`"),
        ("30 negations", deep(30), ""),
        ("deep", deep(31), "row rule: has more than"),
        ("very deep", deep(10_000), "row rule: has more than"),
        ("very deep lists", nested(100_000), "row rule: has more than"),
        ("many", any_of((0..490).map(|n| field("a").is(n))), ""),
        ("too many", any_of((0..).map(|n| field("a").is(n))), "row rule: has more than"),
        ("many values", field("a").is_one_of(0..490), ""),
        ("too many values", field("a").is_one_of(0..), "row rule: has more than"),
        ("too many in all", any_of((0..10).map(|_| field("a").is_one_of(0..60))), "row rule: has more than"),
    ] {
        let error = rule(test).err().map_or(String::new(), |error| error.to_string());
        assert!(error.starts_with(want) && error.is_empty() == want.is_empty(), "{name}: {error:?}");
    }
    let error = RowRule::with_tenant_field("tenant;", is_null("a"), &model()).unwrap_err();
    assert!(error.to_string().starts_with("field `tenant;`"), "{error}");
}

#[test]
fn what_hangs_on_who_asks_is_decided_and_what_remains_is_sql() {
    let moderate = "notes:moderate";
    let own = || owner_or(field("owner"), moderate);
    let null = || field("a").is_null();
    let is = || field("a").is("x");
    let admin = ada().with_roles(["admin"]);
    let limited = |scope: &'static str| ada().with_scopes([scope]);
    let own_only = "([tenant] AND [owner] = ada)";
    let (none, all) = ("1 = 0", "[tenant]");
    for (name, test, principal, want) in [
        ("owner", own(), ada(), own_only),
        ("owner, covered", own(), limited(moderate), own_only),
        ("owner, limited", own(), limited("tasks:read"), none),
        ("not the owner, limited", not(own()), limited("tasks:read"), none),
        ("not the owner", not(own()), ada(), "([tenant] AND [owner] <> ada)"),
        ("moderator", own(), admin.clone(), all),
        ("not a moderator", not(own()), admin.clone(), none),
        ("moderator, limited", own(), admin.clone().with_scopes(["tasks:read"]), none),
        ("not a moderator, limited", not(holds(moderate)), admin.clone().with_scopes(["a:b"]), none),
        ("own without a scope", field("owner").is_subject(), ada(), own_only),
        ("own without a scope, limited", field("owner").is_subject(), limited(moderate), none),
        ("own without a scope, `*:*`", field("owner").is_subject(), limited("*:*"), own_only),
        ("nobody", any_of([own(), null()]), nobody(), none),
        ("nobody, negated", not(any_of([own(), null()])), nobody(), none),
        ("role", holds_role("admin"), admin.clone(), all),
        ("role, limited", holds_role("admin"), admin.clone().with_scopes(["notes:*"]), none),
        ("not banned", not(holds_role("banned")), ada(), all),
        ("banned", not(holds_role("banned")), ada().with_roles(["banned"]), none),
        ("empty", all_of([]), admin.clone(), none),
        ("empty any", any_of([]), admin.clone(), none),
        ("not empty", not(any_of([])), admin.clone(), none),
        ("not not empty", not(not(all_of([]))), admin.clone(), none),
        ("empty beside", any_of([all_of([]), is()]), ada(), "([tenant] AND [a] = x)"),
        ("empty list", field("a").is_one_of([""; 0]), ada(), none),
        ("not in an empty list", not(field("a").is_one_of([""; 0])), ada(), none),
        ("abstains", by(policy_fn(|_| Decision::Abstain)), ada(), none),
        ("not abstains", not(by(policy_fn(|_| Decision::Abstain))), ada(), none),
        ("null", null(), ada(), "([tenant] AND [a] IS NULL)"),
        ("not null", not(null()), ada(), "([tenant] AND [a] IS NOT NULL)"),
        ("de Morgan", not(any_of([is(), null()])), ada(), "([tenant] AND [a] <> x AND [a] IS NOT NULL)"),
        (
            "flat",
            all_of([is(), all_of([null(), is()])]),
            ada(),
            "([tenant] AND [a] = x AND [a] IS NULL AND [a] = x)",
        ),
        (
            "any",
            any_of([is(), any_of([null(), own()])]),
            ada(),
            "([tenant] AND ([a] = x OR [a] IS NULL OR [owner] = ada))",
        ),
        ("settled", any_of([is(), holds_role("admin")]), admin.clone(), all),
        ("one of", field("a").is_one_of([1, 2]), ada(), "([tenant] AND [a] IN (1, 2))"),
        ("none of", not(field("a").is_one_of([1, 2])), ada(), "([tenant] AND [a] NOT IN (1, 2))"),
        ("yes", field("a").is(true), ada(), "([tenant] AND [a] = true)"),
        ("not yes", not(field("a").is(true)), ada(), "([tenant] AND [a] = false)"),
        ("not yes or no", not(field("a").is_one_of([true, false])), ada(), none),
        ("tenant", not(field("t").is_tenant()), ada(), "([tenant] AND [t] <> default)"),
    ] {
        // With the values at their places, for reading only.
        let sql = seen_by(&rule(test).unwrap(), &principal).to_sql(Dialect::Postgres, 0);
        let mut text = sql.text.replacen("\"tenant\" = $1", "[tenant]", 1);
        for (nth, value) in sql.values.iter().enumerate().rev() {
            let value = match value {
                Value::Text(text) => text.to_string(),
                Value::Integer(number) => number.to_string(),
                Value::Boolean(yes) => yes.to_string(),
                Value::Null => panic!("{name}: null is bound"),
            };
            text = text.replace(&format!("${}", nth + 1), &value);
        }
        let text = text.replace("\"a\"", "[a]").replace("\"owner\"", "[owner]").replace("\"t\"", "[t]");
        assert_eq!(text, want, "{name}");
    }
}

#[test]
fn each_dialect_quotes_and_numbers_in_its_way() {
    let test = any_of([
        field("n.user").is("x"),
        field("size").is_one_of([1, 2]),
        not(field("owner").is_subject()),
        not(field("done").is(true)),
    ]);
    let rule = RowRule::of_tenant(TenantId::default(), test, &model()).unwrap();
    let seen = seen_by(&rule, &ada());
    let (sqlite, postgres) = (seen.to_sql(Dialect::Sqlite, 0), seen.to_sql(Dialect::Postgres, 2));
    assert_eq!(
        sqlite.text,
        "((typeof([n].[user]) = 'text' AND [n].[user] COLLATE BINARY = ?1) \
         OR (typeof([size]) = 'integer' AND [size] IN (?2, ?3)) \
         OR (typeof([owner]) = 'text' AND [owner] COLLATE BINARY <> ?4) \
         OR (typeof([done]) = 'integer' AND [done] = ?5))"
    );
    assert_eq!(
        postgres.text,
        "(\"n\".\"user\" = $3 OR \"size\" IN ($4, $5) OR \"owner\" <> $6 OR \"done\" = $7)"
    );
    assert_eq!(sqlite.values, postgres.values);
    assert_eq!(sqlite.values, [Value::from("x"), 1.into(), 2.into(), "ada".into(), false.into()]);
}

#[test]
fn rows_of_other_tenants_are_not_there() {
    let admin = |tenant: &str| {
        let tenant = TenantId::parse(tenant).unwrap();
        Principal::user(tenant, Subject::parse("ada").unwrap()).with_roles(["admin"])
    };
    let single = RowRule::of_tenant(TenantId::default(), holds_role("admin"), &model()).unwrap();
    let many = rule(holds_role("admin")).unwrap();
    assert!(seen_by(&single, &admin("default")).is_everything());
    assert!(seen_by(&single, &admin("other")).is_nothing());
    let sql = seen_by(&many, &admin("other")).to_sql(Dialect::Postgres, 0);
    assert_eq!((sql.text.as_str(), sql.values), ("\"tenant\" = $1", vec!["other".into()]));
}

/// A row of one field, which may be missing.
struct One(Option<Value<'static>>);

impl Row for One {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        self.0.clone().filter(|_| field == "a")
    }
}

#[test]
fn what_is_not_known_is_not_shown() {
    let is = || field("a").is("1");
    let value = |value: Value<'static>| Some(value);
    for (name, found, [equal, different, null, not_null]) in [
        ("equal", value("1".into()), [true, false, false, true]),
        ("different", value("2".into()), [false, true, false, true]),
        ("null", value(Value::Null), [false, false, true, false]),
        ("missing", None, [false, false, false, false]),
        ("a number", value(1.into()), [false, false, false, true]),
        ("yes", value(true.into()), [false, false, false, true]),
        ("other case", value("a".into()), [false, true, false, true]),
    ] {
        let row = One(found);
        for (test, want) in [
            (is(), equal),
            (not(is()), different),
            (not(not(is())), equal),
            (field("a").is_null(), null),
            (not(field("a").is_null()), not_null),
        ] {
            let what = format!("{name}: {test}");
            let rule = RowRule::of_tenant(TenantId::default(), test, &model()).unwrap();
            let (ada, model) = (ada(), model());
            assert_eq!(rule.allows(&AccessRequest::new(&ada, &model, "", ""), &row).unwrap(), want, "{what}");
        }
    }
}

/// Notes as `ownership_tests` have them; 9 belongs to nobody.
async fn load(_: TenantId, note: u64) -> Result<Option<One>, Error> {
    Ok(Some(One(Some(match note {
        7 => "ada".into(),
        8 => "bob".into(),
        9 => Value::Null,
        500 => return Err(Error::new(ErrorKind::Unavailable, "down")),
        _ => return Ok(None),
    }))))
}

/// For rows and for paths, ownership is one thing.
// ASVS 8.2.2
#[tokio::test]
async fn the_route_of_a_row_answers_as_owner_or_does() {
    let test = owner_or(field("a"), "notes:moderate");
    let by_row = RowRule::of_tenant(TenantId::default(), test, &model()).unwrap().policy(load);
    let by_path = hidden(policy::owner_or("notes:moderate", async |tenant: TenantId, note: u64| {
        let Some(One(Some(Value::Text(owner)))) = load(tenant, note).await? else { return Ok(None) };
        Ok(Subject::parse(&owner).ok())
    }));
    let admin = ada().with_roles(["admin"]);
    let mut answers = Vec::new();
    for principal in [
        nobody(),
        ada(),
        ada().with_scopes(["tasks:read"]),
        ada().with_scopes(["notes:moderate"]),
        ada().with_scopes(["notes:*"]),
        admin.clone(),
        admin.clone().with_scopes(["tasks:read"]),
        admin.with_scopes(["notes:moderate"]),
    ] {
        for path in ["/notes/7", "/notes/%37", "/notes/8", "/notes/9", "/notes/10", "/notes/x", "/notes/500"]
        {
            let (row, path_) = (verdict(&by_row, &principal, path), verdict(&by_path, &principal, path));
            let (row, path_) = (row.await, path_.await);
            assert_eq!(row, path_, "{principal:?} {path}");
            let (row, path_) = (policy::not(by_row.clone()), policy::not(by_path.clone()));
            let negated = verdict(&row, &principal, path).await.0;
            assert_eq!(negated.is_ok(), verdict(&path_, &principal, path).await.0.is_ok(), "not, {path}");
            answers.push(verdict(&by_row, &principal, path).await.0);
        }
    }
    for want in [Ok(()), Err(Refused::NotFound), Err(Refused::Unauthenticated), Err(Refused::Unavailable)] {
        assert!(answers.contains(&want), "{want:?}");
    }
    let (text, undefined) = (by_row.describe(), RoleModel::default());
    assert_eq!(
        text,
        "row with all of (tenant default, any of (permission notes:moderate, a is the subject within notes:moderate)), else not found"
    );
    assert!(by_row.validate(&undefined).is_err(), "with other roles it is checked again");
}

#[tokio::test]
async fn a_policy_that_has_to_wait_is_an_outage() {
    for test in [by(down()), not(by(down())), any_of([field("a").is("ada"), by(down())])] {
        let rule = RowRule::of_tenant(TenantId::default(), test, &model()).unwrap();
        let (ada, model) = (ada(), model());
        let error = rule.visible_to(&AccessRequest::new(&ada, &model, "", "")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        let (answer, _) = verdict(&rule.policy(load), &ada, "/notes/7").await;
        assert_eq!(answer, Err(Refused::Unavailable));
        assert_eq!(verdict(&rule.policy(load), &nobody(), "/notes/7").await.0, Err(Refused::Unauthenticated));
    }
}

proptest! {
    #[test]
    fn any_name_is_a_column_or_an_error(name in "(?s:.{0,70})|[A-Za-z0-9_.\"'\\]\\[` -]{0,8}") {
        let fits = |part: &str| {
            (1..=63).contains(&part.len())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !part.as_bytes()[0].is_ascii_digit()
        };
        let parts: Vec<_> = name.split('.').collect();
        let is_name = parts.len() <= 2 && parts.iter().all(|part| fits(part));
        let built = rule(field(&name).is("x"));
        prop_assert_eq!(built.is_ok(), is_name);
        if let Ok(rule) = built {
            let sql = seen_by(&rule, &ada()).to_sql(Dialect::Sqlite, 0);
            let column = format!("[{}]", name.replace('.', "].["));
            prop_assert!(sql.text.contains(&column), "{}", sql.text);
        }
    }
}
