//! One caller at a time: records of tokens.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::error::ErrorKind;
use crate::store::{
    Attempt, RevocationTarget, Successor, TokenInsertion, TokenKind, TokenRecord, TokenReplacement,
    TokenStore,
};

pub(super) async fn tokens_come_back_as_given(bench: Bench) {
    let tokens = bench.tokens();
    let plain = record("plain", "f");
    let mut full = record("full", "f2");
    full.kind = TokenKind::OneTime;
    full.last_used_at = at(3);
    full.revision = 7;
    full.attempts = 2;
    full.consumed_at = Some(at(4));
    full.revoked_at = Some(at(5));
    full.successor =
        Some(Successor { id: token_id("next"), sealed: Some(vec![0, 1, 255]), sealed_until: at(9) });
    full.data.insert("scopes".into(), vec!["a", "b"].into());
    let mut erased = record("erased", "f3");
    erased.kind = TokenKind::ApiKey;
    erased.consumed_at = Some(at(4));
    erased.successor = Some(Successor { id: token_id("next"), sealed: None, sealed_until: at(9) });
    let mut session = record("session", "f4");
    session.kind = TokenKind::Session;
    for (name, record) in [("plain", plain), ("full", full), ("erased", erased), ("session", session)] {
        insert_token(&*tokens, &record).await;
        assert_same_record(name, &stored_token(&*tokens, &record).await, &record);
    }
    assert!(tokens.get(&tenant(), &token_id("nothing")).await.must_work().is_none());
}

pub(super) async fn token_ids_are_unique(bench: Bench) {
    let tokens = bench.tokens();
    let first = record("twin", "f");
    insert_token(&*tokens, &first).await;
    let mut second = record("twin", "f2");
    second.subject = subject("somebody-else");
    assert_eq!(tokens.insert(&second).await.must_work(), TokenInsertion::Exists);
    assert_same_record("the first is as it was", &stored_token(&*tokens, &first).await, &first);
}

pub(super) async fn replacing_a_token_swaps_and_counts(bench: Bench) {
    let tokens = bench.tokens();
    let mut swapped = record("swapped", "f");
    insert_token(&*tokens, &swapped).await;
    for revision in 0..3 {
        swapped.data.insert("round".into(), revision.into());
        swapped.expires_at = at(2_000);
        swapped.epoch.grants += 1;
        swapped.digest = record(&format!("other-{revision}"), "f").digest;
        // What the record itself says of its revision does not count.
        swapped.revision = 77;
        assert_eq!(tokens.replace(&swapped, revision).await.must_work(), TokenReplacement::Replaced);
        let want = TokenRecord { revision: revision + 1, ..swapped.clone() };
        assert_same_record("as replaced", &stored_token(&*tokens, &swapped).await, &want);
    }
}

pub(super) async fn replacing_a_token_compares_the_revision(bench: Bench) {
    let tokens = bench.tokens();
    let mut compared = record("compared", "f");
    assert_eq!(tokens.replace(&compared, 0).await.must_work(), TokenReplacement::Conflict, "there is none");
    assert!(tokens.get(&tenant(), &compared.id).await.must_work().is_none(), "and then there is none");
    insert_token(&*tokens, &compared).await;
    assert_eq!(tokens.replace(&compared, 0).await.must_work(), TokenReplacement::Replaced);
    compared.revision = 1;
    compared.data.insert("late".into(), true.into());
    for wrong in [0, 2, 1_000] {
        assert_eq!(tokens.replace(&compared, wrong).await.must_work(), TokenReplacement::Conflict, "{wrong}");
    }
    let seen = stored_token(&*tokens, &compared).await;
    assert_eq!((seen.revision, seen.data.is_empty()), (1, true), "nothing was stored");
}

