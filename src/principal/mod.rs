//! Who acts: [`Principal`], how it proved itself, and [`Verified`], the mark of a value that was checked.
//!
//! A principal is what authentication leaves behind and everything further in goes by: tenant, subject, roles, the
//! scopes its token is limited to, and how and when it proved itself. It is trusted, so only the layers make one from a
//! request; a service of yours that makes one vouches for it.
//!
//! ```
//! use portcullis::principal::{Assurance, AuthMethod, Principal, Verified};
//! use portcullis::{Subject, TenantId};
//!
//! let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap())
//!     .with_auth_methods([AuthMethod::Password, AuthMethod::Otp]);
//! assert_eq!(ada.assurance(), Some(Assurance::Aal2));
//!
//! // Code that needs the proof asks for it in its signature.
//! fn greet(who: &Verified<Principal>) -> String {
//!     format!("hello {}", who.subject().unwrap())
//! }
//! assert_eq!(greet(&Verified::vouch(ada)), "hello ada");
//! ```

mod auth_method;
mod bearer;
mod epoch;
mod names;
mod verified;

use std::fmt;
use std::sync::Arc;

use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::time::Timestamp;

pub use auth_method::{Actor, Assurance, AuthMethod};
pub(crate) use bearer::Bearer;
pub use epoch::Epoch;
pub(crate) use names::{Few, Names, Span, Spans};
pub use verified::Verified;

/// Who acts in a request. Anonymous is a principal too.
///
/// One pointer wide and cheap to clone; it travels in request extensions, put there by the authentication layer
/// and by nothing else.
///
/// ```
/// use portcullis::principal::{AuthMethod, Principal};
/// use portcullis::{Subject, TenantId};
///
/// let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap())
///     .with_roles(["editor"])
///     .with_auth_methods([AuthMethod::Password]);
/// assert!(ada.has_role("editor"));
/// assert!(!ada.is_anonymous());
/// ```
#[derive(Clone)]
pub struct Principal(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: PrincipalKind,
    tenant: TenantId,
    subject: Option<Subject>,
    roles: Names,
    scopes: Option<Names>,
    actor: Option<Actor>,
    auth_methods: Few<AuthMethod, 8>,
    auth_time: Option<Timestamp>,
    family: Option<FamilyId>,
    token: Option<TokenId>,
    epoch: Epoch,
    expires_at: Option<Timestamp>,
    claims: Option<Arc<str>>,
}

const NO_METHOD: Few<AuthMethod, 8> = Few::new(AuthMethod::Password);

/// What kind of party a [`Principal`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// Nobody in particular.
    Anonymous,
    /// A person with an account.
    User,
    /// A program that presented an API key.
    ApiKey,
    /// Another service.
    Service,
}

impl Principal {
    /// Nobody in particular, in this tenant.
    #[must_use]
    pub fn anonymous(tenant: TenantId) -> Self {
        Self::new(PrincipalKind::Anonymous, tenant, None)
    }

    /// A user.
    #[must_use]
    pub fn user(tenant: TenantId, subject: Subject) -> Self {
        Self::new(PrincipalKind::User, tenant, Some(subject))
    }

    /// A program acting through an API key.
    #[must_use]
    pub fn api_key(tenant: TenantId, subject: Subject) -> Self {
        Self::new(PrincipalKind::ApiKey, tenant, Some(subject))
    }

    /// Another service.
    #[must_use]
    pub fn service(tenant: TenantId, subject: Subject) -> Self {
        Self::new(PrincipalKind::Service, tenant, Some(subject))
    }

