//! One caller at a time: floors and feed.

use super::Bench;
use super::fixtures::{MustWork as _, *};
use crate::principal::Epoch;
use crate::store::{
    Cursor, Kinds, Revocation, RevocationTarget, TokenInsertion, TokenKind, TokenRecord, TokenStore,
};

/// Which of the records are live.
async fn live(tokens: &dyn TokenStore, records: &[&TokenRecord]) -> Vec<String> {
    let mut live = Vec::new();
    for record in records {
        if is_live(tokens, record).await {
            live.push(record.id.as_str().to_owned());
        }
    }
    live
}

pub(super) async fn revoking_a_token_ends_it_alone(bench: Bench) {
    let tokens = bench.tokens();
    let (one, two) = (record("one", "f"), record("two", "f"));
    insert_token(&*tokens, &one).await;
    insert_token(&*tokens, &two).await;
    revoke(&*tokens, RevocationTarget::Token(one.id.clone()), 3).await;
    assert_eq!(live(&*tokens, &[&one, &two]).await, ["two"]);
    assert_eq!(stored_token(&*tokens, &one).await.revoked_at, Some(at(3)));
    let listed = tokens.list(&tenant(), &one.subject, one.kind).await.must_work();
    assert_eq!(listed.len(), 1, "a revoked token is not listed");
}

pub(super) async fn revoking_a_family_ends_all_of_it(bench: Bench) {
    let tokens = bench.tokens();
    let (one, two, other) = (record("one", "f"), record("two", "f"), record("other", "f2"));
    let session = TokenRecord { kind: TokenKind::Session, ..record("session", "f") };
    for record in [&one, &two, &other, &session] {
        insert_token(&*tokens, record).await;
    }
    let next = successor(&one, "next");
    let _ = consume(&*tokens, &one, 1, Some(&next)).await;
    revoke(&*tokens, RevocationTarget::Family(family("f")), 3).await;
    assert_eq!(live(&*tokens, &[&one, &two, &session, &next.record, &other]).await, ["other"]);
    for dead in [&two, &session, &next.record] {
        assert_eq!(stored_token(&*tokens, dead).await.revoked_at, Some(at(3)), "{}", dead.id);
    }
}

pub(super) async fn revoking_a_subject_ends_what_is_below(bench: Bench) {
    let tokens = bench.tokens();
    let of = |id: &str, kind, epoch| TokenRecord { kind, epoch, ..record(id, id) };
    let below_security = of("below-security", TokenKind::Refresh, epoch(4, 9));
    let below_grants = of("below-grants", TokenKind::Refresh, epoch(9, 4));
    let equal = of("equal", TokenKind::Refresh, epoch(5, 5));
    let above = of("above", TokenKind::Session, epoch(6, 7));
    let session = of("session", TokenKind::Session, epoch(1, 1));
    let key = of("key", TokenKind::ApiKey, epoch(1, 1));
    let theirs =
        TokenRecord { subject: subject("somebody-else"), ..of("theirs", TokenKind::Refresh, epoch(1, 1)) };
    let all = [&below_security, &below_grants, &equal, &above, &session, &key, &theirs];
    for record in all {
        insert_token(&*tokens, record).await;
    }
    let kinds = Kinds::of(&[TokenKind::Refresh, TokenKind::Session, TokenKind::Access]);
    let target = RevocationTarget::Subject { subject: subject("owner"), kinds, below: epoch(5, 5) };
    revoke(&*tokens, target, 3).await;
    assert_eq!(live(&*tokens, &all).await, ["equal", "above", "key", "theirs"]);
    for dead in [&below_security, &below_grants, &session] {
        let listed = tokens.list(&tenant(), &dead.subject, dead.kind).await.must_work();
        assert!(listed.iter().all(|listed| listed.id != dead.id), "{} is not listed", dead.id);
        let mut seen = stored_token(&*tokens, dead).await;
        seen.revoked_at = None;
        assert_same_record("nothing else about it changed", &seen, dead);
    }
}

fn floor(kinds: Kinds, below: Epoch) -> RevocationTarget {
    RevocationTarget::Subject { subject: subject("owner"), kinds, below }
}

pub(super) async fn floors_only_rise(bench: Bench) {
    let tokens = bench.tokens();
    let probe = |security, grants| TokenRecord { epoch: epoch(security, grants), ..record("probe", "f") };
    for (name, raise, want) in [
        ("set", epoch(5, 5), epoch(5, 5)),
        ("lower", epoch(1, 1), epoch(5, 5)),
        ("one counter higher, one lower", epoch(7, 2), epoch(7, 5)),
        ("the other way round", epoch(2, 9), epoch(7, 9)),
        ("nothing", Epoch::ZERO, epoch(7, 9)),
        ("equal", epoch(7, 9), epoch(7, 9)),
        ("the highest", epoch(u32::MAX, 9), epoch(u32::MAX, 9)),
    ] {
        revoke(&*tokens, floor(Kinds::of(&[TokenKind::Refresh]), raise), 3).await;
        assert_eq!(tokens.insert(&probe(0, 0)).await.must_work(), TokenInsertion::Stale(want), "{name}");
    }
    insert_token(&*tokens, &probe(u32::MAX, 9)).await;
}

