//! One way in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;

use crate::principal::{Principal, Verified};
use crate::rejection::Rejection;

/// Finds a credential in a request, verifies it, and says how to challenge for it (RFC 9110 section 11.1).
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::authn::AuthScheme` for `{Self}`, or use `BearerScheme`"
)]
pub trait AuthScheme: Send + Sync + 'static {
    /// Looks for this scheme's credential. If it is there, this scheme decides alone: a credential that is there but
    /// malformed is a refusal, never [`Outcome::Absent`].
    ///
    /// The rejection must not repeat any of the request, and should carry a challenge if it is a 401.
    fn authenticate(&self, request: &Parts) -> Outcome;

    /// The challenge for a request that brought nothing, content of `WWW-Authenticate` (RFC 9110 section 11.6.1).
    fn challenge(&self) -> Arc<str>;

    /// Whether the credential is an OAuth bearer token, so that a missing scope is challenged for as RFC 6750 section 3
    /// describes.
    fn is_bearer(&self) -> bool {
        false
    }
}

impl<A: AuthScheme + ?Sized> AuthScheme for Arc<A> {
    fn authenticate(&self, request: &Parts) -> Outcome {
        (**self).authenticate(request)
    }

    fn challenge(&self) -> Arc<str> {
        (**self).challenge()
    }

    fn is_bearer(&self) -> bool {
        (**self).is_bearer()
    }
}

/// A verification that takes time.
pub type SchemeFuture = Pin<Box<dyn Future<Output = Result<Verified<Principal>, Rejection>> + Send>>;

/// What a scheme found.
#[non_exhaustive]
pub enum Outcome {
    /// Not its credential.
    Absent,
    /// Its credential, decided at once; nothing is boxed.
    Ready(Result<Verified<Principal>, Rejection>),
    /// Its credential, decided later.
    Pending(SchemeFuture),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}
