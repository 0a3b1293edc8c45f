//! What a user waits for: signing in, and refreshing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use portcullis::TenantId;
use portcullis::account::Accounts;
use portcullis::audit::MemorySink;
use portcullis::backend::sqlite::SqliteStore;
use portcullis::crypto::Algorithm;
use portcullis::store::{MemoryStore, TokenStore, User};
use portcullis::time::Timestamp;
use portcullis::token::TokenPair;
use tokio::runtime::Runtime;

use crate::support::{accounts, issue, password};
use crate::table::Table;

pub fn run(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table) {
    let store = Arc::new(MemoryStore::new());
    let (service, user) =
        runtime.block_on(accounts(Algorithm::EdDsa, store.clone(), Arc::new(MemorySink::default())));
    sign_in(criterion, runtime, table, &service);
    refresh(criterion, runtime, table, "refresh-memory", &World { service, user, store });

    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(SqliteStore::open(folder.path().join("bench.db"))).unwrap();
    let store = Arc::new(store);
    // As the reference server has it: the audit trail is in the same file.
    let (service, user) = runtime.block_on(accounts(Algorithm::EdDsa, store.clone(), store.clone()));
    let world = World { service, user, store: store.clone() };
    refresh(criterion, runtime, table, "refresh-sqlite", &world);
    runtime.block_on(async {
        world.service.tokens().revocations().shutdown().await;
        store.close().await;
    });
}

struct World {
    service: Accounts,
    user: User,
    store: Arc<dyn TokenStore>,
}

impl World {
    /// One family in an otherwise empty store, so that every exchange finds the same.
    async fn family(&self) -> TokenPair {
        self.store.purge(Timestamp::MAX).await.unwrap();
        issue(&self.service, &self.user).await
    }

    async fn refresh(&self, pair: TokenPair) {
        self.service.refresh(&TenantId::default(), &pair.refresh_token).await.unwrap();
    }
}

fn sign_in(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table, service: &Accounts) {
    let tenant = TenantId::default();
    let sign_in = async || service.sign_in(&tenant, "ada", password()).await.unwrap();
    allocation_counter::opt_out(|| {
        let mut group = criterion.benchmark_group("account");
        group.sample_size(20).bench_function("sign-in", |b| b.to_async(runtime).iter(sign_in));
    });
    table.count("account/sign-in", || drop(runtime.block_on(sign_in())));
}

fn refresh(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table, name: &str, world: &World) {
    allocation_counter::opt_out(|| {
        let mut group = criterion.benchmark_group("account");
        group.sample_size(20).bench_function(name, |b| {
            b.to_async(runtime).iter_custom(async |times| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..times {
                    let pair = world.family().await;
                    let began = Instant::now();
                    world.refresh(pair).await;
                    elapsed += began.elapsed();
                }
                elapsed
            });
        });
    });
    let make = || runtime.block_on(world.family());
    table.count_with(&format!("account/{name}"), make, |pair| runtime.block_on(world.refresh(pair)));
}
