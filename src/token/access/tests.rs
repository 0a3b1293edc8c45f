//! A token that was verified before is refused as if it had not been, on the very next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::crypto::{Algorithm, Key, Keyring};
use crate::id::{FamilyId, Subject, TokenId};
use crate::principal::{Actor, AuthMethod, Epoch};
use crate::store::{Kinds, MemoryStore, TokenStore};
use crate::time::{Clock, ManualClock, Timestamp};
use crate::token::{Claims, DEFAULT_MAX_STALENESS, Revocations, TokenCodec, TokenPolicy};

const IAT: i64 = 1_767_225_600;

struct World {
    clock: ManualClock,
    key: Key,
    tokens: Tokens,
    access: AccessTokens,
}

impl World {
    async fn new() -> Self {
        Self::with(Algorithm::Hs256, TokenPolicy::default()).await
    }

    async fn with(algorithm: Algorithm, policy: TokenPolicy) -> Self {
        let (clock, key) = (ManualClock::default(), Key::generate(algorithm).unwrap());
        let ring = Arc::new(Keyring::new(key.clone()).unwrap());
        let codec = TokenCodec::new(ring, "https://id.example", "https://api.example").unwrap();
        let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let revocations =
            Revocations::follow(store.clone(), time.clone(), DEFAULT_MAX_STALENESS).await.unwrap();
        let tokens = Tokens::new(codec, store, revocations, policy, time).unwrap();
        let access = AccessTokens::new(tokens.clone(), TenantId::default());
        Self { clock, key, tokens, access }
    }

    fn mint(&self, claims: &Claims) -> String {
        self.tokens.codec().encode(claims).unwrap().expose_secret().to_owned()
    }

    /// A token that is accepted, and from now on without being verified.
    fn cached(&self) -> String {
        let token = self.mint(&claims());
        assert!(!self.hits(&token), "it is new");
        self.access.verify(&token).unwrap();
        assert!(self.hits(&token), "it was kept");
        token
    }

    fn hits(&self, token: &str) -> bool {
        let (cache, keys) = (self.tokens.cache().unwrap(), self.tokens.codec().keys());
        let found = cache.get(cache.name(token).unwrap(), keys.generation(), self.clock.now());
        found.is_some()
    }

    fn refuses(&self, token: &str) -> TokenRefusal {
        self.access.verify(token).unwrap_err()
    }
}

fn claims() -> Claims {
    let (iat, exp) = (Timestamp::from_secs(IAT), Timestamp::from_secs(IAT + 600));
    Claims::new("ada".parse().unwrap(), TokenId::mint().unwrap(), iat, exp)
        .with_family("f1".parse().unwrap())
        .with_roles(["user"])
        .with_epoch(Epoch { security: 1, grants: 1 })
        .with_auth_methods([AuthMethod::Password])
}

fn tenant() -> TenantId {
    TenantId::default()
}

// ASVS 7.4.1
#[tokio::test]
async fn a_revoked_token_is_refused_though_it_was_cached() {
    let world = World::new().await;
    let token = world.cached();
    let id = world.access.verify(&token).unwrap().token().unwrap().clone();
    world.tokens.revoke_token(&tenant(), &id).await.unwrap();
    assert_eq!(world.refuses(&token), TokenRefusal::Revoked);

    let token = world.cached();
    world.tokens.revoke_family(&tenant(), &"f1".parse().unwrap()).await.unwrap();
    assert_eq!(world.refuses(&token), TokenRefusal::Revoked);
}

#[tokio::test]
async fn a_token_of_an_earlier_epoch_is_refused_though_it_was_cached() {
    for (name, below) in
        [("rights", Epoch { security: 0, grants: 2 }), ("security", Epoch { security: 2, grants: 0 })]
    {
        let world = World::new().await;
        let token = world.cached();
        let (ada, kinds) = ("ada".parse().unwrap(), Kinds::of(&[TokenKind::Access]));
        world.tokens.revoke_subject(&tenant(), &ada, kinds, below).await.unwrap();
        assert_eq!(world.refuses(&token), TokenRefusal::Stale, "{name}");
    }
}

// ASVS 9.2.1
#[tokio::test]
async fn an_expired_token_is_refused_though_it_was_cached() {
    let world = World::new().await;
    let token = world.cached();
    world.clock.set(Timestamp::from_micros((IAT + 600) * 1_000_000 - 1));
    assert!(world.access.verify(&token).is_ok(), "to the last microsecond");
    world.clock.set(Timestamp::from_secs(IAT + 600));
    assert_eq!(world.refuses(&token), TokenRefusal::Expired);
}

#[tokio::test]
async fn a_token_not_valid_yet_is_refused_though_it_was_cached() {
    let world = World::new().await;
    let token = world.cached();
    world.clock.set(Timestamp::from_secs(IAT - 5));
    assert!(world.access.verify(&token).is_ok(), "within the leeway");
    world.clock.set(Timestamp::from_secs(IAT - 6));
    assert_eq!(world.refuses(&token), TokenRefusal::Invalid, "the clock was set back");
}

