//! The keys of a vault, made ready, and replaced while they are in use.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Mutex;

use crate::crypto::sealed::{NonceMode, SealAlgorithm, Sealer};
use crate::crypto::{KeyProvider, KeyPurpose, Keyring};
use crate::error::{Error, ErrorKind, Result, StartError};
use crate::time::Clock;

/// For values under keys it doesn't know a vault asks its provider once a second for each such key, in microseconds, ..
const ASK_AGAIN_MICROS: i64 = 1_000_000;

/// .. and for so many of them.
const UNKNOWN_KEYS: usize = 8;

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
    changing: Mutex<Asked>,
}

/// Which unknown keys the provider was asked for in this second.
#[derive(Default)]
struct Asked {
    since: i64,
    keys: Vec<String>,
}

impl Asked {
    /// Whether to ask for this key. Bounded, so that nobody makes us ask all the time by making up keys.
    fn may_ask(&mut self, key: &str, now: i64) -> bool {
        if !(0..ASK_AGAIN_MICROS).contains(&now.saturating_sub(self.since)) {
            self.since = now;
            self.keys.clear();
        }
        let may = self.keys.len() < UNKNOWN_KEYS && self.keys.iter().all(|asked| asked != key);
        if may {
            self.keys.push(key.to_owned());
        }
        may
    }
}

/// Rings, and what is computed from them once.
pub(super) struct Prepared {
    sealing: Arc<Keyring>,
    sealer: Sealer,
    /// Absent where the provider has no keys for it.
    index: Option<Arc<Keyring>>,
}

impl Prepared {
    pub(super) fn sealing(&self) -> &Keyring {
        &self.sealing
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) fn newest(&self) -> String {
        let index = self.index.as_ref().map_or("", |ring| ring.primary().id().as_str());
        format!("{} {} {index}", self.sealing.primary().id(), self.sealer.algorithm())
    }

    pub(super) fn index(&self) -> Option<&Arc<Keyring>> {
        self.index.as_ref()
    }

    fn new(sealing: Arc<Keyring>, index: Option<Arc<Keyring>>, how: Sealing) -> Result<Self, StartError> {
        let sealer = Sealer::new(&sealing, how.algorithm, how.nonces)?;
        Ok(Self { sealing, sealer, index })
    }

    fn is_of(&self, sealing: &Keyring, index: Option<&Arc<Keyring>>) -> bool {
        self.sealing.is_same(sealing)
            && match (&self.index, index) {
                (Some(own), Some(index)) => own.is_same(index),
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
        })
    }

    pub(super) fn load(&self) -> Guard<Arc<Prepared>> {
        self.current.load()
    }

    pub(super) fn load_full(&self) -> Arc<Prepared> {
        self.current.load_full()
    }

    pub(super) async fn refresh(&self, provider: &dyn KeyProvider) -> Result<bool> {
        let _changing = self.changing.lock().await;
        self.change(provider).await
    }

    /// Keys newer than those that were `tried`, for a value under a key that isn't among them. Whoever comes while
    /// another one asks waits for the answer.
    pub(super) async fn newer_than(
        &self,
        tried: &Arc<Prepared>,
        key: &str,
        provider: &dyn KeyProvider,
        clock: &dyn Clock,
    ) -> Option<Arc<Prepared>> {
        let newer = || Some(self.load_full()).filter(|keys| !Arc::ptr_eq(keys, tried));
        if let Some(newer) = newer() {
            return Some(newer);
        }
        let mut asked = self.changing.lock().await;
        if newer().is_none()
            && asked.may_ask(key, clock.now().as_micros())
            && let Err(error) = self.change(provider).await
        {
            tracing::warn!(error = ?error, "the keys of the vault could not be asked for again");
        }
        newer()
    }

    /// Only for whoever holds `changing`.
    async fn change(&self, provider: &dyn KeyProvider) -> Result<bool> {
        let (sealing, index) = ask(provider).await?;
        let current = self.current.load_full();
        if current.index.is_some() && index.is_none() {
            return Err(Error::new(ErrorKind::Internal, "the keys for blind indexes are gone"));
        }
        if current.is_of(&sealing, index.as_ref()) {
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