    fn new(kind: PrincipalKind, tenant: TenantId, subject: Option<Subject>) -> Self {
        Self(Arc::new(Inner {
            kind,
            tenant,
            subject,
            roles: Names::Listed(Vec::new()),
            scopes: None,
            actor: None,
            auth_methods: NO_METHOD,
            auth_time: None,
            family: None,
            token: None,
            epoch: Epoch::ZERO,
            expires_at: None,
            claims: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Replaces the roles.
    #[must_use]
    pub fn with_roles<R: Into<Arc<str>>>(self, roles: impl IntoIterator<Item = R>) -> Self {
        self.with(|inner| inner.roles = roles.into_iter().collect())
    }

    /// Limits what the principal may do to these scopes.
    #[must_use]
    pub fn with_scopes<S: Into<Arc<str>>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.with(|inner| inner.scopes = Some(scopes.into_iter().collect()))
    }

    /// Names who acts on the subject's behalf.
    #[must_use]
    pub fn with_actor(self, actor: Actor) -> Self {
        self.with(|inner| inner.actor = Some(actor))
    }

    /// Says how the subject proved itself.
    #[must_use]
    pub fn with_auth_methods(self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.with(|inner| inner.auth_methods = Few::all(AuthMethod::Password, methods))
    }

    /// Says when the subject proved itself.
    #[must_use]
    pub fn with_auth_time(self, at: Timestamp) -> Self {
        self.with(|inner| inner.auth_time = Some(at))
    }

    /// Says which sign-in this belongs to.
    #[must_use]
    pub fn with_family(self, family: FamilyId) -> Self {
        self.with(|inner| inner.family = Some(family))
    }

    /// Names the token that was presented and when it stops being accepted.
    #[must_use]
    pub fn with_token(self, token: TokenId, expires_at: Timestamp) -> Self {
        self.with(|inner| {
            inner.token = Some(token);
            inner.expires_at = Some(expires_at);
        })
    }

    /// Says under which epoch the credential was issued.
    #[must_use]
    pub fn with_epoch(self, epoch: Epoch) -> Self {
        self.with(|inner| inner.epoch = epoch)
    }

    /// Keeps the verified claims as JSON text, for handlers that read claims of their own.
    #[must_use]
    pub fn with_claims_json(self, claims: Arc<str>) -> Self {
        self.with(|inner| inner.claims = Some(claims))
    }

    /// What kind of party this is.
    #[must_use]
    pub fn kind(&self) -> PrincipalKind {
        self.0.kind
    }

    /// Whether nobody has proved anything.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.subject.is_none()
    }

    /// The tenant the principal belongs to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Who it is; `None` exactly if anonymous.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.0.subject.as_ref()
    }

    /// The names of its roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.roles.iter()
    }

    /// Whether it holds this role itself; what a role inherits is the role model's business.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|held| held == role)
    }

    /// The scopes its credential is limited to; `None` if the credential is not limited.
    #[must_use]
    pub fn scopes(&self) -> Option<impl Iterator<Item = &str>> {
        self.0.scopes.as_ref().map(Names::iter)
    }

    /// Who acts on its behalf, if somebody does.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.0.actor.as_ref()
    }

    /// How it proved itself (RFC 8176).
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        self.0.auth_methods.as_slice()
    }

    /// How sure we are, derived from the methods.
    #[must_use]
    pub fn assurance(&self) -> Option<Assurance> {
        Assurance::of(self.auth_methods())
    }

    /// When it proved itself; refreshing does not move it.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.0.auth_time
    }

    /// Which sign-in this belongs to.
    #[must_use]
    pub fn family(&self) -> Option<&FamilyId> {
        self.0.family.as_ref()
    }

    /// Which token was presented.
    #[must_use]
    pub fn token(&self) -> Option<&TokenId> {
        self.0.token.as_ref()
    }

    /// When the presented token stops being accepted.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// Under which epoch the credential was issued.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// The verified claims as JSON text, if the credential carried any.
    #[must_use]
    pub fn claims_json(&self) -> Option<&str> {
        self.0.claims.as_deref()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Claims may hold personal data of the application's; they stay out of logs.
        f.debug_struct("Principal")
            .field("kind", &self.0.kind)
            .field("tenant", &self.0.tenant)
            .field("subject", &self.0.subject)
            .field("roles", &self.0.roles)
            .field("scopes", &self.0.scopes)
            .field("actor", &self.0.actor)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_stay_out_of_debug() {
        let principal = Principal::user(TenantId::default(), Subject::parse("u").unwrap())
            .with_claims_json("{\"ssn\":\"canary\"}".into());
        assert!(!format!("{principal:?}").contains("canary"));
    }
}
