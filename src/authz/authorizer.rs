//! [`Authorizer`]: the decision in code, with its audit event and its explanation.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::audit::{AuditEvent, Auditor, EventName};
use crate::authz::policy::PolicyExplanation;
use crate::authz::{AccessRequest, Refused, RoleModel, Rule, authorize};
use crate::error::ConfigError;
use crate::principal::Principal;
use crate::time::Clock;

/// Decides for code that asks on its own, as the gate decides for its routes: by the same [`authorize`], with the same
/// audit event `authz_fail` for somebody known who is refused (ASVS 16.3.2). Cheap to clone; clones share the roles.
///
/// ```
/// use portcullis::authz::{Authorizer, Refused, Role, RoleModel, Rule};
/// use portcullis::{Principal, Subject, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let roles = RoleModel::builder()
///     .add(Role::new("user").grants("tasks:read"))
///     .add(Role::new("admin").inherits("user").grants("tasks:*"))
///     .build()?;
/// let authorizer = Authorizer::new(roles);
/// let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["user"]);
///
/// let delete = Rule::permission("tasks:delete");
/// assert_eq!(authorizer.check(&ada, &delete, "delete", "task 42").await, Err(Refused::Forbidden));
///
/// let why = authorizer.explain(&ada, &delete, "delete", "task 42").await;
/// assert_eq!(
///     why.to_string(),
///     "refused: `permission tasks:delete` is not satisfied; held: role user; needed: one of the roles admin"
/// );
/// # Ok::<(), portcullis::ConfigError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Authorizer(Arc<Inner>);

struct Inner {
    roles: ArcSwap<RoleModel>,
    audit: Option<(Auditor, Arc<dyn Clock>)>,
    /// Roles that are named in the configuration of others, so every model has to define them.
    named: Vec<String>,
}

impl Authorizer {
    /// Decides by these roles and records nothing.
    #[must_use]
    pub fn new(roles: RoleModel) -> Self {
        Self(Arc::new(Inner { roles: ArcSwap::from_pointee(roles), audit: None, named: Vec::new() }))
    }

    /// Decides by these roles and records refusals.
    #[must_use]
    pub fn with_audit(roles: RoleModel, auditor: Auditor, clock: Arc<dyn Clock>) -> Self {
        let audit = Some((auditor, clock));
        Self(Arc::new(Inner { roles: ArcSwap::from_pointee(roles), audit, named: Vec::new() }))
    }

    /// Decides by these roles and records refusals. Every model in force has to define the roles `named`.
    pub(crate) fn naming(
        roles: RoleModel,
        auditor: Auditor,
        clock: Arc<dyn Clock>,
        named: Vec<String>,
    ) -> Result<Self, ConfigError> {
        defines(&roles, &named)?;
        let audit = Some((auditor, clock));
        Ok(Self(Arc::new(Inner { roles: ArcSwap::from_pointee(roles), audit, named })))
    }

    /// The roles in force.
    #[must_use]
    pub fn roles(&self) -> Arc<RoleModel> {
        self.0.roles.load_full()
    }

    /// The roles in force, for the time of one decision: no counter is touched that all requests share.
    pub(crate) fn current(&self) -> impl Deref<Target = Arc<RoleModel>> {
        self.0.roles.load()
    }

