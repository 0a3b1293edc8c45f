//! Tenants have nothing in common, not even where every other name is the same.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::id::TenantId;
use crate::store::{
    Attempt, Consumption, Kinds, LoginKey, Revocation, RevocationTarget, TokenInsertion, TokenRecord,
    TokenReplacement, User, UserReplacement,
};

fn other_tenant() -> TenantId {
    TenantId::parse("default2").expect("a tenant")
}

pub(super) async fn users_of_tenants_are_apart(bench: Bench) {
    let users = bench.users();
    let (here, elsewhere) = (user("same"), other_tenant());
    insert_user(&*users, &here).await;
    assert_eq!(users.get(&elsewhere, &here.id).await.must_work(), None, "get");
    for key in here.login_keys() {
        assert_eq!(users.find(&elsewhere, &key).await.must_work(), None, "find by {:?}", key.kind());
    }
    assert_eq!(users.list(&elsewhere, page(None, 10)).await.must_work(), [], "list");
    assert!(!users.delete(&elsewhere, &here.id).await.must_work(), "delete");
    let mut there = User { tenant: elsewhere.clone(), ..here.clone() };
    assert_eq!(users.replace(&there, 0).await.must_work(), UserReplacement::Conflict, "replace");
    assert_eq!(stored_user(&*users, &here).await, here);

    // The same id and the same keys are free there.
    insert_user(&*users, &there).await;
    there.username = name("other");
    assert_eq!(users.replace(&there, 0).await.must_work(), UserReplacement::Replaced);
    assert_eq!(stored_user(&*users, &here).await, here, "replacing there changed nothing here");
    assert_eq!(owner(&*users, &LoginKey::username("other")).await, None, "nor did it take a key here");
    assert_eq!(users.list(&tenant(), page(None, 10)).await.must_work(), std::slice::from_ref(&here));
    assert_eq!(users.list(&elsewhere, page(None, 10)).await.must_work().len(), 1);
    assert!(users.delete(&elsewhere, &there.id).await.must_work());
    assert_eq!(stored_user(&*users, &here).await, here, "deleting there removed nothing here");
    for key in here.login_keys() {
        assert!(owner(&*users, &key).await.is_some(), "nor did it free a {:?} here", key.kind());
    }
}

pub(super) async fn tokens_of_tenants_are_apart(bench: Bench) {
    let tokens = bench.tokens();
    let (here, elsewhere) = (record("same", "f"), other_tenant());
    insert_token(&*tokens, &here).await;
    let there = TokenRecord { tenant: elsewhere.clone(), ..here.clone() };
    assert!(tokens.get(&elsewhere, &here.id).await.must_work().is_none(), "get");
    assert_eq!(consume(&*tokens, &there, 1, None).await, Consumption::Unknown, "consume");
    assert_eq!(tokens.replace(&there, 0).await.must_work(), TokenReplacement::Conflict, "replace");
    assert!(!tokens.touch(&elsewhere, &here.id, at(500), at(1_500)).await.must_work(), "touch");
    assert_eq!(tokens.count_attempt(&elsewhere, &here.id, 5).await.must_work(), Attempt::Unknown, "attempt");
    assert!(tokens.list(&elsewhere, &here.subject, here.kind).await.must_work().is_empty(), "list");
    assert_same_record("untouched", &stored_token(&*tokens, &here).await, &here);

    // The same id is free there, and what happens to it there does not happen here.
    insert_token(&*tokens, &there).await;
    assert!(tokens.touch(&elsewhere, &there.id, at(500), at(1_500)).await.must_work());
    assert_eq!(tokens.count_attempt(&elsewhere, &there.id, 5).await.must_work(), Attempt::Counted(1));
    assert_eq!(tokens.replace(&there, 0).await.must_work(), TokenReplacement::Replaced);
    let next = successor(&there, "next");
    assert_eq!(consume(&*tokens, &there, 1, Some(&next)).await, Consumption::First);
    assert!(tokens.get(&tenant(), &next.record.id).await.must_work().is_none(), "no successor here");
    assert_same_record("untouched", &stored_token(&*tokens, &here).await, &here);
    assert_eq!(tokens.list(&tenant(), &here.subject, here.kind).await.must_work().len(), 1);

    // A family here and one of the same name there: using one erases nothing of the other, and they end apart.
    let next_here = successor(&here, "next");
    assert_eq!(consume(&*tokens, &here, 1, Some(&next_here)).await, Consumption::First);
    assert_eq!(consume(&*tokens, &there, 2, None).await, repeated(&next), "still sealed there");
    assert_eq!(consume(&*tokens, &there, 500, None).await, Consumption::Reused, "reuse there");
    assert!(is_live(&*tokens, &next_here.record).await, "ends no family here");

    // Only whole families go, and these are two.
    let mut young = TokenRecord { id: token_id("young"), ..here.clone() };
    (young.expires_at, young.absolute_expiry) = (at(20_000), at(20_000));
    insert_token(&*tokens, &young).await;
    assert_eq!(tokens.purge(at(10_000)).await.must_work(), 2, "a young token here keeps no family there");
}

pub(super) async fn revocations_of_tenants_are_apart(bench: Bench) {
    let tokens = bench.tokens();
    let (here, elsewhere) = (record("same", "f"), other_tenant());
    insert_token(&*tokens, &here).await;
    let below = epoch(99, 99);
    for target in [
        RevocationTarget::Token(here.id.clone()),
        RevocationTarget::Family(here.family.clone()),
        RevocationTarget::Subject { subject: here.subject.clone(), kinds: Kinds::ALL, below },
    ] {
        let entry = Revocation { tenant: elsewhere.clone(), ..revocation(target, 1) };
        tokens.revoke(&entry).await.must_work();
        assert!(is_live(&*tokens, &here).await, "{:?} there ends nothing here", entry.target);
    }
    insert_token(&*tokens, &record("another", "f2")).await;
    let there = TokenRecord { tenant: elsewhere, ..record("another", "f2") };
    assert_eq!(tokens.insert(&there).await.must_work(), TokenInsertion::Stale(below), "the floor is there");
    assert_eq!(consume(&*tokens, &here, 2, None).await, Consumption::First);
}
