use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::crypto::{Key, KeyState};
use crate::time::Timestamp;

const SEALING: KeyPurpose = KeyPurpose::Sealing;

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn ring(purpose: KeyPurpose) -> Keyring {
    Keyring::begin(Key::generate_for(purpose).unwrap(), at(1)).unwrap()
}

fn file() -> (TempDir, KeyFile) {
    let folder = tempfile::tempdir().unwrap();
    let file =
        KeyFile::create(folder.path().join("keys.json"), [ring(SEALING), ring(KeyPurpose::Csrf)]).unwrap();
    (folder, file)
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// As if it had been written some time ago.
fn age(path: &Path) {
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
}

#[tokio::test]
async fn what_did_not_change_is_the_same_ring() {
    let (_folder, file) = file();
    let first = file.keyring(SEALING).await.unwrap();
    let csrf = file.keyring(KeyPurpose::Csrf).await.unwrap();
    assert!(Arc::ptr_eq(&first, &file.keyring(SEALING).await.unwrap()), "freshly written");
    age(file.path());
    assert!(Arc::ptr_eq(&first, &file.keyring(SEALING).await.unwrap()), "touched");
    assert!(Arc::ptr_eq(&first, &file.keyring(SEALING).await.unwrap()), "by its stamp");
    file.rotate(SEALING, at(2)).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &file.keyring(SEALING).await.unwrap()));
    assert!(Arc::ptr_eq(&csrf, &file.keyring(KeyPurpose::Csrf).await.unwrap()), "another's change");
    assert_eq!(file.keyring(KeyPurpose::Pepper).await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn every_step_is_in_the_file_and_seen_by_others() {
    let (folder, file) = file();
    let other = KeyFile::open(file.path()).unwrap();
    let a = file.rings().first().unwrap().primary().id().clone();
    let b = file.introduce(SEALING, at(2)).await.unwrap();
    assert!(other.keyring(SEALING).await.unwrap().find(b.as_str()).is_some());
    file.promote(SEALING, b.clone(), at(3)).await.unwrap();
    let c = file.rotate(SEALING, at(4)).await.unwrap();
    file.compromise(SEALING, b.clone(), at(5)).await.unwrap();
    file.destroy(SEALING, a.clone(), at(6)).await.unwrap();
    let d = file.introduce(SEALING, at(7)).await.unwrap();
    file.retire(SEALING, d.clone(), at(8)).await.unwrap();
    let before = fs::read(file.path()).unwrap();
    assert!(file.retire(SEALING, c.clone(), at(9)).await.is_err(), "the primary key");
    assert!(file.rotate(KeyPurpose::Pepper, at(9)).await.is_err(), "no such ring");
    let twice = file.update(|rings| {
        rings.push(ring(SEALING));
        Ok(())
    });
    assert!(twice.await.is_err(), "two rings of one purpose");
    let failed = file.update(|rings| -> Result<(), _> {
        rings.clear();
        Err(ConfigError::new("a", "b", "c"))
    });
    assert!(failed.await.is_err());
    assert!(file.update(|_| Ok(())).await.is_ok());
    assert_eq!(fs::read(file.path()).unwrap(), before, "what fails changes nothing");
    let state = |ring: &Keyring, id| ring.record(id).unwrap().state();
    let found = other.keyring(SEALING).await.unwrap();
    assert_eq!(
        [&a, &b, &c, &d].map(|id| state(&found, id)),
        [KeyState::Destroyed, KeyState::Compromised, KeyState::Active, KeyState::Deactivated]
    );
    assert!(!file.ensure(&[SEALING, KeyPurpose::Csrf], at(10)).await.unwrap());
    assert!(file.ensure(&[SEALING, KeyPurpose::Pepper], at(10)).await.unwrap());
    assert!(other.keyring(KeyPurpose::Pepper).await.is_ok());
    assert_eq!(names(&folder), ["keys.json", "keys.json.lock"]);
}

#[tokio::test]
async fn a_panic_in_a_change_changes_nothing() {
    let (_folder, file) = file();
    let before = fs::read(file.path()).unwrap();
    assert!(file.update(|_| -> Result<(), _> { panic!("as a bug would") }).await.is_err());
    assert_eq!(fs::read(file.path()).unwrap(), before);
    assert!(file.rotate(SEALING, at(2)).await.is_ok(), "nor is the file locked for ever");
}

/// Half a file, none, somebody else's: the rings that were good stay, the problem is told until it is over.
#[tokio::test]
async fn what_is_broken_leaves_the_last_good_rings() {
    let (_folder, file) = file();
    let good = fs::read(file.path()).unwrap();
    let before = file.keyring(SEALING).await.unwrap();
    let half = || fs::write(file.path(), &good[..good.len() / 2]).unwrap();
    let gone = || fs::remove_file(file.path()).unwrap();
    let cases: [(&str, &dyn Fn(), &str); 5] = [
        ("half", &half, "holds no keyset"),
        ("empty", &|| fs::write(file.path(), "").unwrap(), "holds no keyset"),
        ("not text", &|| fs::write(file.path(), [0xff; 9]).unwrap(), "is not text"),
        (
            "huge",
            &|| fs::File::options().write(true).open(file.path()).unwrap().set_len(5 << 20).unwrap(),
            "4 MiB",
        ),
        ("gone", &gone, "cannot be read"),
    ];
    for (name, spoil, told) in cases {
        spoil();
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&before, &file.keyring(SEALING).await.unwrap()), "{name}");
            let problem = file.problem().unwrap().to_string();
            assert!(problem.contains(told) && problem.contains("keys.json"), "{name}: {problem}");
        }
        assert!(file.rotate(SEALING, at(2)).await.is_err(), "{name}: nothing is written over it");
        fs::write(file.path(), &good).unwrap();
        #[cfg(unix)]
        set_mode(file.path(), 0o600);
        assert!(Arc::ptr_eq(&before, &file.keyring(SEALING).await.unwrap()), "{name}, in order again");
        assert_eq!(file.problem(), None, "{name}");
    }
}

