//! One caller at a time: spending tokens.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use super::records::other_holders;
use crate::error::ErrorKind;
use crate::id::TenantId;
use crate::store::{
    Consumption, Cursor, Kinds, Revocation, RevocationTarget, Succession, Successor, TokenKind, TokenRecord,
    TokenStore,
};

pub(super) async fn a_token_is_spent_once(bench: Bench) {
    let tokens = bench.tokens();
    let token = record("t1", "f");
    assert_eq!(consume(&*tokens, &token, 1, None).await, Consumption::Unknown);
    insert_token(&*tokens, &token).await;
    let mut next = successor(&token, "t2");
    next.record.data.insert("of".into(), "the successor".into());
    assert_eq!(consume(&*tokens, &token, 7, Some(&next)).await, Consumption::First);
    let spent = stored_token(&*tokens, &token).await;
    assert_eq!(spent.consumed_at, Some(at(7)));
    let want =
        Successor { id: token_id("t2"), sealed: Some(next.sealed.clone()), sealed_until: at(7 + GRACE) };
    assert_eq!(spent.successor, Some(want));
    assert_same_record("the successor", &stored_token(&*tokens, &next.record).await, &next.record);
    assert!(is_live(&*tokens, &next.record).await);
}

pub(super) async fn a_token_spent_for_nothing_stays_spent(bench: Bench) {
    let tokens = bench.tokens();
    let token = record("once", "f");
    insert_token(&*tokens, &token).await;
    assert_eq!(consume(&*tokens, &token, 1, None).await, Consumption::First);
    let next = successor(&token, "too-late");
    for late in [None, Some(&next)] {
        assert_eq!(consume(&*tokens, &token, 2, late).await, Consumption::Spent);
    }
    assert!(tokens.get(&tenant(), &next.record.id).await.must_work().is_none(), "nothing was stored");
    assert_eq!(stored_token(&*tokens, &token).await.successor, None);
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, [], "no family was revoked");
}

/// `t1`, exchanged for `t2` at 1.
async fn exchanged(tokens: &dyn TokenStore) -> (TokenRecord, Succession) {
    let token = record("t1", "f");
    insert_token(tokens, &token).await;
    let next = successor(&token, "t2");
    assert_eq!(consume(tokens, &token, 1, Some(&next)).await, Consumption::First);
    (token, next)
}

pub(super) async fn a_replay_in_grace_gets_the_same_successor(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    let other = successor(&token, "t2-other");
    for now in [1, 2, GRACE] {
        let replay = consume(&*tokens, &token, now, Some(&other)).await;
        assert_eq!(replay, repeated(&next), "the very same successor, at {now}");
    }
    assert!(tokens.get(&tenant(), &other.record.id).await.must_work().is_none(), "no second successor");
    assert_eq!(stored_token(&*tokens, &token).await.consumed_at, Some(at(1)), "grace does not start again");
    assert!(is_live(&*tokens, &next.record).await);
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, []);
}

async fn assert_reused(tokens: &dyn TokenStore, token: &TokenRecord, now: i64, name: &str) {
    let late = successor(token, "late");
    assert_eq!(consume(tokens, token, now, Some(&late)).await, Consumption::Reused, "{name}");
    assert!(tokens.get(&tenant(), &late.record.id).await.must_work().is_none(), "{name}: nothing was stored");
    let live = tokens.list(&tenant(), &token.subject, token.kind).await.must_work();
    assert!(live.iter().all(|live| live.family != token.family), "{name}: the family is dead");
}

pub(super) async fn a_replay_after_grace_is_reuse(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    assert_reused(&*tokens, &token, 1 + GRACE, "the first instant after grace").await;
    assert_eq!(consume(&*tokens, &next.record, 1 + GRACE, None).await, Consumption::Revoked);
    assert_eq!(consume(&*tokens, &token, 2, None).await, Consumption::Revoked, "even by an earlier clock");
}

pub(super) async fn a_replay_of_a_used_successor_is_reuse(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    let third = successor(&next.record, "t3");
    assert_eq!(consume(&*tokens, &next.record, 2, Some(&third)).await, Consumption::First);
    assert_reused(&*tokens, &token, 3, "within grace, but the successor was used").await;
    assert!(!is_live(&*tokens, &third.record).await, "the youngest dies with it");
}

