//! Starts the example server and ends it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::{ADMIN, ADMIN_PASSWORD, Api};

/// A server over a database in a folder of its own. Dropped, the process is killed.
pub struct Server {
    folder: TempDir,
    env: Vec<(String, String)>,
    child: Child,
    base: String,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these settings added to those of every test.
    pub fn start_with(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (child, base) = launch(folder.path(), &env);
        Self { folder, env, child, base }
    }

    pub fn api(&self) -> Api {
        Api::new(&self.base)
    }

    /// Such as `http://127.0.0.1:8012`.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it has printed and logged so far, over all restarts.
    pub fn output(&self) -> String {
        ["stdout", "stderr"].map(|name| std::fs::read_to_string(self.folder().join(name)).unwrap()).concat()
    }

    /// SIGKILL: nothing is flushed, nothing is closed.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: it may end as it sees fit.
    pub fn terminate(&mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
    }

    /// Until it has ended, without an error.
    pub fn wait(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// From the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Kills it and starts another over the same files.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.base) = launch(self.folder.path(), &self.env);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder().join("stderr")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(20).collect();
            eprintln!("-- end of the server's log, last line first\n{}", tail.join("\n"));
        }
    }
}

/// The server with these settings only, run to its end: for what it refuses and what it prints. Killed if it starts.
pub fn run(folder: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut child = Command::new(binary())
        .current_dir(folder)
        .env_clear()
        .env("BIND", "127.0.0.1:0")
        .env("DATABASE_URL", "sqlite://server.db")
        .envs(env.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.starts_with("listening on ") {
            child.kill().unwrap();
        }
        printed += &line;
        printed.push('\n');
    }
    Output { stdout: printed.into_bytes(), ..child.wait_with_output().unwrap() }
}

fn launch(folder: &Path, env: &[(String, String)]) -> (Child, String) {
    let log = |name: &str| File::options().create(true).append(true).open(folder.join(name)).unwrap();
    let mut child = Command::new(binary())
        .current_dir(folder)
        .env_clear()
        .env("BIND", "127.0.0.1:0")
        .env("DATABASE_URL", "sqlite://server.db")
        .env("ENVIRONMENT", "test")
        // Tests ask more than anybody does.
        .env("RATE_LIMIT_PER_MINUTE", "1000000000")
        .env("RATE_LIMIT_PER_HOUR", "1000000000")
        .env("SIGN_IN_PER_MINUTE", "1000000000")
        .env("ADMIN_USERNAME", ADMIN)
        .env("ADMIN_EMAIL", "root@example.com")
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log("stderr"))
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let (lines, mut copy) = (BufReader::new(child.stdout.take().unwrap()).lines(), log("stdout"));
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            writeln!(copy, "{line}").unwrap();
            if let Some(base) = line.strip_prefix("listening on ") {
                let _ = tell.send(base.to_owned());
            }
        }
    });
    // It prints its address once connections are taken; it ends if it can't start.
    let base = told.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
        let _ = child.kill();
        panic!("the server did not start: {}", std::fs::read_to_string(folder.join("stderr")).unwrap())
    });
    (child, base)
}

/// The example as built from this checkout; `cargo test` has built it already, `cargo test --test it` may not have.
fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let built = profile.join("examples").join("server");
        if !is_current(&built) {
            build(profile);
        }
        built
    });
    &BINARY
}

/// Cargo's list of the sources says whose binary it is; several checkouts may share a target folder.
fn is_current(binary: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let sources = std::fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/server/main.rs");
    let Some(built) = modified(binary) else { return false };
    let sources: Vec<_> = sources.split_ascii_whitespace().skip(1).collect();
    let old = |source: &str| modified(Path::new(source)).is_some_and(|modified| modified <= built);
    sources.contains(&ours) && sources.into_iter().all(old)
}

fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--all-features",
            "--example",
            "server",
            "--profile",
            name,
            "--target-dir",
        ])
        .arg(profile.parent().unwrap())
        .status()
        .unwrap();
    assert!(built.success(), "the example server does not build");
}
