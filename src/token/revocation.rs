//! What is revoked, known in memory: no store call per request.
//!
//! A [`RevocationView`] holds the live part of the feed of a [`TokenStore`]. It is loaded before the first request
//! is served, told of every revocation made on this instance, and kept up by a follower that polls the feed. When
//! the follower has had no success for longer than the allowed staleness, the view says so, and self-contained
//! credentials are refused with 503: not knowing is not a pass.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};

use crate::error::Result;
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::Epoch;
use crate::store::{Cursor, Kinds, Revocation, RevocationTarget, TokenKind, TokenStore};
use crate::time::{Clock, Timestamp};

/// How long the view may go without hearing from the feed.
pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(10);
/// How often the feed is polled.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Readers of different credentials rarely meet in the same part, and a writer copies only one.
const SHARDS: usize = 64;

/// A credential, as the view is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// What kind it is.
    pub kind: TokenKind,
    /// Whose.
    pub tenant: &'a TenantId,
    /// Whom it stands for.
    pub subject: &'a Subject,
    /// The sign-in it came of.
    pub family: Option<&'a FamilyId>,
    /// Its own id.
    pub token: &'a TokenId,
    /// The counters it was issued under.
    pub epoch: Epoch,
}

/// What the view knows of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing against it.
    Live,
    /// It, or its family, was revoked.
    Revoked,
    /// It is below its subject's floor.
    Stale,
    /// The feed has not been heard for too long to say.
    Unknown,
}

/// The live revocations. Reading takes no lock.
pub struct RevocationView {
    shards: Vec<ArcSwap<Shard>>,
    entries: AtomicUsize,
    hashers: (RandomState, RandomState),
    clock: Arc<dyn Clock>,
    max_staleness: Duration,
    /// Monotonic microseconds at which the last successful poll began.
    heard_at: AtomicU64,
    cursor: Mutex<Cursor>,
}

type Shard = HashMap<u128, Entry>;

#[derive(Clone, Copy)]
struct Entry {
    /// Floors of a subject; unused for a token or family.
    floors: [Epoch; TokenKind::ALL.len()],
    until: Timestamp,
}

impl RevocationView {
    /// Loads the live feed.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with; a view that could not be loaded must not serve.
    pub async fn load(
        store: &dyn TokenStore,
        clock: Arc<dyn Clock>,
        max_staleness: Duration,
    ) -> Result<Self> {
        let view = Self {
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            entries: AtomicUsize::new(0),
            hashers: (RandomState::new(), RandomState::new()),
            clock,
            max_staleness,
            heard_at: AtomicU64::new(0),
            cursor: Mutex::new(Cursor::START),
        };
        view.refresh(store).await?;
        Ok(view)
    }

    /// Reads what is new in the feed.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with; the view then grows staler.
    pub async fn refresh(&self, store: &dyn TokenStore) -> Result<()> {
        let mut cursor = self.cursor.lock().await;
        loop {
            let began = self.clock.monotonic();
            let feed = store.revoked_since(*cursor).await?;
            if feed.entries.is_empty() {
                *cursor = feed.cursor;
                self.heard_at.store(micros(began), Ordering::Release);
                return Ok(());
            }
            for revocation in &feed.entries {
                self.apply(revocation);
            }
            *cursor = feed.cursor;
        }
    }

    /// Takes note of a revocation; binds at once.
    pub fn apply(&self, revocation: &Revocation) {
        if revocation.keep_until < self.clock.now() {
            return;
        }
        let tenant = &revocation.tenant;
        match &revocation.target {
            RevocationTarget::Token(id) => {
                self.put(
                    self.key(b't', tenant, id.as_str()),
                    Kinds::of(&[]),
                    Epoch::ZERO,
                    revocation.keep_until,
                );
            }
            RevocationTarget::Family(id) => {
                self.put(
                    self.key(b'f', tenant, id.as_str()),
                    Kinds::of(&[]),
                    Epoch::ZERO,
                    revocation.keep_until,
                );
            }
            RevocationTarget::Subject { subject, kinds, below } => {
                self.put(self.key(b's', tenant, subject.as_str()), *kinds, *below, revocation.keep_until);
            }
        }
    }

    /// What is known of a credential.
    #[must_use]
    pub fn standing(&self, credential: &Credential<'_>) -> Standing {
        if self.is_stale() {
            return Standing::Unknown;
        }
        if self.entries.load(Ordering::Acquire) == 0 {
            return Standing::Live;
        }
        let Credential { kind, tenant, subject, family, token, epoch } = *credential;
        let revoked = self.get(self.key(b't', tenant, token.as_str())).is_some()
            || family.is_some_and(|family| self.get(self.key(b'f', tenant, family.as_str())).is_some());
        if revoked {
            Standing::Revoked
        } else if epoch.is_below(self.floor(tenant, subject, kind)) {
            Standing::Stale
        } else {
            Standing::Live
        }
    }

