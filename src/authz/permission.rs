//! The words of a grant: [`Permission`], [`Grant`], [`Scope`].

use std::fmt;
use std::sync::Arc;

/// Longest resource or action in bytes.
const MAX_PART: usize = 64;

/// Longest scope in bytes.
const MAX_SCOPE: usize = 128;

/// Why a text is not a permission, a grant or a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPermission {
    /// It is not two parts around one colon.
    #[error("has not the form `resource:action`")]
    Form,
    /// A part is empty, longer than 64 bytes, or has a character outside `a-z 0-9 _ -`.
    #[error("has a part that is not 1 to 64 of `a-z 0-9 _ -`")]
    Part,
    /// A wildcard stands where only a plain permission may: wildcards are granted, never asked for.
    #[error("has a wildcard; those can be granted, not asked for")]
    Wildcard,
    /// A wildcard resource with a plain action.
    #[error("has a wildcard resource with an action; write `*:*`")]
    WildcardResource,
    /// A scope that is empty, longer than 128 bytes, or has a character RFC 6749 section 3.3 does not allow.
    #[error("is not 1 to 128 characters of an OAuth scope")]
    Scope,
}

/// Something that can be done: `resource:action`, for example `tasks:read`. Never a wildcard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Arc<str>);

impl Permission {
    /// Checks and takes over `resource:action`, each 1 to 64 of `a-z 0-9 _ -`.
    ///
    /// # Errors
    ///
    /// [`InvalidPermission`] for any other text, wildcards included.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let (resource, action) = text.split_once(':').ok_or(InvalidPermission::Form)?;
        if resource == "*" || action == "*" {
            return Err(InvalidPermission::Wildcard);
        }
        if is_word(resource) && is_word(action) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPermission::Part)
        }
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is about.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.split_once(':').map_or("", |(resource, _)| resource)
    }

    /// What may be done with it.
    #[must_use]
    pub fn action(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, action)| action)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permission({})", self.0)
    }
}

/// What a role grants: a permission, `resource:*`, or `*:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grant {
    /// `*:*`.
    Everything,
    /// `resource:*`.
    Resource(Arc<str>),
    /// One permission.
    Exactly(Permission),
}

impl Grant {
    /// Reads a permission or a wildcard.
    ///
    /// # Errors
    ///
    /// [`InvalidPermission`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        match text.split_once(':').ok_or(InvalidPermission::Form)? {
            ("*", "*") => Ok(Self::Everything),
            ("*", _) => Err(InvalidPermission::WildcardResource),
            (resource, "*") if is_word(resource) => Ok(Self::Resource(resource.into())),
            (_, "*") => Err(InvalidPermission::Part),
            _ => Permission::parse(text).map(Self::Exactly),
        }
    }
}

/// What a token is limited to, claim `scope` (RFC 6749 section 3.3).
///
/// A scope in the form of a grant (`tasks:read`, `tasks:*`, `*:*`) lets the token use those permissions, as far as the
/// roles hold them. Any other scope (`openid`, `profile`) lets it use none; it is kept for whom it concerns. So scopes
/// only ever take away.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Checks and takes over 1 to 128 visible ASCII characters without `"` and `\`.
    ///
    /// # Errors
    ///
    /// [`InvalidPermission::Scope`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let fits = !text.is_empty() && text.len() <= MAX_SCOPE;
        if fits && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPermission::Scope)
        }
    }

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a token with this scope may use the permission.
    #[must_use]
    pub fn covers(&self, permission: &Permission) -> bool {
        scope_covers(&self.0, permission)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

/// [`Scope::covers`] on the text as a principal carries it. A valid permission has no wildcard and exactly one colon,
/// so a comparison of text decides, and nothing is parsed or allocated.
pub(super) fn scope_covers(scope: &str, permission: &Permission) -> bool {
    scope == permission.as_str()
        || scope == "*:*"
        || scope.strip_suffix(":*").is_some_and(|resource| resource == permission.resource())
}

/// Whether a text can be a resource, an action or the name of a role.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_PART
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_permission_and_what_a_grant() {
        use InvalidPermission as E;
        let long = "a".repeat(65);
        for (text, permission, grant) in [
            ("tasks:read", None, None),
            ("a_b-9:c-d_0", None, None),
            ("tasks:*", Some(E::Wildcard), None),
            ("*:*", Some(E::Wildcard), None),
            ("*:read", Some(E::Wildcard), Some(E::WildcardResource)),
            ("tasks", Some(E::Form), Some(E::Form)),
            ("", Some(E::Form), Some(E::Form)),
            (":", Some(E::Part), Some(E::Part)),
            (":*", Some(E::Wildcard), Some(E::Part)),
            ("tasks:", Some(E::Part), Some(E::Part)),
            ("Tasks:read", Some(E::Part), Some(E::Part)),
            ("tasks:read:all", Some(E::Part), Some(E::Part)),
            ("tasks:re*", Some(E::Part), Some(E::Part)),
            ("ta*:*", Some(E::Wildcard), Some(E::Part)),
            ("tasks: read", Some(E::Part), Some(E::Part)),
            ("t\u{e4}sks:read", Some(E::Part), Some(E::Part)),
            (&format!("{long}:x"), Some(E::Part), Some(E::Part)),
        ] {
            assert_eq!(Permission::parse(text).err(), permission, "permission {text:?}");
            assert_eq!(Grant::parse(text).err(), grant, "grant {text:?}");
        }
        let permission = Permission::parse("tasks:read").unwrap();
        assert_eq!((permission.resource(), permission.action()), ("tasks", "read"));
    }

    #[test]
    fn what_a_scope_covers() {
        let read = Permission::parse("tasks:read").unwrap();
        for (scope, want) in [
            ("tasks:read", true),
            ("tasks:*", true),
            ("*:*", true),
            ("tasks:write", false),
            ("task:*", false),
            ("taskss:*", false),
            ("*:read", false),
            (":*", false),
            ("*", false),
            ("openid", false),
            ("TASKS:READ", false),
        ] {
            assert_eq!(Scope::parse(scope).unwrap().covers(&read), want, "{scope}");
        }
        for bad in ["", "a b", "a\"b", "a\\b", "a\n", &"a".repeat(129)] {
            assert_eq!(Scope::parse(bad), Err(InvalidPermission::Scope), "{bad:?}");
        }
    }
}
