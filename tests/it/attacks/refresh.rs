//! Refresh tokens under replay, theft and races.

use std::sync::Arc;
use std::time::Duration;

use portcullis::audit::EventName;
use portcullis::token::{TokenRefusal, VerifyAccessToken as _};
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;

use crate::support::World;

/// C2: 32 clients that share one token refresh at once: one lineage, nobody is signed out.
// ASVS 10.4.5
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_within_grace_give_one_lineage() {
    for _ in 0..8 {
        let world = Arc::new(World::new().await);
        world.register("ada").await;
        let first = world.sign_in("ada").await.tokens.refresh_token;
        let mut racers = JoinSet::new();
        for n in 0..32 {
            let (world, first) = (world.clone(), first.clone());
            racers.spawn(async move {
                // Half of them reach another instance over the same store.
                let world = if n % 2 == 0 { world } else { Arc::new(world.another().await) };
                let signed_in = world.accounts.refresh(&world.tenant(), &first).await.unwrap();
                signed_in.tokens.refresh_token.expose_secret().to_owned()
            });
        }
        let mut successors = racers.join_all().await;
        successors.sort_unstable();
        successors.dedup();
        assert_eq!(successors.len(), 1, "one successor for all");
        let successor: SecretString = successors.remove(0).into();
        assert!(world.accounts.refresh(&world.tenant(), &successor).await.is_ok());
        assert!(world.audit.events().iter().all(|event| event.name() != EventName::AuthnTokenReuse));
    }
}

/// After grace a replay is theft: the family dies with its access tokens, and the operator hears of it.
// ASVS 10.4.5
#[tokio::test]
async fn a_replay_after_grace_ends_the_family() {
    let world = World::new().await;
    world.register("ada").await;
    let first = world.sign_in("ada").await.tokens;
    let second = world.accounts.refresh(&world.tenant(), &first.refresh_token).await.unwrap().tokens;
    world.clock.advance(Duration::from_secs(10));
    assert!(world.accounts.refresh(&world.tenant(), &first.refresh_token).await.is_err());

    assert!(world.accounts.refresh(&world.tenant(), &second.refresh_token).await.is_err());
    for token in [&first.access_token, &second.access_token] {
        let refusal = world.access.verify(token.expose_secret()).unwrap_err();
        assert_eq!(refusal, TokenRefusal::Revoked);
    }
    let reuse: Vec<_> =
        world.audit.events().into_iter().filter(|event| event.name() == EventName::AuthnTokenReuse).collect();
    assert_eq!(reuse.len(), 1);
    assert_eq!(reuse[0].family(), Some(&first.family));
}

/// Within grace a replay is theft too, once the successor was used.
#[tokio::test]
async fn a_replay_after_the_successor_was_used_ends_the_family() {
    let world = World::new().await;
    world.register("ada").await;
    let first = world.sign_in("ada").await.tokens.refresh_token;
    let second = world.accounts.refresh(&world.tenant(), &first).await.unwrap().tokens.refresh_token;
    let third = world.accounts.refresh(&world.tenant(), &second).await.unwrap().tokens.refresh_token;
    assert!(world.accounts.refresh(&world.tenant(), &first).await.is_err());
    assert!(world.accounts.refresh(&world.tenant(), &third).await.is_err());
}

/// One sign-in's end is not another's.
#[tokio::test]
async fn reuse_in_one_family_leaves_the_others_alone() {
    let world = World::new().await;
    world.register("ada").await;
    let stolen = world.sign_in("ada").await.tokens.refresh_token;
    let other = world.sign_in("ada").await.tokens.refresh_token;
    let _ = world.accounts.refresh(&world.tenant(), &stolen).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    assert!(world.accounts.refresh(&world.tenant(), &stolen).await.is_err());
    assert!(world.accounts.refresh(&world.tenant(), &other).await.is_ok());
}

/// The id alone, or with another token's secret, is nothing: and guessing does not end the family.
#[tokio::test]
async fn an_id_with_a_wrong_secret_is_refused_and_harmless() {
    let world = World::new().await;
    world.register("ada").await;
    let ada = world.sign_in("ada").await.tokens.refresh_token;
    let other = world.sign_in("ada").await.tokens.refresh_token;
    let (id, _) = ada.expose_secret().split_once('.').unwrap();
    let (_, secret) = other.expose_secret().split_once('.').unwrap();
    for forged in
        [format!("{id}.{secret}"), id.to_owned(), format!("{id}."), String::new(), "x".repeat(100_000)]
    {
        assert!(world.accounts.refresh(&world.tenant(), &forged.into()).await.is_err());
    }
    assert!(world.accounts.refresh(&world.tenant(), &ada).await.is_ok());
}

