//! Data keys by their wrapped form.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretSlice;

use super::cache::{Cache, CacheLimits, Failure, Found};
use super::data_key::DataKey;
use super::format::Envelope;
use crate::crypto::seal::OpenError;
use crate::crypto::{KeyWrap, UnwrapError, WrappedKey};
use crate::error::{Error, Result};
use crate::time::{Clock, SystemClock};

/// Makes data keys and unwraps them, and keeps a few in the clear for a while.
///
/// However many ask for one key at once, the wrapper is asked once; what it refuses or fails at is not kept. Dropping this
/// wipes every key it holds.
pub struct DataKeys {
    wrap: Arc<dyn KeyWrap>,
    clock: Arc<dyn Clock>,
    cache: Cache,
}

impl DataKeys {
    /// Over this wrapper, within the [default limits](CacheLimits::default).
    #[must_use]
    pub fn new(wrap: Arc<dyn KeyWrap>) -> Self {
        let cache = Cache::new(CacheLimits::default());
        Self { wrap, clock: Arc::new(SystemClock::new()), cache }
    }

    /// Within these limits.
    #[must_use]
    pub fn with_limits(self, limits: CacheLimits) -> Self {
        Self { cache: Cache::new(limits), ..self }
    }

    /// By this clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// A new data key, and its wrapped form to be stored.
    ///
    /// # Errors
    ///
    /// As [`DataKey::create`].
    pub async fn create(&self) -> Result<(WrappedKey, DataKey)> {
        DataKey::create(&*self.wrap).await
    }

    /// The data key of this wrapped form, for one use.
    ///
    /// # Errors
    ///
    /// As [`KeyWrap::unwrap`], unless the key is at hand.
    pub async fn get(&self, wrapped: &WrappedKey) -> Result<DataKey, UnwrapError> {
        let flight = match self.cache.find(wrapped, self.clock.monotonic()) {
            Found::Key(key) => return Ok(key),
            Found::Flight(flight) => flight,
        };
        let mut cause = None;
        let unwrap = async || {
            let since = self.clock.monotonic();
            let outcome = match self.wrap.unwrap(wrapped).await {
                Ok(key) => Ok(DataKey::new(key)),
                Err(UnwrapError::Refused(_)) => Err(Failure::Refused),
                Err(UnwrapError::Failed(error)) => {
                    let kind = error.kind();
                    cause = Some(error);
                    Err(Failure::Failed(kind))
                }
            };
            flight.land(&outcome, since);
            outcome
        };
        match flight.slot().get_or_init(unwrap).await {
            Ok(key) => Ok(key.clone()),
            Err(Failure::Refused) => Err(OpenError.into()),
            Err(Failure::Failed(kind)) => {
                let shared = || Error::new(*kind, "the wrapping key could not be used for another caller");
                Err(cause.unwrap_or_else(shared).into())
            }
        }
    }

    /// Seals under a new data key that travels along. `context` says where the value belongs.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`DataKey::seal`].
    pub async fn seal(&self, context: &[u8], plaintext: &[u8]) -> Result<Envelope> {
        let (wrapped, key) = self.create().await?;
        Envelope::new(wrapped, &key.seal(context, plaintext)?)
    }

    /// Opens what [`seal`](Self::seal) made for the same context.
    ///
    /// # Errors
    ///
    /// [`UnwrapError::Refused`] if it doesn't open, whatever the reason; [`UnwrapError::Failed`] if nobody could try.
    pub async fn open(&self, context: &[u8], envelope: &Envelope) -> Result<SecretSlice<u8>, UnwrapError> {
        Ok(self.get(envelope.key()).await?.open(context, envelope.body())?)
    }

    /// The same data key wrapped by the current wrapping key, or `None` if it is already. Store it in place of the old one
    /// (for an envelope: [`Envelope::with_key`]); what is sealed with it stays as it is.
    ///
    /// # Errors
    ///
    /// As [`KeyWrap::unwrap`] and [`KeyWrap::wrap`].
    pub async fn rewrap(&self, wrapped: &WrappedKey) -> Result<Option<WrappedKey>, UnwrapError> {
        if self.wrap.is_current(wrapped).await? {
            return Ok(None);
        }
        let key = self.wrap.unwrap(wrapped).await?;
        Ok(Some(self.wrap.wrap(&key).await?))
    }

    /// Wipes the data key of this wrapped form. Once that is deleted as well, nothing opens what it sealed.
    pub fn forget(&self, wrapped: &WrappedKey) {
        self.cache.forget(wrapped);
    }

    /// Wipes every data key: for when a wrapping key is compromised or destroyed.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// Wipes those past their time. Otherwise that is done when another one is unwrapped.
    pub fn purge(&self) {
        self.cache.purge(self.clock.monotonic());
    }

    /// How many data keys are held in the clear.
    #[must_use]
    pub fn held(&self) -> usize {
        self.cache.len()
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.cache.in_flight()
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").field("cache", &self.cache).finish_non_exhaustive()
    }
}
