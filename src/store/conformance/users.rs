//! One caller at a time: users.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::store::{FederatedIdentity, LoginKey, LoginKeyKind, User, UserInsertion, UserReplacement};

pub(super) async fn users_come_back_as_given(bench: Bench) {
    let users = bench.users();
    let (full, bare) = (user("full"), bare_user("bare"));
    for user in [&full, &bare] {
        insert_user(&*users, user).await;
    }
    for user in [&full, &bare] {
        assert_eq!(stored_user(&*users, user).await, *user, "by id");
        for key in user.login_keys() {
            let found = users.find(&tenant(), &key).await.must_work();
            assert_eq!(found.as_ref(), Some(user), "by {:?}", key.kind());
        }
    }
    assert_eq!(users.get(&tenant(), &subject("nobody")).await.must_work(), None);
    assert_eq!(users.find(&tenant(), &LoginKey::username("nobody")).await.must_work(), None);
}

pub(super) async fn user_ids_are_unique(bench: Bench) {
    let users = bench.users();
    let first = user("twin");
    insert_user(&*users, &first).await;
    let mut second = bare_user("twin");
    second.username = name("other");
    assert_eq!(users.insert(&second).await.must_work(), UserInsertion::IdExists);
    assert_eq!(stored_user(&*users, &first).await, first, "the first is as it was");
    assert_eq!(owner(&*users, &LoginKey::username("other")).await, None, "no key was taken");
}

/// Users that have exactly one key in common with `user("first")`, and free ones besides.
fn rivals() -> Vec<(LoginKeyKind, User)> {
    let rival = |change: fn(&mut User)| {
        let mut rival = user("rival");
        change(&mut rival);
        rival
    };
    vec![
        (LoginKeyKind::Username, rival(|rival| rival.username = name("first"))),
        (LoginKeyKind::Email, rival(|rival| rival.email = name("first@example.com"))),
        (LoginKeyKind::FederatedIdentity, rival(|rival| rival.identities.extend(user("first").identities))),
    ]
}

pub(super) async fn duplicate_keys_are_named_on_insert(bench: Bench) {
    let users = bench.users();
    let first = user("first");
    insert_user(&*users, &first).await;
    for (kind, rival) in rivals() {
        assert_eq!(users.insert(&rival).await.must_work(), UserInsertion::Duplicate(kind));
        assert_eq!(users.get(&tenant(), &rival.id).await.must_work(), None, "{kind:?}: nothing was stored");
        for key in rival.login_keys() {
            let owner = owner(&*users, &key).await;
            assert_ne!(owner.as_deref(), Some("rival"), "{kind:?}: no key was taken");
        }
    }
    assert_eq!(stored_user(&*users, &first).await, first);
    insert_user(&*users, &user("rival")).await;
}

pub(super) async fn duplicate_keys_are_named_on_replace(bench: Bench) {
    let users = bench.users();
    let (first, before) = (user("first"), user("rival"));
    insert_user(&*users, &first).await;
    insert_user(&*users, &before).await;
    for (kind, mut rival) in rivals() {
        rival.roles.push("changed".into());
        assert_eq!(users.replace(&rival, 0).await.must_work(), UserReplacement::Duplicate(kind));
        assert_eq!(stored_user(&*users, &before).await, before, "{kind:?}: nothing was stored");
        for key in before.login_keys() {
            assert_eq!(
                owner(&*users, &key).await.as_deref(),
                Some("rival"),
                "{kind:?}: its keys are its own"
            );
        }
        for key in first.login_keys() {
            assert_eq!(owner(&*users, &key).await.as_deref(), Some("first"), "{kind:?}: so are the first's");
        }
    }
}

pub(super) async fn a_user_may_name_a_key_twice(bench: Bench) {
    let users = bench.users();
    let mut user = user("twice");
    user.identities.extend(user.identities.clone());
    insert_user(&*users, &user).await;
    assert_eq!(
        users.replace(&user, 0).await.must_work(),
        UserReplacement::Replaced,
        "own keys are no conflict"
    );
    assert_eq!(stored_user(&*users, &user).await.identities, user.identities);
}

