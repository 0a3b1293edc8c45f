//! Putting accounts together.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{Accounts, Inner, SealedProfile};
use crate::audit::{AuditSink, Auditor, OnFailure};
use crate::authz::{Authorizer, RoleModel};
use crate::crypto::{KeyProvider, KeyPurpose};
use crate::error::{ConfigError, StartError};
use crate::password::{Argon2Hasher, PasswordPolicy, Passwords};
use crate::store::{TokenStore, UserStore};
use crate::time::{Clock, SystemClock};
use crate::token::{DEFAULT_MAX_STALENESS, Revocations, TokenCodec, TokenPolicy, Tokens};

/// Collects what accounts rest on. The storage, the keys, the audit trail and the names in the tokens have no default;
/// everything else is as strict as is usual.
#[derive(Default)]
#[must_use]
pub struct AccountsBuilder {
    users: Option<Arc<dyn UserStore>>,
    tokens: Option<Arc<dyn TokenStore>>,
    keys: Option<Arc<dyn KeyProvider>>,
    audit: Option<(Arc<dyn AuditSink>, OnFailure)>,
    issuer: Option<String>,
    audience: Option<String>,
    clock: Option<Arc<dyn Clock>>,
    token_policy: TokenPolicy,
    password_policy: Option<PasswordPolicy>,
    passwords: Option<Passwords>,
    roles: RoleModel,
    default_roles: Vec<String>,
    guarded_role: Option<String>,
    max_staleness: Option<Duration>,
    profile: Option<SealedProfile>,
}

impl AccountsBuilder {
    /// Keeps users and tokens in one store.
    pub fn with_store<S: UserStore + TokenStore>(self, store: Arc<S>) -> Self {
        let users: Arc<dyn UserStore> = store.clone();
        self.with_users(users).with_tokens(store)
    }

    /// Keeps users here.
    pub fn with_users(mut self, users: Arc<dyn UserStore>) -> Self {
        self.users = Some(users);
        self
    }

    /// Keeps tokens and revocations here.
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenStore>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Signs access tokens with keys from here. They are asked for by [`build`](Self::build), by
    /// [`Accounts::refresh_keys`], and every second by a [`Gate`](crate::gate::Gate) over these accounts.
    pub fn with_keys(mut self, keys: Arc<dyn KeyProvider>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Records what happens here. If recording fails, so does what was to be recorded.
    pub fn with_audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = Some((sink, OnFailure::Block));
        self
    }

