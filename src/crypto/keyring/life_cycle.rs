//! How keys come, change and go. Every step makes a new ring or none, so the one in use is never half changed.

use super::{Held, KeyRecord, KeyState, Keyring, fits};
use crate::crypto::key::Key;
use crate::error::ConfigError;
use crate::id::KeyId;
use crate::time::Timestamp;

impl Keyring {
    /// A new ring, whose primary key is active as of `now`.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn begin(primary: Key, now: Timestamp) -> Result<Self, ConfigError> {
        let mut ring = Self::new(primary)?;
        ring.primary.record = KeyRecord::new(ring.primary.key.id().clone(), KeyState::Active, Some(now));
        Ok(ring)
    }

    /// A new key of the primary key's kind, to be [introduced](Self::introduce).
    ///
    /// # Errors
    ///
    /// As for [`Key::generate`].
    pub fn generate_successor(&self) -> Result<Key, ConfigError> {
        let algorithm = self.primary.key.algorithm();
        algorithm.map_or_else(|| Key::generate_for(self.purpose()), Key::generate)
    }

    /// Adds a key that will be primary: it reads from now on, on every instance that sees this ring, and makes nothing
    /// until it is [promoted](Self::promote).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the ring has, or had, a key of this id; if the key is for another purpose or only verifies; or
    /// if the ring would mix secrets and key pairs.
    pub fn introduce(&self, key: Key, now: Timestamp) -> Result<Self, ConfigError> {
        fits(self, &key)?;
        if !key.is_private() {
            return Err(refused(key.id(), "only verifies", "introduce a private key"));
        }
        let mut ring = self.clone();
        let record = KeyRecord::new(key.id().clone(), KeyState::PreActive, Some(now));
        ring.others.push(Held { record, key: Some(key) });
        Ok(ring)
    }

    /// Makes a key primary that was [introduced](Self::introduce). The one before it is deactivated, and still reads.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no key of this id, or it is not pre-active.
    pub fn promote(&self, id: &KeyId, now: Timestamp) -> Result<Self, ConfigError> {
        let mut ring = self.clone();
        let at = ring.position(id)?;
        let mut next = ring.others.remove(at);
        step(&mut next.record, KeyState::Active, now)?;
        let Some(key) = next.key else { return Err(refused(id, "has no material", "introduce a new key")) };
        let mut before = std::mem::replace(&mut ring.primary, super::Primary { record: next.record, key });
        step(&mut before.record, KeyState::Deactivated, now)?;
        ring.others.insert(0, Held { record: before.record, key: Some(before.key) });
        Ok(ring)
    }

    /// [Introduces](Self::introduce) a key and [promotes](Self::promote) it at once: right where one instance reads
    /// the ring, or each asks its provider when it meets a key it doesn't know.
    ///
    /// # Errors
    ///
    /// As for the two.
    pub fn rotate(&self, key: Key, now: Timestamp) -> Result<Self, ConfigError> {
        let id = key.id().clone();
        self.introduce(key, now)?.promote(&id, now)
    }

    /// Ends the use of a key for anything new, which a rotation does by itself; also of one that was introduced and never
    /// promoted.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no key of this id, it is the primary key, which needs a successor first, or its time
    /// of use is over already.
    pub fn retire(&self, id: &KeyId, now: Timestamp) -> Result<Self, ConfigError> {
        self.change(id, KeyState::Deactivated, now)
    }

    /// Ends all use of a key that somebody may know. What it made doesn't open and isn't believed any more, and there is no
    /// way back: what is worth keeping of what it sealed is moved to the newest key before
    /// ([`Reseal`](crate::vault::Reseal)).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no key of this id, it is the primary key - [rotate](Self::rotate) first -, or it is
    /// destroyed.
    pub fn compromise(&self, id: &KeyId, now: Timestamp) -> Result<Self, ConfigError> {
        self.change(id, KeyState::Compromised, now)
    }

    /// Forgets the material of a key for good. What is still sealed with it is lost.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no key of this id, it is the primary key, or it is destroyed already.
    pub fn destroy(&self, id: &KeyId, now: Timestamp) -> Result<Self, ConfigError> {
        let mut ring = self.change(id, KeyState::Destroyed, now)?;
        let at = ring.position(id)?;
        if let Some(held) = ring.others.get_mut(at) {
            held.key = None;
        }
        Ok(ring)
    }

    /// When this key should have a successor.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no key of this id.
    pub fn with_expiry(mut self, id: &KeyId, expires: Timestamp) -> Result<Self, ConfigError> {
        let record = self.records_mut().find(|record| record.id == *id);
        record.ok_or_else(|| unknown(id))?.expires = Some(expires);
        Ok(self)
    }

    /// Whether the primary key is past the time it was meant for.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.primary.record.expires.is_some_and(|expires| expires <= now)
    }

    fn change(&self, id: &KeyId, next: KeyState, now: Timestamp) -> Result<Self, ConfigError> {
        let mut ring = self.clone();
        let at = ring.position(id)?;
        if let Some(held) = ring.others.get_mut(at) {
            step(&mut held.record, next, now)?;
        }
        Ok(ring)
    }

    /// Where a key stands that is not the primary one.
    fn position(&self, id: &KeyId) -> Result<usize, ConfigError> {
        if self.primary.record.id == *id {
            return Err(refused(id, "is the primary key", "introduce and promote a successor first"));
        }
        self.others.iter().position(|held| held.record.id == *id).ok_or_else(|| unknown(id))
    }

    fn records_mut(&mut self) -> impl Iterator<Item = &mut KeyRecord> {
        std::iter::once(&mut self.primary.record).chain(self.others.iter_mut().map(|held| &mut held.record))
    }
}