pub(super) async fn replacing_a_user_swaps_and_counts(bench: Bench) {
    let users = bench.users();
    let mut user = user("swapped");
    insert_user(&*users, &user).await;
    for revision in 0..3 {
        user.roles = vec![format!("round-{revision}")];
        user.epoch.security += 1;
        user.profile.insert("round".into(), revision.into());
        // What the record itself says of its revision does not count.
        user.revision = 77;
        assert_eq!(users.replace(&user, revision).await.must_work(), UserReplacement::Replaced);
        let want = User { revision: revision + 1, ..user.clone() };
        assert_eq!(stored_user(&*users, &user).await, want);
        for key in user.login_keys() {
            assert_eq!(
                users.find(&tenant(), &key).await.must_work(),
                Some(want.clone()),
                "found as replaced"
            );
        }
    }
}

pub(super) async fn replacing_a_user_compares_the_revision(bench: Bench) {
    let users = bench.users();
    let user = user("compared");
    assert_eq!(users.replace(&user, 0).await.must_work(), UserReplacement::Conflict, "there is no such user");
    assert_eq!(users.get(&tenant(), &user.id).await.must_work(), None, "and then there is none");
    insert_user(&*users, &user).await;
    assert_eq!(users.replace(&user, 0).await.must_work(), UserReplacement::Replaced);
    for wrong in [0, 2, 1_000] {
        let mut late = user.clone();
        late.username = name("late");
        late.revision = 1;
        assert_eq!(users.replace(&late, wrong).await.must_work(), UserReplacement::Conflict, "{wrong}");
        assert_eq!(owner(&*users, &LoginKey::username("late")).await, None, "{wrong}: no key was taken");
    }
    assert_eq!(stored_user(&*users, &user).await, User { revision: 1, ..user });
}

pub(super) async fn renaming_frees_and_takes_keys(bench: Bench) {
    let users = bench.users();
    let mut user = user("renamed");
    insert_user(&*users, &user).await;
    let before: Vec<LoginKey> = user.login_keys().collect();
    user.username = name("new-name");
    user.email = None;
    user.identities = vec![FederatedIdentity { issuer: "https://new".into(), subject: "1".into() }];
    assert_eq!(users.replace(&user, 0).await.must_work(), UserReplacement::Replaced);
    for key in before {
        assert_eq!(owner(&*users, &key).await, None, "the old {:?} is free", key.kind());
    }
    for key in user.login_keys() {
        assert_eq!(owner(&*users, &key).await.as_deref(), Some("renamed"), "the new {:?}", key.kind());
    }
    let mut heir = bare_user("heir");
    heir.username = name("renamed");
    insert_user(&*users, &heir).await;
    assert_eq!(owner(&*users, &LoginKey::username("renamed")).await.as_deref(), Some("heir"));
}

pub(super) async fn deleting_a_user_frees_its_keys(bench: Bench) {
    let users = bench.users();
    let gone = user("gone");
    insert_user(&*users, &gone).await;
    assert!(users.delete(&tenant(), &gone.id).await.must_work(), "it was there");
    assert!(!users.delete(&tenant(), &gone.id).await.must_work(), "it no longer was");
    assert_eq!(users.get(&tenant(), &gone.id).await.must_work(), None);
    for key in gone.login_keys() {
        assert_eq!(owner(&*users, &key).await, None, "{:?}", key.kind());
    }
    let mut heir = user("gone");
    heir.id = subject("heir");
    insert_user(&*users, &heir).await;
    assert!(users.list(&tenant(), page(None, 10)).await.must_work().iter().all(|user| user.id == heir.id));
}

pub(super) async fn a_deleted_user_is_not_brought_back(bench: Bench) {
    let users = bench.users();
    let gone = user("gone");
    insert_user(&*users, &gone).await;
    assert!(users.delete(&tenant(), &gone.id).await.must_work());
    for revision in [0, 1] {
        assert_eq!(users.replace(&gone, revision).await.must_work(), UserReplacement::Conflict, "{revision}");
    }
    assert_eq!(users.get(&tenant(), &gone.id).await.must_work(), None);
    for key in gone.login_keys() {
        assert_eq!(owner(&*users, &key).await, None, "{:?}", key.kind());
    }
}