#[tokio::test]
async fn a_token_of_a_key_that_is_gone_is_refused_though_it_was_cached() {
    let world = World::new().await;
    let (token, codec) = (world.cached(), world.tokens.codec());
    let new = Key::generate(Algorithm::Hs256).unwrap();
    let both = Keyring::new(new.clone()).unwrap().with_accepted(world.key.clone()).unwrap();
    codec.replace_keyring(Arc::new(both.clone())).unwrap();
    assert!(!world.hits(&token), "other keys begin anew");
    assert!(world.access.verify(&token).is_ok() && world.hits(&token), "the key still reads");

    let without = both.compromise(world.key.id(), world.clock.now()).unwrap();
    codec.replace_keyring(Arc::new(without)).unwrap();
    assert_eq!(world.refuses(&token), TokenRefusal::Invalid, "the key is compromised");
    // The same name, another key.
    let imposter = Key::generate(Algorithm::Hs256).unwrap().with_id(world.key.id().clone());
    codec.replace_keyring(Arc::new(Keyring::new(imposter).unwrap())).unwrap();
    assert_eq!(world.refuses(&token), TokenRefusal::Invalid, "another key of this name");
    codec.replace_keyring(Arc::new(Keyring::new(world.key.clone()).unwrap())).unwrap();
    assert!(!world.hits(&token) && world.access.verify(&token).is_ok(), "the key is back");
}

#[tokio::test]
async fn a_token_of_another_tenant_is_refused_though_it_was_cached() {
    let world = World::new().await;
    let token = world.cached();
    let acme = AccessTokens::new(world.tokens.clone(), "acme".parse().unwrap());
    assert_eq!(acme.verify(&token).unwrap_err(), TokenRefusal::OtherTenant);
    // And the other way round, where the tenant's own instance has cached it.
    let theirs = world.mint(&claims().with_tenant("acme".parse().unwrap()));
    assert_eq!(acme.verify(&theirs).unwrap().tenant().as_str(), "acme");
    assert!(world.hits(&theirs));
    assert_eq!(world.refuses(&theirs), TokenRefusal::OtherTenant);
}

#[tokio::test]
async fn without_news_of_revocations_a_cached_token_is_refused_too() {
    let world = World::new().await;
    let token = world.cached();
    world.tokens.revocations().shutdown().await;
    world.clock.advance(DEFAULT_MAX_STALENESS + Duration::from_millis(1));
    assert_eq!(world.refuses(&token), TokenRefusal::Unavailable);
}

#[tokio::test]
async fn what_was_refused_is_not_kept() {
    let world = World::new().await;
    let token = world.mint(&claims().with_tenant("acme".parse().unwrap()));
    assert_eq!(world.refuses(&token), TokenRefusal::OtherTenant);
    world.clock.set(Timestamp::from_secs(IAT + 600));
    assert_eq!(world.refuses(&world.mint(&claims())), TokenRefusal::Expired);
    assert_eq!(world.refuses("a.b.c"), TokenRefusal::Invalid);
    assert_eq!(world.tokens.cache().unwrap().len(), 0);
}

#[tokio::test]
async fn one_flipped_bit_anywhere_is_another_token() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let world = World::with(algorithm, TokenPolicy::default()).await;
        let token = world.cached();
        for (at, bit) in (0..token.len()).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(world.refuses(&changed), TokenRefusal::Invalid, "{algorithm}: bit {bit} of byte {at}");
        }
        for changed in [&token[1..], &token[..token.len() - 1], &format!("{token}A"), &format!(" {token}")] {
            assert_eq!(world.refuses(changed), TokenRefusal::Invalid);
        }
        assert_eq!(world.tokens.cache().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn many_tokens_take_no_more_room_than_there_is() {
    let world = World::with(Algorithm::Hs256, TokenPolicy::default().with_token_cache(256)).await;
    for _ in 0..3000 {
        assert!(world.access.verify(&world.mint(&claims())).is_ok());
    }
    let cache = world.tokens.cache().unwrap();
    assert!((200..=cache.capacity()).contains(&cache.len()) && cache.capacity() == 256);
}

/// Once the call that revokes has returned, none of 32 threads accepts the token any more.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_threads_all_learn_of_a_revocation_at_once() {
    let world = World::new().await;
    let token = world.cached();
    let id = world.access.verify(&token).unwrap().token().unwrap().clone();
    let (revoked, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let started = Arc::new(std::sync::Barrier::new(33));
    let threads: Vec<_> = (0..32)
        .map(|_| {
            let (access, token) = (world.access.clone(), token.clone());
            let (revoked, done, started) = (revoked.clone(), done.clone(), started.clone());
            std::thread::spawn(move || {
                let mut accepted = u32::from(access.verify(&token).is_ok());
                started.wait();
                while !done.load(Ordering::SeqCst) {
                    let late = revoked.load(Ordering::SeqCst);
                    match access.verify(&token) {
                        Ok(principal) => {
                            assert!(!late, "accepted after it was revoked");
                            assert_eq!(principal.subject().unwrap().as_str(), "ada");
                            accepted += 1;
                        }
                        Err(why) => assert_eq!(why, TokenRefusal::Revoked),
                    }
                }
                accepted
            })
        })
        .collect();
    started.wait();
    world.tokens.revoke_token(&tenant(), &id).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(world.refuses(&token), TokenRefusal::Revoked);
    }
    done.store(true, Ordering::SeqCst);
    assert!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>() >= 32);
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept() {
    let world = World::with(Algorithm::Hs256, TokenPolicy::default().without_token_cache()).await;
    let token = world.mint(&claims());
    let first = world.access.verify(&token).unwrap();
    assert!(world.tokens.cache().is_none());
    assert_eq!((first.holders(), world.access.verify(&token).unwrap().everything()), (1, first.everything()));
}

