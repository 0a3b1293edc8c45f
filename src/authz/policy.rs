//! Rules beyond roles and permissions: [`Policy`] and its combinators.
//!
//! A policy answers with [`Decision`]; what nobody allows is denied. [`all_of`] and [`any_of`] combine answers; an empty
//! one denies. A policy that has to ask somebody returns [`PolicyOutcome::Pending`]; if it cannot find out, that is an
//! error and becomes 503.
//!
//! ```
//! use portcullis::authz::Rule;
//! use portcullis::authz::policy::{all_of, any_of, permission, policy_fn, role, Decision};
//!
//! let own = policy_fn(|request| match request.principal().subject() {
//!     Some(subject) if request.resource().ends_with(subject.as_str()) => Decision::Allow,
//!     _ => Decision::Abstain,
//! });
//! let rule = Rule::policy(all_of([permission("notes:read"), any_of([role("admin"), own])]));
//! assert_eq!(rule.to_string(), "all of (permission notes:read, any of (role admin, policy))");
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::permission::Permission;
use super::{AccessRequest, RoleModel};
use crate::error::{ConfigError, Error};

/// The answer of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// No opinion. Where nobody has one, the answer is no.
    Abstain,
}

/// An answer that takes time. An `Err` is an outage, not an answer.
pub type PolicyFuture = Pin<Box<dyn Future<Output = Result<Decision, Error>> + Send>>;

/// An answer, at once or later.
#[non_exhaustive]
pub enum PolicyOutcome {
    /// At once; nothing is boxed.
    Ready(Decision),
    /// Later. The future is not polled unless its answer is needed.
    Pending(PolicyFuture),
}

