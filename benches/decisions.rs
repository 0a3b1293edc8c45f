//! Decisions: what a permission check costs, from 10 to 10 000 roles, beside a plain `HashSet` of permission names.

use std::collections::HashSet;
use std::hint::black_box;

use criterion::Criterion;
use portcullis::authz::{AccessRequest, Permission, Role, RoleModel, Rule, authorize};
use portcullis::{Principal, Subject, TenantId};

use crate::table::Table;

/// Roles that grant 200 permissions between them; each holds 20 of its own and what it inherits. As many again belong to
/// tenants, ten to each.
fn model(roles: usize) -> RoleModel {
    let role = |n: usize| {
        let role = (0..20).fold(Role::new(format!("role{n}")), |role, k| {
            role.grants(format!("resource{}:action{k}", n % 10))
        });
        if n.is_multiple_of(10) { role } else { role.inherits(format!("role{}", n - 1)) }
    };
    let builder = (0..roles).map(role).fold(RoleModel::builder(), |builder, role| builder.add(role));
    let own = |n: usize| Role::new(format!("own{}", n % 10)).inherits(format!("role{}", n % 10));
    (0..roles).fold(builder, |builder, n| builder.add_for(&tenant(n / 10), own(n))).build().unwrap()
}

fn tenant(n: usize) -> TenantId {
    TenantId::parse(&format!("tenant{n}")).unwrap()
}

pub fn run(criterion: &mut Criterion, table: &mut Table) {
    let ada =
        Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["role3", "role7"]);
    let ben = Principal::user(tenant(0), Subject::parse("ben").unwrap()).with_roles(["own3", "own7"]);
    let permission = Permission::parse("resource5:action7").unwrap();
    let names: HashSet<String> =
        (0..8).flat_map(|r| (0..20).map(move |a| format!("resource{r}:action{a}"))).collect();
    let plain = || names.contains(black_box(permission.as_str()));
    allocation_counter::opt_out(|| {
        criterion.benchmark_group("decide").bench_function("HashSet", |b| b.iter(plain));
    });
    table.count("decide/HashSet", || assert!(plain()));

    for roles in [10, 10_000] {
        let model = model(roles);
        let (rights, question) = (model.rights(&ada), model.question(&permission));
        let resolved = || black_box(&rights).hold(black_box(&question));
        let from_names =
            || AccessRequest::new(black_box(&ada), &model, "GET", "/").may(black_box(&permission));
        let from_own = || AccessRequest::new(black_box(&ben), &model, "GET", "/").may(black_box(&permission));
        let rule = Rule::permission(permission.as_str());
        let by_rule =
            || drop(black_box(authorize(&AccessRequest::new(black_box(&ada), &model, "GET", "/"), &rule)));
        let name = |what: &str| format!("{what}, {roles} roles");
        allocation_counter::opt_out(|| {
            let mut group = criterion.benchmark_group("decide");
            group.bench_function(name("resolved"), |b| b.iter(resolved));
            group.bench_function(name("from names"), |b| b.iter(from_names));
            group.bench_function(name("from a tenant's names"), |b| b.iter(from_own));
            group.bench_function(name("rule"), |b| b.iter(by_rule));
        });
        table.count(&format!("decide/{}", name("resolved")), || assert!(resolved()));
        table.count(&format!("decide/{}", name("from names")), || assert!(from_names()));
        table.count(&format!("decide/{}", name("from a tenant's names")), || assert!(from_own()));
        table.count(&format!("decide/{}", name("rule")), by_rule);
    }
}
