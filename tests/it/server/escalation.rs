//! Who reaches which handler: every route, asked by everybody, over HTTP.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use portcullis::crypto::{KeyFile, KeyProvider as _, KeyPurpose};
use portcullis::id::TokenId;
use portcullis::time::{Clock as _, SystemClock};
use portcullis::token::{Claims, TokenCodec};
use portcullis::{Subject, TenantId};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::Server;
use super::access_map::{Row, rows_in};
use super::client::{Answer, Api};

const ORIGIN: &str = "https://api.example";

/// Who asks, and how they come by a token.
const COLUMNS: [(&str, Token); 9] = [
    ("anonymous", Token::None),
    ("guest", Token::SignIn),
    ("user", Token::SignIn),
    ("moderator", Token::SignIn),
    ("admin", Token::SignIn),
    // Nobody can hand this role out over HTTP before somebody holds it.
    ("superadmin", Token::Mint { roles: &["superadmin"], scope: None, tenant: "default" }),
    ("user+scope", Token::Mint { roles: &["user"], scope: Some("tasks:read"), tenant: "default" }),
    ("admin+scope", Token::Mint { roles: &["admin"], scope: Some("tasks:*"), tenant: "default" }),
    ("other-admin", Token::Mint { roles: &["admin"], scope: None, tenant: "other" }),
];

const LEGEND: &str = "\
in: the handler is reached. A number: the request is refused with that status before it.
user+scope is a user with a token for tasks:read, admin+scope an administrator with one for tasks:*,
other-admin an administrator of another tenant.

";

/// From least to most: whoever comes later reaches at least what those before do.
const LADDER: [&str; 6] = ["anonymous", "guest", "user", "moderator", "admin", "superadmin"];

#[derive(Clone, Copy)]
enum Token {
    None,
    /// An account with the role of that name, given to it by an administrator, signs in.
    SignIn,
    /// Signed with the server's own key.
    Mint {
        roles: &'static [&'static str],
        scope: Option<&'static str>,
        tenant: &'static str,
    },
}

/// A change of this table is a change of who may do what: look at it twice, then replace `escalation.txt`.
///
/// Handlers are given an empty object and an id that isn't there, so that what they answer says only that they were
/// reached.
// ASVS 8.2.1, 8.2.3, 8.4.1
#[tokio::test]
async fn nobody_gets_further_than_they_should() {
    let server = Server::start_with(&[("PUBLIC_ORIGIN", ORIGIN)]);
    let api = server.api();
    let codec = codec(&server).await;
    let subjects = accounts(&api).await;
    let rows = rows_in("production");
    assert!(rows.len() >= 21);

    let mut table = HashMap::new();
    for (name, token) in COLUMNS {
        let mut access = None;
        for row in &rows {
            // Signing out ends the token for the rows after it; a minted one is made for every request.
            let token = match token {
                Token::None => None,
                Token::SignIn => {
                    if access.is_none() {
                        access = Some(api.sign_in(name).await.access);
                    }
                    if row.path.ends_with("/logout") { access.take() } else { access.clone() }
                }
                Token::Mint { roles, scope, tenant } => {
                    Some(mint(&codec, &subjects[name], roles, scope, tenant))
                }
            };
            let path = row.path.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA");
            let ask = api.ask(&row.method, &path).bearer_if(token.as_deref());
            let ask = if row.method == "GET" { ask } else { ask.json(json!({})) };
            let cell = cell(row, token.is_some() && name != "other-admin", &ask.send().await);
            table.insert((name, format!("{} {}", row.method, row.path)), cell);
        }
    }

    for row in &rows {
        let route = format!("{} {}", row.method, row.path);
        let reached = LADDER.map(|name| table[&(name, route.clone())] == "in");
        assert!(reached.is_sorted(), "{route}: {LADDER:?} reach it: {reached:?}");
        if row.rule != "public" {
            assert_eq!(table[&("anonymous", route.clone())], "401", "{route}");
            assert_eq!(table[&("other-admin", route)], "404", "of another tenant");
        }
    }
    let printed = print(&rows, &table);
    assert_eq!(printed, include_str!("escalation.txt"), "printed:\n{printed}");
}

/// `in`, or the status that kept the request out.
fn cell(row: &Row, of_this_tenant: bool, answer: &Answer) -> String {
    let code = if answer.status < 400 { String::new() } else { answer.json()["code"].to_string() };
    assert!(answer.status < 500, "{} {}: {answer:?}", row.method, row.path);
    match answer.status {
        200..300 | 400 | 422 => "in".to_owned(),
        // There is no such note; who is let in finds that out. The gate says the same to those of another tenant.
        404 if of_this_tenant && row.path.contains('{') => "in".to_owned(),
        401 => {
            assert_eq!(
                code, "\"unauthenticated\"",
                "{} {}: the token was not accepted",
                row.method, row.path
            );
            "401".to_owned()
        }
        status => status.to_string(),
    }
}

fn print(rows: &[Row], table: &HashMap<(&str, String), String>) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).len()).max().unwrap();
    let (methods, paths, rules) = (width(|row| &row.method), width(|row| &row.path), width(|row| &row.rule));
    let mut printed = LEGEND.to_owned();
    write!(printed, "{:methods$}  {:paths$}  {:rules$}", "", "", "").unwrap();
    for (name, _) in COLUMNS {
        write!(printed, "  {name}").unwrap();
    }
    printed.push('\n');
    for Row { method, path, rule } in rows {
        let mut line = format!("{method:methods$}  {path:paths$}  {rule:rules$}");
        for (name, _) in COLUMNS {
            let cell = &table[&(name, format!("{method} {path}"))];
            write!(line, "  {cell:0$}", name.len()).unwrap();
        }
        printed += line.trim_end();
        printed.push('\n');
    }
    printed
}

/// An account for each column; those who sign in get the role they are called after.
async fn accounts(api: &Api) -> HashMap<&'static str, Subject> {
    let admin = api.admin().await;
    let mut subjects = HashMap::new();
    for (name, token) in COLUMNS {
        let registered = api.register(&name.replace('+', "-")).await;
        let id = registered["id"].as_str().unwrap();
        if matches!(token, Token::SignIn) {
            let path = format!("/api/admin/users/{id}/roles");
            let ask = api.ask("PUT", &path).bearer(&admin.access).json(json!({ "roles": [name] }));
            assert_eq!(ask.send().await.expect(200).json()["roles"], json!([name]));
        }
        subjects.insert(name, Subject::parse(id).unwrap());
    }
    subjects
}

/// Makes tokens as the server does, with the key from its file.
async fn codec(server: &Server) -> TokenCodec {
    let keys = KeyFile::open(server.folder().join("portcullis-server.keys.json")).unwrap();
    TokenCodec::new(keys.keyring(KeyPurpose::TokenSigning).await.unwrap(), ORIGIN, ORIGIN).unwrap()
}

fn mint(codec: &TokenCodec, subject: &Subject, roles: &[&str], scope: Option<&str>, tenant: &str) -> String {
    let (now, id) = (SystemClock::new().now(), TokenId::mint().unwrap());
    let claims = Claims::new(subject.clone(), id, now, now + Duration::from_secs(300))
        .with_tenant(TenantId::parse(tenant).unwrap())
        .with_roles(roles.iter().copied());
    let claims = match scope {
        Some(scope) => claims.with_scopes([scope]),
        None => claims,
    };
    codec.encode(&claims).unwrap().expose_secret().to_owned()
}
