//! Rules beyond roles and permissions: [`Policy`], its combinators and conditions.
//!
//! | question | policy |
//! |---|---|
//! | who | [`authenticated`], [`role`], [`permission`], [`tenant_is`] |
//! | whose | [`owner_or`], [`owner_of_or`] |
//! | which rows, in a list and one by one | [`RowRule`](rows::RowRule) |
//! | how sure, how long ago | [`assurance`], [`fresh_within`] |
//! | when | [`during`], [`daily`] |
//! | from where | [`from_network`] |
//! | together | [`all_of`], [`any_of`], [`not`] |
//! | how a refusal looks | [`hidden`] |
//! | as text | [`cedar`] (feature `cedar`) |
//! | anything else | [`policy_fn`], or a [`Policy`] of yours |
//!
//! A policy answers with [`Decision`]; what nobody allows is denied. Answers combine as in strong Kleene logic:
//! [`Decision::Abstain`] lies between no and yes, and is refused in the end. An empty [`all_of`] or [`any_of`] is an error
//! where a rule with it is built; asked all the same it abstains, so it is refused, negated or not. A policy that has to ask somebody returns [`PolicyOutcome::Pending`]; if it cannot
//! find out, that is an error and becomes 503.
//!
//! All policies here but [`policy_fn`] judge only principals that proved who they are: an anonymous one is denied,
//! also by [`not`]. Nor does a token gain by being limited: where a role or permission is held and only the scopes don't
//! cover it, the policy abstains, and so does its negation.
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

mod address;
mod basic;
#[cfg(feature = "cedar")]
pub mod cedar;
mod combine;
mod conditions;
mod explain;
mod ownership;
pub mod rows;
#[cfg(test)]
mod testing;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{AccessRequest, Refused, RoleModel};
use crate::error::{ConfigError, Error};

pub use address::from_network;
pub use basic::{authenticated, permission, policy_fn, role};
pub(super) use basic::{check_permission, check_role};
pub use combine::{all_of, any_of, hidden, not};
pub use conditions::{assurance, daily, during, fresh_within, tenant_is};
pub use explain::PolicyExplanation;
pub use ownership::{owner_of_or, owner_or};

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
    ///
    /// It may be asked more than once about one request, so whatever costs belongs into the future.
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome;

    /// What a known client is told if the policy does not allow. Somebody anonymous is always asked to authenticate.
    ///
    /// It knows the request and not what [`decide`](Self::decide) found out, so it cannot tell the client either.
    fn refusal(&self, _request: &AccessRequest<'_>) -> Refused {
        Refused::Forbidden
    }

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

    /// How each part answers, for the operator and never for a client. Nothing is waited for.
    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        PolicyExplanation::new(self.describe(), &self.decide(request))
    }
}

/// A policy that can be combined and shared.
pub type SharedPolicy = Arc<dyn Policy>;

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        (**self).decide(request)
    }

    fn refusal(&self, request: &AccessRequest<'_>) -> Refused {
        (**self).refusal(request)
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        (**self).validate(roles)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        (**self).explain(request)
    }
}

/// The answer to a check of the request.
fn ready(checked: Result<(), Refused>) -> PolicyOutcome {
    PolicyOutcome::Ready(match checked {
        Ok(()) => Decision::Allow,
        // A no would be a yes to `not`, and whoever has a token cut down would gain by it.
        Err(Refused::InsufficientScope) => Decision::Abstain,
        Err(_) => Decision::Deny,
    })
}
