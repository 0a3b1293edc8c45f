//! What was answered is still true after a restart. Checked where the store is durable.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::store::{
    Attempt, Consumption, Cursor, Kinds, LoginKey, RevocationTarget, TokenInsertion, TokenReplacement, User,
    UserInsertion, UserReplacement,
};

pub(super) async fn users_outlive_the_process(mut bench: Bench) {
    let (mut kept, gone) = (user("kept"), user("gone"));
    insert_user(&*bench.users(), &kept).await;
    insert_user(&*bench.users(), &gone).await;
    kept.username = name("renamed");
    assert_eq!(bench.users().replace(&kept, 0).await.must_work(), UserReplacement::Replaced);
    assert!(bench.users().delete(&tenant(), &gone.id).await.must_work());
    if !bench.reopen().await {
        return;
    }
    let users = bench.users();
    assert_eq!(stored_user(&*users, &kept).await, User { revision: 1, ..kept.clone() });
    assert_eq!(owner(&*users, &LoginKey::username("renamed")).await.as_deref(), Some("kept"));
    assert_eq!(owner(&*users, &LoginKey::username("kept")).await, None, "the old name stays free");
    assert_eq!(users.get(&tenant(), &gone.id).await.must_work(), None, "what was deleted stays deleted");
    assert_eq!(users.insert(&kept).await.must_work(), UserInsertion::IdExists);
    assert_eq!(users.replace(&kept, 0).await.must_work(), UserReplacement::Conflict);
}

pub(super) async fn tokens_outlive_the_process(mut bench: Bench) {
    let mut token = record("token", "f");
    insert_token(&*bench.tokens(), &token).await;
    assert!(bench.tokens().touch(&tenant(), &token.id, at(100), at(1_100)).await.must_work());
    let counted = bench.tokens().count_attempt(&tenant(), &token.id, 1).await.must_work();
    assert_eq!(counted, Attempt::Counted(1));
    token.data.insert("label".into(), "replaced".into());
    assert_eq!(bench.tokens().replace(&token, 0).await.must_work(), TokenReplacement::Replaced);
    let before = stored_token(&*bench.tokens(), &token).await;
    if !bench.reopen().await {
        return;
    }
    let tokens = bench.tokens();
    assert_same_record("as before", &stored_token(&*tokens, &token).await, &before);
    assert_eq!(tokens.count_attempt(&tenant(), &token.id, 1).await.must_work(), Attempt::Exhausted);
    assert_eq!(tokens.insert(&token).await.must_work(), TokenInsertion::Exists);
}

pub(super) async fn spent_tokens_stay_spent(mut bench: Bench) {
    let (once, token) = (record("once", "f1"), record("t1", "f2"));
    let next = successor(&token, "t2");
    insert_token(&*bench.tokens(), &once).await;
    insert_token(&*bench.tokens(), &token).await;
    assert_eq!(consume(&*bench.tokens(), &once, 1, None).await, Consumption::First);
    assert_eq!(consume(&*bench.tokens(), &token, 1, Some(&next)).await, Consumption::First);
    if !bench.reopen().await {
        return;
    }
    assert_eq!(consume(&*bench.tokens(), &once, 2, None).await, Consumption::Spent);
    assert_eq!(consume(&*bench.tokens(), &token, 2, None).await, repeated(&next), "grace outlives it too");
    assert_eq!(consume(&*bench.tokens(), &token, 1 + GRACE, None).await, Consumption::Reused);
    assert!(bench.reopen().await);
    assert_eq!(consume(&*bench.tokens(), &next.record, 20, None).await, Consumption::Revoked);
    assert_eq!(read_feed(&*bench.tokens(), Cursor::START).await.0.len(), 1, "the reuse is in the feed");
}

pub(super) async fn revocations_outlive_the_process(mut bench: Bench) {
    let (by_id, by_family, by_floor) = (record("a", "f1"), record("b", "f2"), record("c", "f3"));
    for record in [&by_id, &by_family, &by_floor] {
        insert_token(&*bench.tokens(), record).await;
    }
    revoke(&*bench.tokens(), RevocationTarget::Token(by_id.id.clone()), 1).await;
    let read_before = read_feed(&*bench.tokens(), Cursor::START).await.1;
    revoke(&*bench.tokens(), RevocationTarget::Family(by_family.family.clone()), 2).await;
    let below = epoch(6, 0);
    let target = RevocationTarget::Subject { subject: by_floor.subject.clone(), kinds: Kinds::ALL, below };
    revoke(&*bench.tokens(), target, 3).await;
    let (feed, _) = read_feed(&*bench.tokens(), Cursor::START).await;
    if !bench.reopen().await {
        return;
    }
    let tokens = bench.tokens();
    for (name, dead) in [("by id", &by_id), ("by family", &by_family), ("by floor", &by_floor)] {
        assert!(!is_live(&*tokens, dead).await, "{name}: what was revoked stays revoked");
        assert_ne!(consume(&*tokens, dead, 4, None).await, Consumption::First, "{name}");
    }
    assert_eq!(tokens.insert(&record("d", "f4")).await.must_work(), TokenInsertion::Stale(below));
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, feed, "the feed, from the start");
    assert_eq!(read_feed(&*tokens, read_before).await.0, feed[1..], "and from a cursor of before");
    // Even if all that was there is forgotten, nobody is handed a position again.
    let end = read_feed(&*tokens, Cursor::START).await.1;
    tokens.purge(at(100_000)).await.must_work();
    drop(tokens);
    assert!(bench.reopen().await);
    revoke(&*bench.tokens(), RevocationTarget::Token(token_id("later")), 5).await;
    assert_eq!(read_feed(&*bench.tokens(), end).await.0.len(), 1, "news behind a cursor of before");
}
