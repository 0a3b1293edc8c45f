//! Accounts as a service has them: the machine's clock, default parameters, tokens of a real user.

use std::sync::Arc;

use portcullis::TenantId;
use portcullis::account::{Accounts, Registration};
use portcullis::audit::{AuditSink, MemorySink};
use portcullis::authz::{Role, RoleModel};
use portcullis::crypto::{Algorithm, Key, Keyring, StaticKeys};
use portcullis::gate::{Gate, GateBuilder};
use portcullis::principal::AuthMethod;
use portcullis::store::{MemoryStore, TokenStore, User, UserStore};
use portcullis::time::{Clock, SystemClock};
use portcullis::token::{Grant, Issued, TokenPair, TokenPolicy};
use secrecy::SecretString;
use tokio::runtime::Runtime;

/// The algorithms that are compared.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

/// One worker follows the revocation feed; what is measured runs on the calling thread.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub fn password() -> SecretString {
    "correct horse battery staple".into()
}

/// Accounts over a store, with one user.
pub async fn accounts<S: UserStore + TokenStore>(
    algorithm: Algorithm,
    store: Arc<S>,
    audit: Arc<dyn AuditSink>,
) -> (Accounts, User) {
    with_policy(algorithm, TokenPolicy::default(), store, audit).await
}

async fn with_policy<S: UserStore + TokenStore>(
    algorithm: Algorithm,
    policy: TokenPolicy,
    store: Arc<S>,
    audit: Arc<dyn AuditSink>,
) -> (Accounts, User) {
    let keys = StaticKeys::danger_new(Keyring::new(Key::generate(algorithm).unwrap()).unwrap());
    let accounts = Accounts::builder()
        .with_store(store)
        .with_keys(Arc::new(keys))
        .with_audit(audit)
        .with_issuer("https://id.example")
        .with_audience("https://api.example")
        .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:read")).build().unwrap())
        .with_default_roles(["user"])
        .with_token_policy(policy)
        .build()
        .await
        .unwrap();
    let ada = Registration::new("ada", "ada@example.com", password());
    let user = accounts.register(&TenantId::default(), ada).await.unwrap();
    (accounts, user)
}

/// Tokens that are verified each time, and tokens that are remembered, with what is added to the names of the rows.
pub fn token_policies() -> [(&'static str, TokenPolicy); 2] {
    [("", TokenPolicy::default().without_token_cache()), ("-again", TokenPolicy::default())]
}

pub async fn in_memory(algorithm: Algorithm, policy: TokenPolicy) -> (Accounts, User) {
    let store = Arc::new(MemoryStore::new());
    with_policy(algorithm, policy, store, Arc::new(MemorySink::default())).await
}

/// Tokens without the password hash that comes before them.
pub async fn issue(accounts: &Accounts, user: &User) -> TokenPair {
    let grant = Grant::new([AuthMethod::Password], SystemClock::new().now());
    match accounts.tokens().issue(user, &grant).await.unwrap() {
        Issued::Tokens(pair) => pair,
        Issued::Stale(_) => std::process::abort(),
    }
}

/// A gate with one role.
pub fn gate(accounts: &Accounts) -> GateBuilder {
    Gate::builder().with_accounts(accounts.clone())
}
