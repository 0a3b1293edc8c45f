//! Why reading a body failed.

use std::error::Error as StdError;
use std::fmt;

use crate::rejection::{Rejection, RejectionCode};

/// The error of [`GuardedBody`](super::GuardedBody): it went over a limit, or the body inside failed.
pub struct BodyError(Repr);

enum Repr {
    Refused(RejectionCode),
    Failed(Box<dyn StdError + Send + Sync>),
}

impl BodyError {
    pub(super) fn refused(code: RejectionCode) -> Self {
        Self(Repr::Refused(code))
    }

    pub(super) fn failed(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Repr::Failed(cause.into()))
    }

    /// What to tell the client, if a limit was crossed: 413 or 408.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        match &self.0 {
            Repr::Refused(code) => Some(Rejection::new(*code)),
            Repr::Failed(cause) => Self::rejection_in(&**cause),
        }
    }

    /// The same for an error that may have come from a guarded body, through whatever wrapped it since.
    #[must_use]
    pub fn rejection_in(error: &(dyn StdError + 'static)) -> Option<Rejection> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(Self(Repr::Refused(code))) = error.downcast_ref() {
                return Some(Rejection::new(*code));
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Repr::Refused(RejectionCode::BodyTooLarge) => "the body is larger than accepted",
            Repr::Refused(_) => "the body took too long to arrive",
            Repr::Failed(_) => "the body could not be read",
        })
    }
}

impl fmt::Debug for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Refused(code) => f.debug_tuple("Refused").field(code).finish(),
            Repr::Failed(cause) => f.debug_tuple("Failed").field(cause).finish(),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Repr::Refused(_) => None,
            Repr::Failed(cause) => Some(&**cause),
        }
    }
}
