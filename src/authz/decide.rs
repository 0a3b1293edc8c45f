//! The one function that decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::policy::{Decision, Policy, PolicyOutcome};
use super::rule::Kind;
use super::{AccessRequest, Rule};
use crate::principal::Assurance;
use crate::rejection::RejectionCode;

/// Why access was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Nobody has proved who they are, and this needs somebody: 401.
    Unauthenticated,
    /// Known, but not allowed: 403.
    Forbidden,
    /// The roles would allow it, the scopes of the token do not: 403.
    InsufficientScope,
    /// Known, but not allowed to know either: 404.
    NotFound,
    /// Known and perhaps allowed, after signing in again: 401.
    Reauthenticate(StepUp),
    /// It could not be found out: 503.
    Unavailable,
}

impl Refused {
    /// What the client is told.
    #[must_use]
    pub const fn code(self) -> RejectionCode {
        match self {
            Self::Unauthenticated => RejectionCode::Unauthenticated,
            Self::Forbidden => RejectionCode::Forbidden,
            Self::InsufficientScope => RejectionCode::InsufficientScope,
            Self::NotFound => RejectionCode::NotFound,
            Self::Reauthenticate(_) => RejectionCode::ReauthenticationRequired,
            Self::Unavailable => RejectionCode::Unavailable,
        }
    }
}

/// What a sign-in would have to be like ([RFC 9470 section 3]).
///
/// [RFC 9470 section 3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// At least this sure.
    pub assurance: Option<Assurance>,
    /// Not longer ago than this.
    pub max_age: Option<Duration>,
}

impl StepUp {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        let ages = [self.max_age, other.max_age];
        Self { assurance: self.assurance.max(other.assurance), max_age: ages.into_iter().flatten().min() }
    }

    /// The level as a value of `acr_values`.
    pub(super) const fn acr(self) -> &'static str {
        match self.assurance {
            None => "none",
            Some(Assurance::Aal1) => "aal1",
            Some(Assurance::Aal2) => "aal2",
            Some(Assurance::Aal3) => "aal3",
        }
    }

    /// As parameters of a challenge, each with a comma before it.
    pub(crate) fn parameters(self) -> String {
        let mut text = String::new();
        if self.assurance.is_some() {
            text = format!(", acr_values=\"{}\"", self.acr());
        }
        if let Some(max_age) = self.max_age {
            text = format!("{text}, max_age=\"{}\"", max_age.as_secs());
        }
        text
    }
}

/// An answer that takes time.
pub type VerdictFuture = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// An answer, at once or later. Only a policy that waits makes it late.
pub enum Verdict {
    /// At once; nothing is boxed.
    Ready(Result<(), Refused>),
    /// Later.
    Pending(VerdictFuture),
}

