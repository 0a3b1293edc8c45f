//! Reading and validating: [`Loaded`] is what passed.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    Authorizer, CedarSchemaError, Context, Decision as Verdict, Effect, Entities, Policy, PolicyId,
    PolicySet, Request, RequestValidationError, Schema, SchemaError, SchemaFragment, ValidationError,
    ValidationMode, ValidationWarning, Validator,
};

use super::mapping::{About, Asked};
use super::schema::{Action, actions, chain};
use super::{Decision, Shape};
use crate::authz::RoleModel;
use crate::error::{ConfigError, Error, ErrorKind};

/// How far a policy may follow attributes from entity to entity. Only who asks and what is asked for are there to be
/// looked into, so a second step would meet nothing and fail when it is asked.
const MAX_STEPS: u32 = 1;

const POLICIES: &str = "cedar policies";
const SCHEMA: &str = "cedar schema";

/// Policies and schema that fit each other.
pub(super) struct Loaded {
    policies: PolicySet,
    schema: Schema,
    actions: HashMap<String, Action>,
}

/// A decision, and the policies that made it.
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) policies: Vec<String>,
}

impl Loaded {
    /// Reads both and validates one against the other.
    pub(super) fn read(policies: &str, schema: &str) -> Result<Self, ConfigError> {
        let (schema, actions) = read_schema(schema)?;
        let set = read_policies(policies)?;
        validate(&set, policies, &schema)?;
        if !set.policies().any(|policy| policy.effect() == Effect::Permit) {
            return Err(ConfigError::new(POLICIES, "permit nothing", "add a `permit` policy"));
        }
        Ok(Self { policies: set, schema, actions })
    }

    /// Whether questions of this shape can be asked.
    pub(super) fn check(&self, shape: &Shape, roles: Option<&RoleModel>) -> Result<(), ConfigError> {
        let Some(action) = self.actions.get(&shape.action) else {
            let mut known: Vec<&str> = self.actions.keys().map(String::as_str).collect();
            known.sort_unstable();
            return Err(ConfigError::new(
                format!("cedar action `{}`", shape.action),
                format!("is not in the schema, which has {}", known.join(", ")),
                "declare it or correct the name",
            ));
        };
        action.check(&self.schema, shape, roles)
    }

    /// The answer to one question. `loaded` is the resource of a question that names its type.
    pub(super) fn answer(
        &self,
        shape: &Shape,
        asked: &Asked<'_>,
        loaded: Option<(&str, &super::Resource)>,
    ) -> Result<Answer, Error> {
        let unfit = |what: &'static str| Error::new(ErrorKind::Internal, what);
        let action =
            self.actions.get(&shape.action).ok_or_else(|| unfit("a cedar action is not declared"))?;
        let about = match (&shape.resource, loaded) {
            (Some(kind), Some((id, resource))) => {
                let kind = action.resource(kind).ok_or_else(|| unfit("a cedar resource is not declared"))?;
                About::Loaded { kind, id, resource }
            }
            _ => About::Path,
        };
        let user = asked.user(action).map_err(|cause| failed("who asks cannot be told to cedar", cause))?;
        let resource = asked
            .resource(action, &about)
            .map_err(|cause| failed("what is asked for cannot be told to cedar", cause))?;
        let (principal, about) = (user.uid(), resource.uid());
        let entities = Entities::from_entities([user, resource], Some(&self.schema))
            .map_err(|cause| failed("an entity does not fit the cedar schema", cause.into()))?;
        let context = asked
            .context(action)
            .and_then(|pairs| Ok(Context::from_pairs(pairs)?))
            .map_err(|cause| failed("the context cannot be told to cedar", cause))?;
        let request = Request::new(principal, action.uid.clone(), about, context, Some(&self.schema));
        let request = request.map_err(|cause| match cause {
            RequestValidationError::InvalidContext(_) => unfit("the context does not fit the cedar schema"),
            cause => failed("the request does not fit the cedar schema", cause.into()),
        })?;
        self.evaluate(&request, &entities)
    }

    fn evaluate(&self, request: &Request, entities: &Entities) -> Result<Answer, Error> {
        let response = Authorizer::new().is_authorized(request, &self.policies, entities);
        // Cedar leaves out what fails. Left out, a `forbid` forbids nothing.
        let mut errors = response.diagnostics().errors().peekable();
        if errors.peek().is_some() {
            let mut ids: Vec<String> = errors
                .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
                    tracing::debug!(%error, "a cedar policy failed");
                    format!("`{}`", error.policy_id())
                })
                .collect();
            ids.sort_unstable();
            let what = format!("cedar could not evaluate policy {}", ids.join(", "));
            return Err(Error::new(ErrorKind::Internal, what));
        }
        let mut policies: Vec<String> =
            response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
        policies.sort_unstable();
        let decision = match response.decision() {
            Verdict::Allow => Decision::Allow,
            Verdict::Deny if policies.is_empty() => Decision::Abstain,
            Verdict::Deny => Decision::Deny,
        };
        Ok(Answer { decision, policies })
    }
}