pub(super) async fn a_replay_of_a_revoked_successor_is_reuse(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    revoke(&*tokens, RevocationTarget::Token(next.record.id), 2).await;
    assert_reused(&*tokens, &token, 3, "within grace, but the successor was revoked").await;
}

pub(super) async fn reuse_revokes_the_family_in_the_feed(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    let bystander = record("bystander", "another-family");
    insert_token(&*tokens, &bystander).await;
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, [], "so far nothing was revoked");
    let now = 1 + GRACE;
    assert_eq!(consume(&*tokens, &token, now, None).await, Consumption::Reused);
    let target = RevocationTarget::Family(token.family.clone());
    let want = Revocation { tenant: tenant(), target, at: at(now), keep_until: at(now + 600) };
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, [want], "every instance hears of it");
    assert_eq!(stored_token(&*tokens, &next.record).await.revoked_at, Some(at(now)));
    assert!(is_live(&*tokens, &bystander).await, "other families live");
}

pub(super) async fn expiry_is_by_the_callers_clock(bench: Bench) {
    let tokens = bench.tokens();
    let (idle, absolute) = (record("idle", "f1"), record("absolute", "f2"));
    insert_token(&*tokens, &idle).await;
    insert_token(&*tokens, &absolute).await;
    for now in [1_000, 9_999, 10_000] {
        let next = successor(&idle, "too-late");
        assert_eq!(consume(&*tokens, &idle, now, Some(&next)).await, Consumption::Expired, "at {now}");
        assert!(tokens.get(&tenant(), &next.record.id).await.must_work().is_none());
    }
    assert_eq!(stored_token(&*tokens, &idle).await.consumed_at, None, "nothing was changed");
    assert_eq!(consume(&*tokens, &idle, 999, None).await, Consumption::First, "the caller's clock decides");
    let next = successor(&absolute, "next");
    assert_eq!(consume(&*tokens, &absolute, 1, Some(&next)).await, Consumption::First);
    assert_eq!(
        consume(&*tokens, &absolute, 10_000, None).await,
        Consumption::Expired,
        "no reuse after the end"
    );
    assert!(is_live(&*tokens, &next.record).await, "and no revocation");
}

pub(super) async fn a_revoked_token_is_not_spent(bench: Bench) {
    let tokens = bench.tokens();
    let (by_id, by_family) = (record("by-id", "f1"), record("by-family", "f2"));
    for (token, target) in [
        (&by_id, RevocationTarget::Token(by_id.id.clone())),
        (&by_family, RevocationTarget::Family(by_family.family.clone())),
    ] {
        insert_token(&*tokens, token).await;
        revoke(&*tokens, target, 1).await;
        let next = successor(token, "next");
        assert_eq!(consume(&*tokens, token, 2, Some(&next)).await, Consumption::Revoked);
        assert!(tokens.get(&tenant(), &next.record.id).await.must_work().is_none(), "nothing was stored");
        assert_eq!(stored_token(&*tokens, token).await.consumed_at, None, "it was not spent");
    }
}

async fn raise_floor(tokens: &dyn TokenStore, security: u32, now: i64) {
    let kinds = Kinds::of(&[TokenKind::Refresh]);
    let below = epoch(security, 0);
    revoke(tokens, RevocationTarget::Subject { subject: subject("owner"), kinds, below }, now).await;
}

pub(super) async fn a_stale_token_is_not_spent(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    raise_floor(&*tokens, 6, 2).await;
    let third = successor(&TokenRecord { epoch: epoch(6, 6), ..token.clone() }, "t3");
    let stale = Consumption::Stale(epoch(6, 0));
    assert_eq!(consume(&*tokens, &next.record, 3, Some(&third)).await, stale, "a live one");
    assert_eq!(
        consume(&*tokens, &token, 3, Some(&third)).await,
        stale,
        "one in grace: it is dead, not stolen"
    );
    assert_eq!(consume(&*tokens, &token, 3 + GRACE, Some(&third)).await, stale, "one after grace, too");
    assert!(tokens.get(&tenant(), &third.record.id).await.must_work().is_none(), "nothing was stored");
    assert_eq!(stored_token(&*tokens, &next.record).await.consumed_at, None, "nothing was spent");
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0.len(), 1, "no family was revoked");
}

