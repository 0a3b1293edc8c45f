//! Argon2's working memory, reused and wiped.
//!
//! Memory that `argon2` allocates itself is neither: it is faulted in anew for every hash and handed back to the
//! allocator with what was derived from the password still in it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use argon2::Block;
use zeroize::Zeroize;

use crate::error::{Error, ErrorKind, Result};

/// A pool of arenas of one size. It grows with the number of hashes computed at once and keeps `keep` afterwards.
pub(super) struct Arenas {
    blocks: usize,
    keep: usize,
    idle: Mutex<Vec<Vec<Block>>>,
    in_use: AtomicUsize,
    peak: AtomicUsize,
}

impl Arenas {
    pub(super) fn new(blocks: usize, keep: usize) -> Self {
        Self { blocks, keep, idle: Mutex::default(), in_use: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// At least `blocks` blocks. A computation larger than the pool's arenas gets memory of its own.
    pub(super) fn take(&self, blocks: usize) -> Result<Arena<'_>> {
        let pooled = blocks <= self.blocks;
        let idle = pooled.then(|| self.lock().pop()).flatten();
        let memory = match idle {
            Some(memory) => memory,
            None => allocate(if pooled { self.blocks } else { blocks })?,
        };
        let in_use = self.in_use.fetch_add(memory.len(), Ordering::Relaxed).saturating_add(memory.len());
        self.peak.fetch_max(in_use, Ordering::Relaxed);
        Ok(Arena { home: self, memory, used: blocks })
    }

    /// The most that was lent out at once, in blocks of one KiB.
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Arenas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arenas")
            .field("blocks", &self.blocks)
            .field("peak", &self.peak())
            .finish_non_exhaustive()
    }
}

fn allocate(blocks: usize) -> Result<Vec<Block>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(blocks).map_err(|source| {
        Error::new(ErrorKind::Overloaded, "no memory for a password hash").with_source(source)
    })?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}

/// Memory for one computation; wiped and given back when dropped, also by a panic.
pub(super) struct Arena<'pool> {
    home: &'pool Arenas,
    memory: Vec<Block>,
    used: usize,
}

impl AsMut<[Block]> for Arena<'_> {
    fn as_mut(&mut self) -> &mut [Block] {
        &mut self.memory
    }
}

impl Drop for Arena<'_> {
    fn drop(&mut self) {
        for block in self.memory.iter_mut().take(self.used) {
            block.zeroize();
        }
        self.home.in_use.fetch_sub(self.memory.len(), Ordering::Relaxed);
        let mut idle = self.home.lock();
        if self.memory.len() == self.home.blocks && idle.len() < self.home.keep {
            idle.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirty(arena: &mut Arena<'_>, blocks: usize) {
        for block in arena.as_mut().iter_mut().take(blocks) {
            block.as_mut().fill(0xA5);
        }
    }

    #[test]
    fn what_comes_back_is_wiped_and_reused() {
        let arenas = Arenas::new(16, 1);
        let mut first = arenas.take(10).unwrap();
        dirty(&mut first, 10);
        let address = first.memory.as_ptr();
        drop(first);
        let mut again = arenas.take(16).unwrap();
        assert_eq!(again.memory.as_ptr(), address);
        assert!(again.as_mut().iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));
    }

    #[test]
    fn what_is_too_large_or_too_many_is_not_kept() {
        let arenas = Arenas::new(16, 1);
        drop(arenas.take(17).unwrap());
        assert_eq!(arenas.lock().len(), 0);
        let (one, two) = (arenas.take(16).unwrap(), arenas.take(1).unwrap());
        assert_eq!(two.memory.len(), 16);
        drop((one, two));
        assert_eq!((arenas.lock().len(), arenas.peak()), (1, 32));
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let arenas = Arenas::new(16, 1);
        let error = arenas.take(usize::MAX / 1024).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
    }
}
