//! How sure, how long ago, when, where.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Decision, Policy, PolicyOutcome, SharedPolicy};
use crate::authz::{AccessRequest, Refused, RoleModel, StepUp};
use crate::error::ConfigError;
use crate::id::TenantId;
use crate::principal::{Assurance, Principal, PrincipalKind};
use crate::time::{Clock, Timestamp};

/// How far the clocks of instances may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(5);
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
const DAY: Duration = Duration::from_micros(DAY_MICROS.unsigned_abs());

/// Allows principals of this tenant.
#[must_use]
pub fn tenant_is(tenant: TenantId) -> SharedPolicy {
    let what = format!("tenant {tenant}");
    condition(what, None, move |principal| *principal.tenant() == tenant)
}

/// Allows whoever signed in with at least this assurance. Others are told 401 `reauthentication_required`, with the
/// level as `acr_values`: `aal1`, `aal2` or `aal3` ([RFC 9470 section 3]).
///
/// [RFC 9470 section 3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
#[must_use]
pub fn assurance(least: Assurance) -> SharedPolicy {
    let step_up = StepUp { assurance: Some(least), max_age: None };
    condition(format!("assurance {}", step_up.acr()), Some(step_up), move |principal| {
        principal.assurance() >= Some(least)
    })
}

/// Allows whoever signed in not longer ago than this; refreshing is not signing in. Others, and whoever does not say
/// when, are told 401 `reauthentication_required`, with the age as `max_age` in whole seconds ([RFC 9470 section 3]).
///
/// [RFC 9470 section 3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
pub fn fresh_within(max_age: Duration, clock: impl Clock) -> SharedPolicy {
    let step_up = StepUp { assurance: None, max_age: Some(max_age) };
    let fresh = condition(format!("fresh within {max_age:?}"), Some(step_up), move |principal| {
        let now = clock.now();
        principal.auth_time().is_some_and(|at| at <= now + CLOCK_SKEW && now.since(at) <= max_age)
    });
    possible(max_age >= Duration::from_secs(1), fresh)
}

/// Allows from the start of this period until its end.
pub fn during(period: Range<Timestamp>, clock: impl Clock) -> SharedPolicy {
    let filled = !period.is_empty();
    let what = format!("during {:?}", period);
    possible(filled, condition(what, None, move |_| period.contains(&clock.now())))
}

/// Allows every day from one time after midnight UTC until another, over midnight if the end lies before the start.
///
/// ```
/// use std::time::Duration;
/// use portcullis::authz::policy::{Policy, daily};
/// use portcullis::time::SystemClock;
///
/// let hour = |hour: u64| Duration::from_secs(hour * 60 * 60);
/// let at_night = daily(hour(22)..hour(6), SystemClock::new());
/// assert_eq!(at_night.describe(), "daily 79200s..21600s UTC");
/// ```
pub fn daily(times: Range<Duration>, clock: impl Clock) -> SharedPolicy {
    let Range { start, end } = times;
    let fits = start != end && start < DAY && end <= DAY;
    let inside = move |_: &Principal| {
        let micros = clock.now().as_micros().rem_euclid(DAY_MICROS);
        let time = Duration::from_micros(micros.unsigned_abs());
        if start < end { start <= time && time < end } else { start <= time || time < end }
    };
    possible(fits, condition(format!("daily {start:?}..{end:?} UTC"), None, inside))
}

fn condition(
    what: String,
    step_up: Option<StepUp>,
    holds: impl Fn(&Principal) -> bool + Send + Sync + 'static,
) -> SharedPolicy {
    Arc::new(Condition { what, step_up, holds })
}

/// What holds or does not, and judges only principals that proved who they are.
struct Condition<F> {
    what: String,
    step_up: Option<StepUp>,
    holds: F,
}

impl<F: Fn(&Principal) -> bool + Send + Sync + 'static> Policy for Condition<F> {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        let principal = request.principal();
        let holds = !principal.is_anonymous() && (self.holds)(principal);
        PolicyOutcome::Ready(if holds { Decision::Allow } else { Decision::Deny })
    }

    fn refusal(&self, request: &AccessRequest<'_>) -> Refused {
        match self.step_up {
            // A program cannot sign in again.
            Some(step_up) if request.principal().kind() == PrincipalKind::User => {
                Refused::Reauthenticate(step_up)
            }
            _ => Refused::Forbidden,
        }
    }

    fn describe(&self) -> String {
        self.what.clone()
    }
}

/// The policy, or one that says it can never hold.
fn possible(possible: bool, policy: SharedPolicy) -> SharedPolicy {
    if possible { policy } else { Arc::new(Impossible(policy)) }
}

struct Impossible(SharedPolicy);

impl Policy for Impossible {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready(Decision::Abstain)
    }

    fn validate(&self, _: &RoleModel) -> Result<(), ConfigError> {
        Err(ConfigError::new(self.describe(), "can never hold", "correct the times"))
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
