//! The roles of an application, ready to be asked.

use std::fmt;
use std::sync::Arc;

use super::compiled::Compiled;
use super::question::{Question, Rights};
use super::universe::{Covering, Universe};
use super::{Names, RoleModelBuilder};
use crate::authz::bits::Bits;
use crate::authz::permission::Permission;
use crate::principal::Principal;

/// The roles of an application, checked and closed over inheritance. Cheap to clone.
///
/// Grants are compiled to sets of bits, so a question costs the same however many roles and permissions there are. The
/// default model knows no role, so nobody holds any permission.
#[derive(Clone, Default)]
pub struct RoleModel(pub(super) Arc<Model>);

#[derive(Default)]
pub(super) struct Model {
    pub(super) roles: Names<Arc<str>, Compiled>,
    pub(super) universe: Universe,
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
    pub(in crate::authz) fn answers(&self, role: &str, question: &Question) -> bool {
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
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for RoleModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoleModel").field(&self.names()).finish()
    }
}
