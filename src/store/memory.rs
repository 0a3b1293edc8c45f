//! The reference implementation of the storage ports.

/// Users and tokens in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {}
