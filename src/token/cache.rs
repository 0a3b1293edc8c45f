//! Tokens that were verified lately, so that verifying one again costs no signature.
//!
//! A token is known by 128 bits of a pseudo-random function (SipHash-2-4) of all of it, under a secret of this process.
//! A token that was never verified is taken for one that was only if the two meet in all 128 bits: for whoever does not
//! know the secret each try succeeds with a chance of one in 2^128 for every token kept. The secret and the names never
//! leave the process, so there is nothing to compute a try from; with fewer bits (64, and 2^14 tokens kept), 2^50
//! requests would do.
//!
//! Only successes are kept, and only a success is ever answered from here: a token that is not kept, that was verified
//! under other keys, or that is not valid now is verified as if there were no cache, and refused for the reason it
//! would have had. Whether it is revoked and whose it is is not kept at all.

use std::fmt;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::principal::Principal;
use crate::time::Timestamp;
use crate::token::codec::MAX_MINTED_BYTES;
use crate::token::prf::Secret;
use crate::token::times::Window;

/// Places in a set: as many as have their tags in one line of the processor's cache.
const WAYS: usize = 8;

/// Verified tokens, in sets of [`WAYS`]; a set that is full forgets the oldest. Nobody ever waits: whoever meets a writer in a place,
/// or another writer, goes on as if there were no cache. Keeping a token
/// costs the same however many threads there are, and no memory of its own.
pub(super) struct TokenCache {
    secret: Secret,
    sets: Box<[Set]>,
}

/// The order is that of use.
#[repr(C)]
struct Set {
    /// Half of the name of what stands in each place. Only saves looking: the name in the entry decides.
    tags: [AtomicU64; WAYS],
    /// Where the next one goes, whoever stands there.
    hand: AtomicUsize,
    places: [Place; WAYS],
}

/// One line of the processor's cache, most often.
#[repr(align(64))]
struct Place(RwLock<Option<Entry>>);

struct Entry {
    name: Name,
    keys: u64,
    window: Window,
    principal: Principal,
}

/// What a token is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Name([u64; 2]);

impl TokenCache {
    /// Room for this many tokens or up to twice as many.
    ///
    /// # Errors
    ///
    /// If the operating system supplies no randomness.
    pub(super) fn new(entries: usize) -> Result<Self, getrandom::Error> {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        let set = || Set {
            tags: [const { AtomicU64::new(0) }; WAYS],
            places: [const { Place(RwLock::new(None)) }; WAYS],
            hand: AtomicUsize::new(0),
        };
        Ok(Self { secret: Secret::random()?, sets: std::iter::repeat_with(set).take(sets).collect() })
    }

    /// What a token is known by; `None` of one that is longer than ours are, which is never kept.
    pub(super) fn name(&self, token: &str) -> Option<Name> {
        (token.len() <= MAX_MINTED_BYTES).then(|| Name(self.secret.name(token.as_bytes())))
    }

    /// Who presented this token, if it was verified under the keys of this generation and is valid now.
    pub(super) fn get(&self, name: Name, keys: u64, now: Timestamp) -> Option<Principal> {
        let set = self.set(name)?;
        set.tags.iter().zip(&set.places).find_map(|(tag, Place(place))| {
            if tag.load(Ordering::Acquire) != name.tag() {
                return None;
            }
            let entry = place.try_read().ok()?;
            let entry = entry.as_ref().filter(|entry| entry.name == name && entry.keys == keys)?;
            entry.window.holds(now).then(|| entry.principal.clone())
        })
    }

    /// Keeps a token that was verified under the keys of this generation.
    pub(super) fn put(&self, name: Name, keys: u64, window: Window, principal: Principal) {
        let Some(set) = self.set(name) else { return };
        // Two requests with the same new token take one place, usually.
        let there = set.tags.iter().position(|tag| tag.load(Ordering::Acquire) == name.tag());
        let index = there.unwrap_or_else(|| set.hand.fetch_add(1, Ordering::Relaxed) % WAYS);
        let (Some(tag), Some(Place(place))) = (set.tags.get(index), set.places.get(index)) else { return };
        let Ok(mut entry) = place.try_write() else { return };
        let gone = entry.replace(Entry { name, keys, window, principal });
        tag.store(name.tag(), Ordering::Release);
        drop(entry);
        // Whoever was there may be large; nobody is kept away meanwhile.
        drop(gone);
    }

    fn set(&self, name: Name) -> Option<&Set> {
        let Name([low, _]) = name;
        // Less than the number of sets, which fits.
        self.sets.get(usize::try_from(low % self.sets.len() as u64).ok()?)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let places = self.sets.iter().flat_map(|set| &set.places);
        places.filter(|Place(place)| place.read().unwrap().is_some()).count()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }
}

impl Name {
    fn tag(self) -> u64 {
        let Self([_, high]) = self;
        high
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
