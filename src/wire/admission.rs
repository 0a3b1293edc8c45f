//! What a layer decided about a request.

use std::future::Future;
use std::pin::Pin;

use http::Extensions;

use crate::principal::Principal;
use crate::rejection::Rejection;

/// A decision, at once or later.
pub(crate) enum Admission {
    Ready(Result<Identity, Rejection>),
    Pending(AdmissionFuture),
}

pub(crate) type AdmissionFuture = Pin<Box<dyn Future<Output = Result<Identity, Rejection>> + Send>>;

/// What becomes of the principal in the request's extensions when the request goes on.
pub(crate) enum Identity {
    /// An outer layer put it there; it stays.
    Keep,
    /// This one, in place of whatever was there.
    Set(Principal),
    /// None, whatever was there.
    Clear,
}

impl Identity {
    pub(crate) fn apply(self, extensions: &mut Extensions) {
        match self {
            Self::Keep => {}
            Self::Set(principal) => drop(extensions.insert(principal)),
            Self::Clear => drop(extensions.remove::<Principal>()),
        }
    }
}
