//! Roles kept in a file, and a gate that follows it.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use portcullis::TenantId;
use portcullis::authz::policy::{Policy, PolicyOutcome};
use portcullis::authz::{AccessMap, AccessRequest, Permission, RoleFile, RoleModel, Rule};
use portcullis::error::ConfigError;
use portcullis::gate::Gate;
use portcullis::gate::testing::Cast;
use tempfile::TempDir;

use crate::support::Log;

const READ: &str = "[[roles]]\nname = \"user\"\ngrants = [\"tasks:read\"]\n";
const WRITE: &str = "[[roles]]\nname = \"user\"\ngrants = [\"tasks:read\", \"tasks:write\"]\n";
/// A model, but none a rule of the gate could live with.
const NOTHING: &str = "[[roles]]\nname = \"user\"\n";
const BROKEN: &str = "[[roles]]\nname = \"user\"\ngrant = []\n";
const PANIC: &str = "[[roles]]\nname = \"panic\"\ngrants = [\"*:*\"]\n";

/// Twice the time between two looks, and some.
const TWO_LOOKS: Duration = Duration::from_millis(1100);

struct Place {
    folder: TempDir,
    path: PathBuf,
    file: RoleFile,
}

impl Place {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roles.toml");
        std::fs::write(&path, text).unwrap();
        let file = RoleFile::new(&path).unwrap();
        Self { folder, path, file }
    }

    /// As one should: beside it, then over it.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }
}

/// A policy of an application that panics where it is asked about a certain role model.
struct Brittle;

impl Policy for Brittle {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready(portcullis::authz::policy::Decision::Deny)
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        assert!(!roles.is_defined("panic"), "this model is too much");
        Ok(())
    }
}

async fn gate(file: &RoleFile) -> Gate {
    let map = AccessMap::builder().add(Method::GET, "/tasks", Rule::permission("tasks:read")).add(
        Method::GET,
        "/brittle",
        Rule::policy(Brittle),
    );
    let builder = Gate::builder().with_access_tokens(Cast::new()).with_roles(file.load().unwrap());
    builder.with_access_map(map).build().await.unwrap()
}

fn may(gate: &Gate, permission: &str) -> bool {
    gate.roles().grants(&TenantId::default(), "user", &Permission::parse(permission).unwrap())
}

#[test]
fn what_is_no_role_file() {
    let place = Place::new(READ);
    let folder = place.folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("good.json", br#"{"roles": [{"name": "user", "grants": ["tasks:read"]}]}"#);
    write("bad.json", READ.as_bytes());
    write("bad.toml", BROKEN.as_bytes());
    write("bytes.toml", b"\xff");
    write("empty.toml", b"");
    write("large.toml", format!("{READ}{}", "#".repeat(4 * 1024 * 1024)).as_bytes());
    std::fs::create_dir(folder.join("folder.toml")).unwrap();
    for (name, want) in [
        ("roles.toml", Ok(())),
        ("good.json", Ok(())),
        ("bad.json", Err("cannot be put in force: role model: cannot be read: ")),
        ("bad.toml", Err("unknown field `grant`, expected one of `name`, `inherits`, `grants` at line 3")),
        ("bytes.toml", Err("cannot be read: stream did not contain valid UTF-8")),
        ("empty.toml", Err("missing field `roles`")),
        ("large.toml", Err("has more than 4 MiB")),
        ("folder.toml", Err("is not a file")),
        ("missing.toml", Err("cannot be read: No such file")),
        ("roles.yaml", Err("has no known extension")),
        ("roles", Err("has no known extension")),
    ] {
        let answer = RoleFile::new(folder.join(name)).and_then(|file| file.load().map(drop));
        match (answer, want) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(want)) => {
                let error = error.to_string();
                assert!(error.starts_with("role file: `") && error.contains(want), "{name}: {error}");
                assert!(error.contains(name), "{name}: {error}");
            }
            (answer, _) => panic!("{name}: {answer:?}"),
        }
    }
}

