//! A condition as SQL.

use super::Value;
use super::condition::Node;

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite, parameters `?1`, `?2`. How a column was declared has no influence: text is compared byte by byte and only
    /// with text, numbers only with numbers. An index on the column is used unless it has another collation.
    Sqlite,
    /// PostgreSQL, parameters `$1`, `$2`. A column of another type than the value is an error of the database. Text is
    /// compared as the column compares, which is byte by byte unless it is `citext`, padded (`char(n)`), or declared with
    /// a nondeterministic collation: do not use those.
    Postgres,
}

/// A condition for a `WHERE`, and what to bind to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlCondition {
    /// The text. Nothing in it comes from a value.
    pub text: String,
    /// The values, in the order of their parameters. None is null.
    pub values: Vec<Value<'static>>,
}

pub(super) fn render(node: &Node, dialect: Dialect, bound: usize) -> SqlCondition {
    let mut writer = Writer { dialect, bound, sql: SqlCondition { text: String::new(), values: Vec::new() } };
    writer.node(node);
    writer.sql
}

struct Writer {
    dialect: Dialect,
    bound: usize,
    sql: SqlCondition,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.sql.text.push_str(text);
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Never => self.push("1 = 0"),
            Node::Always => self.push("1 = 1"),
            Node::All(parts) => self.list(parts, " AND "),
            Node::Any(parts) => self.list(parts, " OR "),
            Node::Null { field, negated } => {
                self.name(field);
                self.push(if *negated { " IS NOT NULL" } else { " IS NULL" });
            }
            Node::Compare { field, negated, values } => match self.dialect {
                Dialect::Sqlite => {
                    // A column's affinity would make the number 1 of the text `1`, `01` or `1.0`.
                    let text = matches!(values.first(), Some(Value::Text(_)));
                    self.push("(typeof(");
                    self.name(field);
                    self.push(if text { ") = 'text' AND " } else { ") = 'integer' AND " });
                    self.name(field);
                    // A column may be declared with `COLLATE NOCASE`.
                    self.push(if text { " COLLATE BINARY" } else { "" });
                    self.among(*negated, values);
                    self.push(")");
                }
                Dialect::Postgres => {
                    self.name(field);
                    self.among(*negated, values);
                }
            },
        }
    }

    fn list(&mut self, parts: &[Node], between: &str) {
        for (nth, part) in parts.iter().enumerate() {
            self.push(if nth == 0 { "(" } else { between });
            self.node(part);
        }
        self.push(")");
    }

    fn among(&mut self, negated: bool, values: &[Value<'static>]) {
        let one = values.len() == 1;
        self.push(match (one, negated) {
            (true, false) => " = ",
            (true, true) => " <> ",
            (false, false) => " IN (",
            (false, true) => " NOT IN (",
        });
        for (nth, value) in values.iter().enumerate() {
            self.push(if nth == 0 { "" } else { ", " });
            self.sql.values.push(value.clone());
            let number = self.bound.saturating_add(self.sql.values.len());
            self.push(&match self.dialect {
                Dialect::Sqlite => format!("?{number}"),
                Dialect::Postgres => format!("${number}"),
            });
        }
        self.push(if one { "" } else { ")" });
    }

    /// Quoted, for a name may be a word of SQL (PostgreSQL's `user` is who is connected). For SQLite in brackets: what
    /// stands in quotation marks and is no column is taken there for a text.
    fn name(&mut self, field: &str) {
        let (open, close) = match self.dialect {
            Dialect::Sqlite => ("[", "]"),
            Dialect::Postgres => ("\"", "\""),
        };
        for (nth, part) in field.split('.').enumerate() {
            self.push(if nth == 0 { open } else { "." });
            if nth > 0 {
                self.push(open);
            }
            self.push(part);
            self.push(close);
        }
    }
}
