//! Roles and the model that closes them over inheritance.
//!
//! A role is the service's or one tenant's. Every question about a role by its name says whose: one tenant's `reviewer`
//! is nothing in another, and no tenant can give a meaning of its own to a name of the service's.

mod builder;
mod compiled;
mod model;
mod question;
mod text;
mod universe;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::ConfigError;
use crate::id::TenantId;

pub use builder::RoleModelBuilder;
pub use model::RoleModel;
pub use question::{Question, Rights};

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

/// What is looked up in these maps comes from the application or from a token we signed, never from a stranger, so the
/// hash may be a quick one.
type Names<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

fn problem(
    tenant: Option<&TenantId>,
    role: &str,
    what: impl Into<Cow<'static, str>>,
    cure: &'static str,
) -> ConfigError {
    let field = match tenant {
        Some(tenant) => format!("role `{role}` of tenant `{tenant}`"),
        None => format!("role `{role}`"),
    };
    ConfigError::new(field, what, cure)
}

#[cfg(test)]
mod tests;
