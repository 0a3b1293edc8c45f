//! Who: roles, permissions, closures.

use std::sync::Arc;

use super::{Decision, Policy, PolicyOutcome, SharedPolicy, ready};
use crate::authz::{AccessRequest, Permission, RoleModel};
use crate::error::ConfigError;

/// Allows everybody who has proved who they are.
#[must_use]
pub fn authenticated() -> SharedPolicy {
    Arc::new(Authenticated)
}

/// Allows whoever holds this role, or one that inherits from it. Abstains if they hold it but the scopes of the token
/// don't let them use it.
#[must_use]
pub fn role(name: &str) -> SharedPolicy {
    Arc::new(HasRole(name.into()))
}

/// Allows whoever holds this permission, within the scopes of the token. Abstains if they hold it but the scopes don't
/// cover it.
#[must_use]
pub fn permission(text: &str) -> SharedPolicy {
    Arc::new(MayDo { text: text.into(), parsed: Permission::parse(text).ok() })
}

/// A policy from a closure that answers at once. It is asked about anonymous principals too.
#[must_use]
pub fn policy_fn(decide: impl Fn(&AccessRequest<'_>) -> Decision + Send + Sync + 'static) -> SharedPolicy {
    Arc::new(FromFn(decide))
}

pub(in crate::authz) fn check_role(role: &str, roles: &RoleModel) -> Result<(), ConfigError> {
    if roles.is_defined(role) {
        return Ok(());
    }
    Err(ConfigError::new(
        format!("role `{role}`"),
        "is asked for but not defined",
        "add it to the role model or correct the name",
    ))
}

pub(in crate::authz) fn check_permission(text: &str, roles: &RoleModel) -> Result<(), ConfigError> {
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
        ready(request.check_authenticated())
    }

    fn describe(&self) -> String {
        "authenticated".to_owned()
    }
}

struct HasRole(Arc<str>);

impl Policy for HasRole {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        ready(request.check_role(&self.0))
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
        match &self.parsed {
            Some(permission) => ready(request.check_permission(permission)),
            None => PolicyOutcome::Ready(Decision::Abstain),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::policy::{all_of, any_of, not};

    #[test]
    fn a_policy_that_cannot_work_is_not_built() {
        let model = RoleModel::default();
        for policy in [
            role("admin"),
            permission("a:b"),
            permission("*:*"),
            all_of([any_of([role("x")])]),
            not(role("banned")),
        ] {
            assert!(policy.validate(&model).is_err(), "{}", policy.describe());
        }
    }
}
