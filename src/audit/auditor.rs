//! The handle services record through.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::{AuditEvent, AuditSink};
use crate::error::{Error, ErrorKind, Result};

/// What happens to an operation whose audit event could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The operation fails too: nothing happens that is not recorded.
    Block,
    /// The operation goes on; the event is dropped, counted and reported in the log.
    DropAndCount,
}

/// Records events by the policy. Cheap to clone.
#[derive(Clone)]
pub struct Auditor {
    sink: Arc<dyn AuditSink>,
    on_failure: OnFailure,
    dropped: Arc<AtomicU64>,
}

impl Auditor {
    /// Records into `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>, on_failure: OnFailure) -> Self {
        Self { sink, on_failure, dropped: Arc::default() }
    }

    /// Records one event.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the sink failed and the policy is [`OnFailure::Block`].
    pub async fn record(&self, event: AuditEvent) -> Result<()> {
        let Err(cause) = self.sink.record(std::slice::from_ref(&event)).await else { return Ok(()) };
        match self.on_failure {
            OnFailure::Block => {
                Err(Error::new(ErrorKind::Unavailable, "an audit event could not be recorded")
                    .with_source(cause))
            }
            OnFailure::DropAndCount => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::error!(event = event.name().as_str(), error = %cause, "an audit event was dropped");
                Ok(())
            }
        }
    }

    /// How many events were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("on_failure", &self.on_failure).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::audit::EventName;
    use crate::id::TenantId;
    use crate::time::Timestamp;

    struct Broken;

    #[async_trait]
    impl AuditSink for Broken {
        async fn record(&self, _: &[AuditEvent]) -> Result<()> {
            Err(Error::new(ErrorKind::Unavailable, "disk full"))
        }

        async fn flush(&self) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failing_sink_blocks_or_is_counted() {
        let event = || AuditEvent::new(EventName::UserCreated, Timestamp::UNIX_EPOCH, TenantId::default());
        let strict = Auditor::new(Arc::new(Broken), OnFailure::Block);
        assert_eq!(strict.record(event()).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let lenient = Auditor::new(Arc::new(Broken), OnFailure::DropAndCount);
        lenient.record(event()).await.unwrap();
        assert_eq!(lenient.dropped(), 1);
    }
}