    /// Puts other roles in force, in one step: no decision sees half of them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the first of `rules` that the new roles could never satisfy, or a role that accounts are
    /// configured with and the new ones lack; the old ones stay.
    pub fn replace_roles<'r>(
        &self,
        roles: RoleModel,
        rules: impl IntoIterator<Item = &'r Rule>,
    ) -> Result<(), ConfigError> {
        defines(&roles, &self.0.named)?;
        rules.into_iter().try_for_each(|rule| rule.validate(&roles))?;
        self.0.roles.store(Arc::new(roles));
        Ok(())
    }

    /// Whether the principal may do this to that. Both are names of yours and stand in the audit event of a refusal: pass
    /// an id you looked up rather than text a client sent.
    ///
    /// # Errors
    ///
    /// [`Refused`] if not. A refusal that cannot be recorded is a refusal all the same; the log says so.
    pub async fn check(
        &self,
        principal: &Principal,
        rule: &Rule,
        action: &str,
        resource: &str,
    ) -> Result<(), Refused> {
        let answer = {
            let roles = self.roles();
            authorize(&AccessRequest::new(principal, &roles, action, resource), rule)
        };
        let answer = answer.resolve().await;
        if let Err(why) = answer {
            self.record(principal, rule, why, action, Some(resource)).await;
        }
        answer
    }

    /// The decision, the rule that made it and what would be needed: for operators and developers. Do not send it to a
    /// client; it tells how the rights of others are arranged.
    pub async fn explain(
        &self,
        principal: &Principal,
        rule: &Rule,
        action: &str,
        resource: &str,
    ) -> Explanation {
        let roles = self.roles();
        let (verdict, mut explanation) = {
            let request = AccessRequest::new(principal, &roles, action, resource);
            (authorize(&request, rule), Explanation::new(&request, rule, &roles))
        };
        explanation.answer = verdict.resolve().await;
        explanation
    }

    /// Records that somebody known was refused.
    pub(crate) async fn record(
        &self,
        principal: &Principal,
        rule: &Rule,
        why: Refused,
        action: &str,
        resource: Option<&str>,
    ) {
        let Some((auditor, clock)) = &self.0.audit else { return };
        let Some(subject) = principal.subject() else { return };
        // Hidden refusals too: the trail knows what the client does not.
        if !matches!(why, Refused::Forbidden | Refused::InsufficientScope | Refused::NotFound) {
            return;
        }
        let mut event = AuditEvent::new(EventName::AuthzFail, clock.now(), principal.tenant().clone())
            .with_subject(subject.clone())
            .with_detail("rule", rule.to_string())
            .with_detail("reason", why.code().as_str())
            .with_detail("action", action);
        if let Some(resource) = resource {
            event = event.with_detail("resource", resource);
        }
        if let Some(family) = principal.family() {
            event = event.with_family(family.clone());
        }
        if let Err(cause) = auditor.record(event).await {
            tracing::error!(error = %cause, "a refusal could not be recorded");
        }
    }

    /// Whether refusals are recorded at all.
    pub(crate) fn records(&self) -> bool {
        self.0.audit.is_some()
    }
}

fn defines(roles: &RoleModel, named: &[String]) -> Result<(), ConfigError> {
    let Some(missing) = named.iter().find(|name| !roles.is_service_wide(name)) else { return Ok(()) };
    Err(ConfigError::new(
        format!("role `{missing}`"),
        "is named in the configuration of the accounts, and not defined for every tenant",
        "add it to the role model, or correct the name",
    ))
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").field("roles", &self.roles()).finish_non_exhaustive()
    }
}

/// Why a decision came out as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision.
    pub answer: Result<(), Refused>,
    /// The rule that made it.
    pub rule: String,
    /// The roles the principal holds.
    pub held: Vec<String>,
    /// What its token is limited to, if it is.
    pub scopes: Option<Vec<String>>,
    /// The roles of which one would be needed, where the rule asks for a permission.
    pub needed: Vec<String>,
    /// The scope that would be needed, if the token is limited.
    pub scope: Option<String>,
    /// How the policy and its parts answered, where a policy decides.
    pub policy: Option<PolicyExplanation>,
}

impl Explanation {
    /// What is known before the answer is.
    pub(crate) fn new(request: &AccessRequest<'_>, rule: &Rule, roles: &RoleModel) -> Self {
        let principal = request.principal();
        let needed = match rule.asks_for() {
            Some(permission) => roles
                .granting(request.principal().tenant(), &permission)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        Self {
            answer: Ok(()),
            rule: rule.to_string(),
            held: principal.roles().map(str::to_owned).collect(),
            scopes: principal.scopes().map(|scopes| scopes.map(str::to_owned).collect()),
            needed,
            scope: rule.needed_scope().map(Into::into),
            policy: rule.explained(request),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, rule, held, needed, .. } = self;
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        match answer {
            Ok(()) => write!(f, "allowed: `{rule}` is satisfied; held: role {}", list(held)),
            Err(Refused::InsufficientScope) => {
                let (scopes, scope) =
                    (list(self.scopes.as_deref().unwrap_or_default()), self.scope.as_deref());
                write!(
                    f,
                    "refused: the token is limited to {scopes}; needed: scope {}",
                    scope.unwrap_or("none")
                )
            }
            Err(Refused::Unauthenticated) => {
                write!(f, "refused: nobody has proved who they are; `{rule}` asks for it")
            }
            Err(Refused::Unavailable) => write!(f, "undecided: `{rule}` could not be asked"),
            Err(_) => {
                write!(f, "refused: `{rule}` is not satisfied; held: role {}", list(held))?;
                if !needed.is_empty() {
                    write!(f, "; needed: one of the roles {}", list(needed))?;
                }
                self.policy.as_ref().map_or(Ok(()), |policy| write!(f, "\n{policy}"))
            }
        }
    }
}
