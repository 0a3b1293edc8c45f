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
    let tenant = TenantId::default();
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
        assert_eq!(model.grants(&tenant, role, &permission(asked)), want, "{role} {asked}");
    }
    assert!(model.includes(&tenant, "superadmin", "user") && model.includes(&tenant, "user", "user"));
    assert!(!model.includes(&tenant, "user", "admin") && !model.includes(&tenant, "nobody", "nobody"));
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

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

/// A role of a tenant is nothing to the principals of another, whatever they are called.
#[test]
fn a_tenants_role_is_the_tenants() {
    let (acme, bolt, plain) = (tenant("acme"), tenant("bolt"), tenant("plain"));
    let model = RoleModel::builder()
        .add_for(&acme, Role::new("chief").inherits("reviewer").grants("*:*"))
        .add_for(&acme, Role::new("reviewer").inherits("user").grants("tasks:review"))
        .add_for(&bolt, Role::new("reviewer").grants("notes:review"))
        .add(Role::new("user").grants("tasks:read"))
        .build()
        .unwrap();
    for (tenant, role, asked, want) in [
        (&acme, "reviewer", "tasks:review", true),
        (&acme, "reviewer", "tasks:read", true),
        (&acme, "reviewer", "notes:review", false),
        (&acme, "chief", "system:manage", true),
        (&bolt, "reviewer", "notes:review", true),
        (&bolt, "reviewer", "tasks:review", false),
        (&bolt, "reviewer", "tasks:read", false),
        (&bolt, "chief", "tasks:read", false),
        (&bolt, "user", "tasks:read", true),
        (&plain, "reviewer", "tasks:review", false),
        (&plain, "chief", "tasks:read", false),
        (&plain, "user", "tasks:read", true),
    ] {
        assert_eq!(model.grants(tenant, role, &permission(asked)), want, "{tenant}: {role} {asked}");
    }
    assert!(model.includes(&acme, "chief", "user") && !model.includes(&bolt, "chief", "user"));
    // Both are the first of their tenant: numbers are compared within one tenant only.
    assert!(!model.includes(&bolt, "reviewer", "user") && !model.includes(&bolt, "reviewer", "chief"));
    assert_eq!(model.granting(&bolt, &permission("tasks:read")), ["user"]);
    assert_eq!(model.granting(&acme, &permission("tasks:read")), ["chief", "reviewer", "user"]);
    assert_eq!(model.names(&plain), ["user"]);
    assert_eq!(model.tenants(), [&acme, &bolt]);
    assert!(
        model.contains(&bolt, "reviewer") && !model.contains(&bolt, "chief") && model.is_defined("chief")
    );
}

#[test]
fn what_a_tenant_cannot_define() {
    let (acme, bolt) = (tenant("acme"), tenant("bolt"));
    let role = Role::new;
    for (name, service, own, foreign, want) in [
        (
            "shadow",
            role("user"),
            role("user").grants("*:*"),
            role("z"),
            "role `user` of tenant `acme`: has the name of a role of the service",
        ),
        (
            "service from tenant",
            role("user").inherits("own"),
            role("own"),
            role("z"),
            "role `user`: inherits from `own`, which is a tenant's",
        ),
        (
            "tenant from tenant",
            role("user"),
            role("own").inherits("theirs"),
            role("theirs"),
            "role `own` of tenant `acme`: inherits from `theirs`, which is not defined",
        ),
        (
            "circle",
            role("user"),
            role("own").inherits("own"),
            role("z"),
            "role `own` of tenant `acme`: inherits from itself",
        ),
        ("name", role("user"), role("Own"), role("z"), "role `Own` of tenant `acme`: is not a name"),
        (
            "grant",
            role("user"),
            role("own").grants("x"),
            role("z"),
            "role `own` of tenant `acme`: grants `x`",
        ),
    ] {
        let builder = RoleModel::builder().add(service).add_for(&acme, own).add_for(&bolt, foreign);
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(want), "{name}: {error}");
    }
    let twice = RoleModel::builder().add_for(&acme, role("own")).add_for(&acme, role("own")).build();
    assert!(twice.unwrap_err().to_string().starts_with("role `own` of tenant `acme`: is defined twice"));
}

/// A thousand tenants cost what they define, not a thousand times that.
#[test]
fn tenants_do_not_make_each_other_larger() {
    let builder = (0..1000).fold(RoleModel::builder(), |builder, n| {
        builder.add_for(&tenant(&format!("t{n}")), Role::new("own").grants("tasks:read"))
    });
    let model = builder.build().unwrap();
    let sizes = model.0.tenants.values().flat_map(HashMap::values).map(|role| &role.includes);
    assert!(sizes.into_iter().all(|bits| matches!(bits, crate::authz::bits::Bits::Inline(_))));
}
