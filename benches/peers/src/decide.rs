//! May they? 10 roles that grant 200 permissions between them, a principal with two of the roles.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::str::FromStr;

use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request};
use portcullis::authz::{AccessRequest, Permission, Role, RoleModel, Rule, authorize};
use portcullis::{Principal, Subject, TenantId};

use crate::measure::Table;

const ROLES: usize = 10;
const ACTIONS: usize = 20;
const HELD: [usize; 2] = [3, 7];
const USERS: usize = 1000;

pub fn run() -> Table {
    let mut table = Table::new("decide: one permission, granted", "HashSet of names");
    let names: HashSet<String> =
        HELD.iter().flat_map(|role| (0..ACTIONS).map(move |a| name(*role, a))).collect();
    let asked = name(7, 7);
    table.row("HashSet of names", || names.contains(black_box(asked.as_str())));
    table.row("HashSet, name put together", || {
        names.contains(&format!("{}:{}", black_box("resource7"), black_box("action7")))
    });
    ours(&mut table, ROLES);
    ours(&mut table, 1000 * ROLES);
    cedar(&mut table, "cedar-policy, 1 policy", &[(7, 7)]);
    cedar(&mut table, "cedar-policy, 200 policies", &grants());
    casbin(&mut table);
    table
}

fn name(role: usize, action: usize) -> String {
    format!("resource{role}:action{action}")
}

fn grants() -> Vec<(usize, usize)> {
    (0..ROLES).flat_map(|role| (0..ACTIONS).map(move |action| (role, action))).collect()
}

fn ours(table: &mut Table, roles: usize) {
    let role = |n: usize| {
        (0..ACTIONS).fold(Role::new(format!("role{n}")), |role, a| role.grants(name(n % ROLES, a)))
    };
    let model = (0..roles).map(role).fold(RoleModel::builder(), |builder, role| builder.add(role)).build();
    let model = model.expect("roles are well-formed");
    let subject = Subject::parse("user1").expect("is a subject");
    let principal =
        Principal::user(TenantId::default(), subject).with_roles(HELD.map(|role| format!("role{role}")));
    let permission = Permission::parse(&name(7, 7)).expect("is a permission");
    let (rights, question) = (model.rights(&principal), model.question(&permission));
    assert!(rights.hold(&question));
    table.row(format!("portcullis, resolved, {roles} roles"), || {
        black_box(&rights).hold(black_box(&question))
    });
    table.row(format!("portcullis, from role names, {roles} roles"), || {
        AccessRequest::new(black_box(&principal), &model, "GET", "/").may(black_box(&permission))
    });
    let rule = Rule::permission(permission.as_str());
    table.row(format!("portcullis, by a rule, {roles} roles"), || {
        authorize(&AccessRequest::new(black_box(&principal), &model, "GET", "/"), black_box(&rule))
    });
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::\"{id}\"")).expect("is an id")
}

fn cedar(table: &mut Table, title: &str, grants: &[(usize, usize)]) {
    let text: String = grants
        .iter()
        .map(|(role, action)| {
            format!(
                "permit(principal in Role::\"role{role}\", action == Action::\"action{action}\", resource == \
                 Resource::\"resource{role}\");\n"
            )
        })
        .collect();
    let policies = PolicySet::from_str(&text).expect("policies are well-formed");
    let roles =
        (0..ROLES).map(|role| Entity::new_no_attrs(uid("Role", &format!("role{role}")), HashSet::new()));
    let users = (0..USERS).map(|user| {
        let parents = HELD.map(|role| uid("Role", &format!("role{}", (role + user + ROLES - 1) % ROLES)));
        Entity::new(uid("User", &format!("user{user}")), HashMap::new(), parents.into())
            .expect("has no attributes")
    });
    let entities = Entities::from_entities(roles.chain(users), None).expect("entities are well-formed");
    let authorizer = Authorizer::new();
    let (principal, action, resource) =
        (uid("User", "user1"), uid("Action", "action7"), uid("Resource", "resource7"));
    let ask = || {
        let request =
            Request::new(principal.clone(), action.clone(), resource.clone(), Context::empty(), None);
        authorizer.is_authorized(&request.expect("is well-formed"), &policies, &entities).decision()
    };
    assert_eq!(ask(), Decision::Allow);
    table.row(title, ask);
}

const CASBIN: &str = "
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
";

fn casbin(table: &mut Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let enforcer = runtime.block_on(async {
        let model = DefaultModel::from_str(CASBIN).await.expect("the model is well-formed");
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.expect("an enforcer starts");
        let policies = grants().into_iter().map(|(role, action)| {
            vec![format!("role{role}"), format!("resource{role}"), format!("action{action}")]
        });
        enforcer.add_policies(policies.collect()).await.expect("policies are taken");
        let held = (0..USERS).flat_map(|user| {
            HELD.map(|role| vec![format!("user{user}"), format!("role{}", (role + user + ROLES - 1) % ROLES)])
        });
        enforcer.add_grouping_policies(held.collect()).await.expect("roles are taken");
        enforcer
    });
    let ask = |action: &str| enforcer.enforce(("user1", "resource7", action)).expect("casbin answers");
    assert!(ask("action7") && !ask("action99"));
    table.row("casbin, allowed", || ask("action7"));
    table.row("casbin, refused", || ask("action99"));
}
