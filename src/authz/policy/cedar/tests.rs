use super::*;
use crate::authz::{Role, Rule};
use crate::time::ManualClock;

const SCHEMA: &str = "
    entity Role;
    entity User in [Role] { tenant: String, assurance: Long };
    entity Route;
    entity Note { owner: User, size: Long };
    action read, list appliesTo { principal: User, resource: [Route, Note], context: { method: String } };
    action sweep appliesTo { principal: Role, resource: Route };";
const PERMIT: &str = "permit (principal, action, resource);";

fn read(policies: &str, schema: &str) -> Result<CedarPolicies, ConfigError> {
    CedarPolicies::from_text(policies, schema, ManualClock::default())
}

#[test]
fn what_is_wrong_is_listed_by_line_and_policy() {
    let with = |more: &str| format!("{PERMIT}\n{more}");
    for (name, policies, want) in [
        ("nothing", String::new(), &["cedar policies: permit nothing; add a `permit` policy"][..]),
        ("only forbids", "forbid (principal, action, resource);".to_owned(), &["permit nothing"]),
        ("syntax", with("permit (principal, action resource);"), &["line 2: unexpected token `resource`"]),
        (
            "all of them, not the first",
            with(
                "@id(\"no-name\") forbid (principal, action == Action::\"read\", resource)\n\
                 when { principal.nme == \"x\" };\n\
                 permit (principal == Usr::\"x\", action, resource);",
            ),
            &[
                "line 3: for policy `no-name`, attribute `nme` on entity type `User` not found (did you mean",
                "line 4: for policy `policy2`, unrecognized entity type `Usr` (did you mean `User`?)",
            ],
        ),
        (
            "unknown action",
            with("forbid (principal, action == Action::\"reed\", resource);"),
            &["line 2: for policy `policy1`, unrecognized action `Action::\"reed\"`"],
        ),
        (
            "types",
            with("forbid (principal is User, action, resource) when { principal.assurance < \"2\" };"),
            &["for policy `policy1`, unexpected type: expected Long but saw String"],
        ),
        (
            "what is not loaded",
            with(
                "forbid (principal, action == Action::\"read\", resource is Note) when { resource.owner.assurance < 2 };",
            ),
            &["for policy `policy1`", "only who asks and what is asked for can be looked into"],
        ),
        (
            "never applies",
            with("forbid (principal, action, resource) when { false };"),
            &["line 2: for policy `policy1`, policy is impossible"],
        ),
        (
            "applies to nothing",
            with("forbid (principal, action == Action::\"sweep\", resource is Note);"),
            &["for policy `policy1`, unable to find an applicable action"],
        ),
        (
            "does not say what it seems to",
            with(
                "forbid (principal, action == Action::\"read\", resource) when { context.method == \"a\u{202e}b\" };",
            ),
            &["for policy `policy1`", "BIDI control characters"],
        ),
        ("template", with("forbid (principal == ?principal, action, resource);"), &["a template, `policy1`"]),
        (
            "two of one name",
            "@id(\"a\") permit (principal, action, resource);@id(\"a\") permit (principal, action, resource);"
                .to_owned(),
            &["duplicate template or policy id `a`"],
        ),
        (
            "the name of another",
            with("@id(\"policy0\") forbid (principal, action, resource);"),
            &["duplicate template or policy id `policy0`"],
        ),
    ] {
        let error = read(&policies, SCHEMA).unwrap_err().to_string();
        for want in want {
            assert!(error.contains(want), "{name}: {error}");
        }
    }
    for (schema, want) in [
        ("entity User;\nentity Rolle {", "cedar schema: line 2: error parsing schema"),
        ("entity User in [Group];", "`Group` has not been declared"),
        ("{\"\": {\"entityTypes\": {}}}", "missing field `actions`"),
        ("[]", "cedar schema"),
    ] {
        let error = read(PERMIT, schema).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    let missing = CedarPolicies::from_files("/nowhere/a.cedar", "/nowhere/b", ManualClock::default());
    assert_eq!(missing.unwrap_err().field(), "/nowhere/a.cedar");
    assert!(read(PERMIT, SCHEMA).unwrap().reload().is_err(), "there are no files");
}

/// What a rule could never decide, or would decide by something that nobody supplies, is refused when it is built.
#[test]
fn a_question_has_to_fit_the_schema() {
    let types = "entity Role; entity Route; entity User in [Role] ";
    let reads = "; action read appliesTo { principal: User, resource: Route";
    let all = "{ tenant: String, subject: String, kind: String, assurance: Long, auth_time?: datetime, \
               scopes?: Set<String>, actor?: String }";
    for (name, schema, want) in [
        ("nothing of ours", format!("{types}{reads} }};"), ""),
        (
            "all of ours",
            format!("{types}{all}{reads}, context: {{ method: String, path: String, now: datetime }} }};"),
            "",
        ),
        ("without roles", format!("entity User; entity Route{reads} }};"), ""),
        (
            "all roles",
            format!("entity Role enum [\"admin\"]; entity Route; entity User in [Role]{reads} }};"),
            "",
        ),
        (
            "too few roles",
            format!("entity Role enum [\"root\"]; entity Route; entity User in [Role]{reads} }};"),
            "cannot be asked about",
        ),
        (
            "other action",
            format!("{types}; action write appliesTo {{ principal: User, resource: Route }};"),
            "is not in the schema, which has Action::\"write\", write",
        ),
        (
            "not for users",
            format!("{types}; action read appliesTo {{ principal: Role, resource: Route }};"),
            "does not apply to `User`",
        ),
        (
            "not for routes",
            format!("{types}; action read appliesTo {{ principal: User, resource: Role }};"),
            "does not apply to `Route`",
        ),
        (
            "what nobody supplies",
            format!("{types}{{ banned: Bool }}{reads} }};"),
            "declares `banned` of `User`, which nothing supplies",
        ),
        (
            "nor if it may be absent",
            format!("{types}{{ banned?: Bool }}{reads} }};"),
            "declares `banned` of `User`",
        ),
        (
            "in the context",
            format!("{types}{reads}, context: {{ ip?: ipaddr }} }};"),
            "declares `ip` of its context",
        ),
        (
            "in the context, named",
            format!("type C = {{ ip?: ipaddr }}; {types}{reads}, context: C }};"),
            "declares `ip` of its context",
        ),
        (
            "of a route",
            format!("entity Role; entity User; entity Route {{ x?: Long }}{reads} }};"),
            "declares `x` of `Route`",
        ),
        ("another type", format!("{types}{{ assurance: String }}{reads} }};"), "cannot be asked about"),
        (
            "another type, absent",
            format!("{types}{{ auth_time?: Long }}{reads} }};"),
            "cannot be asked about",
        ),
        ("always there", format!("{types}{{ scopes: Set<String> }}{reads} }};"), "cannot be asked about"),
        (
            "another type in the context",
            format!("{types}{reads}, context: {{ now: Long }} }};"),
            "cannot be asked about",
        ),
    ] {
        let policies = match read(PERMIT, &schema) {
            Ok(policies) => policies,
            Err(error) => panic!("{name}: {error}"),
        };
        let roles = RoleModel::builder().add(Role::new("admin")).build().unwrap();
        let checked = Rule::policy(policies.policy("read")).validate(&roles);
        let found = checked.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(found.is_empty(), want.is_empty(), "{name}: {found}");
        assert!(found.contains(want), "{name}: {found}");
    }
}

#[test]
fn a_resource_and_a_permission_are_checked_too() {
    let policies = read(PERMIT, SCHEMA).unwrap();
    let note = |kind: &str| {
        policies.question("read").with_resource(
            kind,
            |_| Some(1_u8),
            async |_, _| Ok(Some(Resource::default())),
        )
    };
    for (name, question, want) in [
        ("known", note("Note").with_permission("notes:read"), None),
        ("unknown type", note("Paper"), Some("cedar action `read`")),
        ("who asks", note("User"), Some("cedar action `read`")),
        ("no permission", note("Note").with_permission("*:*"), Some("permission `*:*`")),
    ] {
        let checked = question.policy().validate(&RoleModel::default());
        assert_eq!(checked.as_ref().err().map(ConfigError::field), want, "{name}: {checked:?}");
    }
    let users = "entity User; action read appliesTo { principal: User, resource: User };";
    let of_users = read(PERMIT, users).unwrap().question("read").with_resource(
        "User",
        |_| Some(1_u8),
        async |_, _| Ok(Some(Resource::default())),
    );
    let error = of_users.policy().validate(&RoleModel::default()).unwrap_err();
    assert!(error.to_string().contains("has the type of who asks as its resource"), "{error}");
    // In the namespace of the action, and in Cedar's JSON form.
    let schema = r#"{"N": {"commonTypes": {"C": {"type": "Record", "attributes": {"now": {"type": "Extension", "name": "datetime"}}}, "D": {"type": "C"}},
        "entityTypes": {"User": {}, "Route": {}}, "actions": {"read": {"appliesTo": {"principalTypes": ["User"], "resourceTypes": ["Route"], "context": {"type": "N::D"}}}}}}"#;
    let policies = read("permit (principal is N::User, action, resource);", schema).unwrap();
    for action in ["read", "N::Action::\"read\""] {
        policies.policy(action).validate(&RoleModel::default()).unwrap();
    }
    assert!(policies.policy("Action::\"read\"").validate(&RoleModel::default()).is_err());
    let banned = r#""Record", "attributes": {"banned": {"type": "Boolean", "required": false}}"#;
    let named = schema.replace(r#""User": {}"#, r#""User": {"shape": {"type": "B"}}"#);
    let named =
        named.replace(r#""commonTypes": {"#, &format!(r#""commonTypes": {{"B": {{"type": {banned}}}, "#));
    let policies = read("permit (principal is N::User, action, resource);", &named).unwrap();
    let error = policies.policy("read").validate(&RoleModel::default()).unwrap_err();
    assert!(error.to_string().contains("declares `banned` of `User`"), "{error}");
}
