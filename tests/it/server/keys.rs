//! Keys of the running server: rotation without one failed request, and what a database without them is worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use super::client::{Api, Tokens};
use super::{PASSWORD, Server};

async fn rotate(api: &Api, admin: &Tokens, body: Value) -> Value {
    api.post("/api/admin/keys/rotate", body).bearer(&admin.access).send().await.expect(200).json()
}

async fn keys(api: &Api, admin: &Tokens) -> Vec<(String, String, String)> {
    let keys = api.get("/api/admin/keys").bearer(&admin.access).send().await.expect(200).json();
    let text = |key: &Value, member: &str| key[member].as_str().unwrap().to_owned();
    let keys = keys.as_array().unwrap().iter();
    keys.map(|key| (text(key, "purpose"), text(key, "state"), text(key, "id"))).collect()
}

async fn database(server: &Server) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(server.folder().join("server.db"));
    SqlitePool::connect_with(options).await.unwrap()
}

async fn note(api: &Api, tokens: &Tokens, body: &str) -> String {
    let new = json!({ "title": "a title", "body": body });
    let note = api.post("/api/notes", new).bearer(&tokens.access).send().await.expect(201).json();
    note["id"].as_str().unwrap().to_owned()
}

/// Sign-ins, refreshes, verifications and sealed fields go on while every key is rotated ten times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_rotations_of_every_key_lose_no_request() {
    let server = Server::start();
    let api = server.api();
    let admin = api.admin().await;
    let over = Arc::new(AtomicBool::new(false));
    let clients = (0..4).map(|client| {
        let (api, over) = (server.api(), over.clone());
        tokio::spawn(async move {
            let name = format!("user{client}");
            let new = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD,
                "full_name": format!("Full Name {client}") });
            api.post("/api/auth/register", new).send().await.expect(200);
            let mut tokens = api.sign_in(&name).await;
            let first = tokens.clone();
            let mut notes = Vec::new();
            let mut requests = 0;
            while !over.load(Ordering::Relaxed) || requests < 40 {
                let body = format!("body {} of {name}", notes.len());
                notes.push((note(&api, &tokens, &body).await, body));
                for (id, body) in notes.iter().rev().take(4).chain(notes.first()) {
                    let read = api.get(&format!("/api/notes/{id}")).bearer(&tokens.access).send().await;
                    assert_eq!(read.expect(200).json()["body"], **body);
                }
                let me = api.me(&first.access).await.expect(200).json();
                assert_eq!(me["full_name"], format!("Full Name {client}"));
                tokens = match requests % 3 {
                    0 => api.sign_in(&name).await,
                    _ => api.refresh(&tokens.refresh).await.expect(200).tokens(),
                };
                requests += 8;
            }
            requests
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..10 {
        rotate(&api, &admin, json!({ "immediately": true })).await;
        // Something happens under each of them.
        note(&api, &admin, "in between").await;
    }
    over.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for client in clients {
        requests += client.await.unwrap();
    }
    assert!(requests >= 160, "{requests}");
    let keys = keys(&api, &admin).await;
    for purpose in ["token_signing", "sealing", "blind_index"] {
        let of = |state: &str| keys.iter().filter(|key| key.0 == purpose && key.1 == state).count();
        assert_eq!((of("active"), of("deactivated")), (1, 10), "{purpose}");
    }
}

/// A new key is published before it signs, and gone when the last token it signed is.
#[tokio::test]
async fn keys_are_published_ahead_and_drain() {
    let server = Server::start();
    let api = server.api();
    let ada = {
        api.register("ada").await;
        api.sign_in("ada").await
    };
    let kid = |tokens: &Tokens| {
        use base64::Engine as _;
        let header = tokens.access.split('.').next().unwrap();
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let published = async || {
        let answer = api.get("/.well-known/jwks.json").send().await.expect(200);
        let cached = answer.headers["cache-control"].to_str().unwrap().to_owned();
        assert!(cached.starts_with("public, max-age="), "{cached}");
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let old = kid(&ada);
    let admin = api.admin().await;
    let answer = rotate(&api, &admin, json!({ "purpose": "token_signing" })).await;
    assert_eq!(answer["primary_in_seconds"], 900);
    let new = answer["introduced"][0]["id"].as_str().unwrap().to_owned();
    until(async || published().await == [old.clone(), new.clone()]).await;
    assert_eq!(kid(&api.sign_in("ada").await), old, "not used before everybody can know it");

    api.advance(15 * 60).await;
    until(async || kid(&api.sign_in("ada").await) == new).await;
    assert_eq!(published().await, [new.clone(), old.clone()]);
    let ada = api.refresh(&ada.refresh).await.expect(200).tokens();
    assert_eq!(kid(&ada), new);

    api.advance(65 * 60).await;
    until(async || published().await == [new.clone()]).await;
    api.me(&api.sign_in("ada").await.access).await.expect(200);

    let ada = api.sign_in("ada").await;
    let refused = api.post("/api/admin/keys/rotate", json!({})).bearer(&ada.access).send().await;
    refused.expect(403);
    let admin = api.admin().await;
    let unknown =
        api.post("/api/admin/keys/rotate", json!({ "purpose": "everything" })).bearer(&admin.access);
    unknown.send().await.refused(422, "validation_failed");
    let audit = api.get("/api/admin/audit").bearer(&admin.access).send().await.expect(200);
    let audit = String::from_utf8(audit.body.to_vec()).unwrap();
    assert!(audit.contains("authz_admin") && audit.contains(&new), "{audit}");
}

/// Whoever copies the database file has nothing: no text of a note or name, no token, and not even which are equal.
// ASVS 11.3.3, 14.2.4
#[tokio::test]
async fn a_leaked_database_is_worth_nothing() {
    const SECRETS: [&str; 3] = ["Zanzibar Quux Lovelace", "the treasure lies under the oak", "555-0199-4711"];
    let mut server = Server::start();
    let api = server.api();
    let mut tokens = Vec::new();
    for name in ["ada", "ben"] {
        let new = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD,
            "full_name": SECRETS[0] });
        let shown = api.post("/api/auth/register", new).send().await.expect(200).json();
        assert_eq!(shown["full_name"], SECRETS[0]);
        tokens.push(api.sign_in(name).await);
    }
    for owner in &tokens {
        for body in &SECRETS[1..] {
            let id = note(&api, owner, body).await;
            let change = json!({ "title": "t", "body": body });
            let path = format!("/api/notes/{id}");
            api.ask("PUT", &path).json(change).bearer(&owner.access).send().await.expect(200);
        }
    }
    let refreshed = api.refresh(&tokens[0].refresh).await.expect(200).tokens();
    let admin = api.admin().await;
    let found = api.get("/api/admin/users?full_name=ZANZIBAR%20quux%20lovelace").bearer(&admin.access);
    let found = found.send().await.expect(200).json();
    assert_eq!(found.as_array().unwrap().len(), 2, "found by its index: {found}");
    assert_eq!(found[0]["full_name"], SECRETS[0]);
    let nobody = api.get("/api/admin/users?full_name=Zanzibar").bearer(&admin.access).send().await;
    assert_eq!(nobody.expect(200).json(), json!([]));
    server.kill();

    let pool = database(&server).await;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(tables.len() > 6, "{tables:?}");
    let mut dump = Vec::new();
    for table in &tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(table)
            .fetch_all(&pool)
            .await
            .unwrap();
        for column in columns {
            let sql = format!("SELECT CAST(\"{column}\" AS BLOB) FROM \"{table}\"");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap();
            dump.extend(rows.iter().filter_map(|row| row.get::<Option<Vec<u8>>, _>(0)));
        }
    }
    let mut files = vec![dump.concat()];
    for name in ["server.db", "server.db-wal"] {
        files.extend(std::fs::read(server.folder().join(name)));
    }
    let contains = |needle: &str| {
        files.iter().any(|file| file.windows(needle.len()).any(|window| window == needle.as_bytes()))
    };
    assert!(contains("ada@example.com"), "this finds something");
    for secret in SECRETS {
        assert!(!contains(secret) && !contains(&secret.to_lowercase()), "in clear: {secret}");
    }
    for tokens in tokens.iter().chain([&refreshed]) {
        let (_, secret) = tokens.refresh.split_once('.').unwrap();
        assert!(!contains(secret) && !contains(tokens.access.rsplit_once('.').unwrap().1), "a token");
    }
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM notes").fetch_all(&pool).await.unwrap();
    assert!(bodies.len() == 4 && bodies.iter().all(|body| body.starts_with("pc1.")), "{bodies:?}");
    // Past the name of the key and the nonce.
    let texts: std::collections::HashSet<&str> = bodies.iter().map(|body| &body[72..]).collect();
    assert_eq!(texts.len(), 4, "equal texts look different: {bodies:?}");
}

