//! Registration.

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::account::{AccountError, Accounts, By, identifier};
use crate::audit::EventName;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Subject, TenantId};
use crate::store::{User, UserInsertion};

/// What somebody registers with. There is no field for roles, flags or ids: nobody sets those by asking.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registration {
    /// Name to sign in with.
    pub username: String,
    /// Address to sign in with.
    pub email: String,
    /// The password; judged by the policy.
    pub password: SecretString,
    /// The application's own data about the user.
    pub profile: Map<String, Value>,
}

impl Registration {
    /// A registration without profile data.
    #[must_use]
    pub fn new(username: impl Into<String>, email: impl Into<String>, password: SecretString) -> Self {
        Self { username: username.into(), email: email.into(), password, profile: Map::new() }
    }

    /// Adds the application's own data, which must have been validated.
    #[must_use]
    pub fn with_profile(mut self, profile: Map<String, Value>) -> Self {
        self.profile = profile;
        self
    }
}

impl Accounts {
    /// Registers a user with the default roles.
    ///
    /// Of callers racing with the same name, twins included, exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`AccountError::Invalid`] and [`AccountError::PasswordRejected`] with all reasons at once,
    /// [`AccountError::Taken`] naming what belongs to somebody else, or whatever the store fails with.
    pub async fn register(
        &self,
        tenant: &TenantId,
        registration: Registration,
    ) -> Result<User, AccountError> {
        let user = self.prepare(tenant, registration, self.0.default_roles.clone()).await?;
        self.insert(&user).await?;
        self.audit(self.event(EventName::UserCreated, tenant).with_subject(user.id.clone())).await?;
        Ok(user)
    }

    /// Registers a user with other roles, such as the first administrator, or one whom an administrator adds.
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register); [`AccountError::UnknownRole`]; [`AccountError::Refused`] if whoever acts
    /// lacks one of the roles; [`AccountError::UnknownUser`] if they are of another tenant.
    pub async fn create<'a>(
        &self,
        by: impl Into<By<'a>>,
        tenant: &TenantId,
        registration: Registration,
        roles: Vec<String>,
    ) -> Result<User, AccountError> {
        let by = by.into();
        let user = self.prepare(tenant, registration, roles).await?;
        self.may_give(by, tenant, &user.roles).await?;
        self.insert(&user).await?;
        self.audit(self.by_whom(EventName::UserCreated, tenant, by).with_subject(user.id.clone())).await?;
        Ok(user)
    }

    /// A user who is not stored yet.
    async fn prepare(
        &self,
        tenant: &TenantId,
        registration: Registration,
        roles: Vec<String>,
    ) -> Result<User, AccountError> {
        let username = identifier::username(&registration.username);
        let email = identifier::email(&registration.email);
        let (username, email) = match (username, email) {
            (Ok(username), Ok(email)) => (username, email),
            (username, email) => {
                return Err(AccountError::Invalid(username.err().into_iter().chain(email.err()).collect()));
            }
        };
        let context = [username.text.as_str(), email.text.as_str()];
        self.0.policy.check(&registration.password, &context).map_err(AccountError::PasswordRejected)?;
        let hash = self.0.passwords.hash(registration.password).await?;

        let now = self.0.tokens.clock().now();
        let mut user = User::new(tenant.clone(), Subject::mint()?, now);
        user.username = Some(username);
        user.email = Some(email);
        user.password = Some(hash);
        user.password_changed_at = Some(now);
        user.roles = roles;
        user.profile = registration.profile;
        if let Some(sealed) = &self.0.profile {
            user.profile = sealed.seal(&user)?;
        }
        Ok(user)
    }

    async fn insert(&self, user: &User) -> Result<(), AccountError> {
        match self.0.users.insert(user).await? {
            UserInsertion::Inserted => Ok(()),
            UserInsertion::Duplicate(kind) => Err(AccountError::Taken(kind)),
            UserInsertion::IdExists => {
                Err(Error::new(ErrorKind::Internal, "a fresh user id exists already").into())
            }
        }
    }
}
