use super::*;
use crate::authz::policy::testing::{ada, nobody, verdict};
use crate::authz::policy::{all_of, any_of, role};
use crate::id::Subject;
use crate::principal::AuthMethod;
use crate::time::ManualClock;

#[tokio::test]
async fn how_sure_how_fresh_and_where() {
    use Refused::{Forbidden, Reauthenticate, Unauthenticated};
    let clock = ManualClock::default();
    let five = Duration::from_secs(300);
    let signed_in = |ago: Duration| ada().with_auth_time(clock.now() - ago);
    let (old, new) = (signed_in(five + Duration::from_micros(1)), signed_in(five));
    let two = [AuthMethod::Password, AuthMethod::Otp];
    let program =
        Principal::service(TenantId::default(), Subject::parse("p").unwrap()).with_auth_methods([two[0]]);
    let aal2 = assurance(Assurance::Aal2);
    let fresh = fresh_within(five, clock.clone());
    let both = all_of([aal2.clone(), fresh.clone()]);
    let here = tenant_is(TenantId::default());
    let there = tenant_is(TenantId::parse("other").unwrap());
    let again = |assurance, max_age: Option<Duration>| Err(Reauthenticate(StepUp { assurance, max_age }));
    let strong = Some(Assurance::Aal2);
    // ASVS 7.5.3
    for (name, policy, principal, want) in [
        ("strong enough", &aal2, &ada().with_auth_methods(two), Ok(())),
        ("too weak", &aal2, &ada().with_auth_methods([two[0]]), again(strong, None)),
        ("nothing said", &aal2, &ada(), again(strong, None)),
        ("a program", &aal2, &program, Err(Forbidden)),
        ("nobody", &aal2, &nobody().with_auth_methods(two), Err(Unauthenticated)),
        ("fresh", &fresh, &new, Ok(())),
        ("too old", &fresh, &old, again(None, Some(five))),
        ("no time", &fresh, &ada(), again(None, Some(five))),
        ("clocks differ", &fresh, &ada().with_auth_time(clock.now() + CLOCK_SKEW), Ok(())),
        ("from the future", &fresh, &ada().with_auth_time(Timestamp::MAX), again(None, Some(five))),
        ("fresh, nobody", &fresh, &nobody().with_auth_time(clock.now()), Err(Unauthenticated)),
        ("both", &both, &new.clone().with_auth_methods(two), Ok(())),
        ("both, too old", &both, &old.clone().with_auth_methods(two), again(None, Some(five))),
        ("both missing", &both, &old, again(strong, Some(five))),
        ("would not help", &all_of([fresh.clone(), role("admin")]), &old, Err(Forbidden)),
        ("would help", &any_of([fresh.clone(), role("admin")]), &old, again(None, Some(five))),
        ("tenant", &here, &ada(), Ok(())),
        ("other tenant", &there, &ada(), Err(Forbidden)),
        ("tenant, nobody", &here, &nobody(), Err(Unauthenticated)),
    ] {
        assert_eq!(verdict(policy, principal, "/").await, (want, true), "{name}");
    }
}

#[tokio::test]
async fn when() {
    let clock = ManualClock::default();
    let hour = |hour: u64| Duration::from_secs(hour * 60 * 60);
    let midnight = clock.now();
    let office = daily(hour(9)..hour(17), clock.clone());
    let night = daily(hour(22)..hour(6), clock.clone());
    let late = daily(hour(12)..hour(24), clock.clone());
    let period = during(midnight + hour(9)..midnight + hour(30), clock.clone());
    for (at, want) in [
        (hour(0), [false, true, false, false]),
        (hour(6), [false, false, false, false]),
        (hour(9) - Duration::from_micros(1), [false, false, false, false]),
        (hour(9), [true, false, false, true]),
        (hour(17), [false, false, true, true]),
        (hour(23), [false, true, true, true]),
        (hour(24), [false, true, false, true]),
        (hour(30), [false, false, false, false]),
    ] {
        clock.set(midnight + at);
        for (policy, want) in [&office, &night, &late, &period].into_iter().zip(want) {
            let allowed = verdict(policy, &ada(), "/").await.0.is_ok();
            assert_eq!(allowed, want, "{} at {at:?}", policy.describe());
            assert!(verdict(policy, &nobody(), "/").await.0.is_err(), "nobody, {}", policy.describe());
        }
    }
}

#[test]
fn times_that_cannot_be() {
    let (clock, hour) = (ManualClock::default(), |hour: u64| Duration::from_secs(hour * 60 * 60));
    let now = clock.now();
    for policy in [
        fresh_within(Duration::ZERO, clock.clone()),
        during(now..now, clock.clone()),
        daily(hour(5)..hour(5), clock.clone()),
        daily(hour(25)..hour(26), clock.clone()),
        daily(hour(9)..hour(25), clock),
    ] {
        assert!(policy.validate(&RoleModel::default()).is_err(), "{}", policy.describe());
    }
}
