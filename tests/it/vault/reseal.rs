//! Moving a column to the newest key.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Mutex;

use portcullis::vault::{Progress, Reseal, ResealStore, RowKey, SealedRow};

use super::*;

/// A table in memory. Fails when it is told to, and lets somebody else write in between.
#[derive(Default)]
struct Table {
    rows: Mutex<BTreeMap<RowKey, Sealed>>,
    /// So many more writes succeed.
    writes_left: Mutex<Option<u32>>,
    opened: AtomicUsize,
    meanwhile: Mutex<Option<(RowKey, Sealed)>>,
}

#[async_trait::async_trait]
impl ResealStore for Table {
    async fn rows(&self, after: Option<&RowKey>, limit: NonZeroU32) -> Result<Vec<SealedRow>, Error> {
        let rows = self.rows.lock().unwrap();
        let later = rows.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
        let row =
            |(key, sealed): (&RowKey, &Sealed)| SealedRow { key: key.clone(), sealed: Some(sealed.clone()) };
        Ok(later.take(limit.get() as usize).map(row).collect())
    }

    async fn replace(&self, row: &RowKey, before: &Sealed, after: &Sealed) -> Result<bool, Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if let Some(left) = self.writes_left.lock().unwrap().as_mut() {
            if *left == 0 {
                return Err(Error::new(ErrorKind::Unavailable, "pulled the plug"));
            }
            *left -= 1;
        }
        let mut rows = self.rows.lock().unwrap();
        if let Some((key, sealed)) = self.meanwhile.lock().unwrap().take() {
            rows.insert(key, sealed);
        }
        let current = rows.get_mut(row).filter(|current| *current == before);
        Ok(current.map(|current| *current = after.clone()).is_some())
    }
}

fn row(number: u32) -> RowKey {
    let owner = if number.is_multiple_of(2) { "even" } else { "odd" };
    RowKey { tenant: tenant(owner), id: format!("{number:04}") }
}

fn at(key: &RowKey) -> FieldContext<'_> {
    FieldContext::new(&key.tenant, "notes", "body", &key.id)
}

fn fill(vault: &Vault, rows: u32) -> Table {
    let table = Table::default();
    for number in 0..rows {
        let key = row(number);
        let sealed = vault.seal(&number, &at(&key)).unwrap().into_sealed();
        table.rows.lock().unwrap().insert(key, sealed);
    }
    table
}

async fn all_open(vault: &Vault, table: &Table, rows: u32) {
    let held = table.rows.lock().unwrap().clone();
    assert_eq!(held.len(), rows as usize);
    for number in 0..rows {
        let key = row(number);
        let sealed = Encrypted::<u32>::new(held[&key].clone());
        assert_eq!(vault.open(&sealed, &at(&key)).await.unwrap(), number);
    }
}

#[tokio::test]
async fn a_column_moves_to_the_newest_key_and_the_old_one_may_go() {
    let keys = Turning::new();
    let (vault, _) = vault(&keys).await;
    let (table, old) = (fill(&vault, 95), keys.primary());
    keys.rotate();
    vault.refresh_keys().await.unwrap();
    let job = Reseal::new(vault.clone(), "notes", "body").with_batch(NonZeroU32::new(10).unwrap());
    let progress = job.run(&table, Progress::default()).await.unwrap();
    assert_eq!((progress.seen, progress.resealed, progress.is_complete()), (95, 95, true));
    // What is done is passed over.
    let again = job.run(&table, Progress::default()).await.unwrap();
    assert_eq!((again.seen, again.resealed, again.is_complete()), (95, 0, true));
    assert_eq!(table.opened.load(Ordering::Relaxed), 95);
    keys.change(|ring| ring.destroy(&old, NOW));
    vault.refresh_keys().await.unwrap();
    all_open(&vault, &table, 95).await;
}

/// Killed after every number of writes there is, it loses nothing; the next job goes on from what was kept, or from the
/// start.
#[tokio::test]
async fn a_job_that_dies_loses_nothing() {
    for resumes in [true, false] {
        for writes in [0, 1, 9, 10, 11, 29] {
            let keys = Turning::new();
            let (vault, _) = vault(&keys).await;
            let table = fill(&vault, 30);
            keys.rotate();
            vault.refresh_keys().await.unwrap();
            let job = Reseal::new(vault.clone(), "notes", "body").with_batch(NonZeroU32::new(10).unwrap());
            *table.writes_left.lock().unwrap() = Some(writes);
            let mut progress = Progress::default();
            let failed = loop {
                if let Err(error) = job.step(&table, &mut progress).await {
                    break error;
                }
            };
            assert_eq!(failed.kind(), ErrorKind::Unavailable);
            all_open(&vault, &table, 30).await;
            *table.writes_left.lock().unwrap() = None;
            // What was kept went through a file.
            let kept = serde_json::to_string(&progress).unwrap();
            let from = if resumes { serde_json::from_str(&kept).unwrap() } else { Progress::default() };
            let done = job.run(&table, from).await.unwrap();
            assert!(done.is_complete(), "{writes}: {done:?}");
            let resealed = if resumes { 30 } else { 30 - u64::from(writes) };
            assert_eq!(done.resealed, resealed, "{writes}");
            all_open(&vault, &table, 30).await;
        }
    }
}

