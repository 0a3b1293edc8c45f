//! What a route asks for.

use std::fmt;
use std::sync::Arc;

use super::permission::Permission;
use super::policy::{Policy, PolicyExplanation, SharedPolicy, check_permission, check_role};
use super::{AccessRequest, Question, RoleModel};
use crate::error::ConfigError;

/// What a request must satisfy to reach a route. Checked against the roles when the table it stands in is built.
#[derive(Clone)]
pub struct Rule(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Public,
    Anyone,
    Authenticated,
    Unlimited,
    Role(Arc<str>),
    /// `None` if the text is no permission: building refuses it, and it allows nobody.
    Permission(Arc<str>, Option<Permission>),
    /// A permission, looked up in the roles.
    Question(Question),
    Policy(SharedPolicy),
}

impl Rule {
    /// Everybody. Credentials are not even read, and the handler gets no principal: for sign-in, refresh, health.
    #[must_use]
    pub fn public() -> Self {
        Self(Kind::Public)
    }

    /// Everybody, but who it is matters: the handler gets a principal, perhaps the anonymous one. A credential that is
    /// presented must be good.
    #[must_use]
    pub fn anyone() -> Self {
        Self(Kind::Anyone)
    }

    /// Everybody who has proved who they are.
    #[must_use]
    pub fn authenticated() -> Self {
        Self(Kind::Authenticated)
    }

    /// Everybody who has proved who they are, with a token that no scope limits: for what a user does to the account, and
    /// for data that no permission guards. [`authenticated`](Self::authenticated) lets limited tokens in too.
    #[must_use]
    pub fn unlimited() -> Self {
        Self(Kind::Unlimited)
    }

    /// Whoever holds this role, or one that inherits from it, with a token that no scope limits.
    #[must_use]
    pub fn role(name: &str) -> Self {
        Self(Kind::Role(name.into()))
    }

    /// Whoever holds this permission through a role, within the scopes of the token.
    #[must_use]
    pub fn permission(text: &str) -> Self {
        Self(Kind::Permission(text.into(), Permission::parse(text).ok()))
    }

    /// Whoever the policy allows. Somebody anonymous who is not allowed is asked to authenticate.
    pub fn policy(policy: impl Policy) -> Self {
        Self(Kind::Policy(Arc::new(policy)))
    }

    /// Whether credentials are not even read.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self.0, Kind::Public)
    }

    /// The rule, checked against these roles and ready to be asked often.
    pub(crate) fn compiled(self, roles: &RoleModel) -> Result<Self, ConfigError> {
        self.validate(roles)?;
        Ok(match self.0 {
            Kind::Permission(_, Some(permission)) => Self(Kind::Question(roles.question(&permission))),
            kind => Self(kind),
        })
    }

    /// Whether the rule can ever be satisfied with these roles.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it names a role that is not defined, a permission that no role grants or that is malformed. A role of
    /// one tenant is enough.
    pub fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        match &self.0 {
            Kind::Public | Kind::Anyone | Kind::Authenticated | Kind::Unlimited => Ok(()),
            Kind::Role(name) => check_role(name, roles),
            Kind::Permission(text, _) => check_permission(text, roles),
            Kind::Question(question) => check_permission(question.permission().as_str(), roles),
            Kind::Policy(policy) => policy.validate(roles),
        }
    }

    /// Whether a policy decides, which alone looks at what is asked for.
    pub(crate) fn is_policy(&self) -> bool {
        matches!(self.0, Kind::Policy(_))
    }

    /// How its policy comes to its answer, if a policy decides.
    pub(super) fn explained(&self, request: &AccessRequest<'_>) -> Option<PolicyExplanation> {
        match &self.0 {
            Kind::Policy(policy) => Some(policy.explain(request)),
            _ => None,
        }
    }

    /// The permission it asks for, if it asks for one.
    pub(super) fn asks_for(&self) -> Option<Permission> {
        match &self.0 {
            Kind::Permission(_, permission) => permission.clone(),
            Kind::Question(question) => Some(question.permission().clone()),
            _ => None,
        }
    }

    /// The scope a token would need, for the challenge of a refusal.
    pub(crate) fn needed_scope(&self) -> Option<&str> {
        match &self.0 {
            Kind::Permission(_, Some(permission)) => Some(permission.as_str()),
            Kind::Question(question) => Some(question.permission().as_str()),
            Kind::Role(_) | Kind::Unlimited => Some("*:*"),
            _ => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Public => f.write_str("public"),
            Kind::Anyone => f.write_str("anyone"),
            Kind::Authenticated => f.write_str("authenticated"),
            Kind::Unlimited => f.write_str("unlimited"),
            Kind::Role(name) => write!(f, "role {name}"),
            Kind::Permission(text, _) => write!(f, "permission {text}"),
            Kind::Question(question) => write!(f, "permission {}", question.permission()),
            Kind::Policy(policy) => f.write_str(&policy.describe()),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({self})")
    }
}
