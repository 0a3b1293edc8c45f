//! The roles of an application, ready to be asked.

use std::fmt;
use std::sync::Arc;

use super::compiled::Compiled;
use super::question::{Question, Rights};
use super::universe::Universe;
use super::{Names, RoleModelBuilder};
use crate::authz::bits::Bits;
use crate::authz::permission::Permission;
use crate::id::TenantId;
use crate::principal::Principal;

/// The roles of an application, checked and closed over inheritance. Cheap to clone.
///
/// Grants are compiled to sets of bits, so a question costs the same however many roles and permissions there are. The
/// default model knows no role, so nobody holds any permission.
#[derive(Clone, Default)]
pub struct RoleModel(pub(super) Arc<Model>);

pub(super) type Roles = Names<Arc<str>, Compiled>;

#[derive(Default)]
pub(super) struct Model {
    pub(super) service: Roles,
    /// No name in here is one of the service's.
    pub(super) tenants: Names<TenantId, Roles>,
    pub(super) universe: Universe,
}

impl RoleModel {
    /// Collects roles.
    #[must_use]
    pub fn builder() -> RoleModelBuilder {
        RoleModelBuilder::default()
    }

    /// Whether principals of this tenant can hold the role: the service defines it, or the tenant does.
    #[must_use]
    pub fn contains(&self, tenant: &TenantId, role: &str) -> bool {
        self.find(tenant, role).is_some()
    }

    /// Whether principals of every tenant can hold the role.
    #[must_use]
    pub fn is_service_wide(&self, role: &str) -> bool {
        self.0.service.contains_key(role)
    }

    /// Whether the role is defined at all, by the service or by some tenant.
    #[must_use]
    pub fn is_defined(&self, role: &str) -> bool {
        self.all().any(|roles| roles.contains_key(role))
    }

    /// The names of all roles that principals of this tenant can hold, sorted.
    #[must_use]
    pub fn names(&self, tenant: &TenantId) -> Vec<&str> {
        sorted(self.within(tenant).map(|(name, _)| name))
    }

    /// The tenants with roles of their own, sorted.
    #[must_use]
    pub fn tenants(&self) -> Vec<&TenantId> {
        let mut tenants: Vec<_> = self.0.tenants.keys().collect();
        tenants.sort_unstable();
        tenants
    }

    /// Whether a principal of this tenant who holds `held` counts as holding `wanted`: it is the same role, or inherits
    /// from it.
    #[must_use]
    pub fn includes(&self, tenant: &TenantId, held: &str, wanted: &str) -> bool {
        let (held, wanted) = (self.find(tenant, held), self.find(tenant, wanted));
        held.zip(wanted).is_some_and(|(held, wanted)| held.includes.contains(wanted.number))
    }

    /// Whether a role grants a permission to principals of this tenant. An unknown role, or one of another tenant, grants
    /// nothing.
    #[must_use]
    pub fn grants(&self, tenant: &TenantId, role: &str, permission: &Permission) -> bool {
        self.find(tenant, role).is_some_and(|role| role.grants(&self.0.universe.covering(permission)))
    }

    /// Whether any role grants a permission, the service's or some tenant's.
    #[must_use]
    pub fn is_granted(&self, permission: &Permission) -> bool {
        let covering = self.0.universe.covering(permission);
        self.all().any(|roles| roles.values().any(|role| role.grants(&covering)))
    }

    /// The names of the roles that grant a permission to principals of this tenant, sorted.
    #[must_use]
    pub fn granting(&self, tenant: &TenantId, permission: &Permission) -> Vec<&str> {
        let covering = self.0.universe.covering(permission);
        sorted(self.within(tenant).filter(|(_, role)| role.grants(&covering)).map(|(name, _)| name))
    }

    /// Everything a principal's roles grant together in its tenant, for asking more than once. Scopes are not looked at.
    #[must_use]
    pub fn rights(&self, principal: &Principal) -> Rights {
        let mut granted = Bits::with_room_for(self.0.universe.bound());
        self.held(principal).for_each(|role| granted.absorb(&role.granted));
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

    /// Whether the principal holds a role, or one that includes it.
    pub(in crate::authz) fn includes_one_of(&self, principal: &Principal, wanted: &str) -> bool {
        let wanted = self.find(principal.tenant(), wanted);
        wanted.is_some_and(|wanted| self.held(principal).any(|held| held.includes.contains(wanted.number)))
    }

    /// Whether a role of the principal grants the permission.
    pub(in crate::authz) fn grants_one_of(&self, principal: &Principal, permission: &Permission) -> bool {
        let covering = self.0.universe.covering(permission);
        self.held(principal).any(|role| role.grants(&covering))
    }

    /// As [`grants_one_of`](Self::grants_one_of), with the permission looked up before.
    pub(in crate::authz) fn answers(&self, principal: &Principal, question: &Question) -> bool {
        if self.is(&question.model) {
            self.held(principal).any(|role| role.grants(&question.covering))
        } else {
            self.grants_one_of(principal, &question.permission)
        }
    }

    /// What the names of a principal's roles mean in its tenant, which is looked up at most once.
    fn held<'m>(&'m self, principal: &'m Principal) -> impl Iterator<Item = &'m Compiled> {
        let mut own = None;
        principal.roles().filter_map(move |role| {
            self.0.service.get(role).or_else(|| {
                let own = own.get_or_insert_with(|| self.0.tenants.get(principal.tenant()));
                own.and_then(|own| own.get(role))
            })
        })
    }

    /// What a name means in a tenant. The service's come first, as most are; a tenant's can't be among them.
    fn find(&self, tenant: &TenantId, role: &str) -> Option<&Compiled> {
        self.0.service.get(role).or_else(|| self.0.tenants.get(tenant)?.get(role))
    }

    fn within(&self, tenant: &TenantId) -> impl Iterator<Item = (&str, &Compiled)> {
        let own = self.0.tenants.get(tenant).into_iter().flatten();
        self.0.service.iter().chain(own).map(|(name, role)| (&**name, role))
    }

    fn all(&self) -> impl Iterator<Item = &Roles> {
        [&self.0.service].into_iter().chain(self.0.tenants.values())
    }

    /// Numbers mean something in one model only.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

impl fmt::Debug for RoleModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleModel")
            .field("service", &sorted(self.0.service.keys().map(|name| &**name)))
            .field("tenants", &self.tenants())
            .finish()
    }
}
