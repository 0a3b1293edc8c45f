//! Together: all of, any of, not; and how a refusal looks.

use std::sync::Arc;

use super::{Decision, Policy, PolicyExplanation, PolicyOutcome, SharedPolicy};
use crate::authz::{AccessRequest, Refused, RoleModel};
use crate::error::ConfigError;

/// Allows if all of them allow; an empty list does not, and is an error where the rule is built. One `Deny` decides, whatever the others would have said.
pub fn all_of(policies: impl IntoIterator<Item = SharedPolicy>) -> SharedPolicy {
    Arc::new(Combined { all: true, policies: policies.into_iter().collect() })
}

/// Allows if one of them allows; an empty list does not, and is an error where the rule is built. One `Allow` decides, whatever the others would have said.
pub fn any_of(policies: impl IntoIterator<Item = SharedPolicy>) -> SharedPolicy {
    Arc::new(Combined { all: false, policies: policies.into_iter().collect() })
}

/// Allows what the policy denies and denies what it allows. No opinion stays none, an outage stays an outage, and
/// somebody anonymous is denied without being looked at.
///
/// ```
/// use portcullis::authz::Rule;
/// use portcullis::authz::policy::{all_of, not, permission, role};
///
/// let rule = Rule::policy(all_of([permission("posts:write"), not(role("banned"))]));
/// assert_eq!(rule.to_string(), "all of (permission posts:write, not (role banned))");
/// ```
#[must_use]
pub fn not(policy: SharedPolicy) -> SharedPolicy {
    Arc::new(Not(policy))
}

/// The same policy; where it refuses, a known client is told 404 `not_found`, as if there were nothing.
///
/// Inside [`any_of`] and [`all_of`] it hides what the others refuse too. Two refusals still show, for what makes them
/// can be seen from the request alone and is the same whatever exists: that one should sign in again, and what another
/// part of an [`all_of`] refuses at once.
#[must_use]
pub fn hidden(policy: SharedPolicy) -> SharedPolicy {
    Arc::new(Hidden(policy))
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

/// Strong Kleene logic: the lowest or the highest, with `Abstain` between `Deny` and `Allow`. Nothing at all is no
/// opinion.
fn join(all: bool, known: Option<Decision>, next: Decision) -> Decision {
    let rank = |decision| match decision {
        Decision::Deny => 0,
        Decision::Abstain => 1,
        Decision::Allow => 2,
    };
    match known {
        Some(known) if (rank(known) < rank(next)) == all => known,
        _ => next,
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
                PolicyOutcome::Ready(decision) => known = Some(join(all, known, decision)),
                PolicyOutcome::Pending(future) => pending.push(future),
            }
        }
        if pending.is_empty() {
            return PolicyOutcome::Ready(known.unwrap_or(Decision::Abstain));
        }
        PolicyOutcome::Pending(Box::pin(async move {
            let mut outage = None;
            for future in pending {
                match future.await {
                    Ok(decision) if decision == decisive => return Ok(decision),
                    Ok(decision) => known = Some(join(all, known, decision)),
                    Err(error) => outage = Some(error),
                }
            }
            match outage {
                Some(error) => Err(error),
                None => Ok(known.unwrap_or(Decision::Abstain)),
            }
        }))
    }

    fn refusal(&self, request: &AccessRequest<'_>) -> Refused {
        let (mut at_once, mut later) = (None, None);
        for policy in &self.policies {
            let side = match policy.decide(request) {
                PolicyOutcome::Ready(Decision::Allow) => continue,
                PolicyOutcome::Ready(_) => &mut at_once,
                PolicyOutcome::Pending(_) => &mut later,
            };
            *side = merge(self.all, *side, Some(policy.refusal(request)));
        }
        let told = if self.all { at_once.or(later) } else { merge(false, at_once, later) };
        told.unwrap_or(Refused::Forbidden)
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        if self.policies.is_empty() {
            return Err(ConfigError::new(
                self.describe(),
                "combines nothing, so it never allows",
                "say what it should ask for, or leave it out",
            ));
        }
        self.policies.iter().try_for_each(|policy| policy.validate(roles))
    }

    fn describe(&self) -> String {
        let parts: Vec<String> = self.policies.iter().map(|policy| policy.describe()).collect();
        format!("{} of ({})", if self.all { "all" } else { "any" }, parts.join(", "))
    }

    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        let parts = self.policies.iter().map(|policy| policy.explain(request)).collect();
        let name = if self.all { "all of" } else { "any of" };
        PolicyExplanation::new(name.to_owned(), &self.decide(request)).with_parts(parts)
    }
}

/// What is said for two. Signing in again is worth asking for only if that is enough: for all of them if nothing else
/// is missing, for any of them if one of them asks for it. Otherwise what hides, hides the others too.
fn merge(all: bool, left: Option<Refused>, right: Option<Refused>) -> Option<Refused> {
    let rank = |refused: Refused| match refused {
        Refused::Reauthenticate(_) if all => 0,
        Refused::Reauthenticate(_) => 3,
        Refused::NotFound => 2,
        _ => 1,
    };
    match (left, right) {
        (Some(Refused::Reauthenticate(left)), Some(Refused::Reauthenticate(right))) if all => {
            Some(Refused::Reauthenticate(left.and(right)))
        }
        (Some(left), Some(right)) => Some(if rank(right) > rank(left) { right } else { left }),
        (left, right) => left.or(right),
    }
}

struct Not(SharedPolicy);

fn inverse(decision: Decision) -> Decision {
    match decision {
        Decision::Allow => Decision::Deny,
        Decision::Deny => Decision::Allow,
        Decision::Abstain => Decision::Abstain,
    }
}

impl Policy for Not {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        if request.principal().is_anonymous() {
            return PolicyOutcome::Ready(Decision::Deny);
        }
        match self.0.decide(request) {
            PolicyOutcome::Ready(decision) => PolicyOutcome::Ready(inverse(decision)),
            PolicyOutcome::Pending(future) => {
                PolicyOutcome::Pending(Box::pin(async move { future.await.map(inverse) }))
            }
        }
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        self.0.validate(roles)
    }

    fn describe(&self) -> String {
        format!("not ({})", self.0.describe())
    }

    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        PolicyExplanation::new("not".to_owned(), &self.decide(request))
            .with_parts(vec![self.0.explain(request)])
    }
}

struct Hidden(SharedPolicy);

impl Policy for Hidden {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        self.0.decide(request)
    }

    fn refusal(&self, _: &AccessRequest<'_>) -> Refused {
        Refused::NotFound
    }

    fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        self.0.validate(roles)
    }

    fn describe(&self) -> String {
        format!("{}, else not found", self.0.describe())
    }

    fn explain(&self, request: &AccessRequest<'_>) -> PolicyExplanation {
        self.0.explain(request)
    }
}

#[cfg(test)]
#[path = "combine_tests.rs"]
mod tests;
