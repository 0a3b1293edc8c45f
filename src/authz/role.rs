//! Roles and the model that closes them over inheritance.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::permission::{Grant, Permission, is_word};
use crate::error::ConfigError;

/// A named set of permissions, as written down. Checked when the [`RoleModel`] is built.
#[derive(Clone, Debug)]
pub struct Role {
    name: String,
    inherits: Vec<String>,
    grants: Vec<String>,
}

impl Role {
    /// A role that grants nothing yet. Its name is 1 to 64 of `a-z 0-9 _ -`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), inherits: Vec::new(), grants: Vec::new() }
    }

    /// Adds everything another role grants; whoever holds this role counts as holding that one.
    #[must_use]
    pub fn inherits(mut self, role: impl Into<String>) -> Self {
        self.inherits.push(role.into());
        self
    }

    /// Adds a permission (`tasks:read`), all of a resource (`tasks:*`) or everything (`*:*`).
    #[must_use]
    pub fn grants(mut self, grant: impl Into<String>) -> Self {
        self.grants.push(grant.into());
        self
    }
}

/// Collects roles for a [`RoleModel`].
#[derive(Clone, Debug, Default)]
pub struct RoleModelBuilder {
    roles: Vec<Role>,
}

impl RoleModelBuilder {
    /// Adds a role. Order does not matter.
    #[expect(clippy::should_implement_trait, reason = "`add` extends in every builder of this crate")]
    #[must_use]
    pub fn add(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Checks the roles and closes them over inheritance.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the role if a name or grant is malformed, a role is defined twice, inherits from one that
    /// is not defined, or inherits from itself in a circle.
    pub fn build(self) -> Result<RoleModel, ConfigError> {
        let mut waiting = HashMap::new();
        let mut order = Vec::new();
        for role in self.roles {
            let own = Compiled::own(&role)?;
            order.push(role.name.clone());
            if waiting.insert(role.name.clone(), (role, own)).is_some() {
                let name = order.pop().unwrap_or_default();
                return Err(problem(&name, "is defined twice", "merge the two definitions"));
            }
        }
        for (role, _) in waiting.values() {
            if let Some(unknown) = role.inherits.iter().find(|parent| !waiting.contains_key(*parent)) {
                let what = format!("inherits from `{unknown}`, which is not defined");
                return Err(problem(&role.name, what, "add that role or correct the name"));
            }
        }
        let mut done: HashMap<Arc<str>, Compiled> = HashMap::new();
        // Each round takes the roles whose parents are all closed. A round that takes none has met a circle.
        while !order.is_empty() {
            let before = order.len();
            order.retain(|name| {
                let ready = waiting.get(name).is_some_and(|(role, _)| {
                    role.inherits.iter().all(|parent| done.contains_key(parent.as_str()))
                });
                if ready && let Some((role, mut own)) = waiting.remove(name) {
                    for parent in role.inherits.iter().filter_map(|parent| done.get(parent.as_str())) {
                        own.absorb(parent);
                    }
                    done.insert(role.name.into(), own);
                }
                !ready
            });
            if order.len() == before {
                let name = order.into_iter().min().unwrap_or_default();
                return Err(problem(&name, "inherits from itself", "break the circle"));
            }
        }
        Ok(RoleModel(Arc::new(done)))
    }
}

fn problem(role: &str, what: impl Into<std::borrow::Cow<'static, str>>, cure: &'static str) -> ConfigError {
    ConfigError::new(format!("role `{role}`"), what, cure)
}

/// The roles of an application, checked and closed over inheritance. Cheap to clone.
///
/// The default model knows no role, so nobody holds any permission.
#[derive(Clone, Default)]
pub struct RoleModel(Arc<HashMap<Arc<str>, Compiled>>);

impl RoleModel {
    /// Collects roles.
    #[must_use]
    pub fn builder() -> RoleModelBuilder {
        RoleModelBuilder::default()
    }

    /// Whether the model defines this role.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }

    /// The names of all roles, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// Whether whoever holds `held` counts as holding `wanted`: it is the same role, or inherits from it.
    #[must_use]
    pub fn includes(&self, held: &str, wanted: &str) -> bool {
        self.0.get(held).is_some_and(|role| role.includes.contains(wanted))
    }

