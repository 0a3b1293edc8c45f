use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::authz::Refused;
use crate::authz::policy::testing::{ada, nobody, verdict};
use crate::authz::policy::{all_of, any_of, hidden, not, role};
use crate::error::ErrorKind;
use crate::principal::Principal;

/// Note 7 is ada's, 8 is bob's, 500 cannot be found out; in the default tenant.
fn notes(asked: &Arc<AtomicUsize>) -> SharedPolicy {
    let asked = asked.clone();
    owner_or("notes:moderate", move |tenant: TenantId, note: u64| {
        asked.fetch_add(1, Ordering::SeqCst);
        async move {
            match note {
                7 | 8 if tenant != TenantId::default() => Ok(None),
                7 => Ok(Subject::parse("ada").ok()),
                8 => Ok(Subject::parse("bob").ok()),
                500 => Err(Error::new(ErrorKind::Unavailable, "down")),
                _ => Ok(None),
            }
        }
    })
}

#[tokio::test]
async fn the_owner_or_whoever_may() {
    let asked = Arc::new(AtomicUsize::new(0));
    let notes = notes(&asked);
    let secret = hidden(notes.clone());
    let admin = ada().with_roles(["admin"]);
    let other = Principal::user(TenantId::parse("other").unwrap(), Subject::parse("ada").unwrap());
    let limited = ada().with_scopes(["tasks:read"]);
    use Refused::{Forbidden, NotFound, Unauthenticated, Unavailable};
    // ASVS 8.2.2
    for (name, policy, principal, path, want, loads) in [
        ("owner", &notes, &ada(), "/notes/7", Ok(()), 1),
        ("owner, encoded", &notes, &ada(), "/notes/%37", Ok(()), 1),
        ("not the owner", &notes, &ada(), "/notes/8", Err(Forbidden), 1),
        ("unknown", &notes, &ada(), "/notes/9", Err(Forbidden), 1),
        ("outage", &notes, &ada(), "/notes/500", Err(Unavailable), 1),
        ("moderator", &notes, &admin, "/notes/8", Ok(()), 0),
        ("moderator, outage", &notes, &admin, "/notes/500", Ok(()), 0),
        ("moderator, limited", &notes, &admin.clone().with_scopes(["a:b"]), "/notes/7", Err(Forbidden), 0),
        ("owner, limited", &notes, &limited, "/notes/7", Err(Forbidden), 0),
        ("owner, scope", &notes, &ada().with_scopes(["notes:moderate"]), "/notes/7", Ok(()), 1),
        ("nobody", &notes, &nobody(), "/notes/7", Err(Unauthenticated), 0),
        ("same name, other tenant", &notes, &other, "/notes/7", Err(Forbidden), 1),
        ("no number", &notes, &ada(), "/notes/x", Err(Forbidden), 0),
        ("no segment", &notes, &ada(), "/notes/7/", Err(Forbidden), 0),
        ("bad escape", &notes, &ada(), "/notes/7%", Err(Forbidden), 0),
        ("hidden, owner", &secret, &ada(), "/notes/7", Ok(()), 1),
        ("hidden, not the owner", &secret, &ada(), "/notes/8", Err(NotFound), 1),
        ("hidden, unknown", &secret, &ada(), "/notes/9", Err(NotFound), 1),
        ("hidden, no number", &secret, &ada(), "/notes/x", Err(NotFound), 0),
        ("hidden, limited", &secret, &limited, "/notes/7", Err(NotFound), 0),
        ("hidden, nobody", &secret, &nobody(), "/notes/7", Err(Unauthenticated), 0),
        ("hidden, outage", &secret, &ada(), "/notes/500", Err(Unavailable), 1),
        ("negated, owner", &not(notes.clone()), &ada(), "/notes/7", Err(Forbidden), 1),
        ("negated, unknown", &not(notes.clone()), &ada(), "/notes/9", Err(Forbidden), 1),
        ("negated, limited", &not(notes.clone()), &limited, "/notes/7", Err(Forbidden), 0),
        ("denied anyway", &all_of([notes.clone(), role("admin")]), &ada(), "/notes/7", Err(Forbidden), 0),
        ("allowed anyway", &any_of([notes.clone(), role("admin")]), &admin, "/notes/500", Ok(()), 0),
    ] {
        asked.store(0, Ordering::SeqCst);
        assert_eq!(verdict(policy, principal, path).await, (want, loads == 0), "{name}");
        assert_eq!(asked.load(Ordering::SeqCst), loads, "{name}");
    }
}

#[tokio::test]
async fn a_resource_can_be_named_by_a_closure() {
    let second = |request: &AccessRequest<'_>| request.resource().split('/').nth(2)?.parse::<u64>().ok();
    let owner = owner_of_or(second, "notes:moderate", async |_: TenantId, note: u64| {
        Ok(if note == 7 { Subject::parse("ada").ok() } else { None })
    });
    for (path, want) in [("/notes/7/share", Ok(())), ("/notes/8/7", Err(Refused::Forbidden))] {
        assert_eq!(verdict(&owner, &ada(), path).await.0, want, "{path}");
    }
}

#[test]
fn segments_are_decoded_once() {
    for (path, want) in [
        ("/a/b", Some("b")),
        ("/a/b%20c", Some("b c")),
        ("/a/%2e%2e%2Fx", Some("../x")),
        ("/a/%2537", Some("%37")),
        ("/a/%C3%A4", Some("\u{e4}")),
        ("/a/%C3", None),
        ("/a/%+7", None),
        ("/a/%7", None),
        ("/a/", None),
        ("", None),
    ] {
        assert_eq!(last_segment(path).as_deref(), want, "{path}");
    }
}
