//! From roles as written down to a [`RoleModel`].

use std::collections::HashMap;
use std::sync::Arc;

use super::compiled::Compiled;
use super::model::Model;
use super::universe::Universe;
use super::{Names, Role, RoleModel, problem};
use crate::error::ConfigError;

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
