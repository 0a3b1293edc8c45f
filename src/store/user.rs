//! The user record and the words of its store.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::password::PasswordHash;
use crate::principal::Epoch;
use crate::store::encode;
use crate::time::Timestamp;

/// A user: one record, changed as a whole by compare-and-swap.
///
/// It does not implement `Serialize`, so it cannot end up in a response by accident; stores that keep documents use
/// [`to_json`](Self::to_json) and [`from_json`](Self::from_json).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// Whose user.
    pub tenant: TenantId,
    /// Stable identifier, never reused.
    pub id: Subject,
    /// Rises by one with every [`replace`](crate::store::UserStore::replace).
    pub revision: u64,
    /// Name to sign in with.
    pub username: Option<LoginName>,
    /// E-mail address to sign in with.
    pub email: Option<LoginName>,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// What the password hashes to; `None` if there is no password.
    pub password: Option<PasswordHash>,
    /// Hashes of earlier passwords, newest first.
    pub password_history: Vec<PasswordHash>,
    /// When the password was last set.
    pub password_changed_at: Option<Timestamp>,
    /// Names of the roles held.
    pub roles: Vec<String>,
    /// Accounts elsewhere that sign in here.
    pub identities: Vec<FederatedIdentity>,
    /// The counters credentials are issued under.
    pub epoch: Epoch,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// The application's own data about the user.
    pub profile: Map<String, Value>,
    /// When the user was registered.
    pub created_at: Timestamp,
}

impl User {
    /// A user with nothing but an id: active, without a way to sign in.
    #[must_use]
    pub fn new(tenant: TenantId, id: Subject, created_at: Timestamp) -> Self {
        Self {
            tenant,
            id,
            revision: 0,
            username: None,
            email: None,
            email_verified: false,
            password: None,
            password_history: Vec::new(),
            password_changed_at: None,
            roles: Vec::new(),
            identities: Vec::new(),
            epoch: Epoch::ZERO,
            status: UserStatus::Active,
            profile: Map::new(),
            created_at,
        }
    }

    /// Every key this user is found by; each unique within the tenant.
    pub fn login_keys(&self) -> impl Iterator<Item = LoginKey> {
        let names = [(LoginKeyKind::Username, &self.username), (LoginKeyKind::Email, &self.email)];
        let names = names.into_iter().filter_map(|(kind, name)| {
            name.as_ref().map(|name| LoginKey { kind, bytes: name.canonical.clone().into_bytes() })
        });
        names.chain(self.identities.iter().map(FederatedIdentity::login_key))
    }

    /// The record as JSON, password hash included: for a store, never for a client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        encode::user_to_json(self)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if it is something else.
    pub fn from_json(json: &str) -> Result<Self> {
        encode::user_from_json(json)
    }
}

/// A name as the user wrote it, and the canonical form it is compared in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginName {
    /// As written; shown, and written to (mail goes to the address as stored).
    pub text: String,
    /// Normalized and case-folded; two names are the same exactly if these bytes are.
    pub canonical: String,
}

/// An account at another identity provider. The pair is the identity; an e-mail address never is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedIdentity {
    /// The provider, claim `iss`.
    pub issuer: String,
    /// The account there, claim `sub`.
    pub subject: String,
}

impl FederatedIdentity {
    /// The key this identity is found by.
    #[must_use]
    pub fn login_key(&self) -> LoginKey {
        // The length in front keeps ("a", "bc") and ("ab", "c") apart.
        let mut bytes = (self.issuer.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(self.issuer.as_bytes());
        bytes.extend_from_slice(self.subject.as_bytes());
        LoginKey { kind: LoginKeyKind::FederatedIdentity, bytes }
    }
}

/// What a user is found by: a kind, and bytes a store compares without any collation of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginKey {
    kind: LoginKeyKind,
    bytes: Vec<u8>,
}

impl LoginKey {
    /// The key of a canonical user name.
    #[must_use]
    pub fn username(canonical: &str) -> Self {
        Self { kind: LoginKeyKind::Username, bytes: canonical.into() }
    }

    /// The key of a canonical e-mail address.
    #[must_use]
    pub fn email(canonical: &str) -> Self {
        Self { kind: LoginKeyKind::Email, bytes: canonical.into() }
    }

    /// What kind of key.
    #[must_use]
    pub fn kind(&self) -> LoginKeyKind {
        self.kind
    }

    /// What to compare.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The kinds of keys a user is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LoginKeyKind {
    /// The user name.
    Username,
    /// The e-mail address.
    Email,
    /// An account at another identity provider.
    FederatedIdentity,
}

impl LoginKeyKind {
    /// A short stable name, fit for a column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::FederatedIdentity => "federated",
        }
    }
}

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UserStatus {
    /// Yes.
    Active,
    /// No; and what was issued before is dead.
    Disabled,
    /// No, and never again: the record is about to go.
    Deleted,
}

/// A slice of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Start behind this id; `None` for the beginning.
    pub after: Option<Subject>,
    /// How many at most.
    pub limit: u32,
}

/// How [`UserStore::insert`](crate::store::UserStore::insert) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum UserInsertion {
    /// Stored.
    Inserted,
    /// Nothing stored: a key of this kind belongs to somebody else.
    Duplicate(LoginKeyKind),
    /// Nothing stored: the id exists.
    IdExists,
}

/// How [`UserStore::replace`](crate::store::UserStore::replace) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum UserReplacement {
    /// Stored, with the next revision.
    Replaced,
    /// Nothing stored: the record has another revision, or is gone.
    Conflict,
    /// Nothing stored: a key of this kind belongs to somebody else.
    Duplicate(LoginKeyKind),
}
