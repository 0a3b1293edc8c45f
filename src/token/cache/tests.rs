use super::*;
use crate::token::times::Times;
use crate::{Subject, TenantId};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const TIMES: Times = Times { iat: 1_767_225_600, exp: 1_767_226_200, nbf: None };

/// What is asked again of a token that was right at `NOW`.
fn window(times: Times) -> Window {
    times.check(times.nbf.map_or(NOW, Timestamp::from_secs)).unwrap()
}

fn ada() -> Principal {
    Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_claims_json("canary".into())
}

#[test]
fn a_million_tokens_take_no_more_room_than_there_is() {
    let cache = TokenCache::new(1000).unwrap();
    assert_eq!(cache.capacity(), 1024);
    let ada = ada();
    let mut last = None;
    for n in 0..1_000_000_u64 {
        let name = Name([n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n]);
        cache.put(name, 1, window(TIMES), ada.clone());
        last = Some(name);
    }
    assert_eq!(cache.len(), cache.capacity());
    // Each entry holds one.
    assert_eq!(ada.holders(), cache.capacity() + 1);
    assert!(cache.get(last.unwrap(), 1, NOW).is_some(), "the newest is there");
    assert!(cache.get(Name([0, 0]), 1, NOW).is_none(), "the oldest is forgotten");
}

#[test]
fn what_is_kept_is_found_by_all_of_its_name_its_keys_and_its_time() {
    let cache = TokenCache::new(8).unwrap();
    let name = cache.name("token").unwrap();
    cache.put(name, 7, window(Times { nbf: Some(TIMES.iat + 10), ..TIMES }), ada());
    let at = |secs| Timestamp::from_secs(TIMES.iat + secs);
    for (what, name, keys, now, want) in [
        ("the token", name, 7, at(10), true),
        ("as early as may be", name, 7, at(5), true),
        ("too early", name, 7, at(4), false),
        ("as late as may be", name, 7, at(599), true),
        ("too late", name, 7, at(600), false),
        ("newer keys", name, 8, at(10), false),
        ("older keys", name, 6, at(10), false),
        ("another token", cache.name("tokem").unwrap(), 7, at(10), false),
        ("a cut one", cache.name("toke").unwrap(), 7, at(10), false),
        ("a longer one", cache.name("token\0").unwrap(), 7, at(10), false),
    ] {
        assert_eq!(cache.get(name, keys, now).is_some(), want, "{what}");
    }
    for bit in 0..128 {
        let mut other = name;
        other.0[bit / 64] ^= 1 << (bit % 64);
        assert!(cache.get(other, 7, at(10)).is_none(), "bit {bit} of the name");
    }
    assert!(TokenCache::new(8).unwrap().name("token") != Some(name), "another process");
    assert!(cache.name(&"a".repeat(MAX_MINTED_BYTES + 1)).is_none(), "longer than ours");
}

/// The oldest goes first, and a token that is put again takes no second place.
#[test]
fn a_full_set_forgets_the_oldest() {
    let cache = TokenCache::new(1).unwrap();
    let name = |n| Name([0, n]);
    for n in [1, 1, 2, 3, 4, 5, 6, 7, 8, 8] {
        cache.put(name(n), 1, window(TIMES), ada());
    }
    assert!((1..=8).all(|n| cache.get(name(n), 1, NOW).is_some()));
    cache.put(name(9), 1, window(TIMES), ada());
    assert!(cache.get(name(1), 1, NOW).is_none());
    assert!((2..=9).all(|n| cache.get(name(n), 1, NOW).is_some()));
}

/// Whoever reads while others write gets what was put under this very name, or nothing.
#[test]
fn thirty_two_threads_never_mix_tokens_up() {
    let cache = TokenCache::new(16).unwrap();
    let named = |n: u64| {
        let subject = Subject::parse(&format!("user-{n}")).unwrap();
        (Name([n, n]), Principal::user(TenantId::default(), subject))
    };
    let hits: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32_u64)
            .map(|thread| {
                let cache = &cache;
                scope.spawn(move || {
                    let mut hits = 0;
                    for n in 0..2000 {
                        let (name, principal) = named((n * 7 + thread) % 40);
                        if let Some(found) = cache.get(name, 1, NOW) {
                            assert_eq!(found.subject(), principal.subject());
                            hits += 1;
                        }
                        cache.put(name, 1, window(TIMES), principal);
                    }
                    hits
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(hits > 0 && cache.len() <= cache.capacity());
}

/// Who meets a writer does not wait, and neither does who would write where somebody reads.
#[test]
fn nobody_waits() {
    let cache = TokenCache::new(1).unwrap();
    let name = |n| Name([0, n]);
    cache.put(name(1), 1, window(TIMES), ada());
    let Place(place) = &cache.sets[0].places[0];
    let writing = place.write().unwrap();
    assert!(cache.get(name(1), 1, NOW).is_none());
    drop(writing);
    let reading = place.read().unwrap();
    assert!(cache.get(name(1), 1, NOW).is_some());
    cache.put(name(1), 2, window(TIMES), ada());
    drop(reading);
    assert!(cache.get(name(1), 1, NOW).is_some() && cache.get(name(1), 2, NOW).is_none());
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_place_is_one_line() {
    assert_eq!((size_of::<Place>(), size_of::<Set>()), (64, 128 + WAYS * 64));
}

#[test]
fn nothing_is_shown() {
    let cache = TokenCache::new(8).unwrap();
    cache.put(cache.name("token").unwrap(), 7, window(TIMES), ada());
    assert_eq!(format!("{cache:?}"), "TokenCache { .. }");
}
