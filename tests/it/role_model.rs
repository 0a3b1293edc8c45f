//! The compiled role model against one written as plainly as possible.

use std::collections::BTreeSet;

use portcullis::authz::{AccessRequest, Permission, Refused, Role, RoleModel, Rule, Verdict, authorize};
use portcullis::{Principal, Subject, TenantId};
use proptest::prelude::*;

const RESOURCES: [&str; 3] = ["tasks", "notes", "users"];
const ACTIONS: [&str; 3] = ["read", "write", "delete"];

/// Whose principals there are: two tenants with roles of their own and one without.
const TENANTS: [&str; 3] = ["acme", "bolt", "plain"];

/// A role as written down: whose it is, `None` for the service's, and its name, parents and grants.
#[derive(Clone, Debug)]
struct Spec {
    tenant: Option<usize>,
    name: String,
    inherits: Vec<String>,
    grants: Vec<String>,
}

type Specs = Vec<Spec>;

fn grant() -> impl Strategy<Value = String> {
    let resource = prop::sample::select(RESOURCES.to_vec());
    let action = prop::sample::select([&ACTIONS[..], &["*"]].concat());
    prop_oneof![
        12 => (resource, action).prop_map(|(resource, action)| format!("{resource}:{action}")),
        1 => Just("*:*".to_owned()),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["role", "own"]), 0..8_usize).prop_map(|(stem, n)| format!("{stem}{n}"))
}

/// The roles of the service, or of a tenant: mostly without circles, as a role inherits from lower numbers and, in a
/// tenant, from the service's `above`.
fn family(tenant: Option<usize>, above: usize, wild: bool) -> impl Strategy<Value = Specs> {
    let stem = if tenant.is_some() { "own" } else { "role" };
    let spec =
        move |number: usize| {
            let tame: Vec<_> = (0..above)
                .map(|n| format!("role{n}"))
                .chain((0..number).map(|n| format!("{stem}{n}")))
                .collect();
            let parents = if wild {
                prop::collection::vec(any_name(), 0..2).boxed()
            } else {
                prop::sample::subsequence(tame.clone(), 0..=tame.len().min(2)).boxed()
            };
            let name = Just(format!("{stem}{number}"));
            let name = if wild { prop_oneof![9 => name, 1 => any_name()].boxed() } else { name.boxed() };
            (name, parents, prop::collection::vec(grant(), 0..3))
                .prop_map(move |(name, inherits, grants)| Spec { tenant, name, inherits, grants })
        };
    (0..6_usize).prop_flat_map(move |n| (0..n).map(spec).collect::<Vec<_>>())
}

/// Sometimes with names taken twice, parents that do not exist or are not to be seen, and circles.
fn specs() -> impl Strategy<Value = Specs> {
    let specs = |wild: bool| {
        family(None, 0, wild).prop_flat_map(move |service| {
            let above = service.len();
            (Just(service), family(Some(0), above, wild), family(Some(1), above, wild))
                .prop_map(|(service, acme, bolt)| [service, acme, bolt].concat())
        })
    };
    prop_oneof![4 => specs(false), 1 => specs(true)].prop_shuffle()
}

fn tenant(number: usize) -> TenantId {
    TenantId::parse(TENANTS[number]).unwrap()
}

fn build(specs: &Specs) -> Result<RoleModel, portcullis::ConfigError> {
    specs
        .iter()
        .fold(RoleModel::builder(), |builder, spec| {
            let role = spec.inherits.iter().fold(Role::new(&spec.name), Role::inherits);
            let role = spec.grants.iter().fold(role, Role::grants);
            match spec.tenant {
                Some(number) => builder.add_for(&tenant(number), role),
                None => builder.add(role),
            }
        })
        .build()
}

/// What a name means in a tenant, or for the service.
fn find<'s>(specs: &'s Specs, tenant: Option<usize>, name: &str) -> Option<&'s Spec> {
    specs.iter().find(|spec| spec.name == name && (spec.tenant.is_none() || spec.tenant == tenant))
}

