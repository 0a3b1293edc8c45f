//! Numbers for grants.

use std::sync::Arc;

use super::{Names, Role, problem};
use crate::authz::permission::{Grant, Permission, is_word};
use crate::error::ConfigError;
use crate::id::TenantId;

/// The numbers of the grants that cover a permission: everything, all of its resource, itself. A grant that no role
/// makes has no number; the number of everything stands in for it.
pub(super) type Covering = [usize; 3];

/// Numbers for all grants that appear in a model. They are never stored: another model may number differently.
#[derive(Default)]
pub(super) struct Universe {
    resources: Names<Arc<str>, usize>,
    permissions: Names<Permission, usize>,
}

impl Universe {
    const EVERYTHING: usize = 0;

    /// One above the highest number.
    pub(super) fn bound(&self) -> usize {
        1 + self.resources.len() + self.permissions.len()
    }

    pub(super) fn intern(
        &mut self,
        tenant: Option<&TenantId>,
        role: &Role,
    ) -> Result<Vec<usize>, ConfigError> {
        if !is_word(&role.name) {
            return Err(problem(tenant, &role.name, "is not a name", "use 1 to 64 of `a-z 0-9 _ -`"));
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
                    return Err(problem(
                        tenant,
                        &role.name,
                        what,
                        "write `resource:action`, `resource:*` or `*:*`",
                    ));
                }
            });
        }
        Ok(numbers)
    }

    pub(super) fn covering(&self, permission: &Permission) -> Covering {
        let resource = self.resources.get(permission.resource());
        let itself = self.permissions.get(permission);
        [resource, itself, None].map(|number| number.copied().unwrap_or(Self::EVERYTHING))
    }
}
