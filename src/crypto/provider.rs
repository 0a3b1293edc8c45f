//! Where keys come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::keyring::Keyring;
use crate::error::{Error, ErrorKind, Result};

/// A source of keys: a file, a key management service, a module. It may rotate; whoever asks again sees it.
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::crypto::KeyProvider` for `{Self}`, or use `portcullis::crypto::KeyFile`"
)]
pub trait KeyProvider: Send + Sync + 'static {
    /// The ring for this purpose, as it stands now. All keys in it have that purpose. It is asked about once a second, so
    /// a ring that hasn't changed should be at hand.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the source can't be reached, [`ErrorKind::Internal`] if it has no keys for the
    /// purpose.
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>>;
}

#[async_trait]
impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        (**self).keyring(purpose).await
    }
}

/// Keys from several sources, one for each purpose. What a source can't give is not looked for in another.
///
/// ```
/// use std::sync::Arc;
/// use portcullis::crypto::{DerivedKeys, KeyProvider, KeyPurpose, KeysByPurpose, StaticKeys};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let root = "4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE".as_bytes().to_vec().into();
/// let keys = KeysByPurpose::new(Arc::new(DerivedKeys::new(&root)?))
///     .with(KeyPurpose::TokenSigning, Arc::new(StaticKeys::generate()?));
/// assert_eq!(keys.keyring(KeyPurpose::Sealing).await?.purpose(), KeyPurpose::Sealing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct KeysByPurpose {
    others: Arc<dyn KeyProvider>,
    named: Vec<(KeyPurpose, Arc<dyn KeyProvider>)>,
}

impl KeysByPurpose {
    /// Keys from here for every purpose that no other source is named for.
    #[must_use]
    pub fn new(others: Arc<dyn KeyProvider>) -> Self {
        Self { others, named: Vec::new() }
    }

    /// Keys for this purpose from there.
    #[must_use]
    pub fn with(mut self, purpose: KeyPurpose, keys: Arc<dyn KeyProvider>) -> Self {
        self.named.retain(|(named, _)| *named != purpose);
        self.named.push((purpose, keys));
        self
    }
}

#[async_trait]
impl KeyProvider for KeysByPurpose {
    async fn keyring(&self, purpose: KeyPurpose) -> Result<Arc<Keyring>> {
        let named = self.named.iter().find(|(named, _)| *named == purpose);
        named.map_or(&self.others, |(_, keys)| keys).keyring(purpose).await
    }
}

impl fmt::Debug for KeysByPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self.named.iter().map(|(purpose, _)| purpose).collect();
        f.debug_struct("KeysByPurpose").field("named", &named).finish_non_exhaustive()
    }
}

/// The ring for this purpose among those there are.
pub(super) fn pick(rings: &[Arc<Keyring>], purpose: KeyPurpose) -> Result<Arc<Keyring>> {
    rings
        .iter()
        .find(|ring| ring.purpose() == purpose)
        .cloned()
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no keys were configured for {purpose}")))
}
