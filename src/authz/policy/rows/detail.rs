//! The rule as a policy for the route of one row.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use super::{Row, RowRule};
use crate::authz::policy::ownership::last_segment;
use crate::authz::policy::{Decision, Policy, PolicyOutcome, SharedPolicy};
use crate::authz::{AccessRequest, Refused, RoleModel};
use crate::error::{ConfigError, Error};
use crate::id::TenantId;

impl RowRule {
    /// The rule for the route of one row. What it does not show is told 404 `not_found`, as what isn't there.
    ///
    /// The row is what the last segment of the path names, decoded and read as `Id`; if it is no `Id`, or there is no
    /// such row, the policy abstains. `load` finds the row within the tenant of whoever asks, and is called only if the
    /// answer hangs on it; its error is an outage. So whoever may see every row reaches the handler for one that isn't
    /// there.
    #[must_use]
    pub fn policy<Id, R, F, Fut>(&self, load: F) -> SharedPolicy
    where
        Id: FromStr + Send + 'static,
        R: Row,
        F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<R>, Error>> + Send + 'static,
    {
        self.policy_of(|request| last_segment(request.resource())?.parse().ok(), load)
    }

    /// As [`policy`](Self::policy), with the row named by a closure; `None` means there is none.
    #[must_use]
    pub fn policy_of<Id, R, N, F, Fut>(&self, named: N, load: F) -> SharedPolicy
    where
        Id: Send + 'static,
        R: Row,
        N: Fn(&AccessRequest<'_>) -> Option<Id> + Send + Sync + 'static,
        F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<R>, Error>> + Send + 'static,
    {
        Arc::new(Detail { rule: self.clone(), named, load: Arc::new(load) })
    }
}

struct Detail<N, F> {
    rule: RowRule,
    named: N,
    load: Arc<F>,
}

impl<Id, R, N, F, Fut> Policy for Detail<N, F>
where
    Id: Send + 'static,
    R: Row,
    N: Fn(&AccessRequest<'_>) -> Option<Id> + Send + Sync + 'static,
    F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<R>, Error>> + Send + 'static,
{
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        if request.principal().is_anonymous() {
            return PolicyOutcome::Ready(Decision::Deny);
        }
        // What is not seen is not always denied: of what nobody knows, `not` must not make a yes.
        let (seen, denied) = match (self.rule.visible_to(request), self.rule.denied_to(request)) {
            (Ok(seen), Ok(denied)) => (seen, denied),
            (Err(error), _) | (_, Err(error)) => {
                return PolicyOutcome::Pending(Box::pin(std::future::ready(Err(error))));
            }
        };
        if seen.is_everything() {
            return PolicyOutcome::Ready(Decision::Allow);
        }
        if seen.is_nothing() {
            let denied = denied.is_everything();
            return PolicyOutcome::Ready(if denied { Decision::Deny } else { Decision::Abstain });
        }
        let Some(id) = (self.named)(request) else { return PolicyOutcome::Ready(Decision::Abstain) };
        let (load, tenant) = (self.load.clone(), request.principal().tenant().clone());
        PolicyOutcome::Pending(Box::pin(async move {
            Ok(match load(tenant, id).await? {
                Some(row) if seen.allows(&row) => Decision::Allow,
                Some(row) if denied.allows(&row) => Decision::Deny,
                Some(_) | None => Decision::Abstain,
            })
        }))
    }

    fn refusal(&self, _: &AccessRequest<'_>) -> Refused {
        Refused::NotFound
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        self.rule.validate(roles)
    }

    fn describe(&self) -> String {
        format!("row with {}, else not found", self.rule)
    }
}