impl Verdict {
    /// The answer, whenever it comes.
    ///
    /// # Errors
    ///
    /// [`Refused`] if access is refused.
    pub async fn resolve(self) -> Result<(), Refused> {
        match self {
            Self::Ready(answer) => answer,
            Self::Pending(future) => future.await,
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Whether the request satisfies the rule. Without a policy no clock, no store, no lock
/// and no allocation.
#[must_use]
pub fn authorize(request: &AccessRequest<'_>, rule: &Rule) -> Verdict {
    Verdict::Ready(match &rule.0 {
        Kind::Public | Kind::Anyone => Ok(()),
        Kind::Authenticated => request.check_authenticated(),
        Kind::Unlimited => request.check_unlimited(),
        Kind::Role(name) => request.check_role(name),
        Kind::Permission(_, Some(permission)) => request.check_permission(permission),
        Kind::Question(question) => request.check_question(question),
        Kind::Permission(_, None) => Err(Refused::Forbidden),
        Kind::Policy(policy) => {
            match policy.decide(request) {
                PolicyOutcome::Ready(Decision::Allow) => Ok(()),
                PolicyOutcome::Ready(Decision::Deny | Decision::Abstain) => Err(refusal(policy, request)),
                PolicyOutcome::Pending(future) => {
                    // Before anything is found out, so that it cannot say what was.
                    let refused = refusal(policy, request);
                    return Verdict::Pending(Box::pin(async move {
                        match future.await {
                            Ok(Decision::Allow) => Ok(()),
                            Ok(Decision::Deny | Decision::Abstain) => Err(refused),
                            Err(error) => {
                                tracing::error!(kind = ?error.kind(), %error, "a policy could not decide");
                                Err(Refused::Unavailable)
                            }
                        }
                    }));
                }
            }
        }
    })
}

fn refusal(policy: &impl Policy, request: &AccessRequest<'_>) -> Refused {
    request.check_authenticated().err().unwrap_or_else(|| policy.refusal(request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{Role, RoleModel, policy};
    use crate::id::{Subject, TenantId};
    use crate::principal::Principal;

    #[test]
    fn rights_are_roles_cut_down_to_scopes() {
        let model = RoleModel::builder()
            .add(Role::new("user").grants("tasks:read"))
            .add(Role::new("admin").inherits("user").grants("users:*"))
            .build()
            .unwrap();
        let nobody = Principal::anonymous(TenantId::default());
        let somebody = Principal::user(TenantId::default(), Subject::parse("u").unwrap());
        let (user, admin) = (somebody.clone().with_roles(["user"]), somebody.clone().with_roles(["admin"]));
        let none: [&str; 0] = [];
        let (read, delete) = (Rule::permission("tasks:read"), Rule::permission("users:delete"));
        let (is_user, is_admin) = (Rule::role("user"), Rule::role("admin"));
        let allows = Rule::policy(policy::policy_fn(|_| Decision::Allow));
        let abstains = Rule::policy(policy::policy_fn(|_| Decision::Abstain));
        use Refused::{Forbidden, InsufficientScope, Unauthenticated};
        for (name, principal, rule, want) in [
            ("public", &nobody, &Rule::public(), Ok(())),
            ("anyone", &nobody, &Rule::anyone(), Ok(())),
            ("anonymous", &nobody, &Rule::authenticated(), Err(Unauthenticated)),
            ("anonymous for a role", &nobody, &is_user, Err(Unauthenticated)),
            ("anonymous for a permission", &nobody, &read, Err(Unauthenticated)),
            ("anonymous with roles", &nobody.clone().with_roles(["admin"]), &read, Err(Unauthenticated)),
            ("known", &somebody, &Rule::authenticated(), Ok(())),
            ("known without roles", &somebody, &read, Err(Forbidden)),
            ("unknown role", &somebody.clone().with_roles(["root", "*", "ADMIN"]), &read, Err(Forbidden)),
            ("role", &user, &is_user, Ok(())),
            ("role too low", &user, &is_admin, Err(Forbidden)),
            ("inherited role", &admin, &is_user, Ok(())),
            ("permission", &user, &read, Ok(())),
            ("inherited permission", &admin, &read, Ok(())),
            ("wildcard", &admin, &delete, Ok(())),
            ("not granted", &user, &delete, Err(Forbidden)),
            ("scope within", &admin.clone().with_scopes(["tasks:read"]), &read, Ok(())),
            ("scope too small", &admin.clone().with_scopes(["tasks:read"]), &delete, Err(InsufficientScope)),
            ("scope adds nothing", &user.clone().with_scopes(["*:*"]), &delete, Err(Forbidden)),
            ("no scope at all", &admin.clone().with_scopes(none), &read, Err(InsufficientScope)),
            (
                "role under a scope",
                &admin.clone().with_scopes(["tasks:read"]),
                &is_admin,
                Err(InsufficientScope),
            ),
            ("role under every scope", &admin.clone().with_scopes(["*:*"]), &is_admin, Ok(())),
            ("malformed permission", &admin, &Rule::permission("*:*"), Err(Forbidden)),
            ("policy allows", &nobody, &allows, Ok(())),
            ("policy abstains for nobody", &nobody, &abstains, Err(Unauthenticated)),
            ("policy abstains", &admin, &abstains, Err(Forbidden)),
        ] {
            match authorize(&AccessRequest::new(principal, &model, "GET", "/"), rule) {
                Verdict::Ready(answer) => assert_eq!(answer, want, "{name}"),
                Verdict::Pending(_) => panic!("{name}: nothing to wait for"),
            }
        }
    }
}
