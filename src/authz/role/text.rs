//! The role model as data.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{Role, RoleModel};
use crate::error::ConfigError;
use crate::id::TenantId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelText {
    roles: Vec<RoleText>,
    #[serde(default)]
    tenants: TenantTexts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantText {
    roles: Vec<RoleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleText {
    name: String,
    #[serde(default)]
    inherits: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
}

impl RoleModel {
    /// Reads a model from JSON, as strictly as one that is written in code: members that mean nothing, and any that stand
    /// twice, are refused.
    ///
    /// ```
    /// use portcullis::TenantId;
    /// use portcullis::authz::{Permission, RoleModel};
    ///
    /// let model = RoleModel::from_json(
    ///     r#"{
    ///         "roles": [
    ///             {"name": "user", "grants": ["tasks:read"]},
    ///             {"name": "admin", "inherits": ["user"], "grants": ["users:*"]}
    ///         ],
    ///         "tenants": {"acme": {"roles": [{"name": "reviewer", "grants": ["tasks:review"]}]}}
    ///     }"#,
    /// )?;
    /// let acme = TenantId::parse("acme").unwrap();
    /// assert!(model.grants(&acme, "admin", &Permission::parse("tasks:read").unwrap()));
    /// assert!(model.grants(&acme, "reviewer", &Permission::parse("tasks:review").unwrap()));
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such JSON, with the line, or for whatever
    /// [`RoleModelBuilder::build`](super::RoleModelBuilder::build) refuses, with the role.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let cure = "write {\"roles\": [{\"name\": .., \"inherits\": [..], \"grants\": [..]}]}";
        build(serde_json::from_str(text).map_err(|cause| unreadable(&cause.to_string(), cure))?)
    }

    /// Reads a model from TOML, as strictly as [`from_json`](Self::from_json).
    ///
    /// ```
    /// use portcullis::TenantId;
    /// use portcullis::authz::{Permission, RoleModel};
    ///
    /// let model = RoleModel::from_toml(
    ///     r#"
    ///         [[roles]]
    ///         name = "user"
    ///         grants = ["tasks:read"]
    ///
    ///         [[tenants.acme.roles]]
    ///         name = "reviewer"
    ///         inherits = ["user"]
    ///         grants = ["tasks:review"]
    ///     "#,
    /// )?;
    /// let acme = TenantId::parse("acme").unwrap();
    /// assert!(model.grants(&acme, "reviewer", &Permission::parse("tasks:read").unwrap()));
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such TOML, with the line, or for whatever
    /// [`RoleModelBuilder::build`](super::RoleModelBuilder::build) refuses, with the role.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let cure = "write [[roles]] with name, inherits and grants";
        build(toml::from_str(text).map_err(|cause| {
            let message = cause.message().replace('\n', ", ");
            match cause.span().and_then(|span| text.get(..span.start)) {
                Some(before) => {
                    unreadable(&format!("{message} at line {}", before.matches('\n').count() + 1), cure)
                }
                None => unreadable(&message, cure),
            }
        })?)
    }
}

fn unreadable(cause: &str, cure: &'static str) -> ConfigError {
    ConfigError::new("role model", format!("cannot be read: {cause}"), cure)
}

fn build(text: ModelText) -> Result<RoleModel, ConfigError> {
    let role = |text: RoleText| {
        let role = text.inherits.into_iter().fold(Role::new(text.name), Role::inherits);
        text.grants.into_iter().fold(role, Role::grants)
    };
    let mut builder = RoleModel::builder();
    for text in text.roles {
        builder = builder.add(role(text));
    }
    for (tenant, own) in text.tenants.0 {
        for text in own.roles {
            builder = builder.add_for(&tenant, role(text));
        }
    }
    builder.build()
}

/// A map whose members stand once. In JSON, of two alike a plain map would keep one.
#[derive(Default)]
struct TenantTexts(Vec<(TenantId, TenantText)>);

impl<'de> Deserialize<'de> for TenantTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TenantTextsVisitor)
    }
}

struct TenantTextsVisitor;

