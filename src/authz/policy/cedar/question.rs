//! A question to policies: [`CedarQuestion`], and the policy it becomes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::mapping::Asked;
use super::value::{Record, Resource};
use super::{CedarPolicies, Decision, Policy, PolicyExplanation, PolicyOutcome, Shape, SharedPolicy};
use crate::authz::permission::{Permission, scope_covers};
use crate::authz::{AccessRequest, RoleModel};
use crate::error::{ConfigError, Error};
use crate::id::TenantId;
use crate::principal::Principal;

type Loading = Pin<Box<dyn Future<Output = Result<Option<Resource>, Error>> + Send>>;
type Find = dyn Fn(&AccessRequest<'_>) -> Option<(String, Loading)> + Send + Sync;
type Tell = dyn Fn(&AccessRequest<'_>) -> Record + Send + Sync;

/// A question to [`CedarPolicies`]: may who asks do this? Made by [`CedarPolicies::question`].
#[must_use = "a question decides nothing until it is made a policy"]
pub struct CedarQuestion {
    policies: CedarPolicies,
    shape: Shape,
    permission: Option<Arc<str>>,
    context: Option<Arc<Tell>>,
    resource: Option<Arc<Find>>,
}

impl CedarQuestion {
    pub(super) fn new(policies: CedarPolicies, action: &str) -> Self {
        let shape = Shape { action: action.to_owned(), resource: None, own_context: false };
        Self { policies, shape, permission: None, context: None, resource: None }
    }

    /// Lets tokens with scopes in whose scopes cover this permission. Whether a role grants it is not asked. Without
    /// one, only tokens that no scope limits are let in.
    pub fn with_permission(mut self, permission: &str) -> Self {
        self.permission = Some(permission.into());
        self
    }

    /// Asks about an entity of this type: `named` says which, `load` what is known about it within the tenant of
    /// whoever asks. Where either has `None` the policy abstains; an error of `load` is an outage. The entity is
    /// `<kind>::"<tenant>/<id>"`.
    pub fn with_resource<Id, N, F, Fut>(mut self, kind: &str, named: N, load: F) -> Self
    where
        Id: ToString + Send + 'static,
        N: Fn(&AccessRequest<'_>) -> Option<Id> + Send + Sync + 'static,
        F: Fn(TenantId, Id) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Resource>, Error>> + Send + 'static,
    {
        let load = Arc::new(load);
        self.shape.resource = Some(kind.to_owned());
        self.resource = Some(Arc::new(move |request| {
            let id = named(request)?;
            let (load, tenant) = (load.clone(), request.principal().tenant().clone());
            Some((id.to_string(), Box::pin(async move { load(tenant, id).await })))
        }));
        self
    }

    /// Adds to the context what only the application knows, such as the client's address. Its names must be declared
    /// for the action; `method`, `path` and `now` are ours.
    pub fn with_context(
        mut self,
        tell: impl Fn(&AccessRequest<'_>) -> Record + Send + Sync + 'static,
    ) -> Self {
        self.shape.own_context = true;
        self.context = Some(Arc::new(tell));
        self
    }

    /// The question as a policy. From now on a reload that could not answer it is refused.
    pub fn policy(self) -> SharedPolicy {
        let parsed = self.permission.as_deref().and_then(|text| Permission::parse(text).ok());
        let shape = self.policies.register(self.shape);
        Arc::new(Asks {
            policies: self.policies,
            shape,
            permission: self.permission,
            parsed,
            context: self.context,
            resource: self.resource,
        })
    }
}

impl std::fmt::Debug for CedarQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CedarQuestion")
            .field("action", &self.shape.action)
            .field("resource", &self.shape.resource)
            .field("permission", &self.permission)
            .finish_non_exhaustive()
    }
}

struct Asks {
    policies: CedarPolicies,
    shape: Arc<super::Asking>,
    permission: Option<Arc<str>>,
    parsed: Option<Permission>,
    context: Option<Arc<Tell>>,
    resource: Option<Arc<Find>>,
}

impl Asks {
    /// What is settled without the policies: nobody in particular is denied, and a token whose scopes do not let it
    /// ask gets no opinion, which no negation turns into a yes.
    fn settled(&self, principal: &Principal) -> Option<Decision> {
        if principal.is_anonymous() {
            return Some(Decision::Deny);
        }
        let covers = |scope: &str| {
            scope == "*:*" || self.parsed.as_ref().is_some_and(|permission| scope_covers(scope, permission))
        };
        let malformed = self.permission.is_some() && self.parsed.is_none();
        let covered = principal.scopes().is_none_or(|mut scopes| scopes.any(covers));
        (malformed || !covered).then_some(Decision::Abstain)
    }

    fn answer_at_once(&self, request: &AccessRequest<'_>) -> Result<super::load::Answer, Error> {
        let context = self.context.as_ref().map(|tell| tell(request));
        let asked = Asked {
            principal: request.principal(),
            roles: request.model(),
            method: request.action(),
            path: request.resource(),
            context: context.as_ref(),
            now: self.policies.now(),
        };
        self.policies.current().answer(&self.shape.shape, &asked, None)
    }

    fn answer_later(&self, request: &AccessRequest<'_>, id: String, loading: Loading) -> PolicyOutcome {
        let context = self.context.as_ref().map(|tell| tell(request));
        let (principal, roles) = (request.principal().clone(), request.model().clone());
        let (method, path) = (request.action().to_owned(), request.resource().to_owned());
        let (policies, shape, now) = (self.policies.clone(), self.shape.clone(), self.policies.now());
        PolicyOutcome::Pending(Box::pin(async move {
            let Some(resource) = loading.await? else { return Ok(Decision::Abstain) };
            let asked = Asked {
                principal: &principal,
                roles: &roles,
                method: &method,
                path: &path,
                context: context.as_ref(),
                now,
            };
            Ok(policies.current().answer(&shape.shape, &asked, Some((&id, &resource)))?.decision)
        }))
    }
}

impl Policy for Asks {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        if let Some(settled) = self.settled(request.principal()) {
            return PolicyOutcome::Ready(settled);
        }
        let Some(find) = &self.resource else {
            return match self.answer_at_once(request) {
                Ok(answer) => PolicyOutcome::Ready(answer.decision),
                Err(error) => PolicyOutcome::Pending(Box::pin(std::future::ready(Err(error)))),
            };
        };
        match find(request) {
            Some((id, loading)) => self.answer_later(request, id, loading),
            None => PolicyOutcome::Ready(Decision::Abstain),
        }
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        if let (Some(text), None) = (&self.permission, &self.parsed) {
            let what = "is not a permission";
            return Err(ConfigError::new(format!("permission `{text}`"), what, "write `resource:action`"));
        }
        self.policies.current().check(&self.shape.shape, Some(roles))?;
        self.shape.remember(roles);
        Ok(())
    }

    fn describe(&self) -> String {
        let Shape { action, resource, .. } = &self.shape.shape;
        let about = resource.as_ref().map(|kind| format!(" of {kind}")).unwrap_or_default();
        let within = self.permission.as_ref().map(|text| format!(" within {text}")).unwrap_or_default();
        format!("cedar {action}{about}{within}")
    }

    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        if self.resource.is_some() || self.settled(request.principal()).is_some() {
            return PolicyExplanation::new(self.describe(), &self.decide(request));
        }
        match self.answer_at_once(request) {
            Ok(answer) => {
                let outcome = PolicyOutcome::Ready(answer.decision);
                let part = |id| PolicyExplanation::new(format!("policy `{id}`"), &outcome);
                let parts = answer.policies.into_iter().map(part).collect();
                PolicyExplanation::new(self.describe(), &outcome).with_parts(parts)
            }
            Err(error) => {
                let what = format!("{} ({error})", self.describe());
                PolicyExplanation::new(
                    what,
                    &PolicyOutcome::Pending(Box::pin(std::future::ready(Err(error)))),
                )
            }
        }
    }
}
