//! Truncation, exhaustion and hostile stored hashes.

use std::num::NonZeroUsize;
use std::sync::Arc;

use portcullis::error::ErrorKind;
use portcullis::password::{Argon2Hasher, MAX_PASSWORD_BYTES, PasswordHash, Passwords, Verification};
use proptest::prelude::*;
use secrecy::SecretString;

/// 72 times `x`, by Python's bcrypt 5.0.0.
const BCRYPT_OF_72: &str = "$2b$04$3ACZ5tTN70bGJ.jcVWoK2OGfcYoLe6cbA.k1lmFAR84JaAkAzHQTO";
/// `abc`, by Python's bcrypt 5.0.0.
const BCRYPT_OF_ABC: &str = "$2b$04$gjReufdYoVdE39o6EFfPZeWmqYbYpIXC/A9dN7Ow88/h2swHUBwsa";
/// The empty password, by argon2-cffi 25.1.0.
const OF_EMPTY: &str =
    "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$8k3biCZjcs22ndB47oVD9ke6dJx62UwO1NwzhMZ+Wgs";

fn weak() -> Argon2Hasher {
    Argon2Hasher::danger_weak(64, 1, 1).unwrap()
}

fn stored(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

fn matches(hasher: &Argon2Hasher, password: &str, hash: &PasswordHash) -> bool {
    let before = hasher.computations();
    let found = hasher.verify(&password.into(), hash).unwrap();
    assert_eq!(hasher.computations() - before, 1, "{} bytes", password.len());
    found.is_match()
}

// G1: Okta 2024, CVE-2025-22228.
#[test]
fn passwords_that_differ_after_byte_72_are_different() {
    let hasher = weak();
    let (first, second) = ("x".repeat(72) + "a", "x".repeat(72) + "b");
    let hash = hasher.hash(&first.as_str().into()).unwrap();
    assert!(matches(&hasher, &first, &hash));
    assert!(!matches(&hasher, &second, &hash));
    assert!(!matches(&hasher, &"x".repeat(72), &hash));

    let bcrypt = stored(BCRYPT_OF_72);
    assert!(matches(&hasher, &"x".repeat(72), &bcrypt));
    for longer in [&first, &second, &"x".repeat(73), &"x".repeat(144)] {
        assert!(!matches(&hasher, longer, &bcrypt), "bcrypt cut {} bytes", longer.len());
    }
}

// bcrypt repeats a short password with a NUL behind it, so these are one key to it.
#[test]
fn a_nul_does_not_end_a_password() {
    let hasher = weak();
    let bcrypt = stored(BCRYPT_OF_ABC);
    assert!(matches(&hasher, "abc", &bcrypt));
    for twin in ["abc\0", "abc\0abc", "abc\0abc\0abc"] {
        assert!(!matches(&hasher, twin, &bcrypt), "{twin:?}");
    }
    // ASVS 6.2.8: taken as it is.
    let hash = hasher.hash(&"abc\0def ".into()).unwrap();
    assert!(matches(&hasher, "abc\0def ", &hash));
    for other in ["abc", "abc\0", "abc\0def", "abc\0deg ", " abc\0def ", "ABC\0DEF "] {
        assert!(!matches(&hasher, other, &hash), "{other:?}");
    }
}

// G1, CVE-2025-22234: the length must not decide whether a hash is computed. ASVS 6.3.8.
#[tokio::test]
async fn every_length_costs_one_computation_in_every_account_state() {
    let passwords = Passwords::new(weak());
    let current = passwords.hash("somebody's password".into()).await.unwrap();
    let states = [
        ("no account", None),
        ("wrong password", Some(current)),
        ("legacy argon2", Some(stored("$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"))),
        ("legacy bcrypt", Some(stored(BCRYPT_OF_72))),
        ("no password", Some(stored(""))),
        (
            "disabled by a prefix",
            Some(stored("!$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")),
        ),
        ("garbage", Some(stored("not a hash"))),
        ("bcrypt with stray bits", Some(stored(&BCRYPT_OF_72.replacen("2OGf", "2PGf", 1)))),
        ("too expensive", Some(stored("$2b$31$3ACZ5tTN70bGJ.jcVWoK2OGfcYoLe6cbA.k1lmFAR84JaAkAzHQTO"))),
    ];
    for (state, hash) in states {
        for password in [
            String::new(),
            "a".into(),
            "a".repeat(72),
            "a".repeat(73),
            "a".repeat(MAX_PASSWORD_BYTES),
            "a".repeat(MAX_PASSWORD_BYTES + 1),
            "a".repeat(10 * MAX_PASSWORD_BYTES),
            "\0".into(),
            "nul\0inside".into(),
            "\0".repeat(MAX_PASSWORD_BYTES + 1),
        ] {
            let before = passwords.computations();
            let name = format!("{state}, {} bytes", password.len());
            let found = passwords.verify(password.into(), hash.clone()).await.unwrap();
            assert_eq!(found, Verification::Mismatch, "{name}");
            assert_eq!(passwords.computations() - before, 1, "{name}");
        }
    }
}

// G2: CVE-2013-1443.
#[test]
fn an_oversize_password_never_verifies_and_is_never_hashed() {
    let hasher = weak();
    // The longest that is hashed verifies; what is not hashed verifies against nothing, not even the empty password.
    let longest = "a".repeat(MAX_PASSWORD_BYTES);
    let hash = hasher.hash(&longest.as_str().into()).unwrap();
    assert!(matches(&hasher, &longest, &hash));
    assert!(!matches(&hasher, &(longest + "a"), &hash));

    let of_empty = stored(OF_EMPTY);
    for refused in [String::new(), "a".repeat(MAX_PASSWORD_BYTES + 1)] {
        assert!(!matches(&hasher, &refused, &of_empty), "{} bytes", refused.len());
        let before = hasher.computations();
        assert_eq!(hasher.hash(&refused.into()).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(hasher.computations(), before);
    }
}

// G2. Nothing is computed until all calls have been made, so the numbers are exact.
#[test]
fn a_flood_is_turned_away_and_holds_no_more_memory_than_the_permits_allow() {
    let (runtime, plug) = plugged_runtime(4);
    runtime.block_on(async {
        let passwords = Passwords::new(Argon2Hasher::new())
            .with_permits(NonZeroUsize::new(2).unwrap())
            .with_queue_limit(8);
        let calls: Vec<_> = (0..500)
            .map(|n| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.verify(format!("guess {n}").into(), None).await })
            })
            .collect();
        while passwords.stats().waiting as u64 + passwords.stats().turned_away < 498 {
            tokio::task::yield_now().await;
        }
        assert_eq!((passwords.stats().waiting, passwords.computations()), (8, 0));
        drop(plug);

        let mut answered = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(found) => {
                    assert_eq!(found, Verification::Mismatch);
                    answered += 1;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Overloaded),
            }
        }
        let stats = passwords.stats();
        assert_eq!((answered, stats.computations, stats.turned_away), (10, 10, 490));
        assert_eq!((stats.waiting, stats.running), (0, 0));
        assert!(stats.peak_running <= 2 && stats.peak_memory_kib <= 2 * 19_456, "{stats:?}");
    });
}

