//! What the tests of policies share.

use super::*;
use crate::authz::{Role, Rule, Verdict, authorize};
use crate::error::ErrorKind;
use crate::id::{Subject, TenantId};
use crate::principal::Principal;

/// Answers `Ok` later, or fails later.
pub(super) struct Later(pub(super) Result<Decision, ErrorKind>);

impl Policy for Later {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        let answer = self.0;
        PolicyOutcome::Pending(Box::pin(async move { answer.map_err(|kind| Error::new(kind, "down")) }))
    }
}

pub(super) fn down() -> SharedPolicy {
    Arc::new(Later(Err(ErrorKind::Unavailable)))
}

pub(super) fn nobody() -> Principal {
    Principal::anonymous(TenantId::default())
}

pub(super) fn ada() -> Principal {
    Principal::user(TenantId::default(), Subject::parse("ada").unwrap())
}

pub(super) fn model() -> RoleModel {
    let roles = [Role::new("admin").grants("notes:*"), Role::new("banned").grants("posts:none")];
    roles.into_iter().fold(RoleModel::builder(), |builder, role| builder.add(role)).build().unwrap()
}

/// What the policy answers.
pub(super) async fn ask(policy: &SharedPolicy, principal: &Principal) -> Result<Decision, ErrorKind> {
    let model = model();
    match policy.decide(&AccessRequest::new(principal, &model, "GET", "/notes/7")) {
        PolicyOutcome::Ready(decision) => Ok(decision),
        PolicyOutcome::Pending(future) => future.await.map_err(|error| error.kind()),
    }
}

/// What becomes of a request for a path under a rule with the policy.
pub(super) async fn verdict(
    policy: &SharedPolicy,
    principal: &Principal,
    path: &str,
) -> (Result<(), Refused>, bool) {
    let model = model();
    // Not built, which refuses what can never allow: a decision has to hold without.
    let rule = Rule::policy(policy.clone());
    let verdict = authorize(&AccessRequest::new(principal, &model, "GET", path), &rule);
    let at_once = matches!(verdict, Verdict::Ready(_));
    (verdict.resolve().await, at_once)
}
