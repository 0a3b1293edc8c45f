//! The one function that decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::policy::{Decision, PolicyOutcome};
use super::rule::Kind;
use super::{AccessRequest, Rule};
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
            Self::Unavailable => RejectionCode::Unavailable,
        }
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

/// Whether the request satisfies the rule. No clock, no store, no lock, and without a policy no allocation.
#[must_use]
pub fn authorize(request: &AccessRequest<'_>, rule: &Rule) -> Verdict {
    Verdict::Ready(match &rule.0 {
        Kind::Public | Kind::Anyone => Ok(()),
        Kind::Authenticated => request.check_authenticated(),
        Kind::Role(name) => request.check_role(name),
        Kind::Permission(_, Some(permission)) => request.check_permission(permission),
        Kind::Question(question) => request.check_question(question),
        Kind::Permission(_, None) => Err(Refused::Forbidden),
        Kind::Policy(policy) => {
            let anonymous = request.principal().is_anonymous();
            match policy.decide(request) {
                PolicyOutcome::Ready(decision) => answer(decision, anonymous),
                PolicyOutcome::Pending(future) => {
                    return Verdict::Pending(Box::pin(async move {
                        match future.await {
                            Ok(decision) => answer(decision, anonymous),
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

fn answer(decision: Decision, anonymous: bool) -> Result<(), Refused> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Deny | Decision::Abstain if anonymous => Err(Refused::Unauthenticated),
        Decision::Deny | Decision::Abstain => Err(Refused::Forbidden),
    }
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
