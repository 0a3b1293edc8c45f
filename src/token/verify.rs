//! What the bearer scheme needs of the token service.

use crate::principal::{Principal, Verified};
use crate::time::Timestamp;

/// Checks an access token and says who presented it.
///
/// Runs on the async workers for every request: no store, no lock shared by all requests, no waiting.
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::token::VerifyAccessToken` for `{Self}`, or use the token service"
)]
pub trait VerifyAccessToken: Send + Sync + 'static {
    /// Who the token speaks for.
    ///
    /// # Errors
    ///
    /// [`TokenRefusal`] if the token is not a good one, or it cannot be told.
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal>;

    /// The same for a request that is known to have arrived then ([`RequestContext::received`]), so that a request reads
    /// the time once. What knows no time need not implement it.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    ///
    /// [`RequestContext::received`]: crate::RequestContext::received
    fn verify_at(&self, token: &str, received: Timestamp) -> Result<Verified<Principal>, TokenRefusal> {
        let _ = received;
        self.verify(token)
    }
}

impl<V: VerifyAccessToken + ?Sized> VerifyAccessToken for std::sync::Arc<V> {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        (**self).verify(token)
    }

    fn verify_at(&self, token: &str, received: Timestamp) -> Result<Verified<Principal>, TokenRefusal> {
        (**self).verify_at(token, received)
    }
}

/// Why an access token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// It is not one of our tokens, or was tampered with: 401.
    Invalid,
    /// It has expired: 401.
    Expired,
    /// The rights or security settings of its user changed since: 401, a refresh may help.
    Stale,
    /// The sign-in it belongs to was ended: 401.
    Revoked,
    /// It belongs to another tenant: 404, as if nothing were here.
    OtherTenant,
    /// Whether it is revoked cannot be told right now: 503.
    Unavailable,
}
