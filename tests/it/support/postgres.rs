//! A private PostgreSQL server: its own folder, its own socket, no port.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::PgPool;

/// Runs until it is dropped. With `PORTCULLIS_POSTGRES_URL` set, that server is used, and left as it is.
pub struct Postgres {
    pub pool: PgPool,
    _server: Option<(Server, tempfile::TempDir)>,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Immediate shutdown is `SIGQUIT`; the folder goes anyway.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Postgres {
    /// `None`, and a line that says so, where there is no PostgreSQL; under `CI=true` a failure.
    pub async fn start() -> Option<Self> {
        if let Ok(url) = std::env::var("PORTCULLIS_POSTGRES_URL") {
            return Some(Self { pool: PgPool::connect(&url).await.unwrap(), _server: None });
        }
        let Some(bin) = programs() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "PostgreSQL is missing");
            eprintln!("skipped: {} (no PostgreSQL)", std::thread::current().name().unwrap_or("postgres"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let program = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&path);
            // It doesn't run as root.
            if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = path.join("data");
        let mut initdb = program("initdb");
        initdb.arg("-D").arg(&data).args(["-U", "app", "--auth=trust", "--no-sync"]);
        assert!(initdb.status().unwrap().success(), "initdb failed");
        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&path).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let mut server = Server(server.spawn().unwrap());
        let url = format!("postgres://app@localhost/postgres?host={}", path.display());
        for _ in 0..600 {
            if let Ok(pool) = PgPool::connect(&url).await {
                return Some(Self { pool, _server: Some((server, folder)) });
            }
            assert!(server.0.try_wait().unwrap().is_none(), "the server went away");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL did not come up");
    }
}

const NOBODY: u32 = 65534;

/// Debian keeps them out of the path, by version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(found.into_iter().rev());
    found.into_iter().find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}