impl<'de> Visitor<'de> for TenantTextsVisitor {
    type Value = TenantTexts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tenants by their ids")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<TenantTexts, M::Error> {
        let mut tenants: Vec<(TenantId, TenantText)> = Vec::new();
        while let Some(tenant) = members.next_key::<TenantId>()? {
            if tenants.iter().any(|(known, _)| *known == tenant) {
                return Err(M::Error::custom(format_args!("duplicate tenant `{tenant}`")));
            }
            tenants.push((tenant, members.next_value()?));
        }
        Ok(TenantTexts(tenants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_cannot_be_read_says_why() {
        for (text, want) in [
            ("", "role model: cannot be read"),
            ("{}", "role model: cannot be read: missing field `roles` at line 1"),
            (r#"{"roles": [], "role": []}"#, "role model: cannot be read: unknown field `role`"),
            (
                "{\"roles\": [\n{\"name\": \"a\", \"grant\": []}]}",
                "role model: cannot be read: unknown field `grant`, expected one of `name`, `inherits`, `grants` at line 2",
            ),
            (r#"{"roles": [], "roles": []}"#, "role model: cannot be read: duplicate field `roles`"),
            (r#"{"roles": [{"name": "a"}, {"name": "a"}]}"#, "role `a`: is defined twice"),
            (r#"{"roles": [{"name": "a", "inherits": ["b"]}]}"#, "role `a`: inherits from `b`"),
            (r#"{"roles": [{"name": "a", "inherits": ["a"]}]}"#, "role `a`: inherits from itself"),
            (r#"{"roles": [{"name": "a", "grants": ["*:read"]}]}"#, "role `a`: grants `*:read`"),
            (r#"{"roles": [], "tenants": []}"#, "role model: cannot be read: invalid type"),
            (r#"{"roles": [], "tenants": {"a": {}}}"#, "role model: cannot be read: missing field `roles`"),
            (
                r#"{"roles": [], "tenants": {"a": {"roles": [], "x": 1}}}"#,
                "role model: cannot be read: unknown field `x`",
            ),
            (
                r#"{"roles": [], "tenants": {"a b": {"roles": []}}}"#,
                "role model: cannot be read: an identifier",
            ),
            (
                r#"{"roles": [], "tenants": {"a": {"roles": []}, "\u0061": {"roles": []}}}"#,
                "role model: cannot be read: duplicate tenant `a`",
            ),
            (
                r#"{"roles": [{"name": "r"}], "tenants": {"a": {"roles": [{"name": "r"}]}}}"#,
                "role `r` of tenant `a`: has the name",
            ),
        ] {
            let error = RoleModel::from_json(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }

    #[test]
    fn toml_that_cannot_be_read_says_why_and_where() {
        for (text, want, line) in [
            ("", "missing field `roles`", ""),
            ("roles = 1", "invalid type: integer `1`", "at line 1;"),
            ("\n[[roles]]\nname = \"a\"\ngrant = []", "unknown field `grant`", "at line 4;"),
            ("[[roles]]\nname = \"a\"\nname = \"b\"", "duplicate key", "at line 3;"),
            ("[[roles]]\nname = \"a", "invalid basic string", "at line 2;"),
            ("roles = []\n[[role]]\nname = \"a\"", "unknown field `role`", "at line 2;"),
            ("roles = []\n[tenants.a]\nroles = []\n[tenants.a]\nroles = []", "duplicate key", "at line 4;"),
            ("roles = []\n[tenants.\"a b\"]\nroles = []", "an identifier has only", "at line 2;"),
            ("roles = []\n\n[tenants.a]\nroles = []\nx = 1", "unknown field `x`", "at line 5;"),
        ] {
            let error = RoleModel::from_toml(text).unwrap_err().to_string();
            let fits = error.starts_with("role model: cannot be read: ") && error.contains(want);
            assert!(fits && error.contains(line) && !error.contains('\n'), "{text}: {error}");
        }
        let error = RoleModel::from_toml("[[roles]]\nname = \"a\"\ngrants = [\"*:read\"]").unwrap_err();
        assert!(error.to_string().starts_with("role `a`: grants `*:read`"), "{error}");
    }
}
