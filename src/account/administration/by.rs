//! [`By`]: who administrates.

use crate::id::{Subject, TenantId};
use crate::principal::Principal;

/// Who changes an account. A `&Principal` is one by itself:
///
/// ```
/// use portcullis::account::{AccountError, Accounts, By};
/// use portcullis::{Principal, Subject};
///
/// // In a handler: whoever asks, held to their own rights.
/// async fn promote(accounts: &Accounts, asking: &Principal, id: &Subject) -> Result<(), AccountError> {
///     accounts.set_roles(asking, asking.tenant(), id, vec!["editor".to_owned()]).await.map(drop)
/// }
///
/// // In a program the operator runs: nothing above it but the guarded role.
/// async fn first(accounts: &Accounts, asking: &Principal, id: &Subject) -> Result<(), AccountError> {
///     let by = By::Application("bootstrap");
///     accounts.set_roles(by, asking.tenant(), id, vec!["admin".to_owned()]).await.map(drop)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Somebody with an account, held to the rights that account has at this moment. Who has none, such as another
    /// service, is refused.
    Principal(&'a Principal),
    /// The application on its own account, under the name that the audit trail is to have. It may give any role to
    /// anybody, so never stand it in for a principal at hand.
    Application(&'static str),
}

impl<'a> By<'a> {
    /// Who that is, if it is somebody.
    pub(super) fn subject(self) -> Option<&'a Subject> {
        match self {
            Self::Principal(principal) => principal.subject(),
            Self::Application(_) => None,
        }
    }

    /// Whether this is no stranger to the tenant.
    pub(super) fn is_of(self, tenant: &TenantId) -> bool {
        match self {
            Self::Principal(principal) => principal.tenant() == tenant,
            Self::Application(_) => true,
        }
    }
}

impl<'a> From<&'a Principal> for By<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self::Principal(principal)
    }
}
