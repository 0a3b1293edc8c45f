//! A tenant's roles are worth nothing in another, whoever holds their names.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use portcullis::TenantId;
use portcullis::authz::policy::{not, permission, role};
use portcullis::authz::{AccessMap, AccessMapBuilder, Role, RoleModel, Rule};
use portcullis::gate::Gate;
use portcullis::gate::testing::{Cast, Matrix, act_as};
use tower::{Layer as _, ServiceExt as _, service_fn};

const OWN: [&str; 2] = ["reviewer", "chief"];

fn entries() -> AccessMapBuilder {
    AccessMap::builder()
        .add(Method::GET, "/tasks", Rule::permission("tasks:read"))
        .add(Method::POST, "/reviews", Rule::permission("tasks:review"))
        .add(Method::DELETE, "/tasks", Rule::policy(permission("tasks:delete")))
        .add(Method::GET, "/chief", Rule::role("chief"))
        .add(Method::GET, "/board", Rule::policy(role("chief")))
        .add(Method::GET, "/open", Rule::policy(not(role("suspended"))))
}

/// `acme` has roles up to everything; `bolt` has others, one of the same name.
fn roles() -> RoleModel {
    let [acme, bolt] = ["acme", "bolt"].map(|name| TenantId::parse(name).unwrap());
    RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add_for(&acme, Role::new("reviewer").inherits("user").grants("tasks:review"))
        .add_for(&acme, Role::new("chief").inherits("reviewer").grants("*:*"))
        .add_for(&acme, Role::new("suspended"))
        .add_for(&bolt, Role::new("reviewer").grants("notes:read"))
        .build()
        .unwrap()
}

async fn gate(tenant: &str, cast: &Cast) -> Gate {
    let gate = Gate::builder()
        .with_access_tokens(cast.clone())
        .with_tenant(TenantId::parse(tenant).unwrap())
        .with_roles(roles())
        .with_access_map(entries());
    gate.build().await.unwrap()
}

// ASVS 8.4.1
#[tokio::test]
async fn another_tenants_role_names_grant_nothing() {
    for (tenant, golden) in [
        (
            "acme",
            "
                              anonymous  user  reviewer  chief  all
            GET     /tasks    401        in    in        in     in
            DELETE  /tasks    401        403   403       in     in
            POST    /reviews  401        403   in        in     in
            GET     /chief    401        403   403       in     in
            GET     /board    401        403   403       in     in
            GET     /open     401        in    in        in     403",
        ),
        (
            "bolt",
            "
                              anonymous  user  reviewer  chief  all
            GET     /tasks    401        in    403       403    in
            DELETE  /tasks    401        403   403       403    403
            POST    /reviews  401        403   403       403    403
            GET     /chief    401        403   403       403    403
            GET     /board    401        403   403       403    403
            GET     /open     401        in    in        in     in",
        ),
    ] {
        let cast = Cast::new()
            .add("user", act_as(tenant, "ada").with_roles(["user"]))
            .add("reviewer", act_as(tenant, "bea").with_roles([OWN[0]]))
            .add("chief", act_as(tenant, "cyd").with_roles([OWN[1]]))
            .add("all", act_as(tenant, "dan").with_roles(["user", OWN[0], OWN[1], "suspended"]));
        let gate = gate(tenant, &cast).await;
        assert_eq!(Matrix::of(&gate, gate.access_map(), &cast).await, golden, "{tenant}");

        let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new())));
        let request = cast.ask_as("chief", Request::delete("/tasks").body(()).unwrap());
        let status = gate.layer().layer(inner).oneshot(request).await.unwrap().status();
        assert_eq!(status, if tenant == "acme" { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{tenant}");

        let chief = act_as(tenant, "cyd").with_roles([OWN[1]]);
        let delete = Rule::permission("tasks:delete");
        let why = gate.authorizer().explain(&chief, &delete, "delete", "task").await;
        assert_eq!(why.answer.is_ok(), tenant == "acme");
        assert_eq!(
            why.needed,
            if tenant == "acme" { vec!["chief"] } else { vec![] },
            "not the names of others"
        );
    }
}
