//! Thirty-two callers at once. Who wins is open; how many is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Bench;
use super::fixtures::{MustWork as _, *};
use super::revocation::told;
use crate::store::{
    Attempt, Consumption, Cursor, Kinds, LoginKey, LoginKeyKind, RevocationTarget, Succession,
    TokenInsertion, TokenKind, TokenRecord, TokenReplacement, UserInsertion, UserReplacement,
};

pub(super) async fn racing_inserts_of_a_login_key(bench: Bench) {
    for round in 0..ROUNDS {
        let shared = format!("shared-{round}");
        let answers = race(|racer| {
            let (users, mut user) = (bench.users(), bare_user(&format!("r{round}-{racer}")));
            user.username = name(&shared);
            user.email = name(user.id.as_ref());
            async move { users.insert(&user).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &UserInsertion::Inserted), 1, "exactly one: {answers:?}");
        assert_eq!(count(&answers, &UserInsertion::Duplicate(LoginKeyKind::Username)), RACERS - 1);
        let all = bench.users().list(&tenant(), page(None, 1_000)).await.must_work();
        assert_eq!(all.len(), round + 1, "the others left nothing behind");
        let winner = owner(&*bench.users(), &LoginKey::username(&shared)).await;
        assert!(winner.is_some_and(|winner| winner.starts_with(&format!("r{round}-"))));
    }
}

pub(super) async fn racing_inserts_of_a_user_id(bench: Bench) {
    for round in 0..ROUNDS {
        let answers = race(|racer| {
            let (users, mut user) = (bench.users(), bare_user(&format!("same-{round}")));
            user.username = name(&format!("r{round}-{racer}"));
            async move { users.insert(&user).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &UserInsertion::Inserted), 1, "exactly one: {answers:?}");
        assert_eq!(count(&answers, &UserInsertion::IdExists), RACERS - 1);
        let mut found = 0;
        for racer in 0..RACERS {
            let key = LoginKey::username(&format!("r{round}-{racer}"));
            found += usize::from(owner(&*bench.users(), &key).await.is_some());
        }
        assert_eq!(found, 1, "the others took no key");
    }
}

pub(super) async fn racing_renames_to_a_login_key(bench: Bench) {
    for racer in 0..RACERS {
        insert_user(&*bench.users(), &bare_user(&format!("r{racer}"))).await;
    }
    for round in 0..ROUNDS {
        let revisions = bench.users().list(&tenant(), page(None, 1_000)).await.must_work();
        let answers = race(|racer| {
            let (users, mut user) = (bench.users(), revisions[racer].clone());
            user.email = name(&format!("shared-{round}"));
            async move { users.replace(&user, user.revision).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &UserReplacement::Replaced), 1, "exactly one: {answers:?}");
        assert_eq!(count(&answers, &UserReplacement::Duplicate(LoginKeyKind::Email)), RACERS - 1);
    }
}

pub(super) async fn racing_replacements_of_a_user(bench: Bench) {
    let contested = user("contested");
    insert_user(&*bench.users(), &contested).await;
    for revision in 0..ROUNDS as u64 {
        let answers = race(|racer| {
            let (users, mut user) = (bench.users(), contested.clone());
            user.roles = vec![format!("racer-{racer}")];
            async move { users.replace(&user, revision).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &UserReplacement::Replaced), 1, "exactly one: {answers:?}");
        let winner = answers.iter().position(|answer| *answer == UserReplacement::Replaced);
        let seen = stored_user(&*bench.users(), &contested).await;
        assert_eq!(seen.revision, revision + 1);
        assert_eq!(seen.roles, [format!("racer-{}", winner.unwrap_or(RACERS))], "the winner's is stored");
    }
}

pub(super) async fn racing_deletions_of_a_user(bench: Bench) {
    for round in 0..ROUNDS {
        let gone = user(&format!("gone-{round}"));
        insert_user(&*bench.users(), &gone).await;
        let answers = race(|_| {
            let (users, id) = (bench.users(), gone.id.clone());
            async move { users.delete(&tenant(), &id).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &true), 1, "it was there for exactly one");
    }
}

pub(super) async fn racing_a_deletion_and_replacements(bench: Bench) {
    for round in 0..ROUNDS {
        let gone = user(&format!("gone-{round}"));
        insert_user(&*bench.users(), &gone).await;
        race(|racer| {
            let (users, mut user) = (bench.users(), gone.clone());
            user.username = name(&format!("r{round}-{racer}"));
            async move {
                if racer == RACERS / 2 {
                    assert!(users.delete(&tenant(), &user.id).await.must_work());
                } else {
                    let _ = users.replace(&user, 0).await.must_work();
                }
            }
        })
        .await;
        assert_eq!(bench.users().get(&tenant(), &gone.id).await.must_work(), None, "deleted is deleted");
        for racer in 0..RACERS {
            let key = LoginKey::username(&format!("r{round}-{racer}"));
            assert_eq!(owner(&*bench.users(), &key).await, None, "and its keys are free");
        }
        insert_user(&*bench.users(), &user(&format!("heir-{round}"))).await;
    }
}

pub(super) async fn racing_inserts_of_a_token_id(bench: Bench) {
    for round in 0..ROUNDS {
        let answers = race(|racer| {
            let (tokens, mut token) = (bench.tokens(), record(&format!("same-{round}"), "f"));
            token.data.insert("racer".into(), racer.into());
            async move { tokens.insert(&token).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &TokenInsertion::Inserted), 1, "exactly one: {answers:?}");
        assert_eq!(count(&answers, &TokenInsertion::Exists), RACERS - 1);
    }
}

pub(super) async fn racing_replacements_of_a_token(bench: Bench) {
    let contested = record("contested", "f");
    insert_token(&*bench.tokens(), &contested).await;
    for revision in 0..ROUNDS as u64 {
        let answers = race(|racer| {
            let (tokens, mut token) = (bench.tokens(), contested.clone());
            token.data.insert("racer".into(), racer.into());
            async move { tokens.replace(&token, revision).await.must_work() }
        })
        .await;
        assert_eq!(count(&answers, &TokenReplacement::Replaced), 1, "exactly one: {answers:?}");
        assert_eq!(stored_token(&*bench.tokens(), &contested).await.revision, revision + 1);
    }
}

/// What racer number `racer` of this round offers as the successor.
fn offer(token: &TokenRecord, racer: usize) -> Succession {
    successor(token, &format!("{}-by-{racer}", token.id))
}

pub(super) async fn racing_exchanges_of_a_token(bench: Bench) {
    for round in 0..ROUNDS {
        let token = record(&format!("t{round}"), &format!("f{round}"));
        insert_token(&*bench.tokens(), &token).await;
        let answers = race(|racer| {
            let (tokens, token) = (bench.tokens(), token.clone());
            async move { consume(&*tokens, &token, 1, Some(&offer(&token, racer))).await }
        })
        .await;
        assert_eq!(count(&answers, &Consumption::First), 1, "exactly one is first: {answers:?}");
        let winner = answers.iter().position(|answer| *answer == Consumption::First).unwrap_or(RACERS);
        let same = repeated(&offer(&token, winner));
        assert_eq!(count(&answers, &same), RACERS - 1, "all others get its successor: {answers:?}");
        let live = bench.tokens().list(&tenant(), &token.subject, token.kind).await.must_work();
        assert_eq!(live.len(), round + 1, "one lineage");
    }
    assert_eq!(read_feed(&*bench.tokens(), Cursor::START).await.0, [], "no revocation");
}

pub(super) async fn racing_uses_of_a_single_use_token(bench: Bench) {
    for round in 0..ROUNDS {
        let token = TokenRecord { kind: TokenKind::OneTime, ..record(&format!("t{round}"), "f") };
        insert_token(&*bench.tokens(), &token).await;
        let answers = race(|_| {
            let (tokens, token) = (bench.tokens(), token.clone());
            async move { consume(&*tokens, &token, 1, None).await }
        })
        .await;
        assert_eq!(count(&answers, &Consumption::First), 1, "exactly one: {answers:?}");
        assert_eq!(count(&answers, &Consumption::Spent), RACERS - 1);
    }
}

pub(super) async fn racing_replays_after_grace(bench: Bench) {
    for round in 0..ROUNDS {
        let token = record(&format!("t{round}"), &format!("f{round}"));
        insert_token(&*bench.tokens(), &token).await;
        let next = successor(&token, &format!("t{round}-next"));
        assert_eq!(consume(&*bench.tokens(), &token, 1, Some(&next)).await, Consumption::First);
        let answers = race(|racer| {
            let (tokens, token) = (bench.tokens(), token.clone());
            async move { consume(&*tokens, &token, 1 + GRACE, Some(&offer(&token, racer))).await }
        })
        .await;
        let (reused, revoked) =
            (count(&answers, &Consumption::Reused), count(&answers, &Consumption::Revoked));
        assert_eq!((reused, revoked), (1, RACERS - 1), "one finds out, for the others it is dead");
        assert!(!is_live(&*bench.tokens(), &next.record).await);
    }
    assert_eq!(read_feed(&*bench.tokens(), Cursor::START).await.0.len(), ROUNDS, "one revocation each");
}

pub(super) async fn racing_an_exchange_and_a_revocation(bench: Bench) {
    for round in 0..ROUNDS {
        let token = record(&format!("t{round}"), &format!("f{round}"));
        insert_token(&*bench.tokens(), &token).await;
        let answers = race(|racer| {
            let (tokens, token) = (bench.tokens(), token.clone());
            async move {
                if racer == RACERS / 2 {
                    revoke(&*tokens, RevocationTarget::Family(token.family), 1).await;
                    return None;
                }
                Some(consume(&*tokens, &token, 1, Some(&offer(&token, racer))).await)
            }
        })
        .await;
        assert!(count(&answers, &Some(Consumption::First)) <= 1, "{answers:?}");
        // Whoever was first: the successor was there to be revoked, or the token was revoked already.
        let live = bench.tokens().list(&tenant(), &token.subject, token.kind).await.must_work();
        assert_eq!(live.len(), 0, "nothing of a revoked family is left");
    }
}

pub(super) async fn racing_inserts_and_a_revocation(bench: Bench) {
    for round in 0..ROUNDS {
        let below = epoch(10 + u32::try_from(round).unwrap_or(0), 0);
        let sunk = epoch(below.security - 1, 0);
        let answers = race(|racer| {
            let tokens = bench.tokens();
            let token = TokenRecord { epoch: sunk, ..record(&format!("r{round}-{racer}"), "f") };
            async move {
                if racer == RACERS / 2 {
                    let (subject, kinds) = (token.subject, Kinds::ALL);
                    revoke(&*tokens, RevocationTarget::Subject { subject, kinds, below }, 1).await;
                    return true;
                }
                let answer = tokens.insert(&token).await.must_work();
                assert!(matches!(answer, TokenInsertion::Inserted | TokenInsertion::Stale(_)), "{answer:?}");
                // Inserted, it is below the floor all the same, from when the revocation is answered.
                answer == TokenInsertion::Inserted
            }
        })
        .await;
        for (racer, inserted) in answers.into_iter().enumerate() {
            let token = record(&format!("r{round}-{racer}"), "f");
            let first = consume(&*bench.tokens(), &token, 2, None).await;
            let want = if inserted && racer != RACERS / 2 {
                Consumption::Stale(below)
            } else {
                Consumption::Unknown
            };
            assert_eq!(first, want, "no token of before is usable");
        }
    }
}

pub(super) async fn racing_replacements_and_a_revocation(bench: Bench) {
    for round in 0..ROUNDS {
        let token = record(&format!("t{round}"), &format!("f{round}"));
        insert_token(&*bench.tokens(), &token).await;
        race(|racer| {
            let (tokens, token) = (bench.tokens(), token.clone());
            async move {
                if racer == RACERS / 2 {
                    revoke(&*tokens, RevocationTarget::Token(token.id), 100).await;
                } else if racer % 2 == 0 {
                    let _ = tokens.replace(&token, 0).await.must_work();
                } else {
                    let _ = tokens.touch(&tenant(), &token.id, at(100), at(1_100)).await.must_work();
                }
            }
        })
        .await;
        assert!(!is_live(&*bench.tokens(), &token).await, "revoked is revoked");
    }
}

pub(super) async fn racing_attempts(bench: Bench) {
    const MAX: u32 = 5;
    for round in 0..ROUNDS {
        let token = record(&format!("t{round}"), "f");
        insert_token(&*bench.tokens(), &token).await;
        let answers = race(|_| {
            let (tokens, id) = (bench.tokens(), token.id.clone());
            async move { tokens.count_attempt(&tenant(), &id, MAX).await.must_work() }
        })
        .await;
        for number in 1..=MAX {
            assert_eq!(count(&answers, &Attempt::Counted(number)), 1, "each number once: {answers:?}");
        }
        assert_eq!(count(&answers, &Attempt::Exhausted), RACERS - 5);
        assert_eq!(stored_token(&*bench.tokens(), &token).await.attempts, MAX);
    }
}

pub(super) async fn racing_touches(bench: Bench) {
    let token = record("used", "f");
    insert_token(&*bench.tokens(), &token).await;
    for minute in (1..).take(ROUNDS) {
        let answers = race(|_| {
            let (tokens, id) = (bench.tokens(), token.id.clone());
            async move {
                let now = minute * 60;
                tokens.touch(&tenant(), &id, at(now), at(now + 1_000)).await.must_work()
            }
        })
        .await;
        assert_eq!(count(&answers, &true), 1, "one writes, the others need not");
    }
}

pub(super) async fn racing_floors(bench: Bench) {
    let highest = u32::try_from(RACERS).expect("there are few racers");
    race(|racer| {
        let tokens = bench.tokens();
        // Every counter is the highest of somebody's; nobody has both.
        let high = u32::try_from(racer).unwrap_or(0) + 1;
        let below = epoch(high, highest + 1 - high);
        let target = RevocationTarget::Subject { subject: subject("owner"), kinds: Kinds::ALL, below };
        async move { revoke(&*tokens, target, 1).await }
    })
    .await;
    let probe = TokenRecord { epoch: epoch(0, 0), ..record("probe", "f") };
    let answer = bench.tokens().insert(&probe).await.must_work();
    assert_eq!(answer, TokenInsertion::Stale(epoch(highest, highest)), "nobody's floor was lost");
    assert_eq!(read_feed(&*bench.tokens(), Cursor::START).await.0.len(), RACERS);
}

pub(super) async fn racing_writers_of_the_feed(bench: Bench) {
    const EACH: usize = 16;
    // The racers write; beside them a follower reads, as every instance does.
    let (tokens, writers) = (bench.tokens(), Arc::new(()));
    let still_writing = Arc::downgrade(&writers);
    let follower = tokio::spawn(async move {
        let (mut heard, mut cursor) = (Vec::new(), Cursor::START);
        loop {
            // In this order: what was written before the last writer ended is read after that.
            let is_last = still_writing.upgrade().is_none();
            let (news, next) = read_feed(&*tokens, cursor).await;
            heard.extend(told(&news));
            cursor = next;
            if is_last {
                return heard;
            }
            tokio::task::yield_now().await;
        }
    });
    race(|racer| {
        let (tokens, writers) = (bench.tokens(), Arc::clone(&writers));
        async move {
            for number in 0..EACH {
                let id = token_id(&format!("w{racer}-{number}"));
                revoke(&*tokens, RevocationTarget::Token(id), 1).await;
            }
            drop(writers);
        }
    })
    .await;
    drop(writers);
    let heard = follower.await.expect("the follower does not panic");
    let all: BTreeSet<String> = heard.iter().cloned().collect();
    assert_eq!(all.len(), RACERS * EACH, "the follower heard of every revocation");
    for racer in 0..RACERS {
        let of_racer = format!("w{racer}-");
        let mut in_order: Vec<&String> = heard.iter().filter(|name| name.starts_with(&of_racer)).collect();
        let mut seen = BTreeSet::new();
        in_order.retain(|name| seen.insert(*name));
        let want: Vec<String> = (0..EACH).map(|number| format!("{of_racer}{number}")).collect();
        assert!(in_order.into_iter().eq(&want), "one writer's revocations are heard in their order");
    }
}
