//! Whose: what belongs to somebody.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use super::{Decision, Policy, PolicyOutcome, SharedPolicy, check_permission};
use crate::authz::permission::{Permission, scope_covers};
use crate::authz::{AccessRequest, RoleModel};
use crate::error::{ConfigError, Error};
use crate::id::{Subject, TenantId};
use crate::path::decode;

/// Allows whom the resource belongs to, and whoever holds the permission.
///
/// The resource is what the last segment of the path names, decoded and read as `Id`; if it is no `Id`, or nobody is
/// found, the policy abstains. `load` finds the owner within the tenant of whoever asks, and is called only if the
/// answer hangs on it; its error is an outage. A token with scopes needs one that covers the permission in either case.
///
/// Put [`hidden`](super::hidden) around it if others must not learn what exists.
///
/// ```
/// use portcullis::authz::Rule;
/// use portcullis::authz::policy::{hidden, owner_or};
/// use portcullis::{Subject, TenantId};
///
/// let owner = owner_or("notes:moderate", async |_: TenantId, note: u64| {
///     Ok(if note == 7 { Subject::parse("ada").ok() } else { None })
/// });
/// let rule = Rule::policy(hidden(owner));
/// assert_eq!(rule.to_string(), "owner or permission notes:moderate, else not found");
/// ```
#[must_use]
pub fn owner_or<Id, F, Fut>(permission: &str, load: F) -> SharedPolicy
where
    Id: FromStr + Send + 'static,
    F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Subject>, Error>> + Send + 'static,
{
    owner_of_or(|request| last_segment(request.resource())?.parse().ok(), permission, load)
}

/// As [`owner_or`], with the resource named by a closure; `None` means there is none.
#[must_use]
pub fn owner_of_or<Id, N, F, Fut>(named: N, permission: &str, load: F) -> SharedPolicy
where
    Id: Send + 'static,
    N: Fn(&AccessRequest<'_>) -> Option<Id> + Send + Sync + 'static,
    F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Subject>, Error>> + Send + 'static,
{
    let parsed = Permission::parse(permission).ok();
    Arc::new(OwnerOr { named, text: permission.into(), parsed, load: Arc::new(load) })
}

struct OwnerOr<N, F> {
    named: N,
    text: Arc<str>,
    parsed: Option<Permission>,
    load: Arc<F>,
}

impl<Id, N, F, Fut> Policy for OwnerOr<N, F>
where
    Id: Send + 'static,
    N: Fn(&AccessRequest<'_>) -> Option<Id> + Send + Sync + 'static,
    F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Subject>, Error>> + Send + 'static,
{
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        let principal = request.principal();
        let Some(subject) = principal.subject().cloned() else {
            return PolicyOutcome::Ready(Decision::Deny);
        };
        let Some(permission) = &self.parsed else { return PolicyOutcome::Ready(Decision::Abstain) };
        if request.may(permission) {
            return PolicyOutcome::Ready(Decision::Allow);
        }
        let mut scopes = principal.scopes();
        if scopes.as_mut().is_some_and(|scopes| !scopes.any(|scope| scope_covers(scope, permission))) {
            return PolicyOutcome::Ready(Decision::Abstain);
        }
        let Some(id) = (self.named)(request) else { return PolicyOutcome::Ready(Decision::Abstain) };
        let (load, tenant) = (self.load.clone(), principal.tenant().clone());
        PolicyOutcome::Pending(Box::pin(async move {
            Ok(match load(tenant, id).await? {
                Some(owner) if owner == subject => Decision::Allow,
                Some(_) => Decision::Deny,
                None => Decision::Abstain,
            })
        }))
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        check_permission(&self.text, roles)
    }

    fn describe(&self) -> String {
        format!("owner or permission {}", self.text)
    }
}

/// The last segment of a path as a router hands it to a handler: decoded once. `None` if there is none or if it is not
/// text.
pub(super) fn last_segment(path: &str) -> Option<String> {
    let (_, segment) = path.rsplit_once('/')?;
    String::from_utf8(decode(segment)?).ok().filter(|segment| !segment.is_empty())
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;
