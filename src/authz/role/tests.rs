use super::*;
use crate::authz::permission::Permission;

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
