//! Roles and the model that closes them over inheritance.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::bits::Bits;
use super::permission::{Grant, Permission, is_word};
use crate::error::ConfigError;
use crate::principal::Principal;

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
        let mut universe = Universe::default();
        let mut waiting = HashMap::new();
        let mut order = Vec::new();
        for role in self.roles {
            let grants = universe.intern(&role)?;
            order.push(role.name.clone());
            if waiting.insert(role.name.clone(), (role, grants)).is_some() {
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
        let (bound, count) = (universe.bound(), waiting.len());
        let mut done: Names<Arc<str>, Compiled> = Names::with_capacity_and_hasher(count, Default::default());
        // Each round takes the roles whose parents are all closed. A round that takes none has met a circle.
        while !order.is_empty() {
            let before = order.len();
            order.retain(|name| {
                let ready = waiting.get(name).is_some_and(|(role, _)| {
                    role.inherits.iter().all(|parent| done.contains_key(parent.as_str()))
                });
                if ready && let Some((role, grants)) = waiting.remove(name) {
                    let number = done.len();
                    let mut own = Compiled::new(number, count, bound, &grants);
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
        Ok(RoleModel(Arc::new(Model { roles: done, universe })))
    }
}

fn problem(role: &str, what: impl Into<std::borrow::Cow<'static, str>>, cure: &'static str) -> ConfigError {
    ConfigError::new(format!("role `{role}`"), what, cure)
}

/// The roles of an application, checked and closed over inheritance. Cheap to clone.
///
/// Grants are compiled to sets of bits, so a question costs the same however many roles and permissions there are. The
/// default model knows no role, so nobody holds any permission.
#[derive(Clone, Default)]
pub struct RoleModel(Arc<Model>);

/// What is looked up in these maps comes from the application or from a token we signed, never from a stranger, so the
/// hash may be a quick one.
type Names<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

#[derive(Default)]
struct Model {
    roles: Names<Arc<str>, Compiled>,
    universe: Universe,
}

impl RoleModel {
    /// Collects roles.
    #[must_use]
    pub fn builder() -> RoleModelBuilder {
        RoleModelBuilder::default()
    }

    /// Whether the model defines this role.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.0.roles.contains_key(role)
    }

    /// The names of all roles, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.roles.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// Whether whoever holds `held` counts as holding `wanted`: it is the same role, or inherits from it.
    #[must_use]
    pub fn includes(&self, held: &str, wanted: &str) -> bool {
        let (held, wanted) = (self.0.roles.get(held), self.0.roles.get(wanted));
        held.zip(wanted).is_some_and(|(held, wanted)| held.includes.contains(wanted.number))
    }

    /// Whether a role grants a permission. An unknown role grants nothing.
    #[must_use]
    pub fn grants(&self, role: &str, permission: &Permission) -> bool {
        self.grants_one_of(role, &self.0.universe.covering(permission))
    }

    /// Whether any role grants a permission.
    #[must_use]
    pub fn is_granted(&self, permission: &Permission) -> bool {
        let covering = self.0.universe.covering(permission);
        self.0.roles.values().any(|role| role.grants(&covering))
    }

    /// The names of the roles that grant a permission, sorted.
    #[must_use]
    pub fn granting(&self, permission: &Permission) -> Vec<&str> {
        let covering = self.0.universe.covering(permission);
        let mut names: Vec<&str> = self
            .0
            .roles
            .iter()
            .filter(|(_, role)| role.grants(&covering))
            .map(|(name, _)| name.as_ref())
            .collect();
        names.sort_unstable();
        names
    }

    /// Everything a principal's roles grant together, for asking more than once. Scopes are not looked at.
    #[must_use]
    pub fn rights(&self, principal: &Principal) -> Rights {
        let mut granted = Bits::with_room_for(self.0.universe.bound());
        for role in principal.roles().filter_map(|role| self.0.roles.get(role)) {
            granted.absorb(&role.granted);
        }
        Rights { granted, model: self.clone() }
    }

    /// The permission as a question to this model, for asking often.
    #[must_use]
    pub fn question(&self, permission: &Permission) -> Question {
        Question {
            covering: self.0.universe.covering(permission),
            permission: permission.clone(),
            model: self.clone(),
        }
    }

    /// As [`grants`](Self::grants), with the permission looked up before.
    pub(super) fn answers(&self, role: &str, question: &Question) -> bool {
        if self.is(&question.model) {
            self.grants_one_of(role, &question.covering)
        } else {
            self.grants(role, &question.permission)
        }
    }

    fn grants_one_of(&self, role: &str, covering: &Covering) -> bool {
        self.0.roles.get(role).is_some_and(|role| role.grants(covering))
    }

    /// Numbers mean something in one model only.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for RoleModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoleModel").field(&self.names()).finish()
    }
}

/// Everything some roles grant together.
#[derive(Clone)]
pub struct Rights {
    granted: Bits,
    model: RoleModel,
}

impl Rights {
    /// Whether the permission is among them. A question to another model is answered no.
    #[must_use]
    pub fn hold(&self, question: &Question) -> bool {
        self.model.is(&question.model)
            && question.covering.iter().any(|number| self.granted.contains(*number))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("model", &self.model).finish_non_exhaustive()
    }
}

/// A permission looked up in a [`RoleModel`].
#[derive(Clone)]
pub struct Question {
    covering: Covering,
    permission: Permission,
    model: RoleModel,
}

impl Question {
    /// What is asked for.
    #[must_use]
    pub fn permission(&self) -> &Permission {
        &self.permission
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Question").field(&self.permission).finish()
    }
}

/// The numbers of the grants that cover a permission: everything, all of its resource, itself. A grant that no role
/// makes has no number; the number of everything stands in for it.
type Covering = [usize; 3];

/// Numbers for all grants that appear in a model. They are never stored: another model may number differently.
#[derive(Default)]
struct Universe {
    resources: Names<Arc<str>, usize>,
    permissions: Names<Permission, usize>,
}

impl Universe {
    const EVERYTHING: usize = 0;

    /// One above the highest number.
    fn bound(&self) -> usize {
        1 + self.resources.len() + self.permissions.len()
    }

    fn intern(&mut self, role: &Role) -> Result<Vec<usize>, ConfigError> {
        if !is_word(&role.name) {
            return Err(problem(&role.name, "is not a name", "use 1 to 64 of `a-z 0-9 _ -`"));
        }
        let mut numbers = Vec::with_capacity(role.grants.len());
        for text in &role.grants {
            let next = self.bound();
            numbers.push(match Grant::parse(text) {
                Ok(Grant::Everything) => Self::EVERYTHING,
                Ok(Grant::Resource(resource)) => *self.resources.entry(resource).or_insert(next),
                Ok(Grant::Exactly(permission)) => *self.permissions.entry(permission).or_insert(next),
                Err(cause) => {
                    let what = format!("grants `{text}`, which {cause}");
                    return Err(problem(&role.name, what, "write `resource:action`, `resource:*` or `*:*`"));
                }
            });
        }
        Ok(numbers)
    }

    fn covering(&self, permission: &Permission) -> Covering {
        let resource = self.resources.get(permission.resource());
        let itself = self.permissions.get(permission);
        [resource, itself, None].map(|number| number.copied().unwrap_or(Self::EVERYTHING))
    }
}

/// One role with all it inherits. The only place that knows how grants are represented.
struct Compiled {
    number: usize,
    includes: Bits,
    granted: Bits,
}

impl Compiled {
    fn new(number: usize, roles: usize, bound: usize, grants: &[usize]) -> Self {
        let mut own =
            Self { number, includes: Bits::with_room_for(roles), granted: Bits::with_room_for(bound) };
        own.includes.insert(number);
        grants.iter().for_each(|grant| own.granted.insert(*grant));
        own
    }

    fn absorb(&mut self, parent: &Self) {
        self.includes.absorb(&parent.includes);
        self.granted.absorb(&parent.granted);
    }

    fn grants(&self, covering: &Covering) -> bool {
        covering.iter().any(|number| self.granted.contains(*number))
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
