//! What a [`RateStore`](super::RateStore) counts under: [`CounterKey`].

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::id::TenantId;

/// One counter: whose, of which limit, and of what.
///
/// What is counted - an address, a sign-in name - is kept as a digest, of the same length whatever it is: a row says
/// nothing of its own, and no input makes it long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    tenant: TenantId,
    limit: Arc<str>,
    digest: [u8; 32],
}

impl CounterKey {
    /// The counter of `what` under a limit of this name.
    #[must_use]
    pub fn new(tenant: TenantId, limit: impl Into<Arc<str>>, what: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"portcullis counter\0");
        hasher.update(what);
        Self { tenant, limit: limit.into(), digest: hasher.finalize().into() }
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The name of the limit.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit
    }

    /// What is counted. Not secret, and not to be turned back by whoever doesn't guess it.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterKey")
            .field("tenant", &self.tenant)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
