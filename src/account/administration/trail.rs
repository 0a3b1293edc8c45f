//! Who did what, or was refused it.

use crate::account::{AccountError, Accounts, By};
use crate::audit::{AuditEvent, EventName};
use crate::id::{Subject, TenantId};

/// What somebody is about to do.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) by: By<'a>,
    pub(super) tenant: &'a TenantId,
    pub(super) action: &'static str,
    pub(super) target: Option<&'a Subject>,
    /// Roles that are given. Defined ones, so that no input is recorded.
    pub(super) gives: &'a [String],
}

impl Accounts {
    /// Records that somebody known was refused, and returns the refusal (ASVS 16.3.2).
    pub(super) async fn refused(&self, attempt: &Attempt<'_>, refusal: AccountError) -> AccountError {
        let mut event = self.event(EventName::AuthzFail, attempt.tenant);
        match attempt.by {
            By::Application(name) => event = event.with_detail("application", name),
            By::Principal(principal) => {
                let Some(subject) = principal.subject() else { return refusal };
                event = event.with_subject(subject.clone());
                if let Some(family) = principal.family() {
                    event = event.with_family(family.clone());
                }
            }
        }
        event = event.with_detail("reason", refusal.rejection().code().as_str());
        event = event.with_detail("action", attempt.action);
        if let Some(target) = attempt.target {
            event = event.with_detail("resource", target.as_str());
        }
        if !attempt.gives.is_empty() {
            event = event.with_detail("roles", attempt.gives.join(" "));
        }
        match self.audit(event).await {
            Ok(()) => refusal,
            Err(error) => error.into(),
        }
    }

    /// An event that says who did it.
    pub(in crate::account) fn by_whom(&self, name: EventName, tenant: &TenantId, by: By<'_>) -> AuditEvent {
        let event = self.event(name, tenant);
        match by {
            By::Application(name) => event.with_detail("application", name),
            By::Principal(principal) => match principal.subject() {
                Some(subject) => event.with_actor(subject.clone()),
                None => event,
            },
        }
    }
}