/// What an operator is told names no values: those are data of the application's.
fn failed(what: &'static str, cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    tracing::debug!(cause = chain(&*cause), "{what}");
    Error::new(ErrorKind::Internal, what).with_source(cause)
}

fn read_schema(text: &str) -> Result<(Schema, HashMap<String, Action>), ConfigError> {
    let unreadable = |problem: String| {
        ConfigError::new(SCHEMA, problem, "write it in Cedar's schema language, or as its JSON form")
    };
    let explain = |error: &CedarSchemaError| unreadable(explained(text, &error.into()));
    let fragment = if text.trim_start().starts_with('{') {
        SchemaFragment::from_json_str(text).map_err(|error| explain(&error.into()))?
    } else {
        let (fragment, warnings) =
            SchemaFragment::from_cedarschema_str(text).map_err(|error| explain(&error))?;
        warnings.for_each(|warning| tracing::warn!(%warning, "the cedar schema is doubtful"));
        fragment
    };
    let json = fragment.clone().to_json_value().map_err(|error| explain(&error.into()))?;
    let schema: Schema = fragment.try_into().map_err(|error: SchemaError| explain(&error.into()))?;
    let actions = actions(&schema, &json).map_err(|cause| unreadable(chain(&*cause)))?;
    Ok((schema, actions))
}

fn read_policies(text: &str) -> Result<PolicySet, ConfigError> {
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let problems: Vec<String> = errors.iter().map(|error| explained(text, &error.into())).collect();
        ConfigError::new(POLICIES, problems.join("; "), "write them in Cedar's policy language")
    })?;
    if let Some(template) = set.templates().next() {
        let what = format!("hold a template, `{}`, which nothing would link", template.id());
        return Err(ConfigError::new(POLICIES, what, "write it out for each of its values"));
    }
    let named = |policy: &Policy| match policy.annotation("id") {
        Some(id) => policy.new_id(PolicyId::new(id)),
        None => policy.clone(),
    };
    PolicySet::from_policies(set.policies().map(named)).map_err(|error| {
        ConfigError::new(POLICIES, error.to_string(), "give each policy an `@id` of its own")
    })
}

fn validate(set: &PolicySet, text: &str, schema: &Schema) -> Result<(), ConfigError> {
    let result = Validator::new(schema.clone()).validate_with_level(set, ValidationMode::Strict, MAX_STEPS);
    let wrong: BTreeSet<&PolicyId> = result.validation_errors().map(ValidationError::policy_id).collect();
    let mut problems = BTreeSet::new();
    for error in result.validation_errors() {
        problems.insert(explained(text, &error.into()));
        if matches!(error, ValidationError::EntityDerefLevelViolation(_)) {
            problems.insert("only who asks and what is asked for can be looked into".to_owned());
        }
    }
    for warning in result.validation_warnings() {
        match warning {
            // Follows from the error.
            _ if wrong.contains(warning.policy_id()) => {}
            // A policy that cannot apply, or that does not say what it seems to say.
            ValidationWarning::ImpossiblePolicy(_)
            | ValidationWarning::InvalidActionApplication(_)
            | ValidationWarning::BidiCharsInString(_)
            | ValidationWarning::BidiCharsInIdentifier(_) => {
                problems.insert(explained(text, &warning.into()));
            }
            _ => tracing::warn!(%warning, "a cedar policy is doubtful"),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let problems: Vec<String> = problems.into_iter().collect();
    Err(ConfigError::new(POLICIES, problems.join("; "), "correct them, or the schema"))
}

/// Where, what, and Cedar's own advice.
fn explained(text: &str, error: &DetailedError) -> String {
    let DetailedError { message, help, source_locations, related, .. } = error;
    let line = source_locations.first().map(|label| {
        let before = text.bytes().take(label.loc.start);
        format!("line {}: ", before.filter(|byte| *byte == b'\n').count() + 1)
    });
    let help = help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let others = related.iter().map(|error| explained(text, error));
    let first = format!("{}{message}{help}", line.unwrap_or_default());
    std::iter::once(first).chain(others).collect::<Vec<_>>().join("; ")
}
