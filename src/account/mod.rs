//! Accounts: register, sign in, refresh, sign out, and the changes that end what was issued before.
//!
//! [`Accounts`] works without HTTP; endpoints are one thin way to mount it. What holds for every operation:
//!
//! - A sign-in costs one password verification and reads the store once, whatever the state of the account: unknown,
//!   wrong password, disabled, without a password. The answer is the same (ASVS 6.3.8).
//! - A change that ends credentials revokes first and writes the user second. A crash in between signs the user out
//!   and changes nothing.
//! - A user is changed by compare-and-swap. Whoever loses the race reads again, decides again and tries again, at
//!   most eight times; then the answer is 503.
//! - Administrators ([`set_roles`](Accounts::set_roles), [`set_status`](Accounts::set_status),
//!   [`delete`](Accounts::delete), [`create`](Accounts::create)) are held to their own rights, as stored at that moment:
//!   nobody gives a role they don't hold, and nobody changes who holds more than they do. The last active holder of the
//!   [guarded role](AccountsBuilder::with_guarded_role) stays one. [`By`] says who acts. Whether somebody may administrate
//!   at all is for the rule of the route.
//! - What is done is audited before it is answered; so are failed sign-ins, failed changes of a password, refused
//!   administration and reused tokens. If the audit sink fails, so does the operation, though what it wrote stays written; see
//!   [`AccountsBuilder::with_audit`].
//!
//! | event | ends | lives on |
//! |---|---|---|
//! | sign-out | the access and refresh tokens of that sign-in | other sign-ins, API keys |
//! | sign-out everywhere | all access and refresh tokens, all sessions | one-time tokens, API keys |
//! | password changed by its owner | the same, and one-time tokens; the caller gets a new pair | API keys |
//! | roles changed | access tokens; a refresh gives the new rights | all else |
//! | disabled, deleted | everything | |
//!
//! What the client sees is [`AccountError::rejection`]: one 401 `sign_in_failed` and one 401 `refresh_invalid` for every
//! reason there is, 403 for what is
//! above one's rights, 409 for a name that is taken or a last holder, 422 with reasons for what should be changed, 503 for an outage.
//!
//! Registration says that a name is taken, and so who has an account. Nothing here limits how often somebody may try:
//! put a limit in front.
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::account::{Accounts, Registration};
//! use portcullis::audit::MemorySink;
//! use portcullis::crypto::StaticKeys;
//! use portcullis::store::MemoryStore;
//! use portcullis::TenantId;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let accounts = Accounts::builder()
//!     .with_store(Arc::new(MemoryStore::new()))
//!     .with_keys(Arc::new(StaticKeys::generate()?))
//!     .with_audit(Arc::new(MemorySink::default()))
//!     .with_issuer("https://id.example")
//!     .with_audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let tenant = TenantId::default();
//! let password = || "correct horse battery staple".to_owned().into();
//! accounts.register(&tenant, Registration::new("ada", "ada@example.com", password())).await?;
//! let signed_in = accounts.sign_in(&tenant, "ADA@example.com", password()).await?;
//! assert!(accounts.refresh(&tenant, &signed_in.tokens.refresh_token).await.is_ok());
//! assert!(accounts.sign_in(&tenant, "ada", "a guess that is wrong".to_owned().into()).await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod administration;
mod builder;
mod error;
mod identifier;
mod keys;
mod password;
mod profile;
mod register;
mod sign_in;
mod sign_out;
mod update;

use std::fmt;
use std::sync::Arc;

use crate::audit::{AuditEvent, Auditor, EventName};
use crate::authz::Authorizer;
use crate::crypto::KeyProvider;
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::password::{PasswordPolicy, Passwords};
use crate::store::{Page, User, UserStore};
use crate::token::Tokens;

pub use administration::By;
pub use builder::AccountsBuilder;
pub use error::AccountError;
#[cfg(feature = "axum")]
pub(crate) use identifier::login_key;
pub use identifier::{MAX_EMAIL_BYTES, MAX_USERNAME_CHARS};
pub use profile::SealedProfile;
pub use register::Registration;
pub use sign_in::SignedIn;

/// Accounts over the application's own storage. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    keys: Arc<dyn KeyProvider>,
    users: Arc<dyn UserStore>,
    tokens: Tokens,
    passwords: Passwords,
    policy: PasswordPolicy,
    auditor: Auditor,
    authorizer: Authorizer,
    default_roles: Vec<String>,
    guarded_role: Option<String>,
    profile: Option<SealedProfile>,
    refreshing: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Collects what accounts rest on.
    pub fn builder() -> AccountsBuilder {
        AccountsBuilder::default()
    }

    /// The user with this id.
    ///
    /// # Errors
    ///
    /// [`AccountError::UnknownUser`], or whatever the store fails with.
    pub async fn user(&self, tenant: &TenantId, id: &Subject) -> Result<User, AccountError> {
        self.0.users.get(tenant, id).await?.ok_or(AccountError::UnknownUser)
    }

    /// Users of a tenant in the order of their ids.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn users(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>, AccountError> {
        Ok(self.0.users.list(tenant, page).await?)
    }

    /// What issues, refreshes and revokes the tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// What hashes the passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Decides by the roles of these accounts, and records refusals where accounts record what happens.
    #[must_use]
    pub fn authorizer(&self) -> &Authorizer {
        &self.0.authorizer
    }

    fn event(&self, name: EventName, tenant: &TenantId) -> AuditEvent {
        AuditEvent::new(name, self.0.tokens.clock().now(), tenant.clone())
    }

    async fn audit(&self, event: AuditEvent) -> Result<()> {
        self.0.auditor.record(event).await
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}
