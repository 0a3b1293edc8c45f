//! Administrators who remove each other, all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::account::{AccountError, Accounts, By};
use portcullis::authz::Refused;
use portcullis::backend::sqlite::SqliteStore;
use portcullis::error::ErrorKind;
use portcullis::store::{Page, UserStatus, UserStore};
use portcullis::{Subject, TenantId};
use tokio::task::JoinSet;

use super::{guarded_in_memory, owned, principal, roles, with, world};
use crate::support::{BY, World};

fn take_away(round: usize, racer: usize) -> &'static str {
    ["set_roles", "disable", "delete"][(round + racer) % 3]
}

async fn remove(accounts: &Accounts, by: By<'_>, id: &Subject, how: &str) -> Result<(), AccountError> {
    let tenant = TenantId::default();
    match how {
        "set_roles" => accounts.set_roles(by, &tenant, id, owned(&["user"])).await.map(drop),
        "disable" => accounts.set_status(by, &tenant, id, UserStatus::Disabled).await.map(drop),
        _ => accounts.delete(by, &tenant, id).await,
    }
}

async fn administrators(users: &dyn UserStore) -> usize {
    let users = users.list(&TenantId::default(), Page { after: None, limit: 1000 }).await.unwrap();
    let active = users.iter().filter(|user| user.status == UserStatus::Active);
    active.filter(|user| user.roles.iter().any(|role| role == "admin")).count()
}

/// Looks at the store all the time that `racing` takes: there is always an administrator.
async fn always_one(world: &World, racing: impl Future<Output = ()>) {
    let (users, stop) = (world.users.clone(), Arc::new(AtomicBool::new(false)));
    let over = stop.clone();
    let observer = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            assert!(administrators(&*users).await >= 1, "nobody was left");
            tokio::task::yield_now().await;
        }
    });
    racing.await;
    stop.store(true, Ordering::Relaxed);
    observer.await.unwrap();
    assert!(administrators(&*world.users).await >= 1, "nobody is left");
}

/// A race is lost by being refused, by finding that one's target is gone, or by giving up with 503.
fn lost(error: &AccountError) -> bool {
    match error {
        AccountError::Refused(Refused::Forbidden)
        | AccountError::LastHolder(_)
        | AccountError::UnknownUser => true,
        AccountError::Failed(error) => error.kind() == ErrorKind::Unavailable,
        _ => false,
    }
}

/// Two who demote each other, with so many requests at the same time.
async fn two_against_each_other(world: Arc<World>, rounds: usize, racers: usize) {
    let tenant = world.tenant();
    let pair = [with(&world, "ada", &["admin"]).await, with(&world, "eve", &["admin"]).await];
    for round in 0..rounds {
        for user in &pair {
            world.accounts.set_roles(BY, &tenant, &user.id, owned(&["admin"])).await.unwrap();
        }
        always_one(&world, async {
            let mut set = JoinSet::new();
            for racer in 0..racers {
                let (world, pair) = (world.clone(), pair.clone());
                set.spawn(async move {
                    let (acting, target) = (&pair[racer % 2], &pair[(racer + 1) % 2]);
                    let result =
                        remove(&world.accounts, (&principal(acting)).into(), &target.id, "set_roles").await;
                    (target.id.clone(), result)
                });
            }
            let results = set.join_all().await;
            for (target, result) in &results {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{target}: {result:?}");
            }
            let fallen: std::collections::HashSet<_> =
                results.iter().filter(|(_, result)| result.is_ok()).map(|(target, _)| target).collect();
            assert_eq!(fallen.len(), 1, "round {round}: one of the two falls, not both: {results:?}");
        })
        .await;
        assert_eq!(administrators(&*world.users).await, 1, "round {round}");
    }
}

/// Everybody against everybody, and the application against all, by every way there is.
async fn all_against_all(world: Arc<World>, rounds: usize) {
    let tenant = world.tenant();
    for round in 0..rounds {
        let mut admins = Vec::new();
        for n in 0..2 + round % 5 {
            admins.push(with(&world, &format!("admin-{round}-{n}"), &["admin"]).await);
        }
        // Those who won before step down, so that it is about these.
        let users = world.users.list(&tenant, Page { after: None, limit: 1000 }).await.unwrap();
        for old in users.iter().filter(|user| admins.iter().all(|admin| admin.id != user.id)) {
            world.accounts.set_roles(BY, &tenant, &old.id, vec![]).await.unwrap_or_else(|error| {
                assert!(matches!(error, AccountError::UnknownUser), "{error:?}");
                old.clone()
            });
        }
        always_one(&world, async {
            let mut racers = JoinSet::new();
            for racer in 0..32 {
                let (world, admins) = (world.clone(), admins.clone());
                racers.spawn(async move {
                    let target = &admins[racer % admins.len()];
                    let acting = principal(&admins[(racer / admins.len() + racer + 1) % admins.len()]);
                    let by = if racer % 8 == 7 { By::Application("cleanup") } else { By::Principal(&acting) };
                    remove(&world.accounts, by, &target.id, take_away(round, racer)).await
                });
            }
            for result in racers.join_all().await {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{result:?}");
            }
        })
        .await;
    }
}

/// A deletion has two steps; whoever is enabled or promoted between them is not counted on by anybody.
async fn deleting_against_enabling(world: Arc<World>, rounds: usize) {
    let tenant = world.tenant();
    let keeper = with(&world, "keeper", &["admin"]).await;
    for round in 0..rounds {
        world.accounts.set_roles(BY, &tenant, &keeper.id, owned(&["admin"])).await.unwrap();
        let ada = with(&world, &format!("ada-{round}"), &["admin"]).await;
        always_one(&world, async {
            let mut racers = JoinSet::new();
            for racer in 0..32 {
                let (world, ada, keeper) = (world.clone(), ada.clone(), keeper.clone());
                racers.spawn(async move {
                    let (accounts, tenant) = (&world.accounts, TenantId::default());
                    match racer % 4 {
                        0 => remove(accounts, BY, &ada.id, "delete").await,
                        1 => accounts.set_status(BY, &tenant, &ada.id, UserStatus::Active).await.map(drop),
                        2 => accounts.set_roles(BY, &tenant, &ada.id, owned(&["admin"])).await.map(drop),
                        _ => remove(accounts, BY, &keeper.id, "set_roles").await,
                    }
                });
            }
            for result in racers.join_all().await {
                assert!(result.is_ok() || result.as_ref().is_err_and(lost), "{result:?}");
            }
        })
        .await;
    }
}

async fn sqlite(dir: &tempfile::TempDir) -> World {
    let store = SqliteStore::open(dir.path().join("race.db")).await.unwrap();
    World::guarding(Arc::new(store), roles(), "admin").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn somebody_is_left_of_two_who_demote_each_other() {
    for racers in [2, 32] {
        two_against_each_other(Arc::new(guarded_in_memory().await), 40, racers).await;
        // Equals are kept apart without a guarded role, too.
        two_against_each_other(Arc::new(world().await), 40, racers).await;
        let dir = tempfile::tempdir().unwrap();
        two_against_each_other(Arc::new(sqlite(&dir).await), 4, racers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn somebody_is_left_of_32_who_remove_each_other() {
    all_against_all(Arc::new(guarded_in_memory().await), 40).await;
    let dir = tempfile::tempdir().unwrap();
    all_against_all(Arc::new(sqlite(&dir).await), 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_comes_back_while_being_deleted() {
    deleting_against_enabling(Arc::new(guarded_in_memory().await), 40).await;
    let dir = tempfile::tempdir().unwrap();
    deleting_against_enabling(Arc::new(sqlite(&dir).await), 4).await;
}
