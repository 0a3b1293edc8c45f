//! The table of a whole service: method and route pattern to rule.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::Method;

use super::{RoleModel, Rule};
use crate::error::ConfigError;
use crate::path::is_canonical_path;

/// Which rule stands before which route. What is not in the table is denied.
///
/// Patterns are those of axum's router (`/tasks/{id}`, `/files/{*rest}`) and are matched by the same engine: what is
/// written out goes before a parameter, whatever the order of the entries. Two entries that match the same path alike
/// are refused, so each entry is reached by some path. `/tasks` and `/tasks/` are two paths, each with an entry of its own.
/// `HEAD` follows the rule of `GET` unless it has one of its own. `Display` prints the table,
/// [`to_json`](Self::to_json) writes it down.
///
/// ```
/// use http::Method;
/// use portcullis::authz::{AccessMap, Lookup, Role, RoleModel, Rule};
///
/// let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?;
/// let map = AccessMap::builder()
///     .add(Method::GET, "/health", Rule::public())
///     .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
///     .build(&roles)?;
///
/// assert!(matches!(map.lookup_path(&Method::GET, "/tasks/42"), Lookup::Rule(_)));
/// assert!(matches!(map.lookup_path(&Method::GET, "/secret"), Lookup::Unmapped));
/// match map.lookup_path(&Method::DELETE, "/tasks/42") {
///     Lookup::MethodNotAllowed { allow } => assert_eq!(&**allow, "GET, HEAD"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct AccessMap {
    by_path: matchit::Router<usize>,
    by_pattern: HashMap<Arc<str>, usize>,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    pattern: Arc<str>,
    rules: Vec<(Method, Rule)>,
    allow: Arc<str>,
}

/// What the table says about a request.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// This rule must be satisfied.
    Rule(&'a Rule),
    /// The route has rules, but not for this method.
    MethodNotAllowed {
        /// Content of the `Allow` header.
        allow: &'a Arc<str>,
    },
    /// No rule: denied.
    Unmapped,
}

impl AccessMap {
    /// Collects entries.
    #[must_use]
    pub fn builder() -> AccessMapBuilder {
        AccessMapBuilder::default()
    }

    /// The rule for a pattern that a router matched.
    #[must_use]
    pub fn lookup_pattern(&self, method: &Method, pattern: &str) -> Lookup<'_> {
        self.find(self.by_pattern.get(pattern), method)
    }

    /// The rule for a path, for services without a router.
    ///
    /// A path that is not in canonical form (see [RFC 3986 section 6.2.2], plus empty segments and encoded slashes,
    /// backslashes and controls) is unmapped, because what stands behind may read it differently.
    ///
    /// [RFC 3986 section 6.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
    #[must_use]
    pub fn lookup_path(&self, method: &Method, path: &str) -> Lookup<'_> {
        if !is_canonical_path(path) {
            return Lookup::Unmapped;
        }
        self.find(self.by_path.at(path).ok().map(|found| found.value), method)
    }

    /// The entries in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Method, &str, &Rule)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.rules.iter().map(|(method, rule)| (method, &*entry.pattern, rule)))
    }

    /// The entries in the same order, for programs: `[{"method": "GET", "pattern": "/tasks/{id}", "rule": "permission
    /// tasks:read"}, ..]`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let entry = |(method, pattern, rule): (&Method, &str, &Rule)| serde_json::json!({ "method": method.as_str(), "pattern": pattern, "rule": rule.to_string() });
        self.iter().map(entry).collect()
    }

    /// The rule of exactly this entry.
    #[cfg(feature = "axum")]
    pub(crate) fn entry(&self, method: &Method, pattern: &str) -> Option<&Rule> {
        let entry = self.entries.get(*self.by_pattern.get(pattern)?)?;
        entry.rules.iter().find_map(|(known, rule)| (known == method).then_some(rule))
    }

    /// The pattern that a path falls under.
    #[cfg(feature = "test-util")]
    pub(crate) fn pattern_of(&self, path: &str) -> Option<&str> {
        let found = self.by_path.at(path).ok().filter(|_| is_canonical_path(path))?;
        self.entries.get(*found.value).map(|entry| &*entry.pattern)
    }

    /// Whether there is no entry, so that everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, index: Option<&usize>, method: &Method) -> Lookup<'_> {
        let Some(entry) = index.and_then(|index| self.entries.get(*index)) else { return Lookup::Unmapped };
        let rule_for = |wanted: &Method| {
            entry.rules.iter().find_map(|(method, rule)| (method == wanted).then_some(rule))
        };
        let found =
            rule_for(method).or_else(|| if *method == Method::HEAD { rule_for(&Method::GET) } else { None });
        match found {
            Some(rule) => Lookup::Rule(rule),
            None => Lookup::MethodNotAllowed { allow: &entry.allow },
        }
    }
}

impl fmt::Display for AccessMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |of: fn(&(&Method, &str, &Rule)) -> usize| self.iter().map(|row| of(&row)).max().unwrap_or(0);
        let (methods, patterns) = (width(|row| row.0.as_str().len()), width(|row| row.1.len()));
        for (method, pattern, rule) in self.iter() {
            writeln!(f, "{:methods$}  {pattern:patterns$}  {rule}", method.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for AccessMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(method, pattern, rule)| ((method, pattern), rule))).finish()
    }
}