/// Somebody writes a row while it is being moved: that stays.
#[tokio::test]
async fn a_row_written_in_between_stays_as_written() {
    let keys = Turning::new();
    let (vault, _) = vault(&keys).await;
    let table = fill(&vault, 3);
    let key = row(0);
    *table.meanwhile.lock().unwrap() =
        Some((key.clone(), vault.seal(&4711, &at(&key)).unwrap().into_sealed()));
    keys.rotate();
    vault.refresh_keys().await.unwrap();
    let job = Reseal::new(vault.clone(), "notes", "body");
    let progress = job.run(&table, Progress::default()).await.unwrap();
    assert_eq!((progress.resealed, progress.raced, progress.is_complete()), (2, 1, false));
    let held = Encrypted::<u32>::new(table.rows.lock().unwrap()[&key].clone());
    assert_eq!(vault.open(&held, &at(&key)).await.unwrap(), 4711);
    assert!(job.run(&table, Progress::default()).await.unwrap().is_complete(), "the next job gets it");
}

/// A row that doesn't open stays as it is, is named in the audit trail, and holds nobody up.
#[tokio::test]
async fn a_row_that_doesnt_open_is_named() {
    let keys = Turning::new();
    let (vault, audit) = vault(&keys).await;
    let table = fill(&vault, 5);
    let moved = table.rows.lock().unwrap()[&row(1)].clone();
    table.rows.lock().unwrap().insert(row(2), moved.clone());
    keys.rotate();
    vault.refresh_keys().await.unwrap();
    let job = Reseal::new(vault, "notes", "body");
    let progress = job.run(&table, Progress::default()).await.unwrap();
    assert_eq!((progress.resealed, progress.refused, progress.is_complete()), (4, 1, false));
    assert_eq!(table.rows.lock().unwrap()[&row(2)], moved);
    let events = audit.events();
    assert_eq!((events.len(), events[0].detail("row")), (1, Some("0002")));
}

/// Two jobs at once, while rows are written: nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_and_writers_at_once() {
    let keys = Turning::new();
    let (vault, audit) = vault(&keys).await;
    let table = Arc::new(fill(&vault, 200));
    keys.rotate();
    vault.refresh_keys().await.unwrap();
    let racers = (0..32_u32).map(|racer| {
        let (vault, table) = (vault.clone(), table.clone());
        tokio::spawn(async move {
            if racer < 4 {
                let job = Reseal::new(vault, "notes", "body").with_batch(NonZeroU32::new(7).unwrap());
                job.run(&*table, Progress::default()).await.unwrap();
            } else {
                for number in (racer..200).step_by(32) {
                    let key = row(number);
                    let sealed = vault.seal(&number, &at(&key)).unwrap().into_sealed();
                    table.rows.lock().unwrap().insert(key, sealed);
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    let job = Reseal::new(vault.clone(), "notes", "body");
    assert!(job.run(&*table, Progress::default()).await.unwrap().is_complete());
    all_open(&vault, &table, 200).await;
    assert!(audit.events().is_empty());
}

/// A second rotation while a job is under way, or between a job that died and the next: it starts over, so that what ends
/// complete has left nothing under any older key.
#[tokio::test]
async fn a_rotation_in_between_starts_over() {
    for kept in [false, true] {
        let keys = Turning::new();
        let (vault, _) = vault(&keys).await;
        let table = fill(&vault, 30);
        keys.rotate();
        vault.refresh_keys().await.unwrap();
        let job = Reseal::new(vault.clone(), "notes", "body").with_batch(NonZeroU32::new(10).unwrap());
        let mut progress = Progress::default();
        job.step(&table, &mut progress).await.unwrap();
        job.step(&table, &mut progress).await.unwrap();
        keys.rotate();
        vault.refresh_keys().await.unwrap();
        let progress = if kept {
            serde_json::from_str(&serde_json::to_string(&progress).unwrap()).unwrap()
        } else {
            progress
        };
        let done = job.run(&table, progress).await.unwrap();
        assert_eq!((done.resealed, done.is_complete(), done.target == vault.newest()), (30, true, true));
        let ring = keys.sealing();
        for old in ring.records().skip(1) {
            keys.change(|ring| ring.destroy(old.id(), NOW));
        }
        vault.refresh_keys().await.unwrap();
        all_open(&vault, &table, 30).await;
    }
}

/// Where a key is still to become primary, what an instance that is ahead made with it is not moved back.
#[tokio::test]
async fn an_instance_that_is_behind_moves_nothing_back() {
    let keys = Turning::new();
    keys.change(|ring| ring.introduce(key(KeyPurpose::Sealing), NOW));
    let (behind, _) = vault(&keys).await;
    let next = keys.sealing().records().nth(1).unwrap().id().clone();
    keys.change(|ring| ring.promote(&next, NOW));
    let (ahead, _) = vault(&keys).await;
    let table = fill(&ahead, 5);
    let job = Reseal::new(behind.clone(), "notes", "body");
    let progress = job.run(&table, Progress::default()).await.unwrap();
    assert_eq!((progress.seen, progress.resealed), (5, 0));
    let mine = fill(&behind, 1).rows.lock().unwrap()[&row(0)].clone();
    assert!(ahead.needs_reseal(&mine) && !behind.needs_reseal(&mine));
}

#[tokio::test]
async fn a_row_that_is_no_sealed_value_is_counted() {
    struct Plain;
    #[async_trait::async_trait]
    impl ResealStore for Plain {
        async fn rows(&self, after: Option<&RowKey>, _: NonZeroU32) -> Result<Vec<SealedRow>, Error> {
            Ok(if after.is_none() { vec![SealedRow { key: row(1), sealed: None }] } else { Vec::new() })
        }

        async fn replace(&self, _: &RowKey, _: &Sealed, _: &Sealed) -> Result<bool, Error> {
            unreachable!("it is left as it is")
        }
    }
    let (vault, _) = vault(&Turning::new()).await;
    let progress = Reseal::new(vault, "notes", "body").run(&Plain, Progress::default()).await.unwrap();
    assert_eq!((progress.seen, progress.refused, progress.is_complete()), (1, 1, false));
}
