//! What is asked of a row, before it is a rule.

use std::fmt;
use std::sync::Arc;

use super::Value;
use crate::authz::policy::{Policy, SharedPolicy, check_permission, permission, role};
use crate::authz::{Permission, RoleModel};
use crate::error::ConfigError;

/// How deep tests may stand in each other.
const MAX_DEPTH: usize = 32;
/// How many tests and values a rule may have. SQLite allows 999 parameters in its older versions, and a nesting of 1000,
/// in which every `AND` of a chain counts.
const MAX_SIZE: usize = 500;
/// PostgreSQL cuts longer names off.
const MAX_NAME: usize = 63;

/// Something asked of a row and of whoever wants to see it. It becomes a rule in [`RowRule`](super::RowRule); what is
/// wrong with it is reported there.
#[derive(Clone)]
pub struct RowTest {
    pub(super) kind: Kind,
    depth: usize,
    size: usize,
}

#[derive(Clone)]
pub(super) enum Kind {
    All(Vec<RowTest>),
    Any(Vec<RowTest>),
    Not(Box<RowTest>),
    Policy(SharedPolicy),
    Equals(Arc<str>, Operand),
    Null(Arc<str>),
    Wrong(ConfigError),
}

/// What a field is compared with.
#[derive(Clone)]
pub(super) enum Operand {
    /// One of these, all of one kind.
    Values(Vec<Value<'static>>),
    /// Who asks; if the token has scopes, one must cover this permission, or everything.
    Subject(Option<Permission>),
    /// The tenant of who asks.
    Tenant,
}

/// A field of a row, from [`field`].
#[derive(Clone, Debug)]
pub struct Field(Result<Arc<str>, ConfigError>);

/// The field, or column, of this name: 1 to 63 of `A-Z a-z 0-9 _`, not a digit first, after the name of a table and a dot
/// if need be. Of a rule only these names stand in SQL; they are quoted, so that upper and lower case are what they are
/// in the database.
#[must_use]
pub fn field(name: &str) -> Field {
    let fits = |part: &str| {
        part.len() <= MAX_NAME
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let (table, column) = name.split_once('.').unwrap_or(("_", name));
    Field(if fits(table) && fits(column) {
        Ok(name.into())
    } else {
        Err(ConfigError::new(
            format!("field `{}`", name.escape_debug()),
            "cannot be the name of a column",
            "write `column` or `table.column`, with letters, digits and `_`",
        ))
    })
}

impl Field {
    fn test(self, kind: impl FnOnce(Arc<str>) -> Kind) -> RowTest {
        RowTest::leaf(self.0.map_or_else(Kind::Wrong, kind))
    }

    /// Whether it names who asks. Only for tokens without scopes: a scope names a permission, and what belongs to
    /// somebody is theirs without one. For others there is [`is_subject_with_scope`](Self::is_subject_with_scope).
    #[must_use]
    pub fn is_subject(self) -> RowTest {
        self.test(|field| Kind::Equals(field, Operand::Subject(None)))
    }

    /// Whether it names who asks; a token with scopes needs one that covers the permission.
    #[must_use]
    pub fn is_subject_with_scope(self, permission: &str) -> RowTest {
        match Permission::parse(permission) {
            Ok(permission) => self.test(|field| Kind::Equals(field, Operand::Subject(Some(permission)))),
            Err(cause) => RowTest::wrong(
                format!("permission `{}`", permission.escape_debug()),
                cause.to_string(),
                "write `resource:action`",
            ),
        }
    }

    /// Whether it names the tenant of who asks.
    #[must_use]
    pub fn is_tenant(self) -> RowTest {
        self.test(|field| Kind::Equals(field, Operand::Tenant))
    }

    /// Whether it has this value.
    #[must_use]
    pub fn is(self, value: impl Into<Value<'static>>) -> RowTest {
        self.is_one_of([value])
    }

    /// Whether it has one of these values; they are of one kind.
    #[must_use]
    pub fn is_one_of<V: Into<Value<'static>>>(self, values: impl IntoIterator<Item = V>) -> RowTest {
        // One more than fits is enough to see that they are too many.
        let values: Vec<_> = values.into_iter().map(Into::into).take(MAX_SIZE + 1).collect();
        if let (Ok(name), Some(first)) = (&self.0, values.first())
            && !values.iter().all(|value| value.is_like(first))
        {
            return RowTest::wrong(
                format!("field `{name}`"),
                "is compared with null or with values of several kinds",
                "compare with values of one kind, and ask `is_null` for null",
            );
        }
        let size = values.len().max(1);
        let test = self.test(|field| Kind::Equals(field, Operand::Values(values)));
        RowTest { size, ..test }.bounded()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_null(self) -> RowTest {
        self.test(Kind::Null)
    }
}

/// Whether who asks holds this permission, within the scopes of the token; as [`permission`].
#[must_use]
pub fn holds(text: &str) -> RowTest {
    by(permission(text))
}

/// Whether who asks holds this role; as [`role`].
#[must_use]
pub fn holds_role(name: &str) -> RowTest {
    by(role(name))
}

/// Whether this policy allows the request. It must answer at once: it is asked once for a whole list, and one that has to
/// wait is an error. In a list and in a detail it sees different actions and resources.
#[must_use]
pub fn by(policy: SharedPolicy) -> RowTest {
    RowTest::leaf(Kind::Policy(policy))
}

/// Whether the row belongs to who asks, or they hold the permission: for rows what
/// [`owner_or`](crate::authz::policy::owner_or) is for paths. A token with scopes needs one that covers the permission in
/// either case.
#[must_use]
pub fn owner_or(field: Field, permission: &str) -> RowTest {
    any_of([holds(permission), field.is_subject_with_scope(permission)])
}

/// Whether all of them hold; an empty list does not, negated or not.
#[must_use]
pub fn all_of(tests: impl IntoIterator<Item = RowTest>) -> RowTest {
    RowTest::joined(tests, Kind::All)
}

/// Whether one of them holds; an empty list does not, negated or not.
#[must_use]
pub fn any_of(tests: impl IntoIterator<Item = RowTest>) -> RowTest {
    RowTest::joined(tests, Kind::Any)
}

/// Whether it does not hold. What is not known is not known to be otherwise either: a field that is null is neither equal
/// to a value nor different from it.
#[must_use]
pub fn not(test: RowTest) -> RowTest {
    let (depth, size) = (test.depth + 1, test.size + 1);
    RowTest { kind: Kind::Not(Box::new(test)), depth, size }.bounded()
}

impl RowTest {
    fn leaf(kind: Kind) -> Self {
        Self { kind, depth: 1, size: 1 }
    }

    fn wrong(field: String, problem: impl Into<std::borrow::Cow<'static, str>>, cure: &'static str) -> Self {
        Self::leaf(Kind::Wrong(ConfigError::new(field, problem, cure)))
    }

    fn joined(tests: impl IntoIterator<Item = Self>, kind: fn(Vec<Self>) -> Kind) -> Self {
        let (mut parts, mut depth, mut size) = (Vec::new(), 1, 1);
        for test in tests {
            depth = depth.max(test.depth + 1);
            size += test.size;
            parts.push(test);
            if size > MAX_SIZE {
                break;
            }
        }
        Self { kind: kind(parts), depth, size }.bounded()
    }

    // INVARIANT: no test is deeper or larger than this lets it be, so recursion over one ends soon, that of `drop` too.
    fn bounded(self) -> Self {
        match self.kind {
            // The first error stays the one that is reported.
            Kind::Not(inner) if matches!(inner.kind, Kind::Wrong(_)) => *inner,
            kind if self.depth <= MAX_DEPTH && self.size <= MAX_SIZE => Self { kind, ..self },
            _ => Self::wrong(
                "row rule".to_owned(),
                format!(
                    "has more than {MAX_SIZE} tests and values, or more than {MAX_DEPTH} within each other"
                ),
                "simplify it, or keep long lists in a table",
            ),
        }
    }

    /// Whether it can be a rule with these roles.
    pub(super) fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        match &self.kind {
            Kind::All(tests) | Kind::Any(tests) => tests.iter().try_for_each(|test| test.validate(roles)),
            Kind::Not(test) => test.validate(roles),
            Kind::Policy(policy) => policy.validate(roles),
            Kind::Equals(_, Operand::Subject(Some(permission))) => {
                check_permission(permission.as_str(), roles)
            }
            Kind::Equals(..) | Kind::Null(_) => Ok(()),
            Kind::Wrong(error) => Err(error.clone()),
        }
    }
}

/// As it appears in the table of an access map.
impl fmt::Display for RowTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name, tests: &[Self]| {
            let parts: Vec<_> = tests.iter().map(Self::to_string).collect();
            write!(f, "{name} of ({})", parts.join(", "))
        };
        match &self.kind {
            Kind::All(tests) => list(f, "all", tests),
            Kind::Any(tests) => list(f, "any", tests),
            Kind::Not(test) => write!(f, "not ({test})"),
            Kind::Policy(policy) => f.write_str(&policy.describe()),
            Kind::Equals(field, Operand::Subject(None)) => write!(f, "{field} is the subject"),
            Kind::Equals(field, Operand::Subject(Some(permission))) => {
                write!(f, "{field} is the subject within {permission}")
            }
            Kind::Equals(field, Operand::Tenant) => write!(f, "{field} is the tenant"),
            Kind::Equals(field, Operand::Values(values)) => {
                write!(f, "{field} is ")?;
                for (nth, value) in values.iter().enumerate() {
                    let or = if nth == 0 { "" } else { " or " };
                    match value {
                        Value::Null => write!(f, "{or}null"),
                        Value::Text(text) => write!(f, "{or}{text:?}"),
                        Value::Integer(number) => write!(f, "{or}{number}"),
                        Value::Boolean(yes) => write!(f, "{or}{yes}"),
                    }?;
                }
                if values.is_empty() { f.write_str("one of none") } else { Ok(()) }
            }
            Kind::Null(field) => write!(f, "{field} is null"),
            Kind::Wrong(error) => write!(f, "wrong ({error})"),
        }
    }
}

impl fmt::Debug for RowTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowTest({self})")
    }
}
