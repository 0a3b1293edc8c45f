//! Which step a ring is due for, by the time alone.

use std::time::Duration;

use super::{KeyState, Keyring};
use crate::crypto::algorithm::KeyPurpose;
use crate::error::ConfigError;
use crate::id::KeyId;
use crate::time::Timestamp;

/// How long keys wait between the steps of a rotation.
///
/// An introduced key waits for `publish_ahead` until everybody has it: the other instances, which ask their provider
/// every second, and whoever keeps the public keys, which are published with `max-age=300`. A token signing key that was
/// replaced stays for `drain`: until the last token it signed has expired. Keys for anything else are never destroyed by the
/// time, as that would lose what they sealed.
///
/// ```
/// use std::time::Duration;
/// use portcullis::crypto::{Key, KeyPurpose, Keyring, RotationPolicy};
/// use portcullis::time::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// let policy = RotationPolicy::default();
/// let (old, new) = (Key::generate_for(KeyPurpose::TokenSigning)?, Key::generate_for(KeyPurpose::TokenSigning)?);
/// let ring = Keyring::begin(old.clone(), clock.now())?.introduce(new.clone(), clock.now())?;
/// assert!(ring.advance(clock.now(), &policy)?.is_none(), "not everybody has the new key yet");
///
/// clock.advance(Duration::from_secs(15 * 60));
/// let ring = ring.advance(clock.now(), &policy)?.unwrap();
/// assert_eq!(ring.primary().id(), new.id());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    publish_ahead: Duration,
    drain: Duration,
}

impl Default for RotationPolicy {
    /// 15 minutes ahead, and 65 minutes to drain: enough for every lifetime of access tokens there can be.
    fn default() -> Self {
        Self { publish_ahead: Duration::from_secs(15 * 60), drain: Duration::from_secs(65 * 60) }
    }
}

impl RotationPolicy {
    /// How long an introduced key waits until it is primary: longer than anybody keeps a list of the keys.
    #[must_use]
    pub fn with_publish_ahead(self, publish_ahead: Duration) -> Self {
        Self { publish_ahead, ..self }
    }

    /// How long a replaced key for signing tokens stays: the lifetime of access tokens, 5 seconds for clocks that differ,
    /// and as long as an instance may take to notice that it was replaced.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// See [`with_publish_ahead`](Self::with_publish_ahead).
    #[must_use]
    pub fn publish_ahead(&self) -> Duration {
        self.publish_ahead
    }

    /// See [`with_drain`](Self::with_drain).
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.drain
    }
}

/// What a ring is due for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationStep {
    /// This key has been known for long enough to become primary.
    Promote(KeyId),
    /// Nothing this key signed is valid any more.
    Destroy(KeyId),
}

impl Keyring {
    /// The step that is due, if any: to promote the key that has waited longest, then to destroy a signing key that has
    /// drained. A key whose time is unknown waits for ever.
    #[must_use]
    pub fn next_step(&self, now: Timestamp, policy: &RotationPolicy) -> Option<RotationStep> {
        let longest = |state: KeyState, wait: Duration| {
            let waiting = self.records().filter(|record| record.state() == state);
            let (since, id) = waiting
                .filter_map(|record| Some((record.since()?, record.id())))
                .min_by_key(|(since, _)| *since)?;
            (since <= now && now.since(since) >= wait).then(|| id.clone())
        };
        if let Some(id) = longest(KeyState::PreActive, policy.publish_ahead) {
            return Some(RotationStep::Promote(id));
        }
        if self.purpose() != KeyPurpose::TokenSigning {
            return None;
        }
        longest(KeyState::Deactivated, policy.drain).map(RotationStep::Destroy)
    }

    /// Takes this step.
    ///
    /// # Errors
    ///
    /// As for [`promote`](Self::promote) and [`destroy`](Self::destroy).
    pub fn apply(&self, step: &RotationStep, now: Timestamp) -> Result<Self, ConfigError> {
        match step {
            RotationStep::Promote(id) => self.promote(id, now),
            RotationStep::Destroy(id) => self.destroy(id, now),
        }
    }

    /// Takes every step that is due; `None` if none is.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    pub fn advance(&self, now: Timestamp, policy: &RotationPolicy) -> Result<Option<Self>, ConfigError> {
        let mut advanced: Option<Self> = None;
        // Each step leads a key further, and no key has more than two of them.
        while let Some(step) = advanced.as_ref().unwrap_or(self).next_step(now, policy) {
            advanced = Some(advanced.as_ref().unwrap_or(self).apply(&step, now)?);
        }
        Ok(advanced)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Key;
    use crate::time::{Clock as _, ManualClock};

    const AHEAD: u64 = 100;
    const DRAIN: u64 = 1000;

    fn policy() -> RotationPolicy {
        let secs = Duration::from_secs;
        RotationPolicy::default().with_publish_ahead(secs(AHEAD)).with_drain(secs(DRAIN))
    }

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn id(name: &str) -> KeyId {
        KeyId::parse(name).unwrap()
    }