fn step(record: &mut KeyRecord, next: KeyState, now: Timestamp) -> Result<(), ConfigError> {
    if !record.state.may_become(next) {
        let problem = format!("is {} and cannot become {next}", record.state);
        return Err(refused(&record.id, problem, "see the states a key goes through"));
    }
    record.state = next;
    record.since = Some(now);
    Ok(())
}

fn unknown(id: &KeyId) -> ConfigError {
    refused(id, "is not in the ring", "see the ids of its keys")
}

fn refused(
    id: &KeyId,
    problem: impl Into<std::borrow::Cow<'static, str>>,
    cure: &'static str,
) -> ConfigError {
    ConfigError::new(format!("key `{id}`"), problem, cure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::KeyLookup;
    use super::*;
    use crate::crypto::KeyPurpose;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn key(name: &str) -> Key {
        Key::generate_for(KeyPurpose::Sealing).unwrap().with_id(KeyId::parse(name).unwrap())
    }

    fn id(name: &str) -> KeyId {
        KeyId::parse(name).unwrap()
    }

    fn states(ring: &Keyring) -> String {
        let state = |record: &KeyRecord| format!("{} {}", record.id(), record.state());
        ring.records().map(state).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_life() {
        let ring = Keyring::begin(key("a"), at(1)).unwrap();
        let ring = ring.introduce(key("b"), at(2)).unwrap();
        assert_eq!(states(&ring), "a active, b pre-active");
        assert!(ring.find("b").is_some(), "another instance may have promoted it");
        let ring = ring.promote(&id("b"), at(3)).unwrap();
        assert_eq!((states(&ring).as_str(), ring.primary().id().as_str()), ("b active, a deactivated", "b"));
        assert!(ring.find("a").is_some());
        let ring = ring.rotate(key("c"), at(4)).unwrap().compromise(&id("b"), at(5)).unwrap();
        assert_eq!(states(&ring), "c active, b compromised, a deactivated");
        assert!(ring.find("b").is_none());
        assert!(matches!(ring.lookup("b"), KeyLookup::Refused(KeyState::Compromised)));
        let ring = ring.destroy(&id("a"), at(6)).unwrap().destroy(&id("b"), at(7)).unwrap();
        assert_eq!(states(&ring), "c active, b destroyed, a destroyed");
        assert!(ring.find("a").is_none());
        assert!(matches!(ring.lookup("a"), KeyLookup::Refused(KeyState::Destroyed)));
        assert!(matches!(ring.lookup("d"), KeyLookup::Unknown));
        assert_eq!(ring.keys().count(), 1);
        let b = ring.record(&id("b")).unwrap();
        assert_eq!((b.created(), b.since()), (Some(at(4 - 2)), Some(at(7))));
        assert!(ring.introduce(key("a"), at(8)).is_err(), "an id is never used twice");
    }

    #[test]
    fn the_primary_key_needs_a_successor() {
        let ring = Keyring::begin(key("a"), at(1)).unwrap().introduce(key("b"), at(1)).unwrap();
        let before = states(&ring);
        for refused in [
            ring.retire(&id("a"), at(2)),
            ring.compromise(&id("a"), at(2)),
            ring.destroy(&id("a"), at(2)),
            ring.promote(&id("a"), at(2)),
        ] {
            assert!(refused.unwrap_err().to_string().contains("successor first"));
        }
        assert_eq!(states(&ring), before);
    }

    #[test]
    fn a_key_past_its_time_is_told_and_works() {
        let ring = Keyring::begin(key("a"), at(1)).unwrap().with_expiry(&id("a"), at(10)).unwrap();
        assert!(!ring.is_due(at(9)) && ring.is_due(at(10)));
        assert_eq!(ring.primary().id().as_str(), "a");
        let ring = ring.rotate(key("b"), at(11)).unwrap();
        assert!(!ring.is_due(at(12)));
        assert!(ring.with_expiry(&id("x"), at(1)).is_err());
    }

    proptest! {
        /// Whatever steps are tried in whatever order: one key is active, and what was active still reads until it is
        /// compromised or destroyed by name; no state is ever left backwards; a step that is refused changes nothing.
        #[test]
        fn no_order_of_steps_breaks_a_ring(steps in prop::collection::vec((0..6_u8, 0..5_usize), 0..40)) {
            let names = ["a", "b", "c", "d", "e"];
            let mut ring = Keyring::begin(key("a"), at(0)).unwrap();
            for (now, (verb, which)) in steps.into_iter().enumerate() {
                let (now, name) = (at(i64::try_from(now).unwrap()), names[which]);
                let next = match verb {
                    0 => ring.introduce(key(name), now),
                    1 => ring.promote(&id(name), now),
                    2 => ring.rotate(key(name), now),
                    3 => ring.retire(&id(name), now),
                    4 => ring.compromise(&id(name), now),
                    _ => ring.destroy(&id(name), now),
                };
                let Ok(next) = next else { continue };
                prop_assert_eq!(next.records().filter(|record| record.state() == KeyState::Active).count(), 1);
                prop_assert_eq!(next.records().next().unwrap().id(), next.primary().id());
                for before in ring.records() {
                    let after = next.record(before.id()).unwrap();
                    prop_assert!(after == before || before.state().may_become(after.state()));
                    prop_assert_eq!(next.find(after.id().as_str()).is_some(), after.state().reads());
                    if before.state().reads() && !after.state().reads() {
                        prop_assert!(verb >= 4 && before.id().as_str() == name);
                    }
                }
                ring = next;
            }
        }
    }
}
