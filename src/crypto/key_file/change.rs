//! Changes of a key file: read, made and written under a lock.

use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::task::spawn_blocking;

use super::{KeyFile, disk, parse};
use crate::crypto::algorithm::KeyPurpose;
use crate::crypto::key::Key;
use crate::crypto::keyring::{Keyring, RotationPolicy};
use crate::crypto::keyset;
use crate::error::{ConfigError, Result};
use crate::id::KeyId;
use crate::time::Timestamp;

/// Makes the file. False if there is one already.
pub(super) fn create(path: &Path, rings: Vec<Keyring>) -> Result<bool, ConfigError> {
    distinct(path, &rings)?;
    let text = checked(path, rings)?;
    disk::lock(path)?.create(&text)
}

/// What to write, once it was read back: a file that can't be read takes all keys with it.
fn checked(path: &Path, rings: Vec<Keyring>) -> Result<SecretString, ConfigError> {
    let text = keyset::write(&shared(rings));
    disk::fits(path, &text)?;
    parse(path, &text)?;
    Ok(text)
}

impl KeyFile {
    /// Changes what is in the file in one step. `change` gets the rings as they stand there; if it fails, nothing happens.
    /// They are in force here when this returns, and elsewhere as soon as somebody asks for a ring. No worker of the
    /// runtime waits for the file system. Once begun, a change is carried out even if nobody waits for its end.
    ///
    /// # Errors
    ///
    /// What `change` fails with, or as for [`open`](Self::open); [`ConfigError`] naming the file if somebody else changes
    /// it for more than ten seconds, it can't be written, or two rings would have one purpose.
    pub async fn update<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Vec<Keyring>) -> Result<T, ConfigError> + Send + 'static,
    ) -> Result<T, ConfigError> {
        let file = self.clone();
        spawn_blocking(move || file.change(change)).await.unwrap_or_else(|cause| {
            Err(disk::bad(
                self.path(),
                format_args!("was not changed: {cause}"),
                "look for a panic in the log",
            ))
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Keyring>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let lock = disk::lock(self.path())?;
        let (text, _) = disk::read(self.path())?;
        let mut rings = parse(self.path(), &text)?;
        let before = rings.clone();
        let answer = change(&mut rings)?;
        let unchanged = before.len() == rings.len() && before.iter().zip(&rings).all(|(a, b)| a.is_same(b));
        if !unchanged {
            distinct(self.path(), &rings)?;
            lock.replace(&checked(self.path(), rings)?)?;
        }
        drop(lock);
        self.look();
        Ok(answer)
    }

    /// Adds a ring, with a new key, for each of these purposes that has none. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update) and [`Key::generate_for`].
    pub async fn ensure(&self, purposes: &[KeyPurpose], now: Timestamp) -> Result<bool, ConfigError> {
        let missing = |known: &mut dyn Iterator<Item = KeyPurpose>| {
            let known: Vec<_> = known.collect();
            purposes.iter().copied().filter(|purpose| !known.contains(purpose)).collect::<Vec<_>>()
        };
        let wanted = missing(&mut self.rings().iter().map(|ring| ring.purpose()));
        if wanted.is_empty() {
            return Ok(false);
        }
        self.update(move |rings| {
            let mut added = false;
            for purpose in wanted {
                // Another process may have been faster.
                if rings.iter().all(|ring| ring.purpose() != purpose) {
                    rings.push(Keyring::begin(Key::generate_for(purpose)?, now)?);
                    added = true;
                }
            }
            Ok(added)
        })
        .await
    }

    /// Adds a new key of the primary key's kind that will be primary ([`Keyring::introduce`]). Returns its id.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update) and the step itself; so are those below.
    pub async fn introduce(&self, purpose: KeyPurpose, now: Timestamp) -> Result<KeyId, ConfigError> {
        self.with_new_key(purpose, move |ring, key| ring.introduce(key, now)).await
    }

    /// Makes a key primary that was introduced ([`Keyring::promote`]).
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn promote(&self, purpose: KeyPurpose, id: KeyId, now: Timestamp) -> Result<(), ConfigError> {
        self.step(purpose, move |ring| ring.promote(&id, now)).await
    }

    /// Introduces a new key and makes it primary at once ([`Keyring::rotate`]). Returns its id.
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn rotate(&self, purpose: KeyPurpose, now: Timestamp) -> Result<KeyId, ConfigError> {
        self.with_new_key(purpose, move |ring, key| ring.rotate(key, now)).await
    }

    /// Ends the use of a key for anything new ([`Keyring::retire`]).
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn retire(&self, purpose: KeyPurpose, id: KeyId, now: Timestamp) -> Result<(), ConfigError> {
        self.step(purpose, move |ring| ring.retire(&id, now)).await
    }

    /// Ends all use of a key that somebody may know ([`Keyring::compromise`]).
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn compromise(
        &self,
        purpose: KeyPurpose,
        id: KeyId,
        now: Timestamp,
    ) -> Result<(), ConfigError> {
        self.step(purpose, move |ring| ring.compromise(&id, now)).await
    }

    /// Forgets the material of a key for good ([`Keyring::destroy`]). What is still sealed with it is lost.
    ///
    /// The file no longer has it; a backup, or the blocks of the disk where an earlier file stood, may.
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn destroy(&self, purpose: KeyPurpose, id: KeyId, now: Timestamp) -> Result<(), ConfigError> {
        self.step(purpose, move |ring| ring.destroy(&id, now)).await
    }

    /// Takes every step that is due in any ring ([`Keyring::advance`]): call it from time to time. Returns whether there
    /// was one. Without one the file is not written.
    ///
    /// # Errors
    ///
    /// As for [`introduce`](Self::introduce).
    pub async fn advance(&self, now: Timestamp, policy: RotationPolicy) -> Result<bool, ConfigError> {
        if self.rings().iter().all(|ring| ring.next_step(now, &policy).is_none()) {
            return Ok(false);
        }
        self.update(move |rings| {
            let mut changed = false;
            for ring in rings {
                if let Some(next) = ring.advance(now, &policy)? {
                    *ring = next;
                    changed = true;
                }
            }
            Ok(changed)
        })
        .await
    }

    async fn with_new_key(
        &self,
        purpose: KeyPurpose,
        step: impl FnOnce(&Keyring, Key) -> Result<Keyring, ConfigError> + Send + 'static,
    ) -> Result<KeyId, ConfigError> {
        self.update(move |rings| {
            let ring = ring_for(rings, purpose)?;
            let key = ring.generate_successor()?;
            let id = key.id().clone();
            *ring = step(ring, key)?;
            Ok(id)
        })
        .await
    }

    async fn step(
        &self,
        purpose: KeyPurpose,
        step: impl FnOnce(&Keyring) -> Result<Keyring, ConfigError> + Send + 'static,
    ) -> Result<(), ConfigError> {
        self.update(move |rings| {
            let ring = ring_for(rings, purpose)?;
            *ring = step(ring)?;
            Ok(())
        })
        .await
    }
}

fn ring_for(rings: &mut [Keyring], purpose: KeyPurpose) -> Result<&mut Keyring, ConfigError> {
    rings.iter_mut().find(|ring| ring.purpose() == purpose).ok_or_else(|| {
        ConfigError::new(
            purpose.as_str(),
            "has no keys in this file",
            "name a purpose that has, or add a ring",
        )
    })
}

fn distinct(path: &Path, rings: &[Keyring]) -> Result<(), ConfigError> {
    let mut others = rings.iter().map(Keyring::purpose);
    while let Some(purpose) = others.next() {
        if others.clone().any(|other| other == purpose) {
            let problem = format!("would have two rings for {purpose}");
            return Err(disk::bad(path, problem, "put the keys of one purpose into one ring"));
        }
    }
    Ok(())
}

fn shared(rings: Vec<Keyring>) -> Vec<Arc<Keyring>> {
    rings.into_iter().map(Arc::new).collect()
}
