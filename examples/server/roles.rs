//! Who may do what.

use portcullis::ConfigError;
use portcullis::authz::{Role, RoleModel};

/// `superadmin` > `admin` > `moderator` > `user` > `guest`.
pub fn model() -> Result<RoleModel, ConfigError> {
    RoleModel::builder()
        .add(Role::new("guest").grants("tasks:read").grants("metrics:read"))
        .add(Role::new("user").inherits("guest").grants("tasks:write").grants("agents:read"))
        .add(Role::new("moderator").inherits("user").grants("tasks:delete").grants("users:read"))
        .add(
            Role::new("admin")
                .inherits("moderator")
                .grants("users:*")
                .grants("agents:*")
                .grants("tasks:*")
                .grants("system:manage"),
        )
        .add(Role::new("superadmin").inherits("admin"))
        .build()
}
