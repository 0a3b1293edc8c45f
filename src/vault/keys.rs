//! The keys of a vault, made ready, and replaced while they are in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Mutex;

use crate::crypto::sealed::{NonceMode, SealAlgorithm, Sealer};
use crate::crypto::{KeyProvider, KeyPurpose, Keyring};
use crate::error::{Error, ErrorKind, Result, StartError};
use crate::time::Clock;

/// Values under unknown keys make a vault ask its provider at most this often, in microseconds.
const CATCH_UP_MICROS: i64 = 1_000_000;

/// How new values are sealed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sealing {
    pub(super) algorithm: SealAlgorithm,
    pub(super) nonces: NonceMode,
}

pub(super) struct Keys {
    current: ArcSwap<Prepared>,
    sealing: Sealing,
    /// One change at a time, so that an older ring never replaces a newer one.
    changing: Mutex<()>,
    /// When the last value under an unknown key made us ask.
    caught_up: AtomicI64,
}

/// Rings, and what is computed from them once.
pub(super) struct Prepared {
    sealing: Arc<Keyring>,
    sealer: Sealer,
    index: Option<Arc<Keyring>>,
}

impl Prepared {
    pub(super) fn sealing(&self) -> &Keyring {
        &self.sealing
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Absent where the provider has no keys for it.
    pub(super) fn index(&self) -> Option<&Arc<Keyring>> {
        self.index.as_ref()
    }

    fn new(sealing: Arc<Keyring>, index: Option<Arc<Keyring>>, how: Sealing) -> Result<Self, StartError> {
        let sealer = Sealer::new(&sealing, how.algorithm, how.nonces)?;
        Ok(Self { sealing, sealer, index })
    }

    fn is_of(&self, sealing: &Keyring, index: Option<&Arc<Keyring>>) -> bool {
        self.sealing.records().eq(sealing.records())
            && match (&self.index, index) {
                (Some(own), Some(index)) => own.records().eq(index.records()),
                (own, index) => own.is_none() && index.is_none(),
            }
    }
}

impl Keys {
    pub(super) async fn load_from(provider: &dyn KeyProvider, how: Sealing) -> Result<Self, StartError> {
        let (sealing, index) = ask(provider).await?;
        Ok(Self {
            current: ArcSwap::from_pointee(Prepared::new(sealing, index, how)?),
            sealing: how,
            changing: Mutex::default(),
            caught_up: AtomicI64::new(i64::MIN),
        })
    }

    pub(super) fn load(&self) -> Guard<Arc<Prepared>> {
        self.current.load()
    }

    pub(super) async fn refresh(&self, provider: &dyn KeyProvider) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let (sealing, index) = ask(provider).await?;
        if self.current.load().is_of(&sealing, index.as_ref()) {
            return Ok(false);
        }
        let prepared = Prepared::new(sealing, index, self.sealing).map_err(|error| match error {
            StartError::Failed(error) => error,
            StartError::Config(error) => {
                Error::new(ErrorKind::Internal, "the keys cannot stand").with_source(error)
            }
        })?;
        self.current.store(Arc::new(prepared));
        Ok(true)
    }

    /// [`refresh`](Self::refresh), unless that was tried a moment ago: whoever sends nonsense makes us ask no more often.
    pub(super) async fn catch_up(&self, provider: &dyn KeyProvider, clock: &dyn Clock) -> bool {
        let now = clock.now().as_micros();
        let due = |last: i64| {
            let recent = last <= now && now.saturating_sub(last) < CATCH_UP_MICROS;
            (!recent).then_some(now)
        };
        if self.caught_up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_err() {
            return false;
        }
        self.refresh(provider).await.unwrap_or_else(|error| {
            tracing::warn!(error = ?error, "the keys of the vault could not be asked for again");
            false
        })
    }
}

async fn ask(provider: &dyn KeyProvider) -> Result<(Arc<Keyring>, Option<Arc<Keyring>>)> {
    let sealing = provider.keyring(KeyPurpose::Sealing).await?;
    let index = match provider.keyring(KeyPurpose::BlindIndex).await {
        Ok(ring) => Some(ring),
        Err(error) if error.kind() == ErrorKind::Internal => None,
        Err(error) => return Err(error),
    };
    Ok((sealing, index))
}