    /// The highest floor heard of for a subject's credentials of this kind, while the feed keeps it.
    #[must_use]
    pub fn floor(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Epoch {
        let entry = self.get(self.key(b's', tenant, subject.as_str()));
        entry.and_then(|entry| entry.floors.get(kind as usize).copied()).unwrap_or(Epoch::ZERO)
    }

    /// Whether the feed has not been heard for longer than allowed.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let heard_at = Duration::from_micros(self.heard_at.load(Ordering::Acquire));
        self.clock.monotonic().saturating_sub(heard_at) > self.max_staleness
    }

    fn get(&self, key: u128) -> Option<Entry> {
        self.shard(key)?.load().get(&key).copied()
    }

    fn put(&self, key: u128, kinds: Kinds, below: Epoch, until: Timestamp) {
        let now = self.clock.now();
        let Some(shard) = self.shard(key) else { return };
        let mut grown = 0_isize;
        shard.rcu(|old| {
            let mut new: Shard =
                old.iter().filter(|(_, entry)| entry.until >= now).map(|(k, e)| (*k, *e)).collect();
            let entry =
                new.entry(key).or_insert(Entry { floors: [Epoch::ZERO; TokenKind::ALL.len()], until });
            entry.until = entry.until.max(until);
            for kind in kinds.iter() {
                if let Some(floor) = entry.floors.get_mut(kind as usize) {
                    *floor = floor.max(below);
                }
            }
            grown = new.len().cast_signed() - old.len().cast_signed();
            new
        });
        // Counts after the entry can be seen; a reader that still sees zero ran before this call returned.
        if grown >= 0 {
            self.entries.fetch_add(grown.unsigned_abs(), Ordering::AcqRel);
        } else {
            self.entries.fetch_sub(grown.unsigned_abs(), Ordering::AcqRel);
        }
    }

    fn shard(&self, key: u128) -> Option<&ArcSwap<Shard>> {
        let index = usize::try_from(key % SHARDS as u128).ok()?;
        self.shards.get(index)
    }

    /// 128 bits under two per-process keys: two credentials meet by accident never, by intent neither.
    fn key(&self, kind: u8, tenant: &TenantId, id: &str) -> u128 {
        let what = (kind, tenant.as_str(), id);
        u128::from(self.hashers.0.hash_one(what)) << 64 | u128::from(self.hashers.1.hash_one(what))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for RevocationView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationView")
            .field("entries", &self.entries)
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}

/// The view together with the store behind it, and the task that keeps the two alike.
///
/// The task ends with [`shutdown`](Self::shutdown) or with the last clone.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    store: Arc<dyn TokenStore>,
    view: Arc<RevocationView>,
    stop: watch::Sender<bool>,
    follower: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Revocations {
    /// Loads the live feed and starts following it.
    ///
    /// # Errors
    ///
    /// As for [`RevocationView::load`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub async fn follow(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        max_staleness: Duration,
    ) -> Result<Self> {
        let view = Arc::new(RevocationView::load(&*store, clock, max_staleness).await?);
        let (stop, stopped) = watch::channel(false);
        let follower = tokio::spawn(follow(Arc::clone(&store), Arc::downgrade(&view), stopped));
        Ok(Self(Arc::new(Inner { store, view, stop, follower: Mutex::new(Some(follower)) })))
    }

    /// The view.
    #[must_use]
    pub fn view(&self) -> &Arc<RevocationView> {
        &self.0.view
    }

    /// Revokes in the store and in the view; binds on this instance when it returns, elsewhere within a poll.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with; the view then knows of nothing, as nothing is known to have happened.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        self.0.store.revoke(revocation).await?;
        self.0.view.apply(revocation);
        Ok(())
    }

    /// Reads what is new in the feed now, rather than at the next poll.
    ///
    /// # Errors
    ///
    /// As for [`RevocationView::refresh`].
    pub async fn refresh(&self) -> Result<()> {
        self.0.view.refresh(&*self.0.store).await
    }

    /// Ends the task and waits for its end. The view then grows stale.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        if let Some(follower) = self.0.follower.lock().await.take()
            && let Err(cause) = follower.await
        {
            tracing::error!(error = %cause, "the revocation follower ended badly");
        }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("view", &self.0.view).finish_non_exhaustive()
    }
}

async fn follow(store: Arc<dyn TokenStore>, view: Weak<RevocationView>, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        tokio::select! {
            // Ends when told to, and when the sender went with the last clone.
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        let Some(view) = view.upgrade() else { return };
        let heard = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            heard = view.refresh(&*store) => heard,
        };
        match heard {
            Ok(()) => failing = false,
            Err(cause) if !failing => {
                failing = true;
                tracing::error!(error = %cause, "the revocation feed cannot be read");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