/// The names of all roles a role includes, by walking; `None` if the walk meets itself or a name that means nothing there.
fn reach(
    specs: &Specs,
    tenant: Option<usize>,
    from: &str,
    path: &mut Vec<String>,
) -> Option<BTreeSet<String>> {
    let spec = find(specs, tenant, from)?;
    if path.contains(&spec.name) {
        return None;
    }
    path.push(spec.name.clone());
    let mut found = BTreeSet::from([spec.name.clone()]);
    for parent in &spec.inherits {
        found.extend(reach(specs, tenant, parent, path)?);
    }
    path.pop();
    Some(found)
}

fn is_sound(specs: &Specs) -> bool {
    let meets = |one: &Spec, other: &Spec| {
        one.tenant == other.tenant || one.tenant.is_none() || other.tenant.is_none()
    };
    let taken = |at: usize, spec: &Spec| {
        specs[..at].iter().any(|other| other.name == spec.name && meets(spec, other))
    };
    specs.iter().enumerate().all(|(at, spec)| {
        !taken(at, spec) && reach(specs, spec.tenant, &spec.name, &mut Vec::new()).is_some()
    })
}

fn covers(grant: &str, resource: &str, action: &str) -> bool {
    grant == "*:*" || grant == format!("{resource}:*") || grant == format!("{resource}:{action}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_model_decides_as_the_plain_one(
        specs in specs(),
        home in 0..3_usize,
        held in prop::collection::vec(any_name(), 0..4),
        scopes in prop::option::of(prop::collection::vec(grant(), 0..3)),
    ) {
        let model = build(&specs);
        prop_assert_eq!(model.is_ok(), is_sound(&specs), "nothing else is refused: {:?}", model);
        let Ok(model) = model else { return Ok(()) };

        let tenant = tenant(home);
        let mut principal = Principal::user(tenant.clone(), Subject::parse("u").unwrap())
            .with_roles(held.iter().map(String::as_str));
        if let Some(scopes) = &scopes {
            principal = principal.with_scopes(scopes.iter().map(String::as_str));
        }
        let reached = |name: &str| reach(&specs, Some(home), name, &mut Vec::new()).unwrap_or_default();
        let included: BTreeSet<String> = held.iter().flat_map(|name| reached(name)).collect();
        let grants = |name: &str, resource: &str, action: &str| {
            let spec = find(&specs, Some(home), name);
            spec.is_some_and(|spec| spec.grants.iter().any(|grant| covers(grant, resource, action)))
        };
        let rights = model.rights(&principal);
        let request = AccessRequest::new(&principal, &model, "GET", "/");
        let names: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let here: Vec<&str> = names.iter().copied().filter(|name| find(&specs, Some(home), name).is_some()).collect();
        prop_assert_eq!(&model.names(&tenant), &here);
        for resource in RESOURCES {
            for action in ACTIONS {
                let text = format!("{resource}:{action}");
                let permission = Permission::parse(&text).unwrap();
                let granted = included.iter().any(|name| grants(name, resource, action));
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
                let anybody = specs.iter().any(|spec| spec.grants.iter().any(|grant| covers(grant, resource, action)));
                prop_assert_eq!(model.is_granted(&permission), anybody, "{}", text);
                let grant = |name: &&str| reached(name).iter().any(|name| grants(name, resource, action));
                let granting: Vec<&str> = here.iter().copied().filter(grant).collect();
                prop_assert_eq!(model.granting(&tenant, &permission), granting, "{}", text);
            }
        }
        for wanted in names {
            let unlimited = scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == "*:*"));
            prop_assert_eq!(request.has_role(wanted), included.contains(wanted) && unlimited, "{}", wanted);
            prop_assert_eq!(model.contains(&tenant, wanted), here.contains(&wanted), "{}", wanted);
            prop_assert!(model.is_defined(wanted));
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
    let (model, tenant) = (builder.build().unwrap(), TenantId::default());
    let may = |role: &str, n: usize| {
        model.grants(&tenant, role, &Permission::parse(&format!("resource{n}:read")).unwrap())
    };
    for (held, asked, want) in
        [(999, 999, true), (999, 0, true), (500, 501, false), (0, 0, true), (0, 999, false)]
    {
        assert_eq!(may(&format!("role{held}"), asked), want, "role{held} resource{asked}");
    }
    assert!(model.includes(&tenant, "role999", "role0") && !model.includes(&tenant, "role0", "role999"));
}