impl fmt::Debug for PolicyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(decision) => f.debug_tuple("Ready").field(decision).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Decides about a request.
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::authz::policy::Policy` for `{Self}`, or wrap a closure in `policy_fn`"
)]
pub trait Policy: Send + Sync + 'static {
    /// The answer. What the future needs it takes along; it cannot borrow the request.
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome;

    /// Whether the policy can ever work with these roles; called once, when a rule with it is built.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it names a role that does not exist, or the like.
    fn validate(&self, _roles: &RoleModel) -> Result<(), ConfigError> {
        Ok(())
    }

    /// How the policy appears in the table of an access map.
    fn describe(&self) -> String {
        "policy".to_owned()
    }
}

/// A policy that can be combined and shared.
pub type SharedPolicy = Arc<dyn Policy>;

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        (**self).decide(request)
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        (**self).validate(roles)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Allows everybody who has proved who they are.
#[must_use]
pub fn authenticated() -> SharedPolicy {
    Arc::new(Authenticated)
}

/// Allows whoever holds this role, or one that inherits from it.
#[must_use]
pub fn role(name: &str) -> SharedPolicy {
    Arc::new(HasRole(name.into()))
}

/// Allows whoever holds this permission, within the scopes of the token.
#[must_use]
pub fn permission(text: &str) -> SharedPolicy {
    Arc::new(MayDo { text: text.into(), parsed: Permission::parse(text).ok() })
}

/// A policy from a closure that answers at once.
#[must_use]
pub fn policy_fn(decide: impl Fn(&AccessRequest<'_>) -> Decision + Send + Sync + 'static) -> SharedPolicy {
    Arc::new(FromFn(decide))
}

/// Allows if all of them allow; an empty list denies. One `Deny` decides, whatever the others would have said.
pub fn all_of(policies: impl IntoIterator<Item = SharedPolicy>) -> SharedPolicy {
    Arc::new(Combined { all: true, policies: policies.into_iter().collect() })
}

/// Allows if one of them allows; an empty list denies. One `Allow` decides, whatever the others would have said.
pub fn any_of(policies: impl IntoIterator<Item = SharedPolicy>) -> SharedPolicy {
    Arc::new(Combined { all: false, policies: policies.into_iter().collect() })
}

fn ready(allow: bool) -> PolicyOutcome {
    PolicyOutcome::Ready(if allow { Decision::Allow } else { Decision::Deny })
}

pub(super) fn check_role(role: &str, roles: &RoleModel) -> Result<(), ConfigError> {
    if roles.contains(role) {
        return Ok(());
    }
    Err(ConfigError::new(
        format!("role `{role}`"),
        "is asked for but not defined",
        "add it to the role model or correct the name",
    ))
}

pub(super) fn check_permission(text: &str, roles: &RoleModel) -> Result<(), ConfigError> {
    let field = format!("permission `{text}`");
    match Permission::parse(text) {
        Err(cause) => Err(ConfigError::new(field, cause.to_string(), "write `resource:action`")),
        Ok(permission) if !roles.is_granted(&permission) => Err(ConfigError::new(
            field,
            "is asked for but no role grants it",
            "grant it to a role or correct the name",
        )),
        Ok(_) => Ok(()),
    }
}

struct Authenticated;

impl Policy for Authenticated {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        ready(request.check_authenticated().is_ok())
    }

    fn describe(&self) -> String {
        "authenticated".to_owned()
    }
}

struct HasRole(Arc<str>);

impl Policy for HasRole {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        ready(request.has_role(&self.0))
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        check_role(&self.0, roles)
    }

    fn describe(&self) -> String {
        format!("role {}", self.0)
    }
}

struct MayDo {
    text: Arc<str>,
    parsed: Option<Permission>,
}

impl Policy for MayDo {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        ready(self.parsed.as_ref().is_some_and(|permission| request.may(permission)))
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        check_permission(&self.text, roles)
    }

    fn describe(&self) -> String {
        format!("permission {}", self.text)
    }
}

struct FromFn<F>(F);

impl<F: Fn(&AccessRequest<'_>) -> Decision + Send + Sync + 'static> Policy for FromFn<F> {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready((self.0)(request))
    }
}

struct Combined {
    all: bool,
    policies: Vec<SharedPolicy>,
}

impl Combined {
    /// The answer that settles the matter alone.
    fn decisive(&self) -> Decision {
        if self.all { Decision::Deny } else { Decision::Allow }
    }
}

/// Strong Kleene logic with `Abstain` between `Deny` and `Allow`; an error counts as unknown.
fn join(all: bool, left: Decision, right: Decision) -> Decision {
    use Decision::{Abstain, Allow, Deny};
    match (all, left, right) {
        (true, Deny, _) | (true, _, Deny) => Deny,
        (false, Allow, _) | (false, _, Allow) => Allow,
        (_, Abstain, _) | (_, _, Abstain) if all => Abstain,
        (true, Allow, Allow) => Allow,
        (_, Deny, _) | (_, _, Deny) => Deny,
        _ => Abstain,
    }
}

impl Policy for Combined {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        let (all, decisive) = (self.all, self.decisive());
        let mut known = None;
        let mut pending = Vec::new();
        for policy in &self.policies {
            match policy.decide(request) {
                PolicyOutcome::Ready(decision) if decision == decisive => {
                    return PolicyOutcome::Ready(decision);
                }
                PolicyOutcome::Ready(decision) => {
                    known = Some(known.map_or(decision, |so_far| join(all, so_far, decision)));
                }
                PolicyOutcome::Pending(future) => pending.push(future),
            }
        }
        if pending.is_empty() {
            return PolicyOutcome::Ready(known.unwrap_or(Decision::Deny));
        }
        PolicyOutcome::Pending(Box::pin(async move {
            let mut outage = None;
            for future in pending {
                match future.await {
                    Ok(decision) if decision == decisive => return Ok(decision),
                    Ok(decision) => {
                        known = Some(known.map_or(decision, |so_far| join(all, so_far, decision)))
                    }
                    Err(error) => outage = Some(error),
                }
            }
            match outage {
                Some(error) => Err(error),
                None => Ok(known.unwrap_or(Decision::Deny)),
            }
        }))
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        self.policies.iter().try_for_each(|policy| policy.validate(roles))
    }

    fn describe(&self) -> String {
        let parts: Vec<String> = self.policies.iter().map(|policy| policy.describe()).collect();
        format!("{} of ({})", if self.all { "all" } else { "any" }, parts.join(", "))
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
