//! Rules, principals and rows as they may come, and what a rule means, written down once more.

use portcullis::authz::policy::rows::{Row, RowTest, Value, field};
use portcullis::authz::policy::rows::{all_of, any_of, by, holds, holds_role, not};
use portcullis::authz::policy::{Decision, policy_fn};
use portcullis::authz::{Role, RoleModel};
use portcullis::{Principal, Subject, TenantId};
use proptest::prelude::*;

pub const FIELDS: [&str; 8] =
    ["tenant", "owner", "trimmed", "number", "numeric", "anything", "blob", "group"];
pub const FLAG: &str = "flag";

const TEXTS: [&str; 16] = [
    "ada",
    "ADA",
    "ada ",
    "1",
    "01",
    "default",
    "other",
    "",
    "%",
    "_",
    "x' OR '1'='1",
    "--",
    "?1",
    "\0ada",
    "\u{e4}\u{1F600}",
    "9223372036854775807",
];
const NUMBERS: [i64; 6] = [0, 1, -1, 2, i64::MAX, i64::MIN];
const SUBJECTS: [&str; 4] = ["ada", "ADA", "1", "01"];
const SCOPES: [&str; 5] = ["*:*", "notes:moderate", "notes:*", "tasks:read", "openid"];
const PERMISSIONS: [&str; 2] = ["notes:moderate", "tasks:read"];
const ROLES: [&str; 2] = ["moderator", "user"];

pub fn roles() -> RoleModel {
    RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add(Role::new("moderator").inherits("user").grants("notes:moderate"))
        .build()
        .unwrap()
}

#[derive(Clone, Debug)]
pub enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Is(&'static str, Vec<Value<'static>>),
    Null(&'static str),
    Subject(&'static str, Option<&'static str>),
    Tenant(&'static str),
    Holds(&'static str),
    HoldsRole(&'static str),
    Policy(Decision),
}

impl Tree {
    pub fn test(&self) -> RowTest {
        match self {
            Self::All(parts) => all_of(parts.iter().map(Self::test)),
            Self::Any(parts) => any_of(parts.iter().map(Self::test)),
            Self::Not(part) => not(part.test()),
            Self::Is(name, values) => field(name).is_one_of(values.clone()),
            Self::Null(name) => field(name).is_null(),
            Self::Subject(name, None) => field(name).is_subject(),
            Self::Subject(name, Some(permission)) => field(name).is_subject_with_scope(permission),
            Self::Tenant(name) => field(name).is_tenant(),
            Self::Holds(permission) => holds(permission),
            Self::HoldsRole(role) => holds_role(role),
            Self::Policy(decision) => {
                let decision = *decision;
                by(policy_fn(move |_| decision))
            }
        }
    }

    /// Yes, no or not known.
    pub fn answer(&self, who: &Who, row: &Stored) -> Option<bool> {
        let covered = |needed: &str| {
            who.scopes.as_ref().is_none_or(|scopes| {
                let of_resource = format!("{}:*", needed.split(':').next().unwrap());
                scopes.iter().any(|scope| [needed, "*:*", &of_resource].contains(scope))
            })
        };
        let same = |name: &str, other: &Value<'static>| match (row.get(name), other) {
            (Value::Text(found), Value::Text(other)) => Some(found == other),
            (Value::Integer(found), Value::Integer(other)) => Some(found == other),
            (Value::Boolean(found), Value::Boolean(other)) => Some(found == other),
            _ => None,
        };
        let held = |holds: bool, needed: &str| match holds {
            false => Some(false),
            true if covered(needed) => Some(true),
            true => None,
        };
        match self {
            Self::All(parts) => joined(parts.iter().map(|part| part.answer(who, row)), false),
            Self::Any(parts) => joined(parts.iter().map(|part| part.answer(who, row)), true),
            Self::Not(part) => part.answer(who, row).map(|yes| !yes),
            Self::Is(name, values) => joined(values.iter().map(|value| same(name, value)), true),
            Self::Null(name) => Some(*row.get(name) == Value::Null),
            Self::Subject(name, permission) if covered(permission.unwrap_or("*:*")) => {
                same(name, &who.subject?.into())
            }
            Self::Subject(..) => None,
            Self::Tenant(name) => same(name, &who.tenant.into()),
            Self::Holds(permission) => {
                let user = who.roles.iter().any(|role| ROLES.contains(role));
                let moderator = who.roles.contains(&"moderator");
                held(if *permission == "tasks:read" { user } else { moderator }, permission)
            }
            Self::HoldsRole(role) => {
                let holds = who.roles.contains(role) || (*role == "user" && who.roles.contains(&"moderator"));
                held(holds, "*:*")
            }
            Self::Policy(Decision::Allow) => Some(true),
            Self::Policy(Decision::Deny) => Some(false),
            Self::Policy(Decision::Abstain) => None,
        }
    }

    /// The same with other values in it.
    pub fn harmless(&self) -> Self {
        let all = |parts: &[Self]| parts.iter().map(Self::harmless).collect();
        match self {
            Self::All(parts) => Self::All(all(parts)),
            Self::Any(parts) => Self::Any(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.harmless())),
            Self::Is(name, values) => {
                let other = |value: &Value<'static>| match value {
                    Value::Text(_) => "a".into(),
                    Value::Integer(_) => 0.into(),
                    other => other.clone(),
                };
                Self::Is(name, values.iter().map(other).collect())
            }
            other => other.clone(),
        }
    }
}

