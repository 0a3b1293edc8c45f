//! What is left of a rule once it is known who asks: a question to each row.

use std::sync::Arc;

use super::row_test::{Kind, Operand, RowTest};
use super::{Row, SqlCondition, Value, sql};
use crate::authz::AccessRequest;
use crate::authz::permission::scope_covers;
use crate::authz::policy::{Decision, PolicyOutcome};
use crate::error::{Error, ErrorKind};

/// What must hold of a row for it to be seen by whoever asked. From [`RowRule::visible_to`](super::RowRule::visible_to).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(pub(super) Node);

/// Negations stand at the fields only. There a test and its negation are two tests, each of which holds or does not, and
/// "not known" is the same as "does not hold": nothing above can turn it round. So SQL with its nulls and plain `bool`s
/// come to the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Never,
    Always,
    All(Vec<Node>),
    Any(Vec<Node>),
    /// The field is one of the values, or it is something like them and none of them.
    Compare {
        field: Arc<str>,
        negated: bool,
        // INVARIANT: never empty, all of one kind, none null.
        values: Vec<Value<'static>>,
    },
    Null {
        field: Arc<str>,
        negated: bool,
    },
}

impl Condition {
    /// No row at all: there is no need to ask the database.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0 == Node::Never
    }

    /// Every row.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0 == Node::Always
    }

    /// Whether this row may be seen.
    #[must_use]
    pub fn allows(&self, row: &(impl Row + ?Sized)) -> bool {
        self.0.holds(row)
    }

    /// The condition for a `WHERE`, in parentheses where it needs them. Its parameters are numbered from `bound` + 1;
    /// `bound` is the number of those that the statement has before.
    ///
    /// The names of fields are all that stands in the text of what a rule says; who asks decides which of its parts do.
    #[must_use]
    pub fn to_sql(&self, dialect: super::Dialect, bound: usize) -> SqlCondition {
        sql::render(&self.0, dialect, bound)
    }
}

impl Node {
    fn holds(&self, row: &(impl Row + ?Sized)) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Compare { field, negated, values } => row.value(field).is_some_and(|found| {
                values.iter().all(|value| value.is_like(&found)) && values.contains(&found) != *negated
            }),
            Self::Null { field, negated } => {
                row.value(field).is_some_and(|found| (found == Value::Null) != *negated)
            }
        }
    }
}

/// What must hold of a row for the test to hold, or for it not to hold; neither, if that cannot be known.
pub(super) fn decided(test: &RowTest, request: &AccessRequest<'_>, wanted: bool) -> Result<Node, Error> {
    let known = |holds: bool| if holds == wanted { Node::Always } else { Node::Never };
    Ok(match &test.kind {
        Kind::All(tests) => joined(wanted, tests, request, wanted)?,
        Kind::Any(tests) => joined(!wanted, tests, request, wanted)?,
        Kind::Not(test) => decided(test, request, !wanted)?,
        Kind::Policy(policy) => match policy.decide(request) {
            PolicyOutcome::Ready(Decision::Allow) => known(true),
            PolicyOutcome::Ready(Decision::Deny) => known(false),
            PolicyOutcome::Ready(Decision::Abstain) => Node::Never,
            PolicyOutcome::Pending(_) => {
                return Err(Error::new(ErrorKind::Internal, "a policy in a row rule did not answer at once"));
            }
        },
        Kind::Equals(field, operand) => compared(field, values(operand, request), wanted),
        Kind::Null(field) => Node::Null { field: field.clone(), negated: !wanted },
        Kind::Wrong(_) => Node::Never,
    })
}

/// A column of SQLite can hold any number for a yes or no, and only two of them are known: so what is not yes is no.
fn compared(field: &Arc<str>, values: Option<Vec<Value<'static>>>, wanted: bool) -> Node {
    let (field, mut values) = (field.clone(), values.unwrap_or_default());
    let yes_or_no = matches!(values.first(), Some(Value::Boolean(_)));
    if yes_or_no && !wanted {
        let others = [Value::from(true), Value::from(false)].into_iter();
        values = others.filter(|other| !values.contains(other)).collect();
    }
    if values.is_empty() {
        return Node::Never;
    }
    Node::Compare { field, negated: !wanted && !yes_or_no, values }
}

/// What a field is compared with; `None` if that is none of the token's business.
fn values(operand: &Operand, request: &AccessRequest<'_>) -> Option<Vec<Value<'static>>> {
    let principal = request.principal();
    let text = |text: &str| Some(vec![Value::from(text.to_owned())]);
    match operand {
        Operand::Values(values) => Some(values.clone()),
        Operand::Tenant => text(principal.tenant().as_str()),
        Operand::Subject(permission) => {
            let covers = |scope: &str| match permission {
                Some(permission) => scope_covers(scope, permission),
                None => scope == "*:*",
            };
            let covered = principal.scopes().is_none_or(|mut scopes| scopes.any(covers));
            principal.subject().filter(|_| covered).and_then(|subject| text(subject.as_str()))
        }
    }
}

/// All of them or any of them; nobody is left unasked, so that an error does not depend on the others.
fn joined(all: bool, tests: &[RowTest], request: &AccessRequest<'_>, wanted: bool) -> Result<Node, Error> {
    let (decisive, neutral) = if all { (Node::Never, Node::Always) } else { (Node::Always, Node::Never) };
    let (mut parts, mut settled) = (Vec::new(), tests.is_empty().then_some(Node::Never));
    for test in tests {
        match decided(test, request, wanted)? {
            node if node == decisive => settled = Some(node),
            node if node == neutral => {}
            Node::All(inner) if all => parts.extend(inner),
            Node::Any(inner) if !all => parts.extend(inner),
            node => parts.push(node),
        }
    }
    Ok(match (settled, parts.len()) {
        (Some(settled), _) => settled,
        (None, 0 | 1) => parts.pop().unwrap_or(neutral),
        (None, _) if all => Node::All(parts),
        (None, _) => Node::Any(parts),
    })
}
