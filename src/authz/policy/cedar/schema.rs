//! What the schema says about an action, and whether it can be kept.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Context, Entities, EntityTypeName, EntityUid, Request, Schema};
use serde_json::Value;

use super::Shape;
use super::mapping::{About, Asked, OF_CONTEXTS, OF_USERS, ROUTE, Unfit, samples};
use super::value::Resource;
use crate::authz::RoleModel;
use crate::error::ConfigError;
use crate::time::Timestamp;

/// How deep types may be named after types.
const MAX_ALIASES: usize = 32;

/// What the schema declares for one action.
pub(super) struct Action {
    pub(super) uid: EntityUid,
    /// The type of who asks, if it can be one of ours.
    pub(super) user: Option<EntityTypeName>,
    /// The type of roles, if users can be in them.
    pub(super) role: Option<EntityTypeName>,
    pub(super) user_attributes: BTreeSet<String>,
    pub(super) context: BTreeSet<String>,
    route_attributes: BTreeSet<String>,
    resources: Vec<EntityTypeName>,
}

impl Action {
    /// The type that this name means: with its namespace, or without and in that of the action.
    pub(super) fn named(&self, kind: &str) -> Result<EntityTypeName, Unfit> {
        let namespace = self.uid.type_name().namespace();
        if namespace.is_empty() || kind.contains("::") {
            Ok(kind.parse()?)
        } else {
            Ok(format!("{namespace}::{kind}").parse()?)
        }
    }

    /// The type of resource of this name, if the action is for it.
    pub(super) fn resource(&self, kind: &str) -> Option<&EntityTypeName> {
        let wanted = self.named(kind).ok()?;
        self.resources.iter().find(|kind| **kind == wanted)
    }

    /// Whether questions of this shape can be asked: the schema declares the action, who asks, what is asked for, and
    /// nothing that nobody supplies.
    pub(super) fn check(
        &self,
        schema: &Schema,
        shape: &Shape,
        roles: Option<&RoleModel>,
    ) -> Result<(), ConfigError> {
        let complain = |what: String, cure: &'static str| {
            ConfigError::new(format!("cedar action `{}`", shape.action), what, cure)
        };
        let Some(user) = &self.user else {
            return Err(complain("does not apply to `User`".to_owned(), "add `principal: User` to it"));
        };
        let kind = shape.resource.as_deref().unwrap_or(ROUTE);
        let Some(resource) = self.resource(kind) else {
            return Err(complain(format!("does not apply to `{kind}`"), "add it to the action's `resource`"));
        };
        if resource == user {
            let cure = "declare a type of its own for users as resources, with an attribute of type `User`";
            return Err(complain("has the type of who asks as its resource".to_owned(), cure));
        }
        let supplied = |names: &BTreeSet<String>, known: &[&str], of: &str, cure| match names
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(name) => Err(complain(format!("declares `{name}` of {of}, which nothing supplies"), cure)),
            None => Ok(()),
        };
        let cure = "remove it from the schema; the page of this module lists what there is";
        supplied(&self.user_attributes, OF_USERS, "`User`", cure)?;
        if shape.resource.is_none() {
            supplied(&self.route_attributes, &[], "`Route`", cure)?;
        }
        if !shape.own_context {
            let cure = "remove it from the schema or supply it by `with_context`";
            supplied(&self.context, OF_CONTEXTS, "its context", cure)?;
        }
        self.try_samples(schema, shape, roles).map_err(|cause| {
            let cure = "declare names and types as the page of this module lists them";
            complain(format!("cannot be asked about: {}", chain(&*cause)), cure)
        })
    }

    /// Whether what we make has the types that the schema wants.
    fn try_samples(&self, schema: &Schema, shape: &Shape, roles: Option<&RoleModel>) -> Result<(), Unfit> {
        let none = RoleModel::default();
        let roles = roles.unwrap_or(&none);
        for principal in &samples(Some(roles))? {
            let asked = Asked {
                principal,
                roles,
                method: "GET",
                path: "/",
                context: None,
                now: Timestamp::UNIX_EPOCH,
            };
            let user = asked.user(self)?;
            let kind = shape.resource.as_deref().and_then(|kind| self.resource(kind));
            let (mut entities, resource) = (vec![user.clone()], Resource::default());
            let about = match kind {
                Some(kind) => About::Loaded { kind, id: "sample", resource: &resource },
                None => About::Path,
            };
            let about = asked.resource(self, &about)?;
            let uid = about.uid();
            // What is loaded shows only then; a route is always the same.
            if kind.is_none() {
                entities.push(about);
            }
            Entities::from_entities(entities, Some(schema))?;
            if !shape.own_context {
                let context = Context::from_pairs(asked.context(self)?)?;
                Request::new(user.uid(), self.uid.clone(), uid, context, Some(schema))?;
            }
        }
        Ok(())
    }
}

