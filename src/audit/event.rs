//! The words of the audit trail.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::id::{FamilyId, Subject, TenantId};
use crate::time::Timestamp;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// What kind of thing happened, in the words of the OWASP Logging Vocabulary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventName {
            $($(#[$doc])* $name,)*
        }

        impl EventName {
            /// The name as the vocabulary spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How grave it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

events! {
    /// Somebody signed in.
    AuthnLoginSuccess = "authn_login_success", Info;
    /// Somebody failed to sign in.
    AuthnLoginFail = "authn_login_fail", Warn;
    /// A password was changed.
    AuthnPasswordChange = "authn_password_change", Info;
    /// A password change was refused.
    AuthnPasswordChangeFail = "authn_password_change_fail", Warn;
    /// Tokens were issued.
    AuthnTokenCreated = "authn_token_created", Info;
    /// Tokens were revoked.
    AuthnTokenRevoked = "authn_token_revoked", Info;
    /// A token was used again after it had been exchanged; its family was revoked.
    AuthnTokenReuse = "authn_token_reuse", Critical;
    /// A token was deleted by its owner signing out.
    AuthnTokenDelete = "authn_token_delete", Info;
    /// A value was not opened: damaged, moved, or under a key that doesn't read any more.
    CryptDecryptFail = "crypt_decrypt_fail", Warn;
    /// Somebody was refused something they may not do.
    AuthzFail = "authz_fail", Warn;
    /// An administrator did something that no other event is for.
    AuthzAdmin = "authz_admin", Warn;
    /// Somebody's rights were changed.
    AuthzChange = "authz_change", Warn;
    /// A user was registered.
    UserCreated = "user_created", Info;
    /// A user was changed.
    UserUpdated = "user_updated", Info;
    /// A user was disabled.
    UserArchived = "user_archived", Warn;
    /// A user was deleted.
    UserDeleted = "user_deleted", Warn;
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth a look if it repeats.
    Warn,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// As the vocabulary spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Critical => "CRITICAL",
        }
    }
}

/// One thing that happened. It never holds a secret: details are names and codes of ours, not input.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    name: EventName,
    at: Timestamp,
    tenant: TenantId,
    subject: Option<Subject>,
    actor: Option<Subject>,
    family: Option<FamilyId>,
    details: Vec<(&'static str, String)>,
}

impl AuditEvent {
    /// An event of this name.
    #[must_use]
    pub fn new(name: EventName, at: Timestamp, tenant: TenantId) -> Self {
        Self { name, at, tenant, subject: None, actor: None, family: None, details: Vec::new() }
    }

    /// Whom it concerns.
    #[must_use]
    pub fn with_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Who did it, if that is somebody else.
    #[must_use]
    pub fn with_actor(mut self, actor: Subject) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Which sign-in it belongs to.
    #[must_use]
    pub fn with_family(mut self, family: FamilyId) -> Self {
        self.family = Some(family);
        self
    }

    /// Adds a fact. `value` is a code or name of ours; what a client sent does not belong here.
    #[must_use]
    pub fn with_detail(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.details.push((key, value.into()));
        self
    }

    /// What kind of thing happened.
    #[must_use]
    pub fn name(&self) -> EventName {
        self.name
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// In which tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Whom it concerns.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Who did it, if that is somebody else.
    #[must_use]
    pub fn actor(&self) -> Option<&Subject> {
        self.actor.as_ref()
    }

    /// Which sign-in it belongs to.
    #[must_use]
    pub fn family(&self) -> Option<&FamilyId> {
        self.family.as_ref()
    }

    /// A fact by its name.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }
}

impl Serialize for AuditEvent {
    /// One flat object; control characters are escaped by JSON itself.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Details<'a>(&'a [(&'static str, String)]);
        impl Serialize for Details<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
            }
        }

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.name.as_str())?;
        map.serialize_entry("level", self.name.severity().as_str())?;
        map.serialize_entry("at_micros", &self.at)?;
        map.serialize_entry("tenant", &self.tenant)?;
        for (key, id) in [("subject", &self.subject), ("actor", &self.actor)] {
            if let Some(id) = id {
                map.serialize_entry(key, id)?;
            }
        }
        if let Some(family) = &self.family {
            map.serialize_entry("family", family)?;
        }
        if !self.details.is_empty() {
            map.serialize_entry("details", &Details(&self.details))?;
        }
        map.end()
    }
}
