//! From roles as written down to a [`RoleModel`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::compiled::Compiled;
use super::model::{Model, Roles};
use super::universe::Universe;
use super::{Names, Role, RoleModel, problem};
use crate::error::ConfigError;
use crate::id::TenantId;

/// Collects roles for a [`RoleModel`].
#[derive(Clone, Debug, Default)]
pub struct RoleModelBuilder {
    service: Vec<Role>,
    tenants: BTreeMap<TenantId, Vec<Role>>,
}

impl RoleModelBuilder {
    /// Adds a role of the service: principals of every tenant may hold it. Order does not matter.
    #[expect(clippy::should_implement_trait, reason = "`add` extends in every builder of this crate")]
    #[must_use]
    pub fn add(mut self, role: Role) -> Self {
        self.service.push(role);
        self
    }

    /// Adds a role of one tenant: to principals of others its name grants nothing. It may inherit from roles of the
    /// service and of the same tenant. Tenants may use one name for different roles.
    ///
    /// ```
    /// use portcullis::TenantId;
    /// use portcullis::authz::{Permission, Role, RoleModel};
    ///
    /// let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::parse("other").unwrap());
    /// let model = RoleModel::builder()
    ///     .add(Role::new("user").grants("tasks:read"))
    ///     .add_for(&acme, Role::new("reviewer").inherits("user").grants("tasks:review"))
    ///     .build()?;
    /// let review = Permission::parse("tasks:review").unwrap();
    /// assert!(model.grants(&acme, "reviewer", &review));
    /// assert!(!model.grants(&other, "reviewer", &review));
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    ///
    /// What it grants is for the tenant's principals to do wherever a rule asks for it. Somebody who may write roles for a
    /// tenant can give its principals any permission there is: check what they write, or write it for them.
    #[must_use]
    pub fn add_for(mut self, tenant: &TenantId, role: Role) -> Self {
        self.tenants.entry(tenant.clone()).or_default().push(role);
        self
    }

    /// Checks the roles and closes them over inheritance.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the role, and its tenant, if a name or grant is malformed, a role is defined twice, inherits
    /// from one that is not defined, or inherits from itself in a circle; if a role of the service inherits from one of a
    /// tenant, or a tenant's has the name of one of the service.
    pub fn build(self) -> Result<RoleModel, ConfigError> {
        let mut universe = Universe::default();
        let mut numbered = |tenant: Option<&TenantId>, roles: Vec<Role>| {
            let number = |role: Role| Ok((universe.intern(tenant, &role)?, role));
            roles.into_iter().map(number).collect::<Result<Vec<_>, ConfigError>>()
        };
        let names: HashSet<String> = self.tenants.values().flatten().map(|role| role.name.clone()).collect();
        let service = numbered(None, self.service)?;
        let mut tenants = Vec::with_capacity(self.tenants.len());
        for (tenant, roles) in self.tenants {
            let roles = numbered(Some(&tenant), roles)?;
            tenants.push((tenant, roles));
        }
        let bound = universe.bound();
        let none = Roles::default();
        let service = Closing { tenant: None, above: &none, elsewhere: &names, bound }.close(service)?;
        let close = |(tenant, roles)| {
            let elsewhere = &HashSet::new();
            let closing = Closing { tenant: Some(&tenant), above: &service, elsewhere, bound };
            let roles = closing.close(roles)?;
            Ok((tenant, roles))
        };
        let tenants = tenants.into_iter().map(close).collect::<Result<Names<_, _>, ConfigError>>()?;
        Ok(RoleModel(Arc::new(Model { service, tenants, universe })))
    }
}

/// Roles that may inherit from each other, and from others that are closed already.
struct Closing<'a> {
    /// Whose they are.
    tenant: Option<&'a TenantId>,
    above: &'a Roles,
    /// Names that are defined where these must not look.
    elsewhere: &'a HashSet<String>,
    /// One above the highest number of a grant.
    bound: usize,
}

impl Closing<'_> {
    fn close(&self, mut waiting: Vec<(Vec<usize>, Role)>) -> Result<Roles, ConfigError> {
        self.check(&waiting)?;
        let count = self.above.len() + waiting.len();
        let mut done = Roles::with_capacity_and_hasher(waiting.len(), Default::default());
        // Each round takes the roles whose parents are all closed. A round that takes none has met a circle.
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(grants, role)| {
                let parent =
                    |name: &String| done.get(name.as_str()).or_else(|| self.above.get(name.as_str()));
                let Some(parents) = role.inherits.iter().map(parent).collect::<Option<Vec<_>>>() else {
                    return true;
                };
                let mut own = Compiled::new(self.above.len() + done.len(), count, self.bound, grants);
                parents.into_iter().for_each(|parent| own.absorb(parent));
                done.insert(role.name.as_str().into(), own);
                false
            });
            if waiting.len() == before {
                let name = waiting.iter().map(|(_, role)| role.name.as_str()).min().unwrap_or_default();
                return Err(problem(self.tenant, name, "inherits from itself", "break the circle"));
            }
        }
        Ok(done)
    }

    fn check(&self, roles: &[(Vec<usize>, Role)]) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        for (_, role) in roles {
            if self.above.contains_key(role.name.as_str()) {
                let what = "has the name of a role of the service";
                return Err(problem(self.tenant, &role.name, what, "give it another name"));
            }
            if !names.insert(role.name.as_str()) {
                let cure = "merge the two definitions";
                return Err(problem(self.tenant, &role.name, "is defined twice", cure));
            }
        }
        for (_, role) in roles {
            let defined = |name: &str| names.contains(name) || self.above.contains_key(name);
            let Some(unknown) = role.inherits.iter().find(|parent| !defined(parent)) else { continue };
            let (what, cure) = if self.elsewhere.contains(unknown) {
                ("is a tenant's", "make that a role of the service, or this one the tenant's")
            } else {
                ("is not defined", "add that role or correct the name")
            };
            let what = format!("inherits from `{unknown}`, which {what}");
            return Err(problem(self.tenant, &role.name, what, cure));
        }
        Ok(())
    }
}