/// Collects entries for an [`AccessMap`].
#[derive(Clone, Debug, Default)]
pub struct AccessMapBuilder {
    entries: Vec<(Method, String, Rule)>,
}

impl AccessMapBuilder {
    /// Adds an entry.
    #[must_use]
    pub fn add(mut self, method: Method, pattern: impl Into<String>, rule: Rule) -> Self {
        self.entries.push((method, pattern.into(), rule));
        self
    }

    /// Checks the entries against each other and against the roles.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming each entry whose pattern is malformed, not canonical or in conflict with another one, whose
    /// method and pattern appear twice, whose method is a common one in lower case, which is another method, or whose
    /// rule can never be satisfied with these roles. All of them are told at once.
    pub fn build(self, roles: &RoleModel) -> Result<AccessMap, ConfigError> {
        let mut map = AccessMap::default();
        let mut problems = Vec::new();
        for (method, pattern, rule) in self.entries {
            problems.extend(map.add(method, &pattern, rule, roles).err());
        }
        ConfigError::all(problems)?;
        for entry in &mut map.entries {
            entry.allow = allow(&entry.rules);
        }
        Ok(map)
    }
}

impl AccessMap {
    fn add(
        &mut self,
        method: Method,
        pattern: &str,
        rule: Rule,
        roles: &RoleModel,
    ) -> Result<(), ConfigError> {
        let entry = format!("{method} {pattern}");
        if let Some(what) = pattern_problem(pattern) {
            let cure = "write a path such as `/tasks/{id}` or `/files/{*rest}`";
            return Err(ConfigError::new(entry, what, cure));
        }
        if let Some(meant) = misspelled(&method) {
            return Err(ConfigError::new(
                entry,
                "has a method that no client sends: methods are case-sensitive (RFC 9110 section 9.1)",
                format!("write {meant}"),
            ));
        }
        let rule = rule.compiled(roles).map_err(|cause| {
            let what = format!("its rule cannot be satisfied: {cause}");
            ConfigError::new(entry.clone(), what, "correct the rule or the role model")
        })?;
        let index = match self.by_pattern.get(pattern) {
            Some(index) => *index,
            None => self.insert_pattern(pattern, &entry)?,
        };
        if let Some(known) = self.entries.get_mut(index) {
            if known.rules.iter().any(|(other, _)| *other == method) {
                return Err(ConfigError::new(entry, "appears twice", "keep one of the two"));
            }
            known.rules.push((method, rule));
        }
        Ok(())
    }

    fn insert_pattern(&mut self, pattern: &str, entry: &str) -> Result<usize, ConfigError> {
        let index = self.entries.len();
        self.by_path.insert(pattern, index).map_err(|cause| match cause {
            matchit::InsertError::Conflict { with } => ConfigError::new(
                entry.to_owned(),
                format!("matches the same paths as `{with}`"),
                "give a parameter the same name everywhere, or remove one of the two",
            ),
            _ => ConfigError::new(
                entry.to_owned(),
                "is not a pattern",
                "write one parameter per segment, at its end, and a catch-all only at the end of the path",
            ),
        })?;
        let pattern: Arc<str> = pattern.into();
        self.by_pattern.insert(pattern.clone(), index);
        self.entries.push(Entry { pattern, rules: Vec::new(), allow: "".into() });
        Ok(index)
    }
}

/// The method that was meant.
fn misspelled(method: &Method) -> Option<&'static str> {
    let common = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    common
        .into_iter()
        .find(|common| method.as_str() != *common && method.as_str().eq_ignore_ascii_case(common))
}

/// `HEAD` is allowed wherever `GET` is.
fn allow(rules: &[(Method, Rule)]) -> Arc<str> {
    let mut names: Vec<&str> = rules.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.join(", ").into()
}

/// What is wrong with a pattern. Stricter than the router, so that the router accepts whatever passes here.
fn pattern_problem(pattern: &str) -> Option<&'static str> {
    let mut names = HashSet::new();
    for segment in pattern.strip_prefix('/').map_or("", |rest| rest).split('/') {
        if segment.starts_with([':', '*']) {
            return Some("has a segment that starts with `:` or `*`");
        }
        if segment.contains("{{") || segment.contains("}}") {
            return Some("has an escaped brace");
        }
        if let Some((_, rest)) = segment.split_once('{') {
            let name = rest.trim_end_matches('}').trim_start_matches('*');
            let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if name.is_empty() || !fits || name.starts_with("__private__") || !rest.ends_with('}') {
                return Some("has a parameter whose name is not made of letters, digits and `_`");
            }
            if !names.insert(name) {
                return Some("has two parameters of the same name");
            }
        }
    }
    if !pattern.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\^`|".contains(&b)) {
        return Some("has a character that does not stand in a path");
    }
    // A trailing slash is a path of its own; only inside is an empty segment ambiguous.
    (!is_canonical_path(pattern)).then_some("is not a canonical path")
}

#[cfg(test)]
#[path = "access_map_tests.rs"]
mod tests;