#[tokio::test]
async fn the_cache_is_not_shown() {
    let world = World::new().await;
    let token = world.cached();
    let shown = format!("{:?} {:?} {:#?}", world.access, world.tokens, world.tokens.cache().unwrap());
    let parts = token.split('.').chain(["ada", "user", "f1"]);
    assert!(parts.into_iter().all(|part| !shown.contains(part)), "{shown}");
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let id = || "[a-zA-Z0-9_.:@+/-]{1,24}";
    let note = prop_oneof![
        "\\PC{0,12}".prop_map(serde_json::Value::from),
        Just(1.5.into()),
        Just(serde_json::json!({"a": [1, {"b": null}]})),
        Just(7.into()),
    ];
    (
        (id(), prop::option::of(id()), prop::option::of(id()), any::<(u32, u32)>(), -5..=5_i64),
        (
            prop::collection::vec("\\PC{1,12}", 0..12),
            prop::option::of(prop::collection::vec("[a-z:]{1,9}", 0..12)),
        ),
        (prop::collection::btree_map("[a-z]{6,9}", note, 0..3), any::<bool>()),
    )
        .prop_map(|((sub, sid, tid, (security, grants), skew), (roles, scopes), (extra, acts))| {
            let at = |secs| Timestamp::from_secs(IAT + secs);
            let sub: Subject = sub.parse().unwrap();
            let mut claims = Claims::new(sub.clone(), TokenId::mint().unwrap(), at(skew), at(600))
                .with_roles(roles)
                .with_epoch(Epoch { security, grants })
                .with_auth_time(at(-9))
                .with_not_before(at(skew))
                .with_auth_methods([AuthMethod::Password, AuthMethod::Otp]);
            if let Some(sid) = sid {
                claims = claims.with_family(sid.parse::<FamilyId>().unwrap());
            }
            if let Some(tid) = tid {
                claims = claims.with_tenant(tid.parse().unwrap());
            }
            if let Some(scopes) = scopes {
                claims = claims.with_scopes(scopes);
            }
            if acts {
                claims = claims.with_actor(Actor { sub });
            }
            extra.into_iter().fold(claims, |claims, (name, value)| claims.with_extra(name, value).unwrap())
        })
}

/// Whatever a token says: verified, remembered, and where nothing is remembered, it says the same.
#[tokio::test]
async fn a_remembered_token_says_what_a_verified_one_says() {
    let world = World::new().await;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let run = runner.run(&any_claims(), |claims| {
        let token = world.mint(&claims);
        let access = AccessTokens::new(world.tokens.clone(), claims.tenant().clone());
        let plain = Principal::from({
            let read = world.tokens.codec().decode(&token, world.clock.now()).unwrap().into_inner();
            prop_assert_eq!(read.claims(), &claims);
            let (claims, payload) = read.into_parts();
            claims.into_bearer(payload)
        });
        let miss = access.verify(&token).unwrap();
        prop_assert!(world.hits(&token));
        let hit = access.verify(&token).unwrap();
        prop_assert_eq!(miss.everything(), plain.everything());
        prop_assert_eq!(hit.everything(), plain.everything());
        Ok(())
    });
    run.unwrap();
}

/// The time of the request is the one that counts, for a token that is kept as well; no other clock is asked.
#[tokio::test]
async fn a_request_is_judged_by_when_it_arrived() {
    let world = World::new().await;
    let (token, at) = (world.mint(&claims()), |secs| Timestamp::from_secs(IAT + secs));
    for _ in 0..2 {
        assert_eq!(world.access.verify_at(&token, at(600)).unwrap_err(), TokenRefusal::Expired);
        assert!(world.access.verify_at(&token, at(599)).is_ok());
        assert_eq!(world.access.verify_at(&token, at(-6)).unwrap_err(), TokenRefusal::Invalid);
    }
    let shared: Arc<dyn VerifyAccessToken> = Arc::new(world.access.clone());
    assert_eq!(Arc::new(shared).verify_at(&token, at(600)).unwrap_err(), TokenRefusal::Expired);
}
