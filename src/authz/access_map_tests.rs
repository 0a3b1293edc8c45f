use super::*;
use crate::authz::policy::{Decision, Policy, PolicyOutcome, all_of, any_of, not, role};
use crate::authz::{AccessRequest, Role};

fn roles() -> RoleModel {
    RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap()
}

#[test]
fn what_cannot_be_built() {
    let get = |pattern: &str| (Method::GET, pattern.to_owned(), Rule::public());
    let other = |method: &str, pattern: &str| (method.parse().unwrap(), pattern.to_owned(), Rule::public());
    let rule = |rule| vec![(Method::GET, "/a".to_owned(), rule)];
    for (name, entries, want) in [
        ("twice", vec![get("/a"), get("/a")], "GET /a: appears twice"),
        ("names", vec![get("/a/{id}"), get("/a/{other}")], "GET /a/{other}: matches the same paths"),
        ("catch-all", vec![get("/{*rest}/a")], "GET /{*rest}/a: is not a pattern"),
        ("suffix", vec![get("/{id}.json")], "GET /{id}.json: has a parameter"),
        ("no slash", vec![get("a")], "GET a: is not a canonical path"),
        ("empty", vec![get("")], "GET : is not a canonical path"),
        ("old parameter", vec![get("/:id")], "GET /:id: has a segment that starts"),
        ("old wildcard", vec![get("/*rest")], "GET /*rest: has a segment that starts"),
        ("open brace", vec![get("/{id")], "GET /{id: has a parameter"),
        ("close brace", vec![get("/id}")], "GET /id}: is not a pattern"),
        ("escaped brace", vec![get("/{{id}}")], "GET /{{id}}: has an escaped brace"),
        ("empty name", vec![get("/{}")], "GET /{}: has a parameter"),
        ("two in one", vec![get("/{a}{b}")], "GET /{a}{b}: has a parameter"),
        ("same name", vec![get("/{a}/{a}")], "GET /{a}/{a}: has two parameters"),
        ("private name", vec![get("/{*__private__axum_nest_tail_param}")], "GET /{*__private__axum"),
        ("query", vec![get("/a?b=c")], "GET /a?b=c: has a character"),
        ("space", vec![get("/a b")], "GET /a b: has a character"),
        ("not ASCII", vec![get("/\u{e4}")], "GET /\u{e4}: has a character"),
        ("empty segment", vec![get("/a//b")], "GET /a//b: is not a canonical path"),
        ("dots", vec![get("/a/../b")], "GET /a/../b: is not a canonical path"),
        ("encoded letter", vec![get("/%61")], "GET /%61: is not a canonical path"),
        ("unknown role", rule(Rule::role("admin")), "GET /a: its rule cannot be satisfied: role `admin`"),
        ("unknown permission", rule(Rule::permission("tasks:reed")), "GET /a: its rule"),
        ("wildcard asked", rule(Rule::permission("tasks:*")), "GET /a: its rule"),
        (
            "all of none",
            rule(Rule::policy(all_of([]))),
            "GET /a: its rule cannot be satisfied: all of (): combines",
        ),
        ("any of none", rule(Rule::policy(any_of([]))), "GET /a: its rule cannot be satisfied: any of ()"),
        ("none inside", rule(Rule::policy(any_of([role("user"), all_of([])]))), "GET /a: its rule cannot be"),
        ("not none", rule(Rule::policy(not(any_of([])))), "GET /a: its rule cannot be satisfied"),
        ("names, deeper", vec![get("/a/{id}/b"), get("/a/{other}/b")], "GET /a/{other}/b: matches the same"),
        (
            "names, of two methods",
            vec![get("/a/{id}"), other("POST", "/a/{other}")],
            "POST /a/{other}: matches",
        ),
        // Either would shadow the other for paths of one segment.
        ("catch-all after parameter", vec![get("/a/{id}"), get("/a/{*rest}")], "GET /a/{*rest}: matches"),
        ("parameter after catch-all", vec![get("/a/{*rest}"), get("/a/{id}")], "GET /a/{id}: matches"),
        (
            "catch-all below catch-all",
            vec![get("/{*rest}"), get("/{*rest}/")],
            "GET /{*rest}/: matches the same",
        ),
        ("two catch-alls", vec![get("/{*a}"), get("/{*b}")], "GET /{*b}: matches the same paths"),
        ("one dot", vec![get("/a/./b")], "GET /a/./b: is not a canonical path"),
        ("encoded dots", vec![get("/a/%2E%2E")], "GET /a/%2E%2E: is not a canonical path"),
        ("lower-case escape", vec![get("/%c3%a4")], "GET /%c3%a4: is not a canonical path"),
        ("encoded slash", vec![get("/a%2Fb")], "GET /a%2Fb: is not a canonical path"),
        ("encoded zero", vec![get("/a%00")], "GET /a%00: is not a canonical path"),
        ("escape cut short", vec![get("/a%4")], "GET /a%4: is not a canonical path"),
        ("escape ended by a parameter", vec![get("/a%4{id}")], "GET /a%4{id}: is not a canonical path"),
        ("slashes at the end", vec![get("/a//")], "GET /a//: is not a canonical path"),
        ("fragment", vec![get("/a#b")], "GET /a#b: has a character"),
        ("lower-case method", vec![other("get", "/a")], "get /a: has a method that no client sends"),
        ("mixed-case method", vec![other("Delete", "/a")], "Delete /a: has a method that no client sends"),
    ] {
        let mut builder = AccessMap::builder();
        for (method, pattern, rule) in entries {
            builder = builder.add(method, pattern, rule);
        }
        let error = builder.build(&roles()).unwrap_err().to_string();
        assert!(error.starts_with(want), "{name}: {error}");
    }
}

