//! Limits that are asked once it is known who asks.

use http::request::Parts;

use super::Gate;
use super::edge::Tolls;
use crate::principal::Principal;
use crate::rate_limit::{RateDecision, RateLimit, RateRequest, RateVerdict};
use crate::rejection::Rejection;
use crate::time::Timestamp;

impl Gate {
    /// Whether one of them may have to be waited for.
    pub(super) fn limits_may_wait(&self) -> bool {
        self.0.edge.by_principal().iter().any(RateLimit::may_wait)
    }

    /// Asks them all, where none has to be waited for.
    pub(super) fn limited(&self, parts: &Parts, who: &Principal) -> Result<(), Rejection> {
        for (at, limit) in self.0.edge.by_principal().iter().enumerate() {
            if let RateVerdict::Ready(decision) = ask(limit, parts, who) {
                note(at, parts, decision)?;
            }
        }
        Ok(())
    }

    /// Asks them all, one after the other.
    pub(super) async fn limited_late(&self, parts: &Parts, who: &Principal) -> Result<(), Rejection> {
        for (at, limit) in self.0.edge.by_principal().iter().enumerate() {
            let verdict = ask(limit, parts, who);
            let decision = match verdict {
                RateVerdict::Ready(decision) => decision,
                RateVerdict::Pending(decision) => decision.await,
            };
            note(at, parts, decision)?;
        }
        Ok(())
    }
}

fn ask(limit: &RateLimit, parts: &Parts, who: &Principal) -> RateVerdict {
    // The outer half has left the context, so no clock is read.
    limit.decide(&RateRequest::of_parts(parts, || Timestamp::UNIX_EPOCH).with_principal(who))
}

fn note(at: usize, parts: &Parts, decision: RateDecision) -> Result<(), Rejection> {
    let rejection = decision.rejection();
    Tolls::note(&parts.extensions, at, decision);
    rejection.map_or(Ok(()), Err)
}
