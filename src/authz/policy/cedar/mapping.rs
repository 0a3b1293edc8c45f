//! From our words to Cedar's: entities and contexts.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::schema::Action;
use super::value::{Record, Resource, Value};
use crate::authz::RoleModel;
use crate::id::{Subject, TenantId};
use crate::principal::{Actor, Assurance, Principal, PrincipalKind};
use crate::time::Timestamp;

/// What may be declared for a `User`, and for the context.
pub(super) const OF_USERS: &[&str] =
    &["actor", "assurance", "auth_time", "kind", "scopes", "subject", "tenant"];
pub(super) const OF_CONTEXTS: &[&str] = &["method", "now", "path"];

/// The type of a resource that nothing else is said about.
pub(super) const ROUTE: &str = "Route";

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// What could not be put into Cedar's words. Says nothing of the values themselves.
pub(super) type Unfit = Box<dyn std::error::Error + Send + Sync>;

/// One question, in our words.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) principal: &'a Principal,
    pub(super) roles: &'a RoleModel,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) context: Option<&'a Record>,
    pub(super) now: Timestamp,
}

/// What is asked for, in our words.
pub(super) enum About<'a> {
    Path,
    Loaded { kind: &'a EntityTypeName, id: &'a str, resource: &'a Resource },
}

type Pairs = HashMap<String, RestrictedExpression>;

impl Asked<'_> {
    /// Who asks, with the attributes that the schema declares.
    pub(super) fn user(&self, action: &Action) -> Result<Entity, Unfit> {
        let principal = self.principal;
        let kind = action.user.as_ref().ok_or("the action is not for users")?;
        let subject = principal.subject().ok_or("nobody asks")?;
        let mut attributes = Pairs::new();
        for name in &action.user_attributes {
            let value = match name.as_str() {
                "tenant" => Some(text(principal.tenant().as_str())),
                "subject" => Some(text(subject.as_str())),
                "kind" => Some(text(kind_of(principal.kind()))),
                "assurance" => Some(RestrictedExpression::new_long(level(principal.assurance()))),
                "auth_time" => principal.auth_time().map(datetime).transpose()?,
                "scopes" => principal.scopes().map(|scopes| RestrictedExpression::new_set(scopes.map(text))),
                "actor" => principal.actor().map(|actor| text(actor.sub.as_str())),
                _ => None,
            };
            attributes.extend(value.map(|value| (name.clone(), value)));
        }
        let parents = match &action.role {
            Some(role) => self.held().map(|name| entity(role.clone(), name)).collect(),
            None => HashSet::new(),
        };
        Ok(Entity::new(owned(kind, principal.tenant(), subject.as_str()), attributes, parents)?)
    }

    /// The roles held, and those they inherit from. A role that is not defined is none.
    fn held(&self) -> impl Iterator<Item = &str> {
        let (tenant, roles) = (self.principal.tenant(), self.roles);
        let names = roles.names(tenant).into_iter();
        names.filter(move |wanted| self.principal.roles().any(|held| roles.includes(tenant, held, wanted)))
    }

    /// What is asked for.
    pub(super) fn resource(&self, action: &Action, about: &About<'_>) -> Result<Entity, Unfit> {
        let (kind, id, resource) = match about {
            About::Path => {
                let kind = action.resource(ROUTE).ok_or("the action is not for routes")?;
                return Ok(Entity::with_uid(entity(kind.clone(), self.path)));
            }
            About::Loaded { kind, id, resource } => (kind, id, resource),
        };
        let tenant = self.principal.tenant();
        let parents = resource.parents.iter();
        let parents = parents.map(|(kind, id)| Ok(owned(&action.named(kind)?, tenant, id)));
        let attributes = self.pairs(action, &resource.attributes)?;
        Ok(Entity::new(owned(kind, tenant, id), attributes, parents.collect::<Result<_, Unfit>>()?)?)
    }

    /// What else is known, as far as the schema declares it. Our own values stand before those of the application.
    pub(super) fn context(&self, action: &Action) -> Result<Pairs, Unfit> {
        let mut pairs = self.context.map_or_else(|| Ok(Pairs::new()), |more| self.pairs(action, more))?;
        for name in &action.context {
            let value = match name.as_str() {
                "method" => text(self.method),
                "path" => text(self.path),
                "now" => datetime(self.now)?,
                _ => continue,
            };
            pairs.insert(name.clone(), value);
        }
        Ok(pairs)
    }

    fn pairs(&self, action: &Action, record: &Record) -> Result<Pairs, Unfit> {
        record.0.iter().map(|(name, value)| Ok((name.clone(), self.value(action, value)?))).collect()
    }

    fn value(&self, action: &Action, value: &Value) -> Result<RestrictedExpression, Unfit> {
        let tenant = self.principal.tenant();
        Ok(match value {
            Value::Bool(value) => RestrictedExpression::new_bool(*value),
            Value::Long(value) => RestrictedExpression::new_long(*value),
            Value::Text(value) => text(value),
            Value::Time(at) => datetime(*at)?,
            Value::Address(address) => RestrictedExpression::new_ip(address.to_string()),
            Value::Decimal(value) => RestrictedExpression::new_decimal(value),
            Value::User(subject) => {
                let kind = action.user.as_ref().ok_or("the action is not for users")?;
                RestrictedExpression::new_entity_uid(owned(kind, tenant, subject.as_str()))
            }
            Value::Role(name) => RestrictedExpression::new_entity_uid(entity(action.named("Role")?, name)),
            Value::Entity { kind, id } => {
                RestrictedExpression::new_entity_uid(owned(&action.named(kind)?, tenant, id))
            }
            Value::Set(values) => {
                let values = values.iter().map(|value| self.value(action, value));
                RestrictedExpression::new_set(values.collect::<Result<Vec<_>, Unfit>>()?)
            }
            Value::Record(record) => RestrictedExpression::new_record(self.pairs(action, record)?)?,
        })
    }
}

