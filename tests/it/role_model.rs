//! The compiled role model against one written as plainly as possible.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::authz::{AccessRequest, Permission, Refused, Role, RoleModel, Rule, Verdict, authorize};
use portcullis::{Principal, Subject, TenantId};
use proptest::prelude::*;

const RESOURCES: [&str; 3] = ["tasks", "notes", "users"];
const ACTIONS: [&str; 3] = ["read", "write", "delete"];

/// Roles by number: whom they inherit from, and what they grant.
type Graph = Vec<(Vec<usize>, Vec<String>)>;

fn grant() -> impl Strategy<Value = String> {
    let resource = prop::sample::select(RESOURCES.to_vec());
    let action = prop::sample::select([&ACTIONS[..], &["*"]].concat());
    prop_oneof![
        12 => (resource, action).prop_map(|(resource, action)| format!("{resource}:{action}")),
        1 => Just("*:*".to_owned()),
    ]
}

/// Mostly without circles: a role inherits from lower numbers. Sometimes from any, one that does not exist included.
fn graph() -> impl Strategy<Value = Graph> {
    let role = |number: usize, wild: bool| {
        let parents = if wild { 0..10 } else { 0..number.max(1) };
        let parents = prop::collection::vec(parents, 0..3)
            .prop_map(move |parents| parents.into_iter().filter(|p| wild || *p < number).collect::<Vec<_>>());
        (parents, prop::collection::vec(grant(), 0..3))
    };
    let graph = move |wild: bool| {
        (1..9_usize).prop_flat_map(move |n| (0..n).map(|i| role(i, wild)).collect::<Vec<_>>())
    };
    prop_oneof![4 => graph(false), 1 => graph(true)]
}

fn name(number: usize) -> String {
    format!("role{number}")
}

fn build(graph: &Graph) -> Result<RoleModel, portcullis::ConfigError> {
    let roles = graph.iter().enumerate().map(|(number, (parents, grants))| {
        let role = parents.iter().fold(Role::new(name(number)), |role, parent| role.inherits(name(*parent)));
        grants.iter().fold(role, |role, grant| role.grants(grant.as_str()))
    });
    roles.fold(RoleModel::builder(), |builder, role| builder.add(role)).build()
}

/// Everything a role includes, by walking; `None` if the walk meets itself or leaves the graph.
fn reach(graph: &Graph, from: usize, path: &mut Vec<usize>) -> Option<BTreeSet<usize>> {
    if path.contains(&from) {
        return None;
    }
    let (parents, _) = graph.get(from)?;
    path.push(from);
    let mut found = BTreeSet::from([from]);
    for parent in parents {
        found.extend(reach(graph, *parent, path)?);
    }
    path.pop();
    Some(found)
}

fn covers(grant: &str, resource: &str, action: &str) -> bool {
    grant == "*:*" || grant == format!("{resource}:*") || grant == format!("{resource}:{action}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_model_decides_as_the_plain_one(
        graph in graph(),
        held in prop::collection::vec(0..10_usize, 0..4),
        scopes in prop::option::of(prop::collection::vec(grant(), 0..3)),
    ) {
        let reached: Option<BTreeMap<usize, BTreeSet<usize>>> =
            (0..graph.len()).map(|role| Some((role, reach(&graph, role, &mut Vec::new())?))).collect();
        let model = build(&graph);
        prop_assert_eq!(model.is_ok(), reached.is_some(), "circles and unknown roles are refused, nothing else");
        let (Ok(model), Some(reached)) = (model, reached) else { return Ok(()) };

        let mut principal = Principal::user(TenantId::default(), Subject::parse("u").unwrap())
            .with_roles(held.iter().map(|role| name(*role)));
        if let Some(scopes) = &scopes {
            principal = principal.with_scopes(scopes.iter().map(String::as_str));
        }
        let included: BTreeSet<usize> = held.iter().filter_map(|role| reached.get(role)).flatten().copied().collect();
        let rights = model.rights(&principal);
        let request = AccessRequest::new(&principal, &model, "GET", "/");
        for resource in RESOURCES {
            for action in ACTIONS {
                let text = format!("{resource}:{action}");
                let permission = Permission::parse(&text).unwrap();
                let granted = included.iter().any(|role| graph[*role].1.iter().any(|grant| covers(grant, resource, action)));
                let covered = scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| covers(scope, resource, action)));
                let want = match (granted, covered) {
                    (true, true) => Ok(()),
                    (true, false) => Err(Refused::InsufficientScope),
                    (false, _) => Err(Refused::Forbidden),
                };
                let Verdict::Ready(got) = authorize(&request, &Rule::permission(&text)) else { panic!("waits") };
                prop_assert_eq!(got, want, "{}", text);
                prop_assert_eq!(request.may(&permission), want.is_ok(), "{}", text);
                prop_assert_eq!(rights.hold(&model.question(&permission)), granted, "{}", text);
                let anybody = graph.iter().any(|(_, grants)| grants.iter().any(|grant| covers(grant, resource, action)));
                prop_assert_eq!(model.is_granted(&permission), anybody, "{}", text);
            }
        }
        for wanted in 0..graph.len() {
            let unlimited = scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == "*:*"));
            prop_assert_eq!(request.has_role(&name(wanted)), included.contains(&wanted) && unlimited);
        }
    }
}

/// A question belongs to the model it was put to: another model numbers its grants in its own way.
#[test]
fn a_question_to_another_model_is_answered_by_its_words() {
    let model = |grants: &[&str]| {
        let role = grants.iter().fold(Role::new("user"), |role, grant| role.grants(*grant));
        RoleModel::builder().add(role).build().unwrap()
    };
    let (old, new) = (model(&["tasks:read", "tasks:write"]), model(&["tasks:delete", "tasks:read"]));
    let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["user"]);
    for (text, then, now) in
        [("tasks:read", true, true), ("tasks:write", true, false), ("tasks:delete", false, true)]
    {
        let question = old.question(&Permission::parse(text).unwrap());
        assert_eq!(old.rights(&ada).hold(&question), then, "{text}");
        assert!(!new.rights(&ada).hold(&question), "{text}: another model's question");
        assert_eq!(AccessRequest::new(&ada, &new, "", "").may(question.permission()), now, "{text}");
    }
}

/// More grants than fit inline, more roles than anybody has.
#[test]
fn a_large_model_answers_alike() {
    let builder = (0..1000).fold(RoleModel::builder(), |builder, n| {
        let role = Role::new(format!("role{n}")).grants(format!("resource{n}:read"));
        builder.add(if n > 0 { role.inherits(format!("role{}", n - 1)) } else { role })
    });
    let model = builder.build().unwrap();
    let may =
        |role: &str, n: usize| model.grants(role, &Permission::parse(&format!("resource{n}:read")).unwrap());
    for (held, asked, want) in
        [(999, 999, true), (999, 0, true), (500, 501, false), (0, 0, true), (0, 999, false)]
    {
        assert_eq!(may(&name(held), asked), want, "role{held} resource{asked}");
    }
    assert!(model.includes("role999", "role0") && !model.includes("role0", "role999"));
}