/// Another root secret in the environment, with the one before beside it: what that sealed opens. A note that somebody
/// swapped in the database opens for nobody, hides none of the others, and is in the audit trail.
#[tokio::test]
async fn another_root_secret_and_a_note_that_was_swapped() {
    let (old, new) = ("41f6e4a1b0c98d3752e7", "9b3c5d20f7a8e6411cd0");
    let root = |half: &str| half.to_owned() + &half.chars().rev().collect::<String>() + half + "0c7e";
    let mut server = Server::start_with(&[("ENCRYPTION_KEY", &root(old))]);
    let api = server.api();
    api.register("ada").await;
    let ada = api.sign_in("ada").await;
    let first = note(&api, &ada, "first").await;
    note(&api, &ada, "second").await;
    server.set("ENCRYPTION_KEY", &root(new));
    server.set("ENCRYPTION_KEY_PREVIOUS", &root(old));
    server.restart();
    let api = server.api();
    let body = async |api: &Api, id: &str| {
        let note = api.get(&format!("/api/notes/{id}")).bearer(&api.sign_in("ada").await.access).send().await;
        note.expect(200).json()["body"].clone()
    };
    assert_eq!(body(&api, &first).await, "first");
    let pool = database(&server).await;
    sqlx::query("UPDATE notes SET body = (SELECT body FROM notes AS other WHERE other.id <> ?) WHERE id = ?")
        .bind(&first)
        .bind(&first)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(body(&api, &first).await, Value::Null);
    let all = api.get("/api/notes").bearer(&api.sign_in("ada").await.access).send().await.expect(200).json();
    assert!(all.as_array().unwrap().iter().any(|note| note["body"] == "second"), "{all}");
    let audit = api.get("/api/admin/audit").bearer(&api.admin().await.access).send().await.expect(200).json();
    assert!(audit.to_string().contains("crypt_decrypt_fail"), "{audit}");
}