/// `decisive` if one is; else not known if one isn't or there is none; else the opposite.
fn joined(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let parts: Vec<_> = parts.collect();
    if parts.contains(&Some(decisive)) {
        Some(decisive)
    } else if parts.contains(&None) || parts.is_empty() {
        None
    } else {
        Some(!decisive)
    }
}

#[derive(Clone, Debug)]
pub struct Who {
    pub subject: Option<&'static str>,
    tenant: &'static str,
    roles: Vec<&'static str>,
    scopes: Option<Vec<&'static str>>,
}

impl Who {
    pub fn principal(&self) -> Principal {
        let tenant = TenantId::parse(self.tenant).unwrap();
        let principal = match self.subject {
            Some(subject) => Principal::user(tenant, Subject::parse(subject).unwrap()),
            None => Principal::anonymous(tenant),
        };
        let principal = principal.with_roles(self.roles.clone());
        match &self.scopes {
            Some(scopes) => principal.with_scopes(scopes.clone()),
            None => principal,
        }
    }
}

/// A row as the database gives it back.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: i64,
    pub values: Vec<(&'static str, Value<'static>)>,
}

impl Stored {
    pub fn get(&self, name: &str) -> &Value<'static> {
        &self.values.iter().find(|(found, _)| *found == name).unwrap().1
    }
}

impl Row for Stored {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone())
    }
}

fn text() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![4 => prop::sample::select(&TEXTS[..]).prop_map(Value::from), 1 => ".{0,6}".prop_map(Value::from)]
}

fn number() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![4 => prop::sample::select(&NUMBERS[..]), 1 => any::<i64>()].prop_map(Value::from)
}

fn leaf() -> impl Strategy<Value = Tree> {
    let name = || prop::sample::select(&FIELDS[..]);
    let permission = || prop::sample::select(&PERMISSIONS[..]);
    let list = |value: BoxedStrategy<Value<'static>>| prop::collection::vec(value, 0..4);
    let decision = prop::sample::select(vec![Decision::Allow, Decision::Deny, Decision::Abstain]);
    prop_oneof![
        3 => (name(), list(text().boxed())).prop_map(|(name, values)| Tree::Is(name, values)),
        2 => (name(), list(number().boxed())).prop_map(|(name, values)| Tree::Is(name, values)),
        1 => list(any::<bool>().prop_map(Value::from).boxed()).prop_map(|values| Tree::Is(FLAG, values)),
        1 => name().prop_map(Tree::Null),
        1 => Just(Tree::Null(FLAG)),
        2 => (name(), prop::option::of(permission())).prop_map(|(name, scope)| Tree::Subject(name, scope)),
        1 => name().prop_map(Tree::Tenant),
        1 => permission().prop_map(Tree::Holds),
        1 => prop::sample::select(&ROLES[..]).prop_map(Tree::HoldsRole),
        1 => decision.prop_map(Tree::Policy),
    ]
}

pub fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Any),
            inner.prop_map(|part| Tree::Not(Box::new(part))),
        ]
    })
}

pub fn who() -> impl Strategy<Value = Who> {
    (
        prop::option::weighted(0.9, prop::sample::select(&SUBJECTS[..])),
        prop::sample::select(vec!["default", "other", "DEFAULT"]),
        prop::sample::subsequence(&ROLES[..], 0..=2),
        prop::option::weighted(0.4, prop::sample::subsequence(&SCOPES[..], 0..=3)),
    )
        .prop_map(|(subject, tenant, roles, scopes)| Who { subject, tenant, roles, scopes })
}

/// What is written into each column, of whatever kind.
pub fn row() -> impl Strategy<Value = Vec<Value<'static>>> {
    let any_value = prop_oneof![3 => text(), 2 => number(), 1 => Just(Value::Null)];
    let tenant = prop_oneof![5 => Just("default".into()), 1 => any_value.clone()];
    let flag = prop_oneof![any::<bool>().prop_map(Value::from), Just(Value::Null)];
    (tenant, prop::collection::vec(any_value, 7), flag).prop_map(|(tenant, mut values, flag)| {
        values.insert(0, tenant);
        values.push(flag);
        values
    })
}
