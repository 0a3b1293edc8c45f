use proptest::prelude::*;

use super::*;
use crate::authz::policy::testing::{Later, ada, ask, down, nobody, verdict};
use crate::authz::policy::{authenticated, permission, policy_fn, role};
use crate::error::ErrorKind;
use Decision::{Abstain, Allow, Deny};

#[tokio::test]
async fn combinations_follow_three_valued_logic() {
    for (name, parts, all, any) in [
        ("empty", &[][..], Abstain, Abstain),
        ("allow", &[Allow], Allow, Allow),
        ("deny", &[Deny], Deny, Deny),
        ("abstain", &[Abstain], Abstain, Abstain),
        ("allow and deny", &[Allow, Deny], Deny, Allow),
        ("allow and abstain", &[Allow, Abstain], Abstain, Allow),
        ("deny and abstain", &[Deny, Abstain], Deny, Abstain),
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
            assert_eq!(ask(&all_of(policies.clone()), &ada()).await, Ok(all), "all_of {name}, late: {late}");
            assert_eq!(ask(&any_of(policies), &ada()).await, Ok(any), "any_of {name}, late: {late}");
        }
    }
}

#[tokio::test]
async fn an_outage_is_not_an_answer() {
    let (yes, no) = (policy_fn(|_| Allow), policy_fn(|_| Deny));
    for (name, policy, want) in [
        ("needed", all_of([yes.clone(), down()]), Err(ErrorKind::Unavailable)),
        ("denied anyway", all_of([down(), no.clone()]), Ok(Deny)),
        ("allowed anyway", any_of([down(), yes]), Ok(Allow)),
        ("might have allowed", any_of([no, down()]), Err(ErrorKind::Unavailable)),
        ("negated", not(down()), Err(ErrorKind::Unavailable)),
        ("hidden", hidden(down()), Err(ErrorKind::Unavailable)),
    ] {
        assert_eq!(ask(&policy, &ada()).await, want, "{name}");
    }
}

#[tokio::test]
async fn what_nobody_allows_is_refused_negated_or_not() {
    let (empty_all, empty_any) = (all_of([]), any_of([]));
    let (admin, banned) = (ada().with_roles(["admin"]), ada().with_roles(["banned"]));
    let unbanned = not(role("banned"));
    use Refused::{Forbidden, NotFound, Unauthenticated, Unavailable};
    for (name, policy, principal, want) in [
        ("empty all_of", empty_all.clone(), &admin, Err(Forbidden)),
        ("empty any_of", empty_any.clone(), &admin, Err(Forbidden)),
        ("not of empty all_of", not(empty_all.clone()), &admin, Err(Forbidden)),
        ("not of empty any_of", not(empty_any.clone()), &admin, Err(Forbidden)),
        ("not not of empty", not(not(empty_any.clone())), &admin, Err(Forbidden)),
        ("all_of empty", all_of([empty_all.clone(), authenticated()]), &admin, Err(Forbidden)),
        ("any_of empty", any_of([empty_all, not(empty_any)]), &admin, Err(Forbidden)),
        ("not banned", unbanned.clone(), &admin, Ok(())),
        ("banned", unbanned.clone(), &banned, Err(Forbidden)),
        (
            "banned with a limited token",
            unbanned.clone(),
            &banned.clone().with_scopes(["a:b"]),
            Err(Forbidden),
        ),
        ("banned, not not", not(unbanned.clone()), &admin, Err(Forbidden)),
        ("not banned, nobody", unbanned.clone(), &nobody(), Err(Unauthenticated)),
        ("not not banned, nobody", not(unbanned), &nobody(), Err(Unauthenticated)),
        ("not authenticated", not(authenticated()), &nobody(), Err(Unauthenticated)),
        (
            "not a permission, limited",
            not(permission("notes:read")),
            &admin.clone().with_scopes(["a:b"]),
            Err(Forbidden),
        ),
        ("not of an outage", not(down()), &admin, Err(Unavailable)),
        ("not of an outage, nobody", not(down()), &nobody(), Err(Unauthenticated)),
        ("hidden", hidden(role("admin")), &ada(), Err(NotFound)),
        ("hidden, allowed", hidden(role("admin")), &admin, Ok(())),
        ("hidden, nobody", hidden(role("admin")), &nobody(), Err(Unauthenticated)),
        ("hidden, outage", hidden(down()), &ada(), Err(Unavailable)),
        (
            "hidden in any_of",
            any_of([role("admin"), hidden(Arc::new(Later(Ok(Deny))))]),
            &ada(),
            Err(NotFound),
        ),
        (
            "hidden in all_of, last",
            all_of([authenticated(), Arc::new(Later(Ok(Allow))), hidden(Arc::new(Later(Ok(Deny))))]),
            &ada(),
            Err(NotFound),
        ),
        (
            "hidden in all_of, not reached",
            all_of([role("admin"), hidden(Arc::new(Later(Ok(Allow))))]),
            &ada(),
            Err(Forbidden),
        ),
    ] {
        assert_eq!(verdict(&policy, principal, "/").await.0, want, "{name}");
    }
}

#[tokio::test]
async fn an_explanation_names_each_part() {
    let policy = all_of([authenticated(), not(role("banned")), down()]);
    let (ada, model) = (ada(), RoleModel::default());
    let explained = policy.explain(&AccessRequest::new(&ada, &model, "GET", "/"));
    let want = "all of: has to ask\n  authenticated: allows\n  not: allows\n    role banned: denies\n  policy: has to ask\n";
    assert_eq!(explained.to_string(), want);
}

/// An answer or an outage, now or later.
fn leaf() -> impl Strategy<Value = (Option<Decision>, bool)> {
    (prop::sample::select(vec![Some(Allow), Some(Deny), Some(Abstain), None]), any::<bool>())
}

fn policy((answer, late): (Option<Decision>, bool)) -> SharedPolicy {
    match answer {
        None => down(),
        Some(answer) if late => Arc::new(Later(Ok(answer))),
        Some(answer) => policy_fn(move |_| answer),
    }
}

proptest! {
    #[test]
    fn de_morgan(leaves in prop::collection::vec(leaf(), 0..5), anonymous: bool) {
        let principal = if anonymous { nobody() } else { ada() };
        let parts = || leaves.iter().copied().map(policy);
        let answer = |policy: &SharedPolicy| {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(ask(policy, &principal))
        };
        let negated = || parts().map(not);
        if anonymous {
            // Nobody gains by a negation, whatever is under it.
            prop_assert_eq!(answer(&not(any_of(parts()))), Ok(Deny));
            prop_assert_ne!(answer(&any_of(negated())), Ok(Allow));
        } else {
            prop_assert_eq!(answer(&not(all_of(parts()))), answer(&any_of(negated())));
            prop_assert_eq!(answer(&not(any_of(parts()))), answer(&all_of(negated())));
            prop_assert_eq!(answer(&not(not(all_of(parts())))), answer(&all_of(parts())));
        }
    }
}
