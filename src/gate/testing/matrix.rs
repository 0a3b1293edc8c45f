//! Who may do what, as a table.

use std::fmt;

use http::Method;

use super::{ANONYMOUS, Cast, misused};
use crate::authz::{AccessMap, AccessRequest, Refused, authorize};
use crate::gate::Gate;
use crate::principal::Principal;

/// What each of a [`Cast`] is answered on each route, decided by [`authorize`] as in the gate.
///
/// `Display` prints the table: a row for each route in the order of the map, a column for `anonymous` and for each of
/// the cast, in the cells [`Answer`]s. Compared with text, the width of columns, indentation and blank lines don't
/// count.
///
/// A policy is asked about the pattern (`/tasks/{id}`), without extensions: one that looks at more than the principal
/// says here what it says to such a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Matrix {
    names: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Eq)]
struct Row {
    method: Method,
    pattern: String,
    answers: Vec<Answer>,
}

/// One cell of a [`Matrix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The handler is reached. Printed as `in`.
    In,
    /// The gate answers with the status of this refusal. Printed as the number.
    Refused(Refused),
    /// The principal belongs to another tenant than the gate's. Printed as `404`.
    OtherTenant,
}

impl Matrix {
    /// Asks for everybody and every route. `map` is the gate's own or that of a closed router behind it.
    pub async fn of(gate: &Gate, map: &AccessMap, cast: &Cast) -> Self {
        let (roles, anonymous) = (gate.roles(), Principal::anonymous(gate.tenant().clone()));
        let mut matrix = Self { names: vec![ANONYMOUS.to_owned()], rows: Vec::new() };
        matrix.names.extend(cast.parts.iter().map(|(name, _)| name.to_string()));
        for (method, pattern, rule) in map.iter() {
            let mut answers = Vec::new();
            for principal in std::iter::once(&anonymous).chain(cast.parts.iter().map(|part| &part.1)) {
                let request = AccessRequest::new(principal, &roles, method.as_str(), pattern);
                let answer = if rule.is_public() {
                    Answer::In
                } else if principal.tenant() != gate.tenant() {
                    Answer::OtherTenant
                } else {
                    authorize(&request, rule).resolve().await.map_or_else(Answer::Refused, |()| Answer::In)
                };
                answers.push(answer);
            }
            matrix.rows.push(Row { method: method.clone(), pattern: pattern.to_owned(), answers });
        }
        matrix
    }

    /// What this one is answered there.
    ///
    /// # Panics
    ///
    /// If there is no such name or no such route.
    #[must_use]
    #[track_caller]
    pub fn answer(&self, name: &str, method: &Method, pattern: &str) -> Answer {
        let row = self.rows.iter().find(|row| row.method == *method && row.pattern == pattern);
        let column = self.names.iter().position(|known| known == name);
        match (row, column) {
            (Some(row), Some(column)) => match row.answers.get(column) {
                Some(answer) => *answer,
                None => misused("a row of the matrix is too short"),
            },
            (None, _) => misused(&format!("there is no route {method} {pattern}")),
            (_, None) => misused(&format!("nobody in the cast is called `{name}`")),
        }
    }

    /// Whether this one reaches the handler there.
    ///
    /// # Panics
    ///
    /// If there is no such name or no such route.
    #[must_use]
    #[track_caller]
    pub fn allows(&self, name: &str, method: &Method, pattern: &str) -> bool {
        self.answer(name, method, pattern) == Answer::In
    }

    /// The table as words, heading first.
    fn words(&self) -> Vec<Vec<String>> {
        let heading = [String::new(), String::new()].into_iter().chain(self.names.iter().cloned()).collect();
        let rows = self.rows.iter().map(|row| {
            let route = [row.method.to_string(), row.pattern.clone()];
            route.into_iter().chain(row.answers.iter().map(ToString::to_string)).collect()
        });
        std::iter::once(heading).chain(rows).collect()
    }
}

/// The status, or `in`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In => f.write_str("in"),
            Self::Refused(why) => write!(f, "{}", why.code().status()),
            Self::OtherTenant => f.write_str("404"),
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.words();
        let mut widths = Vec::new();
        for row in &rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, word) in widths.iter_mut().zip(row) {
                *width = word.len().max(*width);
            }
        }
        for row in rows {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(word, &width)| format!("{word:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The table, so that `assert_eq!` shows it.
impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl PartialEq<str> for Matrix {
    fn eq(&self, golden: &str) -> bool {
        let printed = self.to_string();
        lines(&printed).eq(lines(golden))
    }
}

impl PartialEq<&str> for Matrix {
    fn eq(&self, golden: &&str) -> bool {
        *self == **golden
    }
}

/// The words of each line that has any.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|words| !words.is_empty())
}
