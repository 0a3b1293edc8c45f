//! Strings that mean something to a database are stored and found literally (ASVS 1.2.4).

use serde_json::{Value, json};

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::store::{FederatedIdentity, LoginKey, LoginName, UserReplacement};

const HOSTILE: [&str; 24] = [
    "x'); DROP TABLE users;--",
    "\" OR 1=1",
    "' OR '1'='1",
    "'' ; DELETE FROM portcullis_tokens; --",
    "\\",
    "\\'",
    "%",
    "_",
    "a%",
    "a_c",
    "[a-z]*",
    "$1",
    "?1",
    ":tenant",
    "{\"$ne\": null}",
    "null",
    "nul\0inside",
    "\0",
    "line\r\nbreak\ttab\u{1b}[0m",
    "👩\u{200d}👩\u{200d}👧 \u{1f3f4}",
    "\u{202e}gnirts desrever \u{200f}עברית",
    "\u{feff}bom",
    "\u{fffd}\u{10ffff}",
    "  spaces  ",
];

/// None of these is in [`HOSTILE`]; each would be found if one of those were taken for a pattern or an expression.
const MATCHED_BY_PATTERN: [&str; 6] = ["abc", "a", "anything", "1", "", "nul"];

pub(super) async fn hostile_login_keys_are_found_literally(bench: Bench) {
    let users = bench.users();
    for (number, text) in HOSTILE.into_iter().enumerate() {
        let mut user = bare_user(&format!("u{number}"));
        user.username = Some(LoginName { text: text.into(), canonical: text.into() });
        user.email = Some(LoginName { text: text.into(), canonical: text.into() });
        user.identities = vec![FederatedIdentity { issuer: text.into(), subject: text.into() }];
        insert_user(&*users, &user).await;
    }
    for (number, text) in HOSTILE.into_iter().enumerate() {
        let want = Some(format!("u{number}"));
        let identity = FederatedIdentity { issuer: text.into(), subject: text.into() };
        for key in [LoginKey::username(text), LoginKey::email(text), identity.login_key()] {
            assert_eq!(owner(&*users, &key).await, want, "{text:?} as {:?}", key.kind());
        }
    }
    for text in MATCHED_BY_PATTERN {
        assert_eq!(owner(&*users, &LoginKey::username(text)).await, None, "{text:?} is nobody's name");
        assert_eq!(owner(&*users, &LoginKey::email(text)).await, None, "{text:?} is nobody's address");
    }
    let all = users.list(&tenant(), page(None, 1_000)).await.must_work();
    assert_eq!(all.len(), HOSTILE.len(), "as many users as were stored");
    for user in all {
        let own = user.username.clone();
        assert_eq!(
            users.replace(&user, user.revision).await.must_work(),
            UserReplacement::Replaced,
            "{own:?}"
        );
        assert!(users.delete(&tenant(), &user.id).await.must_work(), "{own:?}");
    }
    for text in HOSTILE {
        assert_eq!(owner(&*users, &LoginKey::username(text)).await, None, "{text:?} is free again");
    }
}

/// Every hostile string as a key and as a value, nested too, with the numbers a database may bend.
fn hostile_object() -> serde_json::Map<String, Value> {
    let mut object = serde_json::Map::new();
    for text in HOSTILE {
        object.insert(text.into(), text.into());
    }
    let nested = Value::Object(object.clone());
    object.insert("nested".into(), json!([nested, null, true, 1.5]));
    object.insert("numbers".into(), json!([0, -1, i64::MIN, u64::MAX, 9_007_199_254_740_993_u64]));
    object
}

pub(super) async fn hostile_user_data_comes_back_literally(bench: Bench) {
    let users = bench.users();
    let mut user = user("hostile");
    user.profile = hostile_object();
    user.roles = HOSTILE.into_iter().map(Into::into).collect();
    insert_user(&*users, &user).await;
    assert_eq!(stored_user(&*users, &user).await, user);
    assert_eq!(users.list(&tenant(), page(None, 10)).await.must_work(), std::slice::from_ref(&user));
    user.revision = 1;
    assert_eq!(users.replace(&user, 0).await.must_work(), UserReplacement::Replaced);
    assert_eq!(stored_user(&*users, &user).await, user);
}

pub(super) async fn hostile_token_data_comes_back_literally(bench: Bench) {
    let tokens = bench.tokens();
    let mut token = record("hostile:id@with/all+its.characters-_", "family:id@with/all+its.characters-_");
    token.subject = subject("subject:id@with/all+its.characters-_");
    token.data = hostile_object();
    insert_token(&*tokens, &token).await;
    assert_same_record("get", &stored_token(&*tokens, &token).await, &token);
    // `_` is a wildcard to LIKE.
    for id in ["hostile:id@with/all+its.characters--", "hostile:id@with/all+its_characters-_"] {
        assert!(tokens.get(&tenant(), &token_id(id)).await.must_work().is_none(), "{id}");
    }
    let listed = tokens.list(&tenant(), &token.subject, token.kind).await.must_work();
    assert_eq!(listed.len(), 1);
    assert_same_record("list", &listed[0], &token);
    let mut next = successor(&token, "next");
    next.sealed = (0..=255).collect();
    assert_eq!(consume(&*tokens, &token, 1, Some(&next)).await, crate::store::Consumption::First);
    assert_eq!(consume(&*tokens, &token, 2, None).await, repeated(&next), "sealed bytes are bytes");
    assert_same_record("successor", &stored_token(&*tokens, &next.record).await, &next.record);
}

pub(super) async fn a_mebibyte_comes_back(bench: Bench) {
    const MEBIBYTE: usize = 1 << 20;
    let (users, tokens) = (bench.users(), bench.tokens());
    // Two names that differ in their last byte: a key that is cut somewhere makes them one.
    let (long, longer) = ("é\0".repeat(MEBIBYTE / 3), "é\0".repeat(MEBIBYTE / 3) + "x");
    for (id, text) in [("long", &long), ("longer", &longer)] {
        let mut user = bare_user(id);
        user.username = name(text);
        user.profile.insert("text".into(), text.as_str().into());
        insert_user(&*users, &user).await;
        assert_eq!(stored_user(&*users, &user).await, user, "{id}");
        let mut token = record(id, id);
        token.data.insert("text".into(), text.as_str().into());
        insert_token(&*tokens, &token).await;
        assert!(stored_token(&*tokens, &token).await.data == token.data, "{id}");
    }
    assert_eq!(owner(&*users, &LoginKey::username(&long)).await.as_deref(), Some("long"));
    assert_eq!(owner(&*users, &LoginKey::username(&longer)).await.as_deref(), Some("longer"));
}
