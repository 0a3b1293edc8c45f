//! A key file under several processes at once, and under `kill -9`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis::crypto::{Key, KeyFile, KeyPurpose, Keyring};
use portcullis::id::KeyId;
use portcullis::time::{Clock as _, SystemClock};

/// Names the file to a process that changes it.
const FILE: &str = "KEY_FILE_UNDER_TEST";

const SEALING: KeyPurpose = KeyPurpose::Sealing;

/// Not a test of its own: what the processes below do, until they are killed or have rotated often enough.
#[tokio::test]
async fn rotates_when_it_is_told_to() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let file = KeyFile::open(file).unwrap();
    for _ in 0..40 {
        let id = file.rotate(SEALING, SystemClock::new().now()).await.unwrap();
        eprintln!("rotated {id}");
    }
}

fn start(file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "key_file::rotates_when_it_is_told_to", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The ids of the keys it says it has made. After so many it is killed, a moment later.
fn rotated(mut child: Child, until: Option<(usize, Duration)>) -> Vec<KeyId> {
    let mut ids = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        ids.extend(line.strip_prefix("rotated ").map(|id| KeyId::parse(id).unwrap()));
        if let Some((many, moment)) = until
            && ids.len() == many
        {
            // Somewhere in the next change; what it still says is read to its end.
            let end = std::time::Instant::now() + moment;
            while std::time::Instant::now() < end {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    ids
}

fn file(folder: &Path) -> KeyFile {
    let key = Key::generate_for(SEALING).unwrap();
    let ring = Keyring::begin(key, SystemClock::new().now()).unwrap();
    KeyFile::create(folder.join("keys.json"), [ring]).unwrap()
}

fn holds(file: &KeyFile, ids: &[KeyId]) -> usize {
    let file = KeyFile::open(file.path()).unwrap();
    let rings = file.rings();
    let ring = rings.first().unwrap();
    for id in ids {
        assert!(ring.find(id.as_str()).is_some(), "{id} was made, and is lost");
    }
    ring.records().count()
}

#[test]
fn two_processes_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let children = [start(file.path()), start(file.path())];
    let ids = children.map(|child| rotated(child, None)).concat();
    assert_eq!((ids.len(), holds(&file, &ids)), (80, 81));
}

/// Killed at any moment of a change, the file opens, has every key that was said to be in it, and can be changed.
#[test]
fn kill_9_in_the_middle_of_a_change_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let mut known = Vec::new();
    for round in 0..24_u32 {
        let many = 1 + usize::try_from(round % 3).unwrap();
        // A change takes some milliseconds, most of it writing.
        let moment = Duration::from_micros(u64::from(round) * 270);
        let ids = rotated(start(file.path()), Some((many, moment)));
        assert!(ids.len() >= many, "it was killed after {many}");
        known.extend(ids);
        let held = holds(&file, &known);
        assert!(held > known.len(), "round {round}: {held} keys, {} told of", known.len());
    }
    assert!(known.len() >= 48);
}
