//! Comparing what people hold.

use super::RoleModel;
use crate::id::TenantId;

impl RoleModel {
    /// Whether whoever holds the roles `held` in a tenant holds all of `others` too, by itself or by inheritance: the one may then
    /// give these roles away, and change those who hold them.
    ///
    /// Roles are compared, not their permissions: a role opens [`Rule::role`](super::Rule::role) by its name alone, so
    /// somebody with the same permissions may still not be its equal. A role the model does not define is held by nobody,
    /// as in [`includes`](Self::includes); whether one that is left over on somebody should count is yours to say.
    ///
    /// ```
    /// use portcullis::TenantId;
    /// use portcullis::authz::{Role, RoleModel};
    ///
    /// let model = RoleModel::builder()
    ///     .add(Role::new("user"))
    ///     .add(Role::new("admin").inherits("user"))
    ///     .build()?;
    /// let tenant = TenantId::default();
    /// assert!(model.dominates(&tenant, ["admin"], ["user", "admin"]));
    /// assert!(!model.dominates(&tenant, ["user"], ["user", "admin"]));
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    #[must_use]
    pub fn dominates<'h, 'o>(
        &self,
        tenant: &TenantId,
        held: impl IntoIterator<Item = &'h str>,
        others: impl IntoIterator<Item = &'o str>,
    ) -> bool {
        let held: Vec<&str> = held.into_iter().collect();
        others.into_iter().all(|other| held.iter().any(|held| self.includes(tenant, held, other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Role;

    #[test]
    fn who_is_whose_equal() {
        let model = RoleModel::builder()
            .add(Role::new("user").grants("tasks:read"))
            .add(Role::new("admin").inherits("user").grants("users:*"))
            .add(Role::new("superadmin").inherits("admin"))
            .add(Role::new("auditor").grants("tasks:read"))
            .add(Role::new("root").grants("*:*"))
            .build()
            .unwrap();
        let rows: [(&str, &[&str], &[&str], bool); 16] = [
            ("the same", &["admin"], &["admin"], true),
            ("inherited", &["superadmin"], &["user", "admin"], true),
            ("the other way round", &["admin"], &["superadmin"], false),
            ("one above among many below", &["admin"], &["user", "superadmin"], false),
            ("beside", &["superadmin"], &["auditor"], false),
            ("the same permissions, another role", &["user"], &["auditor"], false),
            ("every permission, but not the role", &["root"], &["user"], false),
            ("each by another of one's roles", &["auditor", "admin"], &["auditor", "user"], true),
            ("nothing", &["user"], &[], true),
            ("nothing by nothing", &[], &[], true),
            ("something by nothing", &[], &["user"], false),
            ("unknown to the model", &["user"], &["retired"], false),
            ("unknown beside one that is held", &["user"], &["user", "retired"], false),
            ("held, but unknown", &["retired"], &["user"], false),
            ("both unknown", &["retired"], &["retired"], false),
            ("in another spelling", &["Admin", "admin "], &["admin"], false),
        ];
        for (name, held, others, want) in rows {
            let got = model.dominates(&TenantId::default(), held.iter().copied(), others.iter().copied());
            assert_eq!(got, want, "{name}");
        }
    }
}