// ASVS 13.3.2
#[cfg(unix)]
#[tokio::test]
async fn it_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let (folder, file) = file();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    file.rotate(SEALING, at(2)).await.unwrap();
    assert_eq!(mode(file.path()), 0o600);
    assert_eq!(mode(&folder.path().join("keys.json.lock")), 0o600);
    for open in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610] {
        set_mode(file.path(), open);
        assert!(KeyFile::open(file.path()).unwrap_err().to_string().contains("chmod 600"), "{open:o}");
        assert!(file.rotate(SEALING, at(3)).await.is_err(), "{open:o}");
        // It was good when it was read; the problem is told.
        assert!(file.keyring(SEALING).await.is_ok() && file.problem().is_some(), "{open:o}");
    }
    set_mode(file.path(), 0o400);
    assert!(KeyFile::open(file.path()).is_ok());
    assert!(KeyFile::open(folder.path()).unwrap_err().to_string().contains("is not a file"));
    assert!(KeyFile::open("/dev/null").unwrap_err().to_string().contains("is not a file"));
}

#[test]
fn nothing_is_overwritten() {
    let (folder, file) = file();
    let before = fs::read(file.path()).unwrap();
    assert!(
        KeyFile::create(file.path(), [ring(SEALING)]).unwrap_err().to_string().contains("exists already")
    );
    let opened = KeyFile::open_or_create(file.path(), || Ok(vec![ring(SEALING)])).unwrap();
    assert!(opened.rings().first().unwrap().is_same(file.rings().first().unwrap()));
    assert_eq!(fs::read(file.path()).unwrap(), before);
    let twice = KeyFile::create(folder.path().join("twice.json"), [ring(SEALING), ring(SEALING)]);
    assert!(twice.is_err() && !folder.path().join("twice.json").exists());
    assert!(KeyFile::create(folder.path().join("no/keys.json"), [ring(SEALING)]).is_err());
}

#[test]
fn of_those_who_start_at_once_one_makes_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let made = AtomicUsize::new(0);
    let ids: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            let file = KeyFile::open_or_create(&path, || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(vec![ring(SEALING)])
            });
            file.unwrap().rings().first().unwrap().primary().id().clone()
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.load(Ordering::Relaxed) >= 1);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// Every one of them reads what those before have written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_lose_nothing() {
    let (folder, file) = file();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            // Each as a process of its own would have it.
            let file = KeyFile::open(file.path()).unwrap();
            tokio::spawn(async move { file.introduce(SEALING, at(2)).await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    let ring = file.keyring(SEALING).await.unwrap();
    assert!(ids.iter().all(|id| ring.find(id.as_str()).is_some()));
    assert_eq!(names(&folder), ["keys.json", "keys.json.lock"]);
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_killed_process_left_is_wiped_and_a_link_stays_a_link() {
    let (folder, file) = file();
    let left = folder.path().join("keys.json.tmp");
    fs::write(&left, "half of a key").unwrap();
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    let linked = KeyFile::open(&link).unwrap();
    let id = linked.rotate(SEALING, at(2)).await.unwrap();
    assert!(!left.exists() && link.is_symlink());
    assert_eq!(file.keyring(SEALING).await.unwrap().primary().id(), &id);
}

/// What could not be read any more is not written: a file that grew past the bound would take all keys with it.
#[test]
fn a_text_that_is_too_large_to_be_read_does_not_fit() {
    let path = Path::new("keys.json");
    let text = |bytes: usize| SecretString::from("x".repeat(bytes));
    assert!(disk::fits(path, &text(4 * 1024 * 1024)).is_ok());
    let refused = disk::fits(path, &text(4 * 1024 * 1024 + 1)).unwrap_err();
    assert!(refused.to_string().contains("keys.json") && refused.to_string().contains("larger"), "{refused}");
}
