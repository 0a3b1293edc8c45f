//! Hashing off the async workers, bounded.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Argon2Hasher, PasswordHash, Verification};
use crate::error::{Error, ErrorKind, Result};

const DEFAULT_QUEUE_LIMIT: usize = 64;

/// Hashes and verifies passwords on blocking threads: at most `permits` at once, at most `queue_limit` waiting.
///
/// Whoever comes when the queue is full is turned away at once with [`Overloaded`](ErrorKind::Overloaded), before
/// any work is done; so memory stays below `permits` times that of one hash, and the async workers stay free.
/// A caller that goes away gives up its place in the queue, but a computation that has begun keeps its permit
/// until it ends. Clones share permits, queue and counters.
#[derive(Clone, Debug)]
pub struct Passwords {
    hasher: Argon2Hasher,
    permits: Arc<Semaphore>,
    queue_limit: usize,
    counters: Arc<Counters>,
}

/// What a [`Passwords`] has done and is doing, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Hashes computed so far.
    pub computations: u64,
    /// Callers turned away so far because the queue was full.
    pub turned_away: u64,
    /// Callers waiting now.
    pub waiting: usize,
    /// Computations running now.
    pub running: usize,
    /// The most computations that ever ran at once.
    pub peak_running: usize,
    /// The most memory that computations ever held at once, in KiB.
    pub peak_memory_kib: usize,
}

impl Passwords {
    /// One permit for each CPU the process may use, 64 places in the queue.
    #[must_use]
    pub fn new(hasher: Argon2Hasher) -> Self {
        let permits = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            hasher,
            permits: Arc::new(Semaphore::new(permits)),
            queue_limit: DEFAULT_QUEUE_LIMIT,
            counters: Arc::default(),
        }
    }

    /// How many computations may run at once. For configuration: clones made before keep their own permits.
    #[must_use]
    pub fn with_permits(mut self, permits: NonZeroUsize) -> Self {
        self.permits = Arc::new(Semaphore::new(permits.get().min(Semaphore::MAX_PERMITS)));
        self
    }

    /// How many callers may wait. 0 turns everybody away while all permits are taken.
    #[must_use]
    pub fn with_queue_limit(mut self, queue_limit: usize) -> Self {
        self.queue_limit = queue_limit;
        self
    }

    /// Hashes a new password. Apply a [`PasswordPolicy`](super::PasswordPolicy) first.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) if the queue is full; those of [`Argon2Hasher::hash`].
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        self.run(move |hasher| hasher.hash(&password)).await
    }

    /// Compares a password with a stored hash; `None` where there is no account or no password, which costs the
    /// same and never matches. Exactly one computation either way.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) if the queue is full; those of [`Argon2Hasher::verify`].
    pub async fn verify(&self, password: SecretString, hash: Option<PasswordHash>) -> Result<Verification> {
        self.run(move |hasher| match &hash {
            Some(hash) => hasher.verify(&password, hash),
            None => hasher.verify_absent(&password),
        })
        .await
    }

    /// How many hashes were computed so far.
    #[must_use]
    pub fn computations(&self) -> u64 {
        self.hasher.computations()
    }

    /// What was done so far and is going on.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        QueueStats {
            computations: self.computations(),
            turned_away: self.counters.turned_away.load(Ordering::Relaxed),
            waiting: self.counters.waiting.load(Ordering::Relaxed),
            running: self.counters.running.load(Ordering::Relaxed),
            peak_running: self.counters.peak_running.load(Ordering::Relaxed),
            peak_memory_kib: self.hasher.peak_memory_kib(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2Hasher) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|source| {
            Error::new(ErrorKind::Internal, "password hashing needs a tokio runtime").with_source(source)
        })?;
        let permit = self.admit().await?;
        let hasher = self.hasher.clone();
        let counters = Arc::clone(&self.counters);
        let job = runtime.spawn_blocking(move || {
            let running = Running::enter(counters);
            let outcome = work(&hasher);
            drop(running);
            // Held to here, whether or not anybody still waits for the outcome.
            drop(permit);
            outcome
        });
        job.await.map_err(|source| {
            Error::new(ErrorKind::Internal, "password hashing did not finish").with_source(source)
        })?
    }

    async fn admit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.counters, self.queue_limit)?;
        Arc::clone(&self.permits).acquire_owned().await.map_err(|source| {
            Error::new(ErrorKind::Internal, "the password queue is closed").with_source(source)
        })
    }
}

#[derive(Debug, Default)]
struct Counters {
    waiting: AtomicUsize,
    running: AtomicUsize,
    peak_running: AtomicUsize,
    turned_away: AtomicU64,
}

/// A place in the queue, given up when dropped.
struct Place<'a>(&'a Counters);

impl<'a> Place<'a> {
    fn take(counters: &'a Counters, limit: usize) -> Result<Self> {
        let step = |waiting: usize| (waiting < limit).then(|| waiting + 1);
        match counters.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
            Ok(_) => Ok(Self(counters)),
            Err(_) => {
                counters.turned_away.fetch_add(1, Ordering::Relaxed);
                Err(Error::new(ErrorKind::Overloaded, "too many passwords are waiting to be hashed"))
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A computation that runs, until dropped; also by a panic.
struct Running(Arc<Counters>);

impl Running {
    fn enter(counters: Arc<Counters>) -> Self {
        let running = counters.running.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        counters.peak_running.fetch_max(running, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
