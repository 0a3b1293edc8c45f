//! Keys rotate while the vault is in use.

use std::sync::atomic::AtomicBool;

use super::*;

/// Ten rotations under load lose no value and fail no call; every ring is seen whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_rotations_lose_nothing() {
    let keys = Turning::new();
    let (vault, audit) = vault(&keys).await;
    let names = vault.blind_index("users", "name", |index| index).unwrap();
    let names = Arc::new(names);
    let over = Arc::new(AtomicBool::new(false));
    let workers = (0..32).map(|worker| {
        let (vault, names, over) = (vault.clone(), names.clone(), over.clone());
        tokio::spawn(async move {
            let tenant = tenant("t");
            let mut kept = Vec::new();
            while !over.load(Ordering::Relaxed) || kept.len() < 20 {
                let row = format!("{worker}-{}", kept.len());
                let at = FieldContext::new(&tenant, "users", "name", &row);
                kept.push((row.clone(), vault.seal(&row, &at).unwrap(), names.value(&tenant, &row)));
                for (row, sealed, index) in kept.iter().rev().take(10) {
                    let at = FieldContext::new(&tenant, "users", "name", row);
                    assert_eq!(vault.open(sealed, &at).await.unwrap(), *row);
                    assert!(names.candidates(&tenant, row).contains(index));
                }
                tokio::task::yield_now().await;
            }
            for (row, sealed, index) in &kept {
                let at = FieldContext::new(&tenant, "users", "name", row);
                assert_eq!(vault.open(sealed, &at).await.unwrap(), *row);
                assert!(names.candidates(&tenant, row).contains(index));
            }
            kept.len()
        })
    });
    let workers: Vec<_> = workers.collect();
    for _ in 0..10 {
        keys.rotate();
        assert!(vault.refresh_keys().await.unwrap());
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut sealed = 0;
    for worker in workers {
        sealed += worker.await.unwrap();
    }
    assert!(sealed >= 32 * 20, "{sealed}");
    assert!(audit.events().is_empty());
    assert_eq!(vault.key_records(KeyPurpose::Sealing).len(), 11);
}

/// An instance that hasn't heard of a rotation yet reads what another one made: it asks at once.
#[tokio::test]
async fn an_instance_that_is_behind_catches_up() {
    let keys = Turning::new();
    let (ahead, _) = vault(&keys).await;
    let (behind, audit) = vault(&keys).await;
    keys.rotate();
    ahead.refresh_keys().await.unwrap();
    let tenant = tenant("t");
    let at = FieldContext::new(&tenant, "users", "name", "1");
    let sealed = ahead.seal(&"ada".to_owned(), &at).unwrap();
    assert_eq!(behind.open(&sealed, &at).await.unwrap(), "ada");
    assert!(audit.events().is_empty());
    assert!(!behind.needs_reseal(sealed.sealed()));
}

/// A provider that is down changes nothing.
#[tokio::test]
async fn a_failed_refresh_leaves_the_old_ring_working() {
    let keys = Turning::new();
    let (vault, _) = vault(&keys).await;
    let tenant = tenant("t");
    let at = FieldContext::new(&tenant, "users", "name", "1");
    let sealed = vault.seal(&1, &at).unwrap();
    keys.down.store(true, Ordering::Relaxed);
    keys.rotate();
    assert_eq!(vault.refresh_keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(vault.open(&sealed, &at).await.unwrap(), 1);
    let sealed = vault.seal(&2, &at).unwrap();
    keys.down.store(false, Ordering::Relaxed);
    assert!(vault.refresh_keys().await.unwrap());
    assert_eq!(vault.open(&sealed, &at).await.unwrap(), 2);
}

/// Keys for indexes that were there and aren't any more are an error, and not an index that quietly stays as it is.
#[tokio::test]
async fn index_keys_that_are_gone_are_an_error() {
    let keys = Turning::new();
    let (vault, _) = vault(&keys).await;
    let names = vault.blind_index("users", "name", |index| index).unwrap();
    let tenant = tenant("t");
    let before = names.value(&tenant, "ada");
    keys.without_index.store(true, Ordering::Relaxed);
    assert!(vault.refresh_keys().await.unwrap_err().to_string().contains("blind indexes are gone"));
    assert_eq!(names.value(&tenant, "ada"), before);
    keys.without_index.store(false, Ordering::Relaxed);
    keys.rotate();
    assert!(vault.refresh_keys().await.unwrap());
    assert!(names.needs_reindex(&before));
}

/// Many at once meet a new key on an instance that is behind: all of them get their value, and the provider is asked once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_readers_catch_up_together() {
    for _ in 0..8 {
        let keys = Turning::new();
        let (ahead, _) = vault(&keys).await;
        let (behind, audit) = vault(&keys).await;
        // A value nobody here has the key for uses up nobody else's turn.
        let (elsewhere, _) = vault(&Turning::new()).await;
        let tenant = tenant("t");
        let at = FieldContext::new(&tenant, "users", "name", "1");
        assert!(behind.open(&elsewhere.seal(&1, &at).unwrap(), &at).await.is_err());
        keys.rotate();
        ahead.refresh_keys().await.unwrap();
        let before = keys.asked.load(Ordering::Relaxed);
        let readers = (0..32).map(|row| {
            let (ahead, behind) = (ahead.clone(), behind.clone());
            tokio::spawn(async move {
                let (tenant, row) = (self::tenant("t"), row.to_string());
                let at = FieldContext::new(&tenant, "users", "name", &row);
                let sealed = ahead.seal(&row, &at).unwrap();
                assert_eq!(behind.open(&sealed, &at).await.unwrap(), row);
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
        assert_eq!(keys.asked.load(Ordering::Relaxed) - before, 1);
        assert_eq!(audit.events().len(), 1);
    }
}
