//! What a policy may be told: [`Value`], [`Record`], [`Resource`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::id::Subject;
use crate::time::Timestamp;

/// A value in the words of this crate. Entities are of the tenant of whoever asks, whatever they are named.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `Bool`.
    Bool(bool),
    /// `Long`.
    Long(i64),
    /// `String`.
    Text(String),
    /// `datetime`, in milliseconds; of the years 0 to 9999.
    Time(Timestamp),
    /// `ipaddr`.
    Address(IpAddr),
    /// `decimal`: a text such as `12.3456`, with one to four digits after the point.
    Decimal(String),
    /// The `User` with this subject.
    User(Subject),
    /// The `Role` of this name.
    Role(String),
    /// Any other entity.
    Entity {
        /// Its type in the schema.
        kind: String,
        /// Which one.
        id: String,
    },
    /// `Set`.
    Set(Vec<Value>),
    /// A record.
    Record(Record),
}

/// Named values: attributes of a resource, or the context of a request.
///
/// ```
/// use portcullis::Subject;
/// use portcullis::authz::policy::cedar::{Record, Value};
///
/// let owner = Subject::parse("ada").unwrap();
/// let note = Record::new().with("owner", Value::User(owner)).with("public", false).with("tags", vec!["x", "y"]);
/// assert_eq!(note.get("public"), Some(&Value::Bool(false)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record(pub(super) BTreeMap<String, Value>);

impl Record {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// What a loader knows about a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    pub(super) attributes: Record,
    pub(super) parents: Vec<(String, String)>,
}

impl Resource {
    /// A resource of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes = self.attributes.with(name, value);
        self
    }

    /// Says that it lies in another entity of the tenant, so that `resource in Folder::"<tenant>/<id>"` holds. Name the
    /// parents of its parents too: nothing else does.
    #[must_use]
    pub fn within(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.parents.push((kind.into(), id.into()));
        self
    }
}

macro_rules! from {
    ($($from:ty => $value:expr),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $value(value)
            }
        })+
    };
}

from! {
    bool => Self::Bool,
    i64 => Self::Long,
    String => Self::Text,
    Timestamp => Self::Time,
    IpAddr => Self::Address,
    Subject => Self::User,
    Record => Self::Record,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<V: Into<Self>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Self {
        Self::Set(values.into_iter().map(Into::into).collect())
    }
}
