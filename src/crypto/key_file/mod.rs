//! [`KeyFile`]: keys in a file that can change while the service runs.

mod change;
mod disk;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::keyring::Keyring;
use crate::crypto::keyset;
use crate::crypto::provider::{KeyProvider, pick};
use crate::error::{ConfigError, Error, ErrorKind, Result};

/// Keys in a JSON file that only its owner can read.
///
/// - **Trust.** On Unix a file that others than its owner can read or write is refused; on Linux also one of another
///   user. That nobody else can put another in its place is for the permissions of its folder.
/// - **Reading.** Whoever asks for a ring gets what is in the file then; while it doesn't change, that is one look at its
///   size and times, and the same rings. A file that is broken, half written, gone or open to others leaves the last
///   good rings in force: the log says so, once, and [`problem`](Self::problem) as long as it lasts.
/// - **Changing.** Every change is read, made and written under a lock, so of processes that change the file at once none
///   undoes what another did. The new file takes the place of the old in one step: after `kill -9` or a power cut it is the
///   old one or the new one. `FILE.lock` and, while somebody writes, `FILE.tmp` stand beside it.
///
/// Cheap to clone. `examples/keys.rs` is a command line over such a file.
///
/// ```
/// use portcullis::crypto::{Key, KeyFile, KeyProvider, KeyPurpose, Keyring};
/// use portcullis::time::{Clock, SystemClock};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys.json");
/// let clock = SystemClock::new();
/// let sealing = Keyring::begin(Key::generate_for(KeyPurpose::Sealing)?, clock.now())?;
/// let file = KeyFile::create(&path, [sealing])?;
///
/// let before = file.keyring(KeyPurpose::Sealing).await?;
/// let id = file.rotate(KeyPurpose::Sealing, clock.now()).await?;
/// let ring = file.keyring(KeyPurpose::Sealing).await?;
/// assert_eq!(ring.primary().id(), &id);
/// assert!(ring.find(before.primary().id().as_str()).is_some(), "what it made is still read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct KeyFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    rings: ArcSwap<Vec<Arc<Keyring>>>,
    /// Locked while somebody looks, and by nobody else.
    seen: Mutex<Seen>,
    problem: Mutex<Option<ConfigError>>,
}

/// What was found at the last look.
struct Seen {
    stamp: Option<disk::Stamp>,
    /// Of the text whose rings are in force.
    digest: [u8; 32],
}

impl KeyFile {
    /// The keys in the file at this path. It waits for the file system: open it once, at the start.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the file if it can't be read, is more open than it may be, or holds no keyset. What is in
    /// it is never part of the error.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let (text, stamp) = disk::read(&path)?;
        let rings = parse(&path, &text)?;
        let seen = Seen { stamp: stamp.is_settled().then_some(stamp), digest: digest(&text) };
        Ok(Self(Arc::new(Inner {
            path,
            rings: ArcSwap::from_pointee(rings.into_iter().map(Arc::new).collect()),
            seen: Mutex::new(seen),
            problem: Mutex::default(),
        })))
    }

    /// Writes these rings to a new file, mode 0600.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the file if there is one already, it can't be written, or two rings have one purpose.
    pub fn create(
        path: impl Into<PathBuf>,
        rings: impl IntoIterator<Item = Keyring>,
    ) -> Result<Self, ConfigError> {
        let (path, rings) = (path.into(), rings.into_iter().collect());
        if change::create(&path, rings)? {
            return Self::open(path);
        }
        Err(disk::bad(&path, "exists already", "use that, or move it away"))
    }

    /// [Opens](Self::open) the file, or [creates](Self::create) it where there is none. Of several who start at once one
    /// creates it, and all have its keys.
    ///
    /// # Errors
    ///
    /// As for the two, or what `rings` fails with.
    pub fn open_or_create(
        path: impl Into<PathBuf>,
        rings: impl FnOnce() -> Result<Vec<Keyring>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let path = path.into();
        if !path.exists() {
            change::create(&path, rings()?)?;
        }
        Self::open(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The rings in force, without looking whether the file has changed.
    #[must_use]
    pub fn rings(&self) -> Arc<Vec<Arc<Keyring>>> {
        self.0.rings.load_full()
    }

    /// Why the rings in force are not those of the file, as found when somebody last asked for one.
    #[must_use]
    pub fn problem(&self) -> Option<ConfigError> {
        self.complaint().clone()
    }

    /// Reads the file if it has changed.
    fn look(&self) -> Arc<Vec<Arc<Keyring>>> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.stamp.is_none() || disk::stamp(self.path()).ok() != seen.stamp {
            let answer = self.take_over(&mut seen);
            self.tell(answer.err());
        }
        self.rings()
    }

    fn take_over(&self, seen: &mut Seen) -> Result<(), ConfigError> {
        // Without a stamp it is read again the next time.
        seen.stamp = None;
        let (text, stamp) = disk::read(self.path())?;
        if digest(&text) != seen.digest {
            let known = self.rings();
            let rings = parse(self.path(), &text)?;
            let keep = |ring: Keyring| {
                known.iter().find(|known| known.is_same(&ring)).cloned().unwrap_or_else(|| Arc::new(ring))
            };
            self.0.rings.store(Arc::new(rings.into_iter().map(keep).collect()));
            seen.digest = digest(&text);
            tracing::info!(file = %self.path().display(), "keys were read again");
        }
        seen.stamp = stamp.is_settled().then_some(stamp);
        Ok(())
    }

    /// Says what has gone wrong, or right again, once.
    fn tell(&self, problem: Option<ConfigError>) {
        let mut known = self.complaint();
        match (&problem, &*known) {
            (Some(error), known) if known.as_ref() != Some(error) => {
                tracing::error!(%error, "keys were not read, those before stay in force");
            }
            (None, Some(_)) => {
                tracing::info!(file = %self.path().display(), "the key file is in order again")
            }
            _ => {}
        }
        *known = problem;
    }

    fn complaint(&self) -> MutexGuard<'_, Option<ConfigError>> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyProvider for KeyFile {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        let file = self.clone();
        let rings = spawn_blocking(move || file.look()).await.map_err(|cause| {
            Error::new(ErrorKind::Internal, "the key file could not be looked at").with_source(cause)
        })?;
        pick(&rings, purpose)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("path", &self.0.path).finish_non_exhaustive()
    }
}

fn parse(path: &Path, text: &SecretString) -> Result<Vec<Keyring>, ConfigError> {
    keyset::read(text).map_err(|error| error.with_field(path.display().to_string()))
}

fn digest(text: &SecretString) -> [u8; 32] {
    Sha256::digest(text.expose_secret()).into()
}

#[cfg(test)]
mod tests;
