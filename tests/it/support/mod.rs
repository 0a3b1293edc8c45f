//! A whole service in memory, for tests of what its parts do together.

pub mod postgres;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Once};

use portcullis::TenantId;
use portcullis::account::{Accounts, By, Registration, SignedIn};
use portcullis::audit::MemorySink;
use portcullis::authz::{Role, RoleModel};
use portcullis::crypto::StaticKeys;
use portcullis::password::{Argon2Hasher, Passwords};
use portcullis::store::fault::{Faults, FaultyStore};
use portcullis::store::{MemoryStore, TokenStore, User, UserStore};
use portcullis::time::ManualClock;
use portcullis::token::{AccessTokens, Tokens};
use secrecy::SecretString;
use tracing_subscriber::filter::LevelFilter;

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "https://api.example";
pub const PASSWORD: &str = "correct horse battery staple";

/// Who changes accounts where it does not matter who.
pub const BY: By<'static> = By::Application("test");

/// One instance over a store it may share with others.
pub struct World {
    pub clock: ManualClock,
    pub keys: Arc<StaticKeys>,
    pub users: Arc<dyn UserStore>,
    pub token_store: Arc<dyn TokenStore>,
    pub faults: Faults,
    pub audit: MemorySink,
    pub tokens: Tokens,
    pub access: AccessTokens,
    pub accounts: Accounts,
    guarded: Option<&'static str>,
}

impl World {
    pub async fn new() -> Self {
        Self::with_roles(roles()).await
    }

    pub async fn with_roles(roles: RoleModel) -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::instance(store.clone(), store, ManualClock::default(), new_keys(), (roles, None)).await
    }

    /// Over this store, with these roles, one of which is guarded.
    pub async fn guarding<S: UserStore + TokenStore>(
        store: Arc<S>,
        roles: RoleModel,
        guarded: &'static str,
    ) -> Self {
        let rights = (roles, Some(guarded));
        Self::instance(store.clone(), store, ManualClock::default(), new_keys(), rights).await
    }

    /// Another instance over the same stores, clock and keys; also what a restarted process is.
    pub async fn another(&self) -> Self {
        let (users, tokens) = (self.users.clone(), self.token_store.clone());
        let rights = (RoleModel::clone(&self.accounts.authorizer().roles()), self.guarded);
        Self::instance(users, tokens, self.clock.clone(), self.keys.clone(), rights).await
    }

    async fn instance(
        users: Arc<dyn UserStore>,
        token_store: Arc<dyn TokenStore>,
        clock: ManualClock,
        keys: Arc<StaticKeys>,
        (roles, guarded): (RoleModel, Option<&'static str>),
    ) -> Self {
        let faulty = Arc::new(FaultyStore::new(users.clone(), token_store.clone()));
        let faults = faulty.faults().clone();
        let audit = MemorySink::default();
        let passwords = Passwords::new(Argon2Hasher::danger_weak(64, 1, 1).unwrap())
            .with_permits(NonZeroUsize::new(4).unwrap())
            .with_queue_limit(1000);
        let mut builder = Accounts::builder()
            .with_store(faulty)
            .with_keys(keys.clone())
            .with_audit(Arc::new(audit.clone()))
            .with_issuer(ISSUER)
            .with_audience(AUDIENCE)
            .with_clock(Arc::new(clock.clone()))
            .with_passwords(passwords)
            .with_roles(roles)
            .with_default_roles(["user"]);
        if let Some(role) = guarded {
            builder = builder.with_guarded_role(role);
        }
        let accounts = builder.build().await.unwrap();
        let tokens = accounts.tokens().clone();
        let access = AccessTokens::new(tokens.clone(), TenantId::default());
        Self { clock, keys, users, token_store, faults, audit, tokens, access, accounts, guarded }
    }

    pub fn tenant(&self) -> TenantId {
        TenantId::default()
    }

    pub async fn register(&self, name: &str) -> User {
        let registration = Registration::new(name, format!("{name}@example.com"), PASSWORD.to_owned().into());
        self.accounts.register(&self.tenant(), registration).await.unwrap()
    }

    pub async fn sign_in(&self, name: &str) -> SignedIn {
        self.accounts.sign_in(&self.tenant(), name, secret(PASSWORD)).await.unwrap()
    }
}

/// `admin` > `user` > `guest`.
pub fn roles() -> RoleModel {
    RoleModel::builder()
        .add(Role::new("guest"))
        .add(Role::new("user").inherits("guest").grants("tasks:read"))
        .add(Role::new("admin").inherits("user").grants("tasks:*").grants("users:*"))
        .build()
        .unwrap()
}

fn new_keys() -> Arc<StaticKeys> {
    Arc::new(StaticKeys::generate().unwrap())
}

pub fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// What this thread logs.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens until the guard is dropped.
    pub fn listen() -> (Self, impl Drop) {
        Self::listen_from(LevelFilter::WARN)
    }

    /// Listens to this level and what is more important.
    pub fn listen_from(level: LevelFilter) -> (Self, impl Drop) {
        // Where nobody listens, a line is cached as of interest to nobody, also if that is found out while somebody begins.
        static UNDECIDED: Once = Once::new();
        UNDECIDED.call_once(|| drop(tracing::subscriber::set_global_default(Undecided)));
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        // What another thread logged first may have been cached as of interest to nobody.
        tracing::callsite::rebuild_interest_cache();
        (log, guard)
    }

    pub fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Hears nothing, and keeps everybody from concluding that nobody does.
struct Undecided;

impl tracing::Subscriber for Undecided {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