/// A refresh token is no access token and the reverse.
#[tokio::test]
async fn tokens_are_not_interchangeable() {
    let world = World::new().await;
    world.register("ada").await;
    let tokens = world.sign_in("ada").await.tokens;
    assert_eq!(world.access.verify(tokens.refresh_token.expose_secret()).unwrap_err(), TokenRefusal::Invalid);
    assert!(world.accounts.refresh(&world.tenant(), &tokens.access_token).await.is_err());
}

#[tokio::test]
async fn idle_and_absolute_lifetimes_bind() {
    let day = Duration::from_secs(24 * 60 * 60);
    let world = World::new().await;
    world.register("ada").await;
    let idle = world.sign_in("ada").await.tokens.refresh_token;
    let mut used = world.sign_in("ada").await.tokens.refresh_token;
    for _ in 0..4 {
        world.clock.advance(6 * day);
        used = world.accounts.refresh(&world.tenant(), &used).await.unwrap().tokens.refresh_token;
    }
    assert!(world.accounts.refresh(&world.tenant(), &idle).await.is_err(), "7 days idle");
    world.clock.advance(6 * day);
    assert!(world.accounts.refresh(&world.tenant(), &used).await.is_err(), "30 days absolute");
}

#[derive(Clone, Debug)]
enum Step {
    /// Present the nth token ever issued, on one of two instances.
    Refresh {
        token: usize,
        elsewhere: bool,
    },
    Advance {
        secs: u64,
    },
    SignOut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..8_usize, any::<bool>()).prop_map(|(token, elsewhere)| Step::Refresh { token, elsewhere }),
        3 => prop_oneof![Just(1), Just(9), Just(10), Just(11), Just(7 * 86_400)].prop_map(|secs| Step::Advance { secs }),
        1 => Just(Step::SignOut),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a family is, told as simply as possible.
#[derive(Default)]
struct Model {
    now: u64,
    dead: bool,
    /// Each token: issued at, and (spent at, index of its successor).
    tokens: Vec<(u64, Option<(u64, usize)>)>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    New,
    Same(usize),
    Refused,
}

impl Model {
    fn refresh(&mut self, token: usize) -> Answer {
        let (issued, spent) = self.tokens[token];
        if self.dead || self.now >= 30 * 86_400 {
            return Answer::Refused;
        }
        match spent {
            Some((at, successor)) if self.now < at + 10 && self.tokens[successor].1.is_none() => {
                Answer::Same(successor)
            }
            Some(_) => {
                self.dead = true;
                Answer::Refused
            }
            None if self.now >= issued + 7 * 86_400 => Answer::Refused,
            None => {
                self.tokens[token].1 = Some((self.now, self.tokens.len()));
                self.tokens.push((self.now, None));
                Answer::New
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the order of calls, over two instances: a family behaves like the model, and there is never more than
    /// one token that can still be exchanged.
    #[test]
    fn a_family_behaves_like_its_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let here = World::new().await;
            let there = here.another().await;
            let user = here.register("ada").await;
            let first = here.sign_in("ada").await.tokens;
            let mut texts = vec![first.refresh_token.expose_secret().to_owned()];
            let mut model = Model { tokens: vec![(0, None)], ..Model::default() };
            for step in steps {
                match step {
                    Step::Advance { secs } => {
                        here.clock.advance(Duration::from_secs(secs));
                        model.now += secs;
                    }
                    Step::SignOut => {
                        here.accounts.sign_out(&here.tenant(), &user.id, &first.family).await.unwrap();
                        model.dead = true;
                    }
                    Step::Refresh { token, elsewhere } => {
                        let token = token % texts.len();
                        let world = if elsewhere { &there } else { &here };
                        let presented = texts[token].clone().into();
                        let answer = world.accounts.refresh(&world.tenant(), &presented).await;
                        match (model.refresh(token), answer) {
                            (Answer::New, Ok(signed_in)) => {
                                let text = signed_in.tokens.refresh_token.expose_secret().to_owned();
                                assert!(!texts.contains(&text));
                                texts.push(text);
                            }
                            (Answer::Same(successor), Ok(signed_in)) => {
                                assert_eq!(signed_in.tokens.refresh_token.expose_secret(), texts[successor]);
                            }
                            (Answer::Refused, Err(error)) => assert_eq!(error.rejection().status(), 401),
                            (want, got) => panic!("{want:?}, got {}", got.is_ok()),
                        }
                    }
                }
                let unspent = model.tokens.iter().filter(|(_, spent)| spent.is_none()).count();
                assert_eq!(unspent, 1);
            }
        });
    }
}
