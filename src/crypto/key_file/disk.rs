//! A key file on disk: read if it can be trusted, made once, replaced in one step.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// Largest key file in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// How long to wait for another process that is changing the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two changes within one tick of the file system's clock may leave the same stamp; none is coarser than this.
const COARSEST_TICK: Duration = Duration::from_secs(2);

/// By what a changed file is told from the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Device, number, and time of the last change of anything, permissions too.
    identity: (u64, u64, i64, i64),
}

impl Stamp {
    /// Whether a file with this stamp, read now, would have another once it is changed.
    pub(super) fn is_settled(&self) -> bool {
        self.modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > COARSEST_TICK)
    }

    fn of(found: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = Default::default();
        Self { modified: found.modified().ok(), bytes: found.len(), identity }
    }
}

/// Whether a text can be read once it is written.
pub(super) fn fits(path: &Path, text: &SecretString) -> Result<(), ConfigError> {
    if text.expose_secret().len() as u64 <= MAX_BYTES {
        return Ok(());
    }
    Err(bad(
        path,
        format_args!("would be larger than {MAX_BYTES} bytes"),
        "begin another file for new purposes",
    ))
}

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    fs::metadata(path).map(|found| Stamp::of(&found))
}

/// The text, if nobody else can read or write it.
pub(super) fn read(path: &Path) -> Result<(SecretString, Stamp), ConfigError> {
    let unreadable = |cause: io::Error| {
        bad(path, format_args!("cannot be read: {cause}"), "make the file readable to this process alone")
    };
    // Opening something else, a pipe for one, could wait for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(bad(path, "is not a file", "name a file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if found.mode() & 0o077 != 0 {
            return Err(bad(path, "can be read or written by others than its owner", "chmod 600 it"));
        }
        // Whoever opens such a file owns it, but for root.
        if this_user().is_some_and(|user| user != found.uid()) {
            return Err(bad(path, "belongs to another user", "run as its owner, or chown it"));
        }
    }
    if found.len() > MAX_BYTES {
        return Err(bad(path, "has more than 4 MiB", "is it the right file?"));
    }
    // Room for everything, so that no half is left behind when the vector grows.
    let room = usize::try_from(found.len()).unwrap_or_default() + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| bad(path, "is not text", "restore the file"))?;
    Ok((SecretString::from(text), Stamp::of(&found)))
}

/// The user this process acts as, where that can be found out.
#[cfg(unix)]
fn this_user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").ok().map(|found| found.uid())
}

/// The right to change a file. It ends with this value, and with the process.
pub(super) struct Lock {
    target: PathBuf,
    _held: File,
}

/// Waits until nobody else changes the file. What is locked is a file beside it, as it is replaced itself.
pub(super) fn lock(path: &Path) -> Result<Lock, ConfigError> {
    let cannot = |cause: io::Error| {
        bad(path, format_args!("cannot be changed: {cause}"), "make its folder writable for this process")
    };
    // A link stays one, and whoever comes by another way meets the same lock.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(cannot(error)),
    };
    let held = private_file().create(true).open(beside(&target, ".lock")).map_err(cannot)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match held.try_lock() {
            Ok(()) => return Ok(Lock { target, _held: held }),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(bad(path, "is being changed by another process", "try again"));
            }
            Err(TryLockError::Error(cause)) => return Err(cannot(cause)),
        }
    }
}

impl Lock {
    /// Makes the file. False if there is one already, which stays as it is.
    pub(super) fn create(&self, text: &SecretString) -> Result<bool, ConfigError> {
        let temporary = self.write_beside(text)?;
        // Unlike a rename, a link replaces nothing, whoever else writes there.
        let linked = fs::hard_link(&temporary, &self.target);
        let removed = fs::remove_file(&temporary);
        match linked {
            Ok(()) => {
                removed.and_then(|()| self.sync_folder()).map(|()| true).map_err(|e| self.unwritten(&e))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.unwritten(&error)),
        }
    }

    /// Puts another text in the place of the file: whoever reads it, after a crash too, finds all of the one or of the
    /// other.
    pub(super) fn replace(&self, text: &SecretString) -> Result<(), ConfigError> {
        let temporary = self.write_beside(text)?;
        let renamed = fs::rename(&temporary, &self.target).and_then(|()| self.sync_folder());
        renamed.map_err(|error| self.unwritten(&error))
    }

    /// One name for all who change the file, so that what somebody left who was killed is wiped by the next.
    fn write_beside(&self, text: &SecretString) -> Result<PathBuf, ConfigError> {
        let temporary = beside(&self.target, ".tmp");
        let _ = fs::remove_file(&temporary);
        let written = private_file().create_new(true).open(&temporary).and_then(|mut file| {
            file.write_all(text.expose_secret().as_bytes())?;
            file.sync_all()
        });
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(self.unwritten(&error))
            }
        }
    }

    /// A new name is on disk once its folder is.
    fn sync_folder(&self) -> io::Result<()> {
        #[cfg(unix)]
        {
            let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    fn unwritten(&self, cause: &io::Error) -> ConfigError {
        bad(&self.target, format_args!("cannot be written: {cause}"), "make room, and its folder writable")
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(super) fn bad(path: &Path, problem: impl std::fmt::Display, cure: &'static str) -> ConfigError {
    ConfigError::new(path.display().to_string(), problem.to_string(), cure)
}