/// Whoever can write the file decides who may do what.
// ASVS 13.3.2
#[cfg(unix)]
#[test]
fn a_file_that_everybody_may_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(READ);
    for (mode, believed) in [(0o600, true), (0o644, true), (0o664, true), (0o666, false), (0o602, false)] {
        std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(place.file.load().is_ok(), believed, "{mode:o}");
    }
}

#[tokio::test]
async fn a_reload_takes_all_or_nothing() {
    let place = Place::new(READ);
    let gate = gate(&place.file).await;
    for (name, text, answer, may_write) in [
        ("more", WRITE, Ok(()), true),
        ("broken", BROKEN, Err("unknown field `grant`"), true),
        ("nothing a rule needs", NOTHING, Err("permission `tasks:read`"), true),
        ("a panic", PANIC, Err("panicked"), true),
        ("less", READ, Ok(()), false),
    ] {
        place.write(text);
        match (gate.reload_roles(&place.file).await, answer) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{name}: {error}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
        assert_eq!((may(&gate, "tasks:read"), may(&gate, "tasks:write")), (true, may_write), "{name}");
    }
    std::fs::remove_file(&place.path).unwrap();
    gate.reload_roles(&place.file).await.unwrap_err();
    gate.follow_roles(place.file.clone()).await.unwrap_err();
    assert!(may(&gate, "tasks:read"));
}

/// On a clock that runs ahead when everybody waits.
#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_and_a_bad_one_told_once() {
    let (log, _listening) = Log::listen();
    let place = Place::new(READ);
    let gate = gate(&place.file).await;
    gate.follow_roles(place.file.clone()).await.unwrap();
    let told = |what: &str| log.lines().iter().filter(|line| line.contains(what)).count();
    let look = async || tokio::time::sleep(TWO_LOOKS).await;

    place.write(WRITE);
    look().await;
    assert!(may(&gate, "tasks:write"));
    for (text, why) in
        [(BROKEN, "unknown field `grant`"), (NOTHING, "permission `tasks:read`"), (PANIC, "panicked")]
    {
        place.write(text);
        for _ in 0..5 {
            look().await;
        }
        assert!(may(&gate, "tasks:write"), "{why}");
        assert_eq!(told(why), 1, "{why}: {:?}", log.lines());
    }
    std::fs::remove_file(&place.path).unwrap();
    for _ in 0..5 {
        look().await;
    }
    assert!(may(&gate, "tasks:write") && told("No such file") == 1, "{:?}", log.lines());
    place.write(READ);
    look().await;
    assert!(may(&gate, "tasks:read") && !may(&gate, "tasks:write"), "it goes on after all that");
}

/// Half a file can be a model too: what changes from look to look is not taken.
#[tokio::test(start_paused = true)]
async fn what_is_still_being_written_is_not_taken() {
    let place = Place::new(READ);
    let gate = gate(&place.file).await;
    gate.follow_roles(place.file.clone()).await.unwrap();
    for n in 0..20 {
        place.write(&format!("{WRITE}# {n}\n"));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!may(&gate, "tasks:write"), "{n}");
    }
    tokio::time::sleep(TWO_LOOKS).await;
    assert!(may(&gate, "tasks:write"));
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_gate() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let place = Place::new(READ);
    let gate = gate(&place.file).await;
    gate.follow_roles(place.file.clone()).await.unwrap();
    gate.follow_roles(place.file.clone()).await.unwrap();
    assert_eq!(tasks(), 1, "the second takes the place of the first");
    gate.shutdown().await;
    assert_eq!(tasks(), 0);
    place.write(WRITE);
    tokio::time::sleep(TWO_LOOKS).await;
    assert!(!may(&gate, "tasks:write"));

    gate.follow_roles(place.file.clone()).await.unwrap();
    let other = gate.clone();
    drop(gate);
    tokio::time::sleep(TWO_LOOKS).await;
    assert!(tasks() == 1 && may(&other, "tasks:write"));
    drop(other);
    tokio::time::sleep(TWO_LOOKS).await;
    assert_eq!(tasks(), 0, "nobody keeps it");
}