pub(super) async fn replacing_a_token_leaves_other_verbs_alone(bench: Bench) {
    let tokens = bench.tokens();
    let read = record("read-early", "f");
    insert_token(&*tokens, &read).await;
    // Between the reading and the writing of somebody who replaces.
    assert_eq!(tokens.count_attempt(&tenant(), &read.id, 9).await.must_work(), Attempt::Counted(1));
    assert!(tokens.touch(&tenant(), &read.id, at(100), at(1_100)).await.must_work());
    let forged = TokenRecord {
        attempts: 0,
        consumed_at: Some(at(1)),
        revoked_at: Some(at(1)),
        successor: Some(Successor { id: token_id("next"), sealed: None, sealed_until: at(9) }),
        ..read.clone()
    };
    assert_eq!(tokens.replace(&forged, 0).await.must_work(), TokenReplacement::Replaced);
    let seen = stored_token(&*tokens, &read).await;
    assert_eq!(seen.attempts, 1, "attempts are counted by count_attempt alone");
    assert_eq!(seen.last_used_at, at(100), "uses are noted by touch alone");
    let dead = (seen.consumed_at, seen.revoked_at, seen.successor);
    assert_eq!(dead, (None, None, None), "tokens are ended by consume and revoke alone");
}

/// Tokens that are dead for one reason or another, with the answer to an attempt to replace them.
async fn dead_tokens(tokens: &dyn TokenStore) -> Vec<(&'static str, TokenRecord, TokenReplacement)> {
    let mut stale = record("stale", "f5");
    stale.subject = subject("changed-password");
    let (consumed, exchanged) = (record("consumed", "f1"), record("exchanged", "f2"));
    let (revoked, of_family) = (record("revoked", "f3"), record("of-family", "f4"));
    for record in [&consumed, &exchanged, &revoked, &of_family, &stale] {
        insert_token(tokens, record).await;
    }
    let _ = consume(tokens, &consumed, 1, None).await;
    let _ = consume(tokens, &exchanged, 1, Some(&successor(&exchanged, "next"))).await;
    revoke(tokens, RevocationTarget::Token(revoked.id.clone()), 1).await;
    revoke(tokens, RevocationTarget::Family(of_family.family.clone()), 1).await;
    let floor = epoch(6, 0);
    let (subject, kinds) = (stale.subject.clone(), crate::store::Kinds::of(&[stale.kind]));
    revoke(tokens, RevocationTarget::Subject { subject, kinds, below: floor }, 1).await;
    vec![
        ("consumed", consumed, TokenReplacement::Conflict),
        ("exchanged", exchanged, TokenReplacement::Conflict),
        ("revoked", revoked, TokenReplacement::Conflict),
        ("of a revoked family", of_family, TokenReplacement::Conflict),
        ("below its floor", stale, TokenReplacement::Stale(epoch(6, 0))),
    ]
}

pub(super) async fn a_dead_token_is_not_replaced(bench: Bench) {
    let tokens = bench.tokens();
    for (name, dead, want) in dead_tokens(&*tokens).await {
        assert_eq!(tokens.replace(&dead, 0).await.must_work(), want, "{name}");
        // A higher epoch does not bring it back either.
        let lifted = TokenRecord { epoch: epoch(99, 99), ..dead.clone() };
        assert_eq!(tokens.replace(&lifted, 0).await.must_work(), want, "{name}, lifted");
        assert!(!is_live(&*tokens, &dead).await, "{name}: it is still dead");
    }
    // Nor is a live one put below its floor.
    let mut live = record("live", "f9");
    live.subject = subject("changed-password");
    live.epoch = epoch(6, 0);
    insert_token(&*tokens, &live).await;
    let sunk = TokenRecord { epoch: epoch(5, 0), ..live.clone() };
    assert_eq!(tokens.replace(&sunk, 0).await.must_work(), TokenReplacement::Stale(epoch(6, 0)));
    assert_same_record("it is as it was", &stored_token(&*tokens, &live).await, &live);
}