    /// Whether a role grants a permission. An unknown role grants nothing.
    #[must_use]
    pub fn grants(&self, role: &str, permission: &Permission) -> bool {
        self.0.get(role).is_some_and(|role| role.grants(permission))
    }

    /// Whether any role grants a permission.
    #[must_use]
    pub fn is_granted(&self, permission: &Permission) -> bool {
        self.0.values().any(|role| role.grants(permission))
    }
}

impl fmt::Debug for RoleModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoleModel").field(&self.names()).finish()
    }
}

/// One role with all it inherits. The only place that knows how grants are represented.
#[derive(Clone, Default)]
struct Compiled {
    includes: HashSet<Arc<str>>,
    everything: bool,
    resources: HashSet<Arc<str>>,
    permissions: HashSet<Permission>,
}

impl Compiled {
    fn own(role: &Role) -> Result<Self, ConfigError> {
        if !is_word(&role.name) {
            return Err(problem(&role.name, "is not a name", "use 1 to 64 of `a-z 0-9 _ -`"));
        }
        let mut own = Self { includes: HashSet::from([role.name.as_str().into()]), ..Self::default() };
        for text in &role.grants {
            match Grant::parse(text) {
                Ok(Grant::Everything) => own.everything = true,
                Ok(Grant::Resource(resource)) => drop(own.resources.insert(resource)),
                Ok(Grant::Exactly(permission)) => drop(own.permissions.insert(permission)),
                Err(cause) => {
                    let what = format!("grants `{text}`, which {cause}");
                    return Err(problem(&role.name, what, "write `resource:action`, `resource:*` or `*:*`"));
                }
            }
        }
        Ok(own)
    }

    fn absorb(&mut self, parent: &Self) {
        self.includes.extend(parent.includes.iter().cloned());
        self.everything |= parent.everything;
        self.resources.extend(parent.resources.iter().cloned());
        self.permissions.extend(parent.permissions.iter().cloned());
    }

    fn grants(&self, permission: &Permission) -> bool {
        self.everything
            || self.permissions.contains(permission)
            || (!self.resources.is_empty() && self.resources.contains(permission.resource()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        Permission::parse(text).unwrap()
    }

    #[test]
    fn inheritance_is_closed_whatever_the_order() {
        let model = RoleModel::builder()
            .add(Role::new("superadmin").inherits("admin").grants("*:*"))
            .add(Role::new("admin").inherits("moderator").grants("users:*"))
            .add(Role::new("moderator").inherits("user").grants("tasks:delete"))
            .add(Role::new("user").grants("tasks:read"))
            .build()
            .unwrap();
        for (role, asked, want) in [
            ("user", "tasks:read", true),
            ("user", "tasks:delete", false),
            ("moderator", "tasks:read", true),
            ("moderator", "users:delete", false),
            ("admin", "users:delete", true),
            ("admin", "system:manage", false),
            ("superadmin", "system:manage", true),
            ("nobody", "tasks:read", false),
        ] {
            assert_eq!(model.grants(role, &permission(asked)), want, "{role} {asked}");
        }
        assert!(model.includes("superadmin", "user") && model.includes("user", "user"));
        assert!(!model.includes("user", "admin") && !model.includes("nobody", "nobody"));
    }

    #[test]
    fn what_cannot_be_built() {
        let role = Role::new;
        for (name, roles, want) in [
            ("twice", vec![role("a"), role("a")], "role `a`: is defined twice"),
            ("unknown", vec![role("a").inherits("b")], "role `a`: inherits from `b`"),
            ("itself", vec![role("a").inherits("a")], "role `a`: inherits from itself"),
            (
                "circle",
                vec![role("c").inherits("b"), role("b").inherits("a"), role("a").inherits("c")],
                "role `a`: inherits from itself",
            ),
            ("name", vec![role("Admin")], "role `Admin`: is not a name"),
            ("empty name", vec![role("")], "role ``: is not a name"),
            ("grant", vec![role("a").grants("*:read")], "role `a`: grants `*:read`"),
        ] {
            let mut builder = RoleModel::builder();
            for role in roles {
                builder = builder.add(role);
            }
            let error = builder.build().unwrap_err().to_string();
            assert!(error.starts_with(want), "{name}: {error}");
        }
    }
}