/// Every action of a schema, under its whole name and, where no other has it, under its bare one.
pub(super) fn actions(schema: &Schema, json: &Value) -> Result<HashMap<String, Action>, Unfit> {
    let mut actions = HashMap::new();
    for uid in schema.actions() {
        let bare = uid.id().unescaped();
        let unique = schema.actions().filter(|other| other.id() == uid.id()).count() == 1;
        if unique {
            actions.insert(bare.to_owned(), action(schema, json, uid)?);
        }
        actions.insert(uid.to_string(), action(schema, json, uid)?);
    }
    Ok(actions)
}

fn action(schema: &Schema, json: &Value, uid: &EntityUid) -> Result<Action, Unfit> {
    let namespace = uid.type_name().namespace();
    let qualified = |name: &str| -> Result<EntityTypeName, Unfit> {
        Ok(if namespace.is_empty() { name.parse()? } else { format!("{namespace}::{name}").parse()? })
    };
    let (user, role, route) = (qualified("User")?, qualified("Role")?, qualified(ROUTE)?);
    let mut users = schema.principals_for_action(uid).into_iter().flatten();
    let user = users.find(|kind| **kind == user).cloned();
    let role = user.as_ref().and_then(|user| schema.ancestors(user)?.find(|kind| **kind == role).cloned());
    let resources: Vec<_> = schema.resources_for_action(uid).into_iter().flatten().cloned().collect();
    let home = json.get(&namespace);
    let applies = home.and_then(|home| home.get("actions")?.get(uid.id().unescaped())?.get("appliesTo"));
    let shape = |kind: &str| home.and_then(|home| home.get("entityTypes")?.get(kind)?.get("shape"));
    let names = |what| attributes(json, &namespace, what).ok_or("a type of the schema could not be followed");
    let of_user = if user.is_some() { names(shape("User"))? } else { BTreeSet::new() };
    let of_route = if resources.contains(&route) { names(shape(ROUTE))? } else { BTreeSet::new() };
    Ok(Action {
        uid: uid.clone(),
        user,
        role,
        user_attributes: of_user,
        context: names(applies.and_then(|applies| applies.get("context")))?,
        route_attributes: of_route,
        resources,
    })
}

/// The names in a record type of the schema's JSON form, through the types it is named after.
fn attributes(json: &Value, namespace: &str, shape: Option<&Value>) -> Option<BTreeSet<String>> {
    let Some(mut shape) = shape else { return Some(BTreeSet::new()) };
    let mut namespace = namespace;
    for _ in 0..MAX_ALIASES {
        if let Some(record) = shape.get("attributes") {
            return record.as_object().map(|record| record.keys().cloned().collect());
        }
        let name = shape.get("name").or_else(|| shape.get("type"))?.as_str()?;
        if name == "Record" {
            return Some(BTreeSet::new());
        }
        let (from, name) = name.rsplit_once("::").unwrap_or((namespace, name));
        let common = |from: &str| json.get(from)?.get("commonTypes")?.get(name);
        (namespace, shape) = match common(from) {
            Some(shape) => (from, shape),
            None => ("", common("")?),
        };
    }
    None
}

/// An error with what caused it, as one text.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