// G2, with real parallelism: whatever the interleaving, nobody is lost and the bounds hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_calls_keep_the_bounds() {
    let hasher = Argon2Hasher::danger_weak(1024, 1, 1).unwrap();
    let passwords = Passwords::new(hasher).with_permits(NonZeroUsize::new(3).unwrap()).with_queue_limit(32);
    let hash = passwords.hash("the right one".into()).await.unwrap();
    let start = Arc::new(tokio::sync::Barrier::new(100));
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let (passwords, start, hash) = (passwords.clone(), Arc::clone(&start), hash.clone());
            tokio::spawn(async move {
                start.wait().await;
                let password = if n % 2 == 0 { "the right one" } else { "a wrong one" };
                let found = passwords.verify(password.into(), Some(hash)).await;
                found.map(|found| assert_eq!(found.is_match(), n % 2 == 0, "call {n}"))
            })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        refused += u64::from(call.await.unwrap().is_err());
    }
    let stats = passwords.stats();
    assert_eq!((stats.computations, stats.turned_away), (1 + 100 - refused, refused));
    assert!(stats.peak_running <= 3 && stats.peak_memory_kib <= 3 * 1024, "{stats:?}");
}

// A client that hangs up neither frees its permit early nor keeps it.
#[test]
fn a_caller_that_goes_away_leaks_nothing() {
    let (runtime, plug) = plugged_runtime(4);
    runtime.block_on(async {
        let passwords = Passwords::new(weak()).with_permits(NonZeroUsize::new(1).unwrap());
        let mut computing = Box::pin(passwords.verify("gone while computing".into(), None));
        let mut waiting = Box::pin(passwords.verify("gone while waiting".into(), None));
        assert!(still_pending(computing.as_mut()).await && still_pending(waiting.as_mut()).await);
        assert_eq!(passwords.stats().waiting, 1);
        drop((computing, waiting));
        assert_eq!(passwords.stats().waiting, 0, "the place in the queue is free");

        let mut next = Box::pin(passwords.verify("next".into(), None));
        assert!(still_pending(next.as_mut()).await);
        assert_eq!(passwords.stats().waiting, 1, "the abandoned computation still holds the permit");
        drop(plug);
        assert_eq!(next.await.unwrap(), Verification::Mismatch);
        let stats = passwords.stats();
        assert_eq!((stats.computations, stats.peak_running, stats.turned_away), (2, 1, 0));
    });
}

