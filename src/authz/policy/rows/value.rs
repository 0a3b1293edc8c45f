//! What stands in a row.

use std::borrow::Cow;

use crate::id::{Subject, TenantId};

/// A value of a row, or one that a rule compares with. Values are equal if their kind and content are: text byte by byte,
/// and the text `1` is not the number 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whoever binds values to a statement must see a new kind")]
pub enum Value<'a> {
    /// Nothing. It is not equal to anything, and not different either.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// Yes or no; in SQLite 1 or 0.
    Boolean(bool),
}

impl Value<'_> {
    /// Whether the two can be compared at all.
    pub(super) fn is_like(&self, other: &Value<'_>) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && *self != Value::Null
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a Subject> for Value<'a> {
    fn from(subject: &'a Subject) -> Self {
        subject.as_str().into()
    }
}

impl<'a> From<&'a TenantId> for Value<'a> {
    fn from(tenant: &'a TenantId) -> Self {
        tenant.as_str().into()
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Boolean(yes)
    }
}

/// `None` is [`Value::Null`].
impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row in memory: its fields under the names that the rule uses.
///
/// ```
/// use portcullis::authz::policy::rows::{Row, Value};
///
/// struct Note {
///     owner: String,
///     reviewer: Option<String>,
/// }
///
/// impl Row for Note {
///     fn value(&self, field: &str) -> Option<Value<'_>> {
///         Some(match field {
///             "owner" => self.owner.as_str().into(),
///             "reviewer" => self.reviewer.as_deref().into(),
///             _ => return None,
///         })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(note = "say what stands in which field of `{Self}`: implement `Row` for it")]
pub trait Row {
    /// What stands in this field; [`Value::Null`] if nothing does. `None` if there is no such field: then nothing is
    /// known about it, not even that it is null, and what asks for it does not show the row.
    fn value(&self, field: &str) -> Option<Value<'_>>;
}

impl<R: Row + ?Sized> Row for &R {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        (**self).value(field)
    }
}