pub(super) async fn a_stale_successor_is_not_stored(bench: Bench) {
    let tokens = bench.tokens();
    let token = TokenRecord { epoch: epoch(6, 6), ..record("t1", "f") };
    insert_token(&*tokens, &token).await;
    raise_floor(&*tokens, 6, 1).await;
    let stale = successor(&record("t1", "f"), "t2");
    assert_eq!(consume(&*tokens, &token, 2, Some(&stale)).await, Consumption::Stale(epoch(6, 0)));
    assert_same_record("nothing was changed", &stored_token(&*tokens, &token).await, &token);
    assert!(tokens.get(&tenant(), &stale.record.id).await.must_work().is_none());
    let fresh = successor(&token, "t2");
    assert_eq!(consume(&*tokens, &token, 3, Some(&fresh)).await, Consumption::First);
}

async fn sealed(tokens: &dyn TokenStore, record: &TokenRecord) -> Option<Vec<u8>> {
    stored_token(tokens, record).await.successor.expect("it has a successor").sealed
}

pub(super) async fn the_next_use_erases_sealed_forms(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    let other = TokenRecord { id: token_id("o1"), family: family("another-family"), ..token.clone() };
    insert_token(&*tokens, &other).await;
    assert_eq!(consume(&*tokens, &other, 1, Some(&successor(&other, "o2"))).await, Consumption::First);
    let third = successor(&next.record, "t3");
    assert_eq!(consume(&*tokens, &next.record, 2, Some(&third)).await, Consumption::First);
    assert_eq!(sealed(&*tokens, &token).await, None, "the predecessor's is gone");
    assert_eq!(sealed(&*tokens, &next.record).await, Some(third.sealed), "the newest is there");
    assert!(sealed(&*tokens, &other).await.is_some(), "another family's is there");
}

pub(super) async fn purging_erases_sealed_forms(bench: Bench) {
    let tokens = bench.tokens();
    let (token, next) = exchanged(&*tokens).await;
    for (now, want) in [(GRACE, Some(next.sealed)), (1 + GRACE, None)] {
        assert_eq!(tokens.purge(at(now)).await.must_work(), 0);
        assert_eq!(sealed(&*tokens, &token).await, want, "at {now}");
    }
    // Still known as spent: a replay is still reuse, even by a clock that is behind.
    assert_eq!(consume(&*tokens, &token, 2, None).await, Consumption::Reused);
}

pub(super) async fn a_successor_does_not_change_hands(bench: Bench) {
    let tokens = bench.tokens();
    let (token, taken) = (record("t1", "f"), record("taken", "f2"));
    insert_token(&*tokens, &token).await;
    insert_token(&*tokens, &taken).await;
    let tenant = TenantId::parse("another").expect("a tenant");
    let mut wrong = other_holders(&successor(&token, "t2").record).to_vec();
    wrong.push(("another tenant", TokenRecord { tenant, ..successor(&token, "t2").record }));
    wrong.push(("an id that exists", successor(&token, "taken").record));
    wrong.push(("its own id", token.clone()));
    for (name, next) in wrong {
        let next = Succession { record: next, ..successor(&token, "t2") };
        let refused = try_consume(&*tokens, &token, 1, Some(&next)).await;
        assert_eq!(refused.expect_err(name).kind(), ErrorKind::Internal, "{name}");
        assert_same_record(name, &stored_token(&*tokens, &token).await, &token);
        let there = tokens.get(&next.record.tenant, &token_id("t2")).await.must_work();
        assert!(there.is_none(), "{name}: nothing was stored");
    }
    assert_same_record("taken", &stored_token(&*tokens, &taken).await, &taken);
    let right = successor(&token, "t2");
    assert_eq!(consume(&*tokens, &token, 1, Some(&right)).await, Consumption::First, "it can still be spent");
}