/// A runtime whose `threads` blocking threads are all busy until the plug is dropped.
fn plugged_runtime(threads: usize) -> (tokio::runtime::Runtime, Vec<std::sync::mpsc::Sender<()>>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(threads).build().unwrap();
    let plug = (0..threads)
        .map(|_| {
            let (sender, receiver) = std::sync::mpsc::channel();
            runtime.spawn_blocking(move || receiver.recv());
            sender
        })
        .collect();
    (runtime, plug)
}

/// Polls once.
async fn still_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

// F10. Stored hashes come from imports and from whoever got write access to the database.
#[test]
fn hostile_parameters_are_refused_before_memory_or_time_is_spent() {
    let hasher = weak();
    let argon2 = |parameters: &str| format!("$argon2id$v=19${parameters}$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA");
    for text in [
        argon2("m=4194304,t=1,p=1"),
        argon2("m=4294967295,t=1,p=1"),
        argon2("m=4294967296,t=1,p=1"),
        argon2("m=64,t=4294967295,p=1"),
        argon2("m=64,t=4294967296,p=1"),
        argon2("m=262144,t=2,p=16777216"),
        argon2("m=134217728,t=1,p=16777215"),
        format!("$argon2id$v=19$m=64,t=1,p=1${}$aGFzaGhhc2hoYXNoaGFzaA", "A".repeat(100_000)),
        format!("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ${}", "A".repeat(100_000)),
        BCRYPT_OF_72.replacen("$04$", "$31$", 1),
        BCRYPT_OF_72.replacen("$04$", "$15$", 1),
        BCRYPT_OF_72.replacen("$2b$", "$2x$", 1),
    ] {
        assert!(!matches(&hasher, &"x".repeat(72), &stored(&text)), "{}", &text[..text.len().min(60)]);
    }
    // What was computed instead is a hash at the hasher's own parameters.
    assert_eq!(hasher.peak_memory_kib(), 64);
}

proptest! {
    // F10, RUSTSEC-2026-0199.
    #[test]
    fn arbitrary_stored_text_never_panics_and_never_verifies(text in stored_text(), password in ".{0,80}") {
        let hasher = Argon2Hasher::danger_weak(8, 1, 1).unwrap();
        let found = hasher.verify(&SecretString::from(password), &stored(&text)).unwrap();
        prop_assert_eq!(found, Verification::Mismatch);
        prop_assert_eq!(hasher.computations(), 1);
        prop_assert!(hasher.peak_memory_kib() <= 1_048_576);
    }
}

fn stored_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        // Near misses: the forms we know, with parts that are off. Costs stay small to keep the test quick.
        "\\$2[abxy]?\\$(04|[0-9+é]{2})\\$.{50,55}".prop_filter("slow", |text| !costly(text)),
        "\\$2[aby]\\$04\\$[./A-Za-z0-9]{53}",
        "\\$argon2(id|i|d|x)?(\\$v=[0-9]{1,3})?\\$m=[0-9]{1,3},t=[0-9],p=[0-9]\\$[+/A-Za-z0-9=]{0,30}\\$[+/A-Za-z0-9=]{12,90}",
        "\\$argon2id\\$v=19\\$([mtpk]=[-0-9a-z]{0,11},?){0,5}\\$\\PC{0,30}\\$\\PC{0,30}"
            .prop_filter("slow", |text| !text.contains("00000")),
    ]
}

fn costly(text: &str) -> bool {
    ["$06$", "$07$", "$08$", "$09$", "$1"].iter().any(|cost| text.contains(cost))
}