    /// Records what happens here, and goes on if recording fails: dropped events are counted and logged. What then
    /// remains of a break-in is for you to find out in another way.
    pub fn danger_with_lossy_audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit = Some((sink, OnFailure::DropAndCount));
        self
    }

    /// Who issues the tokens, claim `iss`: an `https` origin, usually.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Whom the access tokens are for, claim `aud`: the name of the service that takes them.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Takes the time from here instead of the machine.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Replaces the lifetimes of tokens.
    pub fn with_token_policy(mut self, policy: TokenPolicy) -> Self {
        self.token_policy = policy;
        self
    }

    /// Replaces the policy for new passwords, [`PasswordPolicy::nist`].
    pub fn with_password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.password_policy = Some(policy);
        self
    }

    /// Replaces what hashes passwords.
    pub fn with_passwords(mut self, passwords: Passwords) -> Self {
        self.passwords = Some(passwords);
        self
    }

    /// The roles of the application. The default knows none. A [`Gate`](crate::gate::Gate) over these accounts goes by
    /// the same.
    pub fn with_roles(mut self, roles: RoleModel) -> Self {
        self.roles = roles;
        self
    }

    /// Sees to it that in every tenant that has one somebody active always holds this role, or one that inherits from it:
    /// the last such user can't be demoted, disabled or deleted, by nobody and in no race
    /// ([`AccountError::LastHolder`](super::AccountError::LastHolder)). Usually `admin`. The default is none.
    ///
    /// Who takes the role from themselves, or acts without holding it, costs a walk through the tenant's users up to the
    /// first who holds it.
    pub fn with_guarded_role(mut self, role: impl Into<String>) -> Self {
        self.guarded_role = Some(role.into());
        self
    }

    /// Gives these roles to everybody who registers; the [model](Self::with_roles) must define them. The default is none.
    pub fn with_default_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.default_roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Seals these members of profiles before they are stored. [`Accounts::profile`] opens them.
    pub fn with_sealed_profile(mut self, profile: SealedProfile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// How long access tokens are accepted without news of what was revoked; then they are answered 503. The default is
    /// 10 seconds.
    pub fn with_max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = Some(max_staleness);
        self
    }

    /// Loads what is revoked, starts following it, and puts everything together.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] naming what is missing, out of range, or a role that is not defined; [`StartError::Failed`] if the key provider or the
    /// store fails.
    pub async fn build(self) -> Result<Accounts, StartError> {
        let users = required(self.users, "user store", "call `with_store` or `with_users`")?;
        let token_store = required(self.tokens, "token store", "call `with_store` or `with_tokens`")?;
        let keys = required(self.keys, "keys", "call `with_keys`")?;
        let (sink, on_failure) = required(self.audit, "audit sink", "call `with_audit`")?;
        let issuer = required(self.issuer, "issuer", "call `with_issuer`")?;
        let audience = required(self.audience, "audience", "call `with_audience`")?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let auditor = Auditor::new(sink, on_failure);
        let named = self.default_roles.iter().chain(&self.guarded_role).cloned().collect();
        let authorizer = Authorizer::naming(self.roles, auditor.clone(), clock.clone(), named)?;

        let keyring = keys.keyring(KeyPurpose::TokenSigning).await?;
        let codec = TokenCodec::new(keyring, &issuer, &audience)?;
        // Out of range is found before anything is started.
        let token_policy = self.token_policy.check()?;
        let max_staleness = self.max_staleness.unwrap_or(DEFAULT_MAX_STALENESS);
        let revocations = Revocations::follow(token_store.clone(), clock.clone(), max_staleness).await?;
        let tokens = Tokens::new(codec, token_store, revocations, token_policy, clock)?;
        Ok(Accounts(Arc::new(Inner {
            keys,
            users,
            tokens,
            passwords: self.passwords.unwrap_or_else(|| Passwords::new(Argon2Hasher::new())),
            policy: self.password_policy.unwrap_or_else(PasswordPolicy::nist),
            auditor,
            authorizer,
            default_roles: self.default_roles,
            guarded_role: self.guarded_role,
            profile: self.profile,
            refreshing: tokio::sync::Mutex::default(),
        })))
    }
}

fn required<T>(value: Option<T>, field: &'static str, cure: &'static str) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::new(field, "is missing", cure))
}

impl std::fmt::Debug for AccountsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountsBuilder")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::MemorySink;
    use crate::crypto::StaticKeys;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let keys = || Arc::new(StaticKeys::generate().unwrap());
        let whole = || {
            Accounts::builder()
                .with_store(Arc::new(MemoryStore::new()))
                .with_keys(keys())
                .with_audit(Arc::new(MemorySink::default()))
                .with_issuer("https://id.example")
                .with_audience("https://api.example")
        };
        assert!(whole().build().await.is_ok());
        for (builder, field) in [
            (AccountsBuilder { users: None, ..whole() }, "user store"),
            (AccountsBuilder { tokens: None, ..whole() }, "token store"),
            (AccountsBuilder { keys: None, ..whole() }, "keys"),
            (AccountsBuilder { audit: None, ..whole() }, "audit sink"),
            (AccountsBuilder { issuer: None, ..whole() }, "issuer"),
            (AccountsBuilder { audience: None, ..whole() }, "audience"),
            (
                whole().with_token_policy(TokenPolicy::default().with_access_lifetime(Duration::ZERO)),
                "access lifetime",
            ),
            (whole().with_default_roles(["user"]), "role `user`"),
            (whole().with_guarded_role("admin"), "role `admin`"),
        ] {
            match builder.build().await {
                Err(StartError::Config(error)) => assert_eq!(error.field(), field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