pub(super) async fn a_token_does_not_change_hands(bench: Bench) {
    let tokens = bench.tokens();
    let mine = record("mine", "f");
    insert_token(&*tokens, &mine).await;
    for (name, theirs) in other_holders(&mine) {
        let refused = tokens.replace(&theirs, 0).await;
        assert_eq!(refused.expect_err(name).kind(), ErrorKind::Internal, "{name}");
        assert_same_record(name, &stored_token(&*tokens, &mine).await, &mine);
    }
}

pub(super) fn other_holders(record: &TokenRecord) -> [(&'static str, TokenRecord); 3] {
    [
        ("another kind", TokenRecord { kind: TokenKind::ApiKey, ..record.clone() }),
        ("another subject", TokenRecord { subject: subject("somebody-else"), ..record.clone() }),
        ("another family", TokenRecord { family: family("another-family"), ..record.clone() }),
    ]
}

pub(super) async fn a_use_is_noted_once_a_minute(bench: Bench) {
    let tokens = bench.tokens();
    let used = record("used", "f");
    insert_token(&*tokens, &used).await;
    for (name, now, wrote, last_used) in [
        ("in the first minute", 59, false, 0),
        ("after a minute", 60, true, 60),
        ("once more", 61, false, 60),
        ("a second early", 119, false, 60),
        ("after another minute", 120, true, 120),
        ("the clock was set back", 60, false, 120),
    ] {
        let touched = tokens.touch(&tenant(), &used.id, at(now), at(now + 1_000)).await.must_work();
        assert_eq!(touched, wrote, "{name}");
        let seen = stored_token(&*tokens, &used).await;
        assert_eq!(seen.last_used_at, at(last_used), "{name}");
        assert_eq!(seen.expires_at, at(last_used + 1_000), "{name}: the idle expiry moves with it");
        assert_eq!(seen.revision, 0, "{name}: a use is no replacement");
    }
    assert!(!tokens.touch(&tenant(), &token_id("nothing"), at(100), at(200)).await.must_work());
}

pub(super) async fn a_use_never_shortens_nor_outlives(bench: Bench) {
    let tokens = bench.tokens();
    let used = record("used", "f");
    insert_token(&*tokens, &used).await;
    assert!(tokens.touch(&tenant(), &used.id, at(100), at(200)).await.must_work());
    assert_eq!(stored_token(&*tokens, &used).await.expires_at, at(1_000), "never to an earlier time");
    assert!(tokens.touch(&tenant(), &used.id, at(200), at(99_999)).await.must_work());
    assert_eq!(stored_token(&*tokens, &used).await.expires_at, at(10_000), "never past the absolute expiry");
}

pub(super) async fn a_dead_token_is_not_touched(bench: Bench) {
    let tokens = bench.tokens();
    for (name, dead, _) in dead_tokens(&*tokens).await {
        let before = stored_token(&*tokens, &dead).await;
        assert!(!tokens.touch(&tenant(), &dead.id, at(500), at(1_500)).await.must_work(), "{name}");
        assert_same_record(name, &stored_token(&*tokens, &dead).await, &before);
    }
    let expired = record("expired", "f8");
    insert_token(&*tokens, &expired).await;
    for now in [1_000, 1_001, 10_000] {
        let touched = tokens.touch(&tenant(), &expired.id, at(now), at(20_000)).await.must_work();
        assert!(!touched, "an expired token is not revived by a use at {now}");
    }
    assert_same_record("expired", &stored_token(&*tokens, &expired).await, &expired);
}

pub(super) async fn attempts_are_counted_up_to_the_limit(bench: Bench) {
    let tokens = bench.tokens();
    let guessed = record("guessed", "f");
    insert_token(&*tokens, &guessed).await;
    let attempt = async |max| tokens.count_attempt(&tenant(), &guessed.id, max).await.must_work();
    assert_eq!(attempt(0).await, Attempt::Exhausted, "none is allowed");
    for number in 1..=3 {
        assert_eq!(attempt(3).await, Attempt::Counted(number));
    }
    for _ in 0..3 {
        assert_eq!(attempt(3).await, Attempt::Exhausted);
    }
    assert_eq!(stored_token(&*tokens, &guessed).await.attempts, 3, "what is not allowed is not counted");
    assert_eq!(attempt(4).await, Attempt::Counted(4), "the limit is the caller's");
    assert_eq!(tokens.count_attempt(&tenant(), &token_id("no"), 3).await.must_work(), Attempt::Unknown);
}

pub(super) async fn tokens_are_listed_oldest_first(bench: Bench) {
    let tokens = bench.tokens();
    let of = |id: &str, created: i64| TokenRecord { created_at: at(created), ..record(id, id) };
    let mut expired = of("d-expired", -9);
    (expired.expires_at, expired.absolute_expiry) = (at(-5), at(-5));
    let other_kind = TokenRecord { kind: TokenKind::Session, ..of("session", 1) };
    let somebody_elses = TokenRecord { subject: subject("somebody-else"), ..of("theirs", 1) };
    for record in [&of("c", 2), &of("b", 5), &expired, &of("a", 9), &other_kind, &somebody_elses] {
        insert_token(&*tokens, record).await;
    }
    for (_, mut dead, _) in dead_tokens(&*tokens).await {
        // Dead ones of the same subject, too.
        dead.id = token_id(&format!("{}-again", dead.id));
        dead.subject = subject("owner");
        insert_token(&*tokens, &dead).await;
        revoke(&*tokens, RevocationTarget::Token(dead.id), 1).await;
    }
    let list = async |whose: &str, kind| {
        let listed = tokens.list(&tenant(), &subject(whose), kind).await.must_work();
        listed.iter().map(|record| record.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    let live: Vec<String> = list("owner", TokenKind::Refresh).await;
    // `next` was issued with the token it replaced.
    assert_eq!(live, ["d-expired", "next", "c", "b", "a"], "live ones, expired included, oldest first");
    assert_eq!(list("owner", TokenKind::Session).await, ["session"]);
    assert_eq!(list("somebody-else", TokenKind::Refresh).await, ["theirs"]);
    assert_eq!(list("changed-password", TokenKind::Refresh).await, [""; 0], "below the floor");
    assert_eq!(list("nobody", TokenKind::Refresh).await, [""; 0]);
}

pub(super) async fn purging_takes_whole_families(bench: Bench) {
    let tokens = bench.tokens();
    let until = |id: &str, family: &str, absolute: i64| {
        let (expires_at, absolute_expiry) = (at(absolute.min(1_000)), at(absolute));
        TokenRecord { expires_at, absolute_expiry, ..record(id, family) }
    };
    let mixed = [until("old", "mixed", 100), until("young", "mixed", 200)];
    let over = [until("over-1", "over", 100), until("over-2", "over", 99)];
    let idle = until("idle", "idle", 5_000);
    for record in mixed.iter().chain(&over).chain([&idle]) {
        insert_token(&*tokens, record).await;
    }
    let _ = consume(&*tokens, &mixed[0], 1, None).await;
    let there = async || {
        let mut there = Vec::new();
        for record in mixed.iter().chain(&over).chain([&idle]) {
            if tokens.get(&tenant(), &record.id).await.must_work().is_some() {
                there.push(record.id.as_str());
            }
        }
        there
    };
    for (now, gone, left) in [
        (99, 0, &["old", "young", "over-1", "over-2", "idle"][..]),
        (100, 2, &["old", "young", "idle"]),
        (199, 0, &["old", "young", "idle"]),
        (200, 2, &["idle"]),
        (4_999, 0, &["idle"]),
        (5_000, 1, &[]),
    ] {
        assert_eq!(tokens.purge(at(now)).await.must_work(), gone, "at {now}");
        assert_eq!(there().await, left, "at {now}");
    }
}