pub(super) async fn users_are_listed_in_byte_order(bench: Bench) {
    let users = bench.users();
    // By bytes, capitals come before small letters, and `_` between them.
    let sorted = ["+", "-", "10", "9", "A", "B", "Z", "_", "a", "aa", "b"];
    for id in ["b", "A", "10", "aa", "_", "Z", "9", "+", "a", "B", "-"] {
        insert_user(&*users, &bare_user(id)).await;
    }
    let ids = async |after: Option<&str>, limit| {
        let listed = users.list(&tenant(), page(after, limit)).await.must_work();
        listed.iter().map(|user| user.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 100).await, sorted, "one page");
    assert_eq!(ids(None, u32::MAX).await, sorted, "the largest page");
    assert_eq!(ids(None, 0).await, [""; 0], "an empty page");
    assert_eq!(ids(Some("b"), 5).await, [""; 0], "behind the last");
    assert_eq!(ids(Some("AA"), 2).await, ["B", "Z"], "behind an id that does not exist");
    let mut paged: Vec<String> = Vec::new();
    loop {
        let last = paged.last().cloned();
        let next = ids(last.as_deref(), 3).await;
        if next.is_empty() {
            break;
        }
        assert!(next.len() <= 3, "a page is no longer than asked for");
        paged.extend(next);
    }
    assert_eq!(paged, sorted, "page by page");
}

pub(super) async fn login_keys_have_no_collation(bench: Bench) {
    let users = bench.users();
    // Alike under one collation or another: case, accents, composition, width, spaces, prefixes, zeros.
    let names = [
        "strasse", "STRASSE", "straße", "e\u{301}", "é", "e", "ｅ", "ı", "i", "İ", "a", "a ", " a", "a\0",
        "a\0b", "", "1", "01", "1.0", "k", "\u{212a}",
    ];
    for (number, text) in names.into_iter().enumerate() {
        let mut user = bare_user(&format!("u{number}"));
        user.username = name(text);
        assert_eq!(
            users.insert(&user).await.must_work(),
            UserInsertion::Inserted,
            "{text:?} is a name of its own"
        );
    }
    for (number, text) in names.into_iter().enumerate() {
        let found = owner(&*users, &LoginKey::username(text)).await;
        assert_eq!(found, Some(format!("u{number}")), "{text:?} finds its own user");
    }
    assert_eq!(owner(&*users, &LoginKey::username("A")).await, None);
}

pub(super) async fn kinds_of_login_keys_are_apart(bench: Bench) {
    let users = bench.users();
    let (mut by_name, mut by_mail) = (bare_user("by-name"), bare_user("by-mail"));
    by_name.username = name("x@example.com");
    by_mail.email = name("x@example.com");
    insert_user(&*users, &by_name).await;
    insert_user(&*users, &by_mail).await;
    assert_eq!(owner(&*users, &LoginKey::username("x@example.com")).await.as_deref(), Some("by-name"));
    assert_eq!(owner(&*users, &LoginKey::email("x@example.com")).await.as_deref(), Some("by-mail"));
}

pub(super) async fn a_federated_identity_is_a_pair(bench: Bench) {
    let users = bench.users();
    let pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")];
    for (number, (issuer, subject)) in pairs.into_iter().enumerate() {
        let mut user = bare_user(&format!("u{number}"));
        user.identities = vec![FederatedIdentity { issuer: issuer.into(), subject: subject.into() }];
        insert_user(&*users, &user).await;
    }
    for (number, (issuer, subject)) in pairs.into_iter().enumerate() {
        let key = FederatedIdentity { issuer: issuer.into(), subject: subject.into() }.login_key();
        assert_eq!(owner(&*users, &key).await, Some(format!("u{number}")), "{issuer:?} {subject:?}");
    }
}