pub(super) async fn stale_tokens_are_not_inserted(bench: Bench) {
    let tokens = bench.tokens();
    // Nobody of this name has a token yet: the floor is there all the same.
    revoke(&*tokens, floor(Kinds::of(&[TokenKind::Refresh, TokenKind::OneTime]), epoch(5, 5)), 3).await;
    let probe = |id, kind, epoch| TokenRecord { kind, epoch, ..record(id, id) };
    for (name, record, want) in [
        ("security", probe("a", TokenKind::Refresh, epoch(4, 9)), false),
        ("grants", probe("b", TokenKind::Refresh, epoch(9, 4)), false),
        ("another kind of the same call", probe("c", TokenKind::OneTime, epoch(4, 4)), false),
        ("on the floor", probe("d", TokenKind::Refresh, epoch(5, 5)), true),
        ("a kind without a floor", probe("e", TokenKind::Session, epoch(0, 0)), true),
    ] {
        let want = if want { TokenInsertion::Inserted } else { TokenInsertion::Stale(epoch(5, 5)) };
        assert_eq!(tokens.insert(&record).await.must_work(), want, "{name}");
        let there = tokens.get(&tenant(), &record.id).await.must_work().is_some();
        assert_eq!(there, want == TokenInsertion::Inserted, "{name}");
    }
}

pub(super) async fn the_feed_tells_everything_in_order(bench: Bench) {
    let tokens = bench.tokens();
    let empty = tokens.revoked_since(Cursor::START).await.must_work();
    assert_eq!(empty.entries, [], "a new feed is empty");
    let known = record("known", "f");
    insert_token(&*tokens, &known).await;
    let targets = [
        RevocationTarget::Token(known.id.clone()),
        RevocationTarget::Token(known.id),
        RevocationTarget::Family(known.family),
        floor(Kinds::ALL, epoch(u32::MAX, 7)),
        floor(Kinds::of(&[TokenKind::Access]), epoch(1, 1)),
        floor(Kinds::of(&[]), Epoch::ZERO),
    ];
    let want: Vec<Revocation> = (10..).zip(targets).map(|(now, target)| revocation(target, now)).collect();
    let mut cursor = empty.cursor;
    for entry in &want {
        tokens.revoke(entry).await.must_work();
        let (news, next) = read_feed(&*tokens, cursor).await;
        assert_eq!(news.last(), Some(entry), "the news since the last look ends with this");
        cursor = next;
    }
    let (mut all, _) = read_feed(&*tokens, Cursor::START).await;
    all.dedup();
    let mut once = want;
    once.dedup();
    assert_eq!(all, once, "from the start, everything in order");
    let after = tokens.revoked_since(cursor).await.must_work();
    assert_eq!(after.entries, [], "at the end, nothing");
    assert_eq!(tokens.revoked_since(after.cursor).await.must_work().entries, [], "nor later");
}

pub(super) async fn the_unknown_is_revoked_too(bench: Bench) {
    let tokens = bench.tokens();
    let want = [
        revocation(RevocationTarget::Token(token_id("an-access-token")), 1),
        revocation(RevocationTarget::Family(family("unknown")), 2),
    ];
    for entry in &want {
        tokens.revoke(entry).await.must_work();
    }
    assert_eq!(read_feed(&*tokens, Cursor::START).await.0, want);
}

pub(super) async fn the_feed_is_read_in_pages(bench: Bench) {
    let tokens = bench.tokens();
    let names: Vec<String> = (0..1_500).map(|number| format!("t{number}")).collect();
    for name in &names {
        revoke(&*tokens, RevocationTarget::Token(token_id(name)), 1).await;
    }
    let told: Vec<String> = told(&read_feed(&*tokens, Cursor::START).await.0);
    assert_eq!(told, names, "nothing is skipped between pages");
}

/// The tokens the entries name.
pub(super) fn told(entries: &[Revocation]) -> Vec<String> {
    let names = entries.iter().filter_map(|entry| match &entry.target {
        RevocationTarget::Token(id) => Some(id.as_str().to_owned()),
        _ => None,
    });
    names.collect()
}

pub(super) async fn the_feed_forgets_only_what_it_may(bench: Bench) {
    let tokens = bench.tokens();
    let mut cursor = Cursor::START;
    for (name, keep_until) in [("long", 900), ("short", 100), ("longer", 901)] {
        let entry = revocation(RevocationTarget::Token(token_id(name)), 1);
        tokens.revoke(&Revocation { keep_until: at(keep_until), ..entry }).await.must_work();
        cursor = read_feed(&*tokens, cursor).await.1;
    }
    for (now, left) in
        [(99, &["long", "short", "longer"][..]), (100, &["long", "longer"]), (900, &["longer"]), (901, &[])]
    {
        assert_eq!(tokens.purge(at(now)).await.must_work(), 0, "entries are no records");
        assert_eq!(told(&read_feed(&*tokens, Cursor::START).await.0), left, "at {now}");
    }
    // A position is not used again: who has read to the end hears of what comes after it.
    revoke(&*tokens, RevocationTarget::Token(token_id("after")), 950).await;
    assert_eq!(told(&read_feed(&*tokens, cursor).await.0), ["after"]);
}

pub(super) async fn purging_keeps_floors(bench: Bench) {
    let tokens = bench.tokens();
    insert_token(&*tokens, &record("old", "f")).await;
    revoke(&*tokens, floor(Kinds::ALL, epoch(6, 0)), 1).await;
    assert_eq!(tokens.purge(at(1_000_000)).await.must_work(), 1);
    let stale = TokenInsertion::Stale(epoch(6, 0));
    assert_eq!(tokens.insert(&record("again", "f")).await.must_work(), stale);
}
