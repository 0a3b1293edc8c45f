//! The role model as data.

use serde::Deserialize;

use super::{Role, RoleModel};
use crate::error::ConfigError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFile {
    roles: Vec<RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    name: String,
    #[serde(default)]
    inherits: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
}

impl RoleModel {
    /// Reads a model from JSON, as strictly as one that is written in code. To put it in force in a running service, give
    /// it to [`Gate::replace_roles`](crate::gate::Gate::replace_roles).
    ///
    /// ```
    /// use portcullis::authz::{Permission, RoleModel};
    ///
    /// let model = RoleModel::from_json(
    ///     r#"{"roles": [
    ///         {"name": "user", "grants": ["tasks:read"]},
    ///         {"name": "admin", "inherits": ["user"], "grants": ["users:*"]}
    ///     ]}"#,
    /// )?;
    /// assert!(model.grants(&portcullis::TenantId::default(), "admin", &Permission::parse("tasks:read").unwrap()));
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such JSON, unknown members included, or for whatever
    /// [`RoleModelBuilder::build`](super::RoleModelBuilder::build) refuses.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let file: RoleFile = serde_json::from_str(text).map_err(|cause| {
            let cure = "write {\"roles\": [{\"name\": .., \"inherits\": [..], \"grants\": [..]}]}";
            ConfigError::new("role model", format!("cannot be read: {cause}"), cure)
        })?;
        let role = |entry: RoleEntry| {
            let role = entry.inherits.into_iter().fold(Role::new(entry.name), Role::inherits);
            entry.grants.into_iter().fold(role, Role::grants)
        };
        file.roles.into_iter().map(role).fold(Self::builder(), super::RoleModelBuilder::add).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, want) in [
            ("", "role model: cannot be read"),
            ("{}", "role model: cannot be read"),
            (r#"{"roles": [], "role": []}"#, "role model: cannot be read"),
            (r#"{"roles": [{"name": "a", "grant": []}]}"#, "role model: cannot be read"),
            (r#"{"roles": [{"name": "a"}, {"name": "a"}]}"#, "role `a`: is defined twice"),
            (r#"{"roles": [{"name": "a", "inherits": ["b"]}]}"#, "role `a`: inherits from `b`"),
            (r#"{"roles": [{"name": "a", "inherits": ["a"]}]}"#, "role `a`: inherits from itself"),
            (r#"{"roles": [{"name": "a", "grants": ["*:read"]}]}"#, "role `a`: grants `*:read`"),
        ] {
            let error = RoleModel::from_json(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }
}
