use super::*;
use crate::error::ErrorKind;
use crate::id::TenantId;
use crate::principal::Principal;

/// Answers `Ok` later, or fails later.
struct Later(Result<Decision, ErrorKind>);

impl Policy for Later {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        let answer = self.0;
        PolicyOutcome::Pending(Box::pin(async move { answer.map_err(|kind| Error::new(kind, "down")) }))
    }
}

async fn ask(policy: &SharedPolicy) -> Result<Decision, ErrorKind> {
    let principal = Principal::anonymous(TenantId::default());
    let model = RoleModel::default();
    match policy.decide(&AccessRequest::new(&principal, &model, "GET", "/")) {
        PolicyOutcome::Ready(decision) => Ok(decision),
        PolicyOutcome::Pending(future) => future.await.map_err(|error| error.kind()),
    }
}

#[tokio::test]
async fn combinations_follow_three_valued_logic() {
    use Decision::{Abstain, Allow, Deny};
    for (name, parts, all, any) in [
        ("empty", &[][..], Deny, Deny),
        ("allow", &[Allow], Allow, Allow),
        ("deny", &[Deny], Deny, Deny),
        ("abstain", &[Abstain], Abstain, Abstain),
        ("allow and deny", &[Allow, Deny], Deny, Allow),
        ("allow and abstain", &[Allow, Abstain], Abstain, Allow),
        ("deny and abstain", &[Deny, Abstain], Deny, Deny),
        ("all three", &[Abstain, Allow, Deny], Deny, Allow),
        ("allow twice", &[Allow, Allow], Allow, Allow),
    ] {
        // Whether an answer comes now or later, first or last, does not change the result.
        for (late, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut policies: Vec<SharedPolicy> = Vec::new();
            for part in parts.iter().copied() {
                policies.push(if late { Arc::new(Later(Ok(part))) } else { policy_fn(move |_| part) });
            }
            if reverse {
                policies.reverse();
            }
            assert_eq!(ask(&all_of(policies.clone())).await, Ok(all), "all_of {name}, late: {late}");
            assert_eq!(ask(&any_of(policies)).await, Ok(any), "any_of {name}, late: {late}");
        }
    }
}

#[tokio::test]
async fn an_outage_is_not_an_answer() {
    let down = || -> SharedPolicy { Arc::new(Later(Err(ErrorKind::Unavailable))) };
    let (yes, no) = (policy_fn(|_| Decision::Allow), policy_fn(|_| Decision::Deny));
    for (name, policy, want) in [
        ("needed", all_of([yes.clone(), down()]), Err(ErrorKind::Unavailable)),
        ("denied anyway", all_of([down(), no.clone()]), Ok(Decision::Deny)),
        ("allowed anyway", any_of([down(), yes]), Ok(Decision::Allow)),
        ("might have allowed", any_of([no, down()]), Err(ErrorKind::Unavailable)),
    ] {
        assert_eq!(ask(&policy).await, want, "{name}");
    }
}

#[test]
fn a_policy_that_cannot_work_is_not_built() {
    let model = RoleModel::default();
    for policy in [role("admin"), permission("a:b"), permission("*:*"), all_of([any_of([role("x")])])] {
        assert!(policy.validate(&model).is_err(), "{}", policy.describe());
    }
}
