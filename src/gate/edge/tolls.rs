//! What limits that stand further in have said about a request.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::taken::{Asked, Place};
use crate::rate_limit::RateDecision;

/// Travels in the extensions of a request from the outer half to the inner one, where it is known who asks, so that the
/// outer half can say on the answer what the inner one counted. One request writes it, so nobody waits for its lock.
#[derive(Clone, Debug, Default)]
pub(in crate::gate) struct Tolls(Arc<Mutex<Vec<Asked>>>);

impl Tolls {
    /// Notes what a limit said about the request with these extensions: the one at this place among those that need a
    /// principal.
    pub(in crate::gate) fn note(extensions: &Extensions, at: usize, decision: RateDecision) {
        if let Some(tolls) = extensions.get::<Self>() {
            let asked = Asked { place: Place::Inner(at), decision };
            tolls.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        }
    }

    pub(super) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
