//! What happened, for the operator: [`AuditEvent`], [`AuditSink`] and the [`Auditor`] that stands between.
//!
//! 1. Event names are those of the OWASP Logging Vocabulary, verbatim. Failed sign-ins, failed changes of a password and
//!    reused tokens are recorded as well as what succeeds.
//! 2. An event holds ids and codes of ours, never a secret and never what a client sent.
//! 3. An operation is answered after its event was recorded. A sink that fails says so; what happens then is an explicit
//!    [`OnFailure`] policy: by default the operation fails too, and the client sees 503.
//!
//! [`Accounts`](crate::account::Accounts) records what it does, and a gate built with accounts records whom a rule refused:
//! in its layer and routers, in [`Gate::require`](crate::gate::Gate::require), in `Authorized` and in code that asks its
//! [`Authorizer`](crate::authz::Authorizer), by one event. Bad credentials and refused strangers are not recorded: a layer
//! of yours outside finds the [`Rejection`](crate::Rejection) in the response's extensions.
//! Whoever can write to where events are kept can change them: send them on, if that matters.
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::audit::{AuditEvent, Auditor, EventName, MemorySink, OnFailure};
//! use portcullis::{TenantId, time::Timestamp};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let sink = Arc::new(MemorySink::default());
//! let auditor = Auditor::new(sink.clone(), OnFailure::Block);
//! let event = AuditEvent::new(EventName::AuthnLoginFail, Timestamp::UNIX_EPOCH, TenantId::default());
//! auditor.record(event.with_detail("reason", "password")).await?;
//! assert_eq!(sink.events()[0].name().as_str(), "authn_login_fail");
//! # Ok::<(), portcullis::error::Error>(())
//! # }).unwrap();
//! ```

mod auditor;
mod event;
mod sink;

use async_trait::async_trait;

use crate::error::Result;

pub use auditor::{Auditor, OnFailure};
pub use event::{AuditEvent, EventName, Severity};
pub use sink::{JsonLinesSink, MemorySink};

/// Where audit events go. Append only: there is no way to change or remove what was recorded.
#[async_trait]
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::audit::AuditSink` for `{Self}`, or use `JsonLinesSink` or `MemorySink`"
)]
pub trait AuditSink: Send + Sync + 'static {
    /// Records the events in order. When this returns `Ok`, they survive the end of the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) if they could not be recorded; then none was,
    /// or it is safe to record all of them again.
    async fn record(&self, events: &[AuditEvent]) -> Result<()>;

    /// Waits until everything accepted so far is where it has to be.
    ///
    /// # Errors
    ///
    /// As for [`record`](Self::record).
    async fn flush(&self) -> Result<()>;
}
