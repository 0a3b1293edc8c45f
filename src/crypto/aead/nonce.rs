//! Nonces of 192 bits.

use std::sync::atomic::{AtomicU64, Ordering};

use super::NONCE_BYTES;
use crate::error::{Error, ErrorKind, Result};

/// Where nonces come from.
///
/// A nonce that repeats under one key gives away what both messages say and lets anybody forge more. Neither way
/// repeats one in practice, and nobody can pass one in (ASVS 11.3.4):
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NonceMode {
    /// 128 bits from the operating system, drawn once for each key when a sealer is made, and a counter of 64 bits.
    /// No system call for a message. When the counter has run out, sealing is an error.
    ///
    /// A copy of the process's memory has a copy of prefix and counter. So build a new sealer in a child after
    /// `fork`, and where a virtual machine may be restored from a snapshot or be cloned while it runs, use
    /// [`Random`](Self::Random).
    #[default]
    Counter,
    /// 192 bits from the operating system for each message.
    Random,
}

pub(super) enum Nonces {
    Counter { prefix: [u8; 16], next: AtomicU64 },
    Random,
}

impl Nonces {
    pub(super) fn new(mode: NonceMode) -> Result<Self> {
        match mode {
            NonceMode::Random => Ok(Self::Random),
            NonceMode::Counter => {
                let mut prefix = [0; 16];
                getrandom::fill(&mut prefix)?;
                Ok(Self::Counter { prefix, next: AtomicU64::new(0) })
            }
        }
    }

    /// What all nonces made here begin with.
    pub(super) fn prefix(&self) -> Option<&[u8; 16]> {
        match self {
            Self::Counter { prefix, .. } => Some(prefix),
            Self::Random => None,
        }
    }

    pub(super) fn next(&self) -> Result<[u8; NONCE_BYTES]> {
        let mut nonce = [0; NONCE_BYTES];
        match self {
            Self::Random => getrandom::fill(&mut nonce)?,
            Self::Counter { prefix, next } => {
                // INVARIANT: never wraps. An addition that wraps and is looked at afterwards would have been seen by others.
                let number = next
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| number.checked_add(1))
                    .map_err(|_| Error::new(ErrorKind::Internal, "the counter of nonces has run out"))?;
                nonce[..16].copy_from_slice(prefix);
                nonce[16..].copy_from_slice(&number.to_be_bytes());
            }
        }
        Ok(nonce)
    }
}
