//! Sinks that come with the crate.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::audit::{AuditEvent, AuditSink};
use crate::error::{Error, ErrorKind, Result};

/// Keeps events in memory, for tests.
#[derive(Clone, Debug, Default)]
pub struct MemorySink(Arc<Mutex<Vec<AuditEvent>>>);

impl MemorySink {
    /// Everything recorded so far.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AuditSink for MemorySink {
    async fn record(&self, events: &[AuditEvent]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Appends events to a file, one JSON object a line. An event is with the kernel when `record` returns, so it
/// survives the end of the process; [`flush`](AuditSink::flush) waits for the disk as well.
#[derive(Clone)]
pub struct JsonLinesSink(Arc<Mutex<File>>);

impl JsonLinesSink {
    /// Opens the file for appending, creating it readable by the owner alone.
    ///
    /// # Errors
    ///
    /// Whatever opening the file fails with.
    pub fn open(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self(Arc::new(Mutex::new(options.open(path)?))))
    }

    async fn with_file(
        &self,
        work: impl FnOnce(&mut File) -> std::io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let file = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            work(&mut file.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Unavailable, "the audit file could not be written").with_source(source)
        };
        written.await.map_err(|source| failed(source.into()))?.map_err(|source| failed(source.into()))
    }
}

impl fmt::Debug for JsonLinesSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLinesSink(..)")
    }
}

#[async_trait]
impl AuditSink for JsonLinesSink {
    async fn record(&self, events: &[AuditEvent]) -> Result<()> {
        let mut lines = Vec::with_capacity(256 * events.len());
        for event in events {
            serde_json::to_writer(&mut lines, event).map_err(|source| {
                Error::new(ErrorKind::Internal, "an audit event cannot be written as json")
                    .with_source(source)
            })?;
            lines.push(b'\n');
        }
        // One write a batch: with O_APPEND, lines of several processes do not mix.
        self.with_file(move |file| file.write_all(&lines)).await
    }

    async fn flush(&self) -> Result<()> {
        self.with_file(|file| file.sync_data()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventName;
    use crate::id::TenantId;
    use crate::time::Timestamp;

    #[tokio::test]
    async fn a_line_break_in_a_value_does_not_make_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let sink = JsonLinesSink::open(&path).unwrap();
        let event = AuditEvent::new(EventName::AuthnLoginFail, Timestamp::UNIX_EPOCH, TenantId::default());
        sink.record(&[event.with_detail("reason", "a\n{\"event\":\"forged\"}\u{1b}[0m")]).await.unwrap();
        sink.flush().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["event"], "authn_login_fail");
    }
}