/// Killed in the middle of rotating keys and of moving rows to the newest, again and again: every row opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_rotating_and_resealing_loses_no_row() {
    let mut server = Server::start_with(&[("RESEAL_BATCH", "7")]);
    let pool = database(&server).await;
    let mut notes = Vec::new();
    {
        let api = server.api();
        let ada = json!({ "username": "ada", "email": "ada@example.com", "password": PASSWORD, "full_name": "Ada L." });
        api.post("/api/auth/register", ada).send().await.expect(200);
        let ada = api.sign_in("ada").await;
        for number in 0..60 {
            let body = format!("body {number}");
            notes.push((note(&api, &ada, &body).await, body));
        }
    }
    let under = async |key: &str| {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM notes").fetch_all(&pool).await.unwrap();
        let of = |body: &String| body.parse::<portcullis::crypto::sealed::Sealed>().unwrap().key_id() == key;
        bodies.iter().filter(|body| of(body)).count()
    };
    let newest = async |api: &Api| {
        let keys = keys(api, &api.admin().await).await;
        keys.into_iter().find(|key| key.0 == "sealing" && key.1 == "active").unwrap().2
    };
    let mut caught = 0;
    for round in 0..7_u64 {
        let api = server.api();
        let admin = api.admin().await;
        let asked = api.post("/api/admin/keys/rotate", json!({ "immediately": true })).bearer(&admin.access);
        if round % 2 == 0 {
            // Before, within and after the answer.
            let asked = tokio::spawn(asked.try_send());
            tokio::time::sleep(Duration::from_millis(round * 3)).await;
            server.restart();
            let _ = asked.await;
        } else {
            asked.send().await.expect(200);
            let newest = newest(&api).await;
            // Without this the move waits until others have heard of the key.
            api.advance(10).await;
            until(async || under(&newest).await > 0).await;
            server.kill();
            caught += usize::from(under(&newest).await < notes.len());
            server.restart();
        }
        let api = server.api();
        let ada = api.sign_in("ada").await;
        let all = api.get("/api/notes").bearer(&ada.access).send().await.expect(200).json();
        let all = all.as_array().unwrap();
        assert_eq!(all.len(), notes.len(), "round {round}");
        for (id, body) in &notes {
            assert!(
                all.iter().any(|note| note["id"] == **id && note["body"] == **body),
                "round {round}: {body}"
            );
        }
        assert_eq!(api.me(&ada.access).await.expect(200).json()["full_name"], "Ada L.");
    }
    assert!(caught > 0, "it was killed in the middle of a move at least once");
    // Left alone, it moves everything, and the old keys may go.
    let api = server.api();
    let newest = newest(&api).await;
    api.advance(10).await;
    until(async || under(&newest).await == notes.len()).await;
    until(async || {
        let found =
            api.get("/api/admin/users?full_name=ada%20l.").bearer(&api.admin().await.access).send().await;
        found.expect(200).json().as_array().unwrap().len() == 1
    })
    .await;
    until(async || {
        let progress: Vec<String> =
            sqlx::query_scalar("SELECT progress FROM resealing").fetch_all(&pool).await.unwrap();
        progress.len() == 2
            && progress.iter().all(|text| text.contains("\"ended\":true") && text.contains(&newest))
    })
    .await;
}

/// Asks again until it is so; the server looks at its keys once a second.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came about");
}
