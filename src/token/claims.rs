//! What an access token says: [`Claims`].
//!
//! The names are those of RFC 7519, RFC 8693 and RFC 9068, and our own `sid`, `tid`, `epoch` and `roles`. `iss` and
//! `aud` are not here: they are the codec's, the same in every token it makes or accepts.
//!
//! ```
//! use portcullis::id::TokenId;
//! use portcullis::time::Timestamp;
//! use portcullis::token::Claims;
//! use portcullis::Subject;
//!
//! let claims = Claims::new(
//!     Subject::parse("ada").unwrap(),
//!     TokenId::mint()?,
//!     Timestamp::from_secs(1_767_225_600),
//!     Timestamp::from_secs(1_767_226_200),
//! )
//! .with_roles(["editor"])
//! .with_extra("plan", "gold".into())?;
//! assert_eq!(claims.extra()["plan"], "gold");
//! // A name that already means something is not the application's to set.
//! assert!(claims.with_extra("roles", "admin".into()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{ConfigError, Error, ErrorKind, Result};
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::principal::{Actor, AuthMethod, Bearer, Epoch, Few};
use crate::time::Timestamp;
use crate::token::times::Times;

/// 9999-12-31T23:59:59Z, the last `NumericDate` that is accepted.
pub(super) const MAX_NUMERIC_DATE: i64 = 253_402_300_799;

/// Names that mean something to us. The application's own claims have other names.
pub(super) const RESERVED: [&str; 16] = [
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "tid",
    "epoch",
    "roles",
    "scope",
    "auth_time",
    "amr",
    "act",
    "cnf",
];

/// The claims of an access token, without `iss` and `aud`.
#[derive(Clone, PartialEq)]
pub struct Claims {
    pub(super) sub: Subject,
    pub(super) jti: TokenId,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) nbf: Option<i64>,
    pub(super) sid: Option<FamilyId>,
    pub(super) tid: TenantId,
    pub(super) epoch: Epoch,
    pub(super) roles: Vec<String>,
    pub(super) scope: Option<Vec<String>>,
    pub(super) auth_time: Option<i64>,
    pub(super) amr: Vec<AuthMethod>,
    pub(super) act: Option<Actor>,
    pub(super) extra: Map<String, Value>,
}

impl Claims {
    /// A token for `sub`, named `jti`, valid from `iat` until `exp`. Times are cut to whole seconds.
    #[must_use]
    pub fn new(sub: Subject, jti: TokenId, iat: Timestamp, exp: Timestamp) -> Self {
        Self {
            sub,
            jti,
            iat: iat.as_secs(),
            exp: exp.as_secs(),
            nbf: None,
            sid: None,
            tid: TenantId::default(),
            epoch: Epoch::ZERO,
            roles: Vec::new(),
            scope: None,
            auth_time: None,
            amr: Vec::new(),
            act: None,
            extra: Map::new(),
        }
    }

    /// Not before this time.
    #[must_use]
    pub fn with_not_before(self, nbf: Timestamp) -> Self {
        Self { nbf: Some(nbf.as_secs()), ..self }
    }

    /// Of this sign-in.
    #[must_use]
    pub fn with_family(self, sid: FamilyId) -> Self {
        Self { sid: Some(sid), ..self }
    }

    /// In this tenant.
    #[must_use]
    pub fn with_tenant(self, tid: TenantId) -> Self {
        Self { tid, ..self }
    }

    /// Issued under these counters of the user.
    #[must_use]
    pub fn with_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    /// Replaces the roles: each of 1 to 128 bytes without control characters, or the token is not made.
    #[must_use]
    pub fn with_roles<R: Into<String>>(self, roles: impl IntoIterator<Item = R>) -> Self {
        Self { roles: roles.into_iter().map(Into::into).collect(), ..self }
    }