    fn key(purpose: KeyPurpose, name: &str) -> Key {
        let key = match purpose {
            KeyPurpose::TokenSigning => Key::generate(crate::crypto::Algorithm::Hs256),
            _ => Key::generate_for(purpose),
        };
        key.unwrap().with_id(id(name))
    }

    fn states(ring: &Keyring) -> String {
        let state = |record: &crate::crypto::KeyRecord| format!("{} {}", record.id(), record.state());
        ring.records().map(state).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn when_a_step_is_due() {
        let promote = |name| Some(RotationStep::Promote(id(name)));
        let destroy = |name| Some(RotationStep::Destroy(id(name)));
        for purpose in [KeyPurpose::TokenSigning, KeyPurpose::Sealing] {
            let signs = purpose == KeyPurpose::TokenSigning;
            let key = |name| key(purpose, name);
            let fresh = Keyring::begin(key("a"), at(0)).unwrap();
            let introduced = fresh.introduce(key("b"), at(10)).unwrap();
            let two = introduced.introduce(key("c"), at(20)).unwrap();
            let promoted = introduced.promote(&id("b"), at(200)).unwrap();
            let given = Keyring::new(key("a")).unwrap().with_accepted(key("b")).unwrap();
            let late = fresh.introduce(key("b"), at(1 << 40)).unwrap();
            let compromised = promoted.compromise(&id("a"), at(300)).unwrap();
            for (name, ring, now, step) in [
                ("nothing to do", &fresh, 1 << 40, None),
                ("just introduced", &introduced, 10, None),
                ("almost known", &introduced, 109, None),
                ("known", &introduced, 110, promote("b")),
                ("the first of two", &two, 1 << 40, promote("b")),
                ("clock set back", &late, 10, None),
                ("draining", &promoted, 1199, None),
                ("drained", &promoted, 1200, if signs { destroy("a") } else { None }),
                ("of unknown age", &given, 1 << 40, None),
                ("compromised, kept for its investigation", &compromised, 1 << 40, None),
            ] {
                assert_eq!(ring.next_step(at(now), &policy()), step, "{purpose}: {name}");
            }
        }
    }

    #[test]
    fn a_rotation_by_the_clock() {
        let clock = ManualClock::default();
        let key = |name| key(KeyPurpose::TokenSigning, name);
        let mut ring =
            Keyring::begin(key("a"), clock.now()).unwrap().introduce(key("b"), clock.now()).unwrap();
        for (secs, after) in [
            (AHEAD - 1, "a active, b pre-active"),
            (1, "b active, a deactivated"),
            (DRAIN - 1, "b active, a deactivated"),
            (1, "b active, a destroyed"),
            (1 << 30, "b active, a destroyed"),
        ] {
            clock.advance(Duration::from_secs(secs));
            ring = ring.advance(clock.now(), &policy()).unwrap().unwrap_or(ring);
            assert_eq!(states(&ring), after);
        }
        // Nobody looked for a long time: everything at once, but for what just became so.
        let ring = ring.introduce(key("c"), clock.now()).unwrap().introduce(key("d"), clock.now()).unwrap();
        clock.advance(Duration::from_secs(1 << 30));
        let ring = ring.advance(clock.now(), &policy()).unwrap().unwrap();
        assert_eq!(states(&ring), "d active, c deactivated, b deactivated, a destroyed");
        assert!(ring.advance(clock.now(), &policy()).unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However often somebody looks and whenever keys are introduced: no key signs before it was known for long enough,
        /// none goes while what it signed may be valid, none that doesn't sign ever goes, and it comes to an end.
        #[test]
        fn no_key_comes_early_or_goes_early(
            signs in any::<bool>(),
            steps in prop::collection::vec((0..3_u8, 0..1500_u64), 1..30),
        ) {
            let purpose = if signs { KeyPurpose::TokenSigning } else { KeyPurpose::Sealing };
            let clock = ManualClock::default();
            let mut ring = Keyring::begin(key(purpose, "k"), clock.now()).unwrap();
            for (number, (verb, secs)) in steps.into_iter().enumerate() {
                clock.advance(Duration::from_secs(secs));
                let now = clock.now();
                if verb == 0 {
                    ring = ring.introduce(key(purpose, &format!("k{number}")), now).unwrap();
                    continue;
                }
                let Some(next) = ring.advance(now, &policy()).unwrap() else {
                    prop_assert!(ring.next_step(now, &policy()).is_none());
                    continue;
                };
                prop_assert!(next.next_step(now, &policy()).is_none(), "all at once");
                for before in ring.records() {
                    let after = next.record(before.id()).unwrap().state();
                    let age = now.since(before.since().unwrap()).as_secs();
                    match (before.state(), after) {
                        (a, b) if a == b => {}
                        (KeyState::PreActive, KeyState::Active | KeyState::Deactivated) => prop_assert!(age >= AHEAD),
                        (KeyState::Active, KeyState::Deactivated) => {}
                        (KeyState::Deactivated, KeyState::Destroyed) => prop_assert!(signs && age >= DRAIN),
                        (a, b) => prop_assert!(false, "{} became {}", a, b),
                    }
                }
                ring = next;
            }
        }
    }
}