/// Somebody who has everything a principal can have, and somebody who has nothing that can be missing: what the schema
/// says must fit both.
pub(super) fn samples(roles: Option<&RoleModel>) -> Result<[Principal; 2], Unfit> {
    let subject = Subject::parse("sample")?;
    let bare = Principal::user(TenantId::default(), subject.clone());
    let full = bare
        .clone()
        .with_roles(roles.map(|roles| roles.names(bare.tenant())).unwrap_or_default())
        .with_scopes(["*:*"])
        .with_auth_time(Timestamp::UNIX_EPOCH)
        .with_actor(Actor { sub: subject });
    Ok([full, bare])
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn entity(kind: EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// An entity of a tenant. The tenant ends at the first slash: slashes in its own name are escaped, and `%` cannot
/// stand in it, so no two pairs of tenant and id meet in one text.
pub(super) fn owned(kind: &EntityTypeName, tenant: &TenantId, id: &str) -> EntityUid {
    entity(kind.clone(), &format!("{}/{id}", tenant.as_str().replace('/', "%2F")))
}

fn kind_of(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Anonymous => "anonymous",
        PrincipalKind::User => "user",
        PrincipalKind::ApiKey => "api_key",
        PrincipalKind::Service => "service",
    }
}

fn level(assurance: Option<Assurance>) -> i64 {
    match assurance {
        None => 0,
        Some(Assurance::Aal1) => 1,
        Some(Assurance::Aal2) => 2,
        Some(Assurance::Aal3) => 3,
    }
}

/// Cedar reads times as text.
fn datetime(at: Timestamp) -> Result<RestrictedExpression, Unfit> {
    Ok(RestrictedExpression::new_datetime(iso(at).ok_or("a time lies outside of the years 0 to 9999")?))
}

/// RFC 3339 in milliseconds, after Howard Hinnant's `civil_from_days`.
fn iso(at: Timestamp) -> Option<String> {
    let millis = at.as_micros().div_euclid(1000);
    let (days, rest) = (millis.div_euclid(DAY_MILLIS), millis.rem_euclid(DAY_MILLIS));
    // Days since 0000-03-01, so that a leap day ends a year.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (seconds, millis) = (rest / 1000, rest % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_cedar_reads_them() {
        for (micros, want) in [
            (0, Some("1970-01-01T00:00:00.000Z")),
            (-1, Some("1969-12-31T23:59:59.999Z")),
            (951_782_400_000_000, Some("2000-02-29T00:00:00.000Z")),
            (4_107_542_399_999_999, Some("2100-02-28T23:59:59.999Z")),
            (4_107_542_400_000_000, Some("2100-03-01T00:00:00.000Z")),
            (1_767_225_600_123_456, Some("2026-01-01T00:00:00.123Z")),
            (253_402_300_799_999_999, Some("9999-12-31T23:59:59.999Z")),
            (253_402_300_800_000_000, None),
            (-62_167_219_200_000_000, Some("0000-01-01T00:00:00.000Z")),
            (-62_167_219_200_000_001, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(iso(Timestamp::from_micros(micros)).as_deref(), want, "{micros}");
        }
    }

    #[test]
    fn no_two_tenants_meet_in_one_entity() {
        let kind: EntityTypeName = "User".parse().unwrap();
        let of = |tenant: &str, id: &str| owned(&kind, &TenantId::parse(tenant).unwrap(), id).to_string();
        assert_eq!(of("acme", "ada"), r#"User::"acme/ada""#);
        for (left, right) in [
            (("a", "b/c"), ("a/b", "c")),
            (("a/", "b"), ("a", "/b")),
            (("a", "b"), ("b", "a")),
            (("a", "x%2Fy"), ("a/x", "y")),
            (("a", "%2Fb/c"), ("a/b", "c")),
        ] {
            assert_ne!(of(left.0, left.1), of(right.0, right.1), "{left:?} and {right:?}");
        }
    }
}