    /// Limits the token to these scopes (RFC 6749 section 3.3: printable ASCII without space, `"` and `\`, or the
    /// token is not made). No scope at all limits it to nothing.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scope: Some(scopes.into_iter().map(Into::into).collect()), ..self }
    }

    /// When the user proved itself.
    #[must_use]
    pub fn with_auth_time(self, at: Timestamp) -> Self {
        Self { auth_time: Some(at.as_secs()), ..self }
    }

    /// How the user proved itself.
    #[must_use]
    pub fn with_auth_methods(self, amr: impl IntoIterator<Item = AuthMethod>) -> Self {
        Self { amr: amr.into_iter().collect(), ..self }
    }

    /// Who acts on the subject's behalf.
    #[must_use]
    pub fn with_actor(self, act: Actor) -> Self {
        Self { act: Some(act), ..self }
    }

    /// A claim of the application's own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the name is empty or already means something in RFC 7519 or to this crate.
    pub fn with_extra(mut self, name: impl Into<String>, value: Value) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() || RESERVED.contains(&name.as_str()) {
            return Err(ConfigError::new(
                format!("claim `{name}`"),
                "has a name that already means something",
                "use a name of your own",
            ));
        }
        self.extra.insert(name, value);
        Ok(self)
    }

    /// `sub`: whom the token speaks for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.sub
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.jti
    }

    /// `iat`: when it was made.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_secs(self.iat)
    }

    /// `exp`: the first moment it is no longer accepted.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.exp)
    }

    /// `nbf`: the first moment it is accepted.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.nbf.map(Timestamp::from_secs)
    }

    /// `sid`: the sign-in it came of.
    #[must_use]
    pub fn family(&self) -> Option<&FamilyId> {
        self.sid.as_ref()
    }

    /// `tid`: the tenant; [`TenantId::default`] if the token names none.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tid
    }

    /// `epoch`: the user's counters when it was made; [`Epoch::ZERO`] if the token names none.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// `roles`: their names.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// `scope`: what the token is limited to; `None` if it is not limited.
    #[must_use]
    pub fn scopes(&self) -> Option<&[String]> {
        self.scope.as_deref()
    }

    /// `auth_time`: when the user proved itself.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time.map(Timestamp::from_secs)
    }

    /// `amr`: how the user proved itself.
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        &self.amr
    }

    /// `act`: who acts on the subject's behalf.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.act.as_ref()
    }

    /// The application's own claims.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    pub(super) fn times(&self) -> Times {
        Times { iat: self.iat, exp: self.exp, nbf: self.nbf }
    }

    /// Who a token of these claims speaks for; `payload` is the same as text.
    pub(super) fn into_bearer(self, payload: Arc<str>) -> Bearer {
        let expires_at = self.expires_at();
        Bearer {
            tenant: self.tid,
            subject: self.sub,
            roles: self.roles.into_iter().collect(),
            scopes: self.scope.map(|scopes| scopes.into_iter().collect()),
            actor: self.act,
            auth_methods: Few::all(AuthMethod::Password, self.amr),
            auth_time: self.auth_time.map(Timestamp::from_secs),
            family: self.sid,
            token: self.jti,
            epoch: self.epoch,
            expires_at,
            claims: payload,
        }
    }

    /// What reading would refuse is not written.
    pub(super) fn check(&self) -> Result<()> {
        let bad = |message| Err(Error::new(ErrorKind::Internal, message));
        let times = [Some(self.iat), Some(self.exp), self.nbf, self.auth_time];
        if times.into_iter().flatten().any(|time| !(0..=MAX_NUMERIC_DATE).contains(&time)) {
            return bad("a time of the token is before 1970 or after 9999");
        }
        if self.exp <= self.iat {
            return bad("the token would expire before it is issued");
        }
        if !self.roles.iter().all(|role| is_role(role)) {
            return bad("a role of the token is empty, too long or has control characters");
        }
        if !self.scope.iter().flatten().all(|scope| is_scope(scope)) {
            return bad("a scope of the token is not a scope token of rfc 6749");
        }
        Ok(())
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The application's claims may hold personal data; they stay out of logs.
        f.debug_struct("Claims")
            .field("sub", &self.sub)
            .field("jti", &self.jti)
            .field("exp", &self.exp)
            .field("tid", &self.tid)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_role(role: &str) -> bool {
    (1..=128).contains(&role.len()) && !role.chars().any(char::is_control)
}

/// RFC 6749 section 3.3, `scope-token`.
pub(super) fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