/// A rule that names its entry.
struct Named(&'static str);

impl Policy for Named {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready(Decision::Allow)
    }

    fn describe(&self) -> String {
        self.0.to_owned()
    }
}

/// What stands side by side, and who gets which path.
#[test]
fn what_is_told_apart() {
    for (name, entries, asked) in [
        (
            "a trailing slash is another path",
            &["GET /a", "GET /a/"][..],
            &[("GET /a", "GET /a"), ("GET /a/", "GET /a/")][..],
        ),
        ("HEAD beside GET", &["GET /a", "HEAD /a"], &[("GET /a", "GET /a"), ("HEAD /a", "HEAD /a")]),
        ("HEAD without GET", &["HEAD /a"], &[("HEAD /a", "HEAD /a"), ("GET /a", "405")]),
        (
            "written out before a parameter, whatever the order",
            &["GET /a/{id}", "GET /a/me"],
            &[("GET /a/me", "GET /a/me"), ("GET /a/mee", "GET /a/{id}"), ("GET /a/m", "GET /a/{id}")],
        ),
        (
            "written out before a catch-all",
            &["GET /{*rest}", "GET /a/b", "GET /"],
            &[
                ("GET /a/b", "GET /a/b"),
                ("GET /a/", "GET /{*rest}"),
                ("GET /", "GET /"),
                ("GET /a", "GET /{*rest}"),
            ],
        ),
        (
            "other names further down",
            &["GET /a/{id}", "GET /a/{other}/b"],
            &[("GET /a/1", "GET /a/{id}"), ("GET /a/1/b", "GET /a/{other}/b"), ("GET /a/1/", "none")],
        ),
        (
            "a prefix before a whole parameter",
            &["GET /{id}", "GET /v{version}"],
            &[("GET /v1", "GET /v{version}"), ("GET /v", "GET /{id}"), ("GET /w", "GET /{id}")],
        ),
        (
            "the rule of a method is not another's, nor another entry's",
            &["GET /a/b", "POST /a/{id}"],
            &[("POST /a/b", "405"), ("POST /a/c", "POST /a/{id}"), ("GET /a/c", "405")],
        ),
        (
            "methods of one's own",
            &["PROPFIND /a", "CONNECT /a"],
            &[("PROPFIND /a", "PROPFIND /a"), ("GET /a", "405")],
        ),
    ] {
        let mut builder = AccessMap::builder();
        for entry in entries {
            let (method, pattern) = entry.split_once(' ').unwrap();
            builder = builder.add(method.parse().unwrap(), pattern, Rule::policy(Named(entry)));
        }
        let map = builder.build(&roles()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (asked, want) in asked {
            let (method, path) = asked.split_once(' ').unwrap();
            let got = match map.lookup_path(&method.parse().unwrap(), path) {
                Lookup::Rule(rule) => rule.to_string(),
                Lookup::MethodNotAllowed { .. } => "405".to_owned(),
                Lookup::Unmapped => "none".to_owned(),
            };
            assert_eq!(got, *want, "{name}: {asked}");
        }
    }
}

#[test]
fn lookups() {
    let map = AccessMap::builder()
        .add(Method::GET, "/tasks", Rule::public())
        .add(Method::POST, "/tasks", Rule::authenticated())
        .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
        .add(Method::GET, "/tasks/mine", Rule::role("user"))
        .add(Method::HEAD, "/tasks/mine", Rule::public())
        .add(Method::DELETE, "/files/{*rest}", Rule::anyone())
        .build(&roles())
        .unwrap();
    for (method, path, want) in [
        ("GET", "/tasks", "public"),
        ("HEAD", "/tasks", "public"),
        ("POST", "/tasks", "authenticated"),
        ("PUT", "/tasks", "405 GET, HEAD, POST"),
        ("get", "/tasks", "405 GET, HEAD, POST"),
        ("GET", "/tasks/", "none"),
        ("GET", "/tasks/42", "permission tasks:read"),
        ("GET", "/tasks/a%20b", "permission tasks:read"),
        ("GET", "/tasks/%C3%A4", "permission tasks:read"),
        ("GET", "/tasks/mine", "role user"),
        ("HEAD", "/tasks/mine", "public"),
        ("DELETE", "/files/a/b", "anyone"),
        ("HEAD", "/files/a/b", "405 DELETE"),
        ("DELETE", "/files/a/../b", "none"),
        ("DELETE", "/files/a/%2E%2E/b", "none"),
        ("DELETE", "/files/a%2Fb", "none"),
        ("DELETE", "/files/a%2fb", "none"),
        ("DELETE", "/files/a%00", "none"),
        ("DELETE", "/files/a%5C", "none"),
        ("DELETE", "/files/a%", "none"),
        ("DELETE", "/files/a%4", "none"),
        ("DELETE", "/files//b", "none"),
        ("GET", "//tasks", "none"),
        ("GET", "/TASKS", "none"),
        ("GET", "/t%61sks", "none"),
        ("GET", "", "none"),
        ("GET", "*", "none"),
    ] {
        let got = match map.lookup_path(&method.parse().unwrap(), path) {
            Lookup::Rule(rule) => rule.to_string(),
            Lookup::MethodNotAllowed { allow } => format!("405 {allow}"),
            Lookup::Unmapped => "none".to_owned(),
        };
        assert_eq!(got, want, "{method} {path}");
    }
    assert!(matches!(map.lookup_pattern(&Method::GET, "/tasks/{id}"), Lookup::Rule(_)));
    assert!(matches!(map.lookup_pattern(&Method::GET, "/tasks/{other}"), Lookup::Unmapped));
}

#[test]
fn the_table_prints() {
    let map = AccessMap::builder()
        .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
        .add(Method::DELETE, "/x", Rule::public())
        .build(&roles())
        .unwrap();
    assert_eq!(map.to_string(), "GET     /tasks/{id}  permission tasks:read\nDELETE  /x           public\n");
}

#[test]
fn the_table_as_json() {
    let map = AccessMap::builder()
        .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
        .add(Method::POST, "/in", Rule::public())
        .add(Method::PUT, "/tasks/{id}", Rule::role("user"))
        .build(&roles())
        .unwrap();
    let want = serde_json::json!([
        { "method": "GET", "pattern": "/tasks/{id}", "rule": "permission tasks:read" },
        { "method": "PUT", "pattern": "/tasks/{id}", "rule": "role user" },
        { "method": "POST", "pattern": "/in", "rule": "public" },
    ]);
    assert_eq!(map.to_json(), want);
    assert_eq!(AccessMap::default().to_json(), serde_json::json!([]));
}
