//! Both sides of a decision, looked up once.

use std::fmt;

use super::RoleModel;
use super::universe::Covering;
use crate::authz::bits::Bits;
use crate::authz::permission::Permission;

/// Everything some roles grant together.
#[derive(Clone)]
pub struct Rights {
    pub(super) granted: Bits,
    pub(super) model: RoleModel,
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
    pub(super) covering: Covering,
    pub(super) permission: Permission,
    pub(super) model: RoleModel,
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
