//! One rule about rows, for the list that shows them and for the route of each: [`RowRule`].
//!
//! It is used in three ways that cannot disagree:
//!
//! | where | how |
//! |---|---|
//! | a list from a database | [`RowRule::visible_to`], then [`Condition::to_sql`]: text with parameters, and their values |
//! | rows in memory | [`Condition::allows`], or [`RowRule::allows`] for a single one |
//! | the route of one row | [`RowRule::policy`], with a loader; what a list would not show is 404 |
//!
//! A rule is made of questions to the row ([`field`]) and to who asks ([`holds`], [`holds_role`], [`by`]), put together by
//! [`all_of`], [`any_of`] and [`not`]. What hangs on who asks is decided once for a list; what remains is the
//! [`Condition`] on the rows.
//!
//! 1. Only principals that proved who they are see anything, also under [`not`].
//! 2. Only rows of their tenant: a rule is made for a column that names it, or for a single tenant.
//! 3. A row is shown if the rule is known to hold. Logic is that of the other policies and of SQL: a null, a missing
//!    field and a value of another kind are neither equal nor different.
//! 4. A token with scopes gains nothing by them, also under [`not`], and has no rights as an owner unless a scope covers
//!    a permission that the rule names ([`owner_or`]). A rule of fields alone looks at no scope: that is for the rule of
//!    the route.
//! 5. A policy that cannot answer at once is an error, and shows nothing.
//!
//! A row is judged as it was read. A statement that changes one should have the condition in its own `WHERE`.
//!
//! # Example
//!
//! ```
//! use portcullis::authz::policy::rows::{Dialect, Row, RowRule, Value, any_of, field, holds};
//! use portcullis::authz::{AccessRequest, Role, RoleModel};
//! use portcullis::{Principal, Subject, TenantId};
//!
//! let roles = RoleModel::builder().add(Role::new("moderator").grants("notes:moderate")).build()?;
//! let rule = RowRule::with_tenant_field(
//!     "tenant",
//!     any_of([field("owner").is_subject(), field("visibility").is("public"), holds("notes:moderate")]),
//!     &roles,
//! )?;
//!
//! let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
//! let seen = rule.visible_to(&AccessRequest::new(&ada, &roles, "list", "notes"))?;
//!
//! // From a database: bind the limit as the first parameter, then the values.
//! let sql = seen.to_sql(Dialect::Postgres, 1);
//! let statement = format!("SELECT id, title FROM notes WHERE {} LIMIT $1", sql.text);
//! assert_eq!(
//!     statement,
//!     "SELECT id, title FROM notes \
//!      WHERE (\"tenant\" = $2 AND (\"owner\" = $3 OR \"visibility\" = $4)) LIMIT $1"
//! );
//! assert_eq!(sql.values, ["default", "ada", "public"].map(Value::from));
//!
//! // From memory.
//! struct Note(&'static str, &'static str);
//! impl Row for Note {
//!     fn value(&self, field: &str) -> Option<Value<'_>> {
//!         Some(match field {
//!             "tenant" => "default".into(),
//!             "owner" => self.0.into(),
//!             "visibility" => self.1.into(),
//!             _ => return None,
//!         })
//!     }
//! }
//! let notes = [Note("ada", "private"), Note("bob", "private"), Note("bob", "public")];
//! assert_eq!(notes.iter().filter(|note| seen.allows(note)).count(), 2);
//!
//! // For whoever may see all of them, the tenant is what remains.
//! let moderator = ada.with_roles(["moderator"]);
//! let seen = rule.visible_to(&AccessRequest::new(&moderator, &roles, "list", "notes"))?;
//! assert_eq!(seen.to_sql(Dialect::Postgres, 0).text, "\"tenant\" = $1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod condition;
mod detail;
mod row_test;
mod sql;
mod value;

use std::fmt;
use std::sync::Arc;

use crate::authz::policy::tenant_is;
use crate::authz::{AccessRequest, RoleModel};
use crate::error::{ConfigError, Error};
use crate::id::TenantId;

pub use condition::Condition;
pub use row_test::{Field, RowTest, all_of, any_of, by, field, holds, holds_role, not, owner_or};
pub use sql::{Dialect, SqlCondition};
pub use value::{Row, Value};

/// Who sees which rows. Cheap to clone.
#[derive(Clone)]
pub struct RowRule(Arc<RowTest>);

impl RowRule {
    /// A rule for rows of many tenants, whose field `tenant_field` names theirs.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field's name cannot be a column's, a role is not defined, a permission is not granted by any
    /// role or is malformed, a field is compared with null or with values of several kinds, or the test is too large.
    pub fn with_tenant_field(
        tenant_field: &str,
        test: RowTest,
        roles: &RoleModel,
    ) -> Result<Self, ConfigError> {
        Self::build(field(tenant_field).is_tenant(), test, roles)
    }

    /// A rule for rows that all belong to this tenant, and that nobody of another sees.
    ///
    /// # Errors
    ///
    /// As for [`with_tenant_field`](Self::with_tenant_field).
    pub fn of_tenant(tenant: TenantId, test: RowTest, roles: &RoleModel) -> Result<Self, ConfigError> {
        Self::build(by(tenant_is(tenant)), test, roles)
    }

    fn build(tenant: RowTest, test: RowTest, roles: &RoleModel) -> Result<Self, ConfigError> {
        let rule = Self(Arc::new(all_of([tenant, test])));
        rule.validate(roles)?;
        Ok(rule)
    }

    /// Which rows whoever asks sees.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if a policy in the rule does not answer at once.
    pub fn visible_to(&self, request: &AccessRequest<'_>) -> Result<Condition, Error> {
        self.condition(request, true)
    }

    /// Whether whoever asks sees this row. For more than one, ask [`visible_to`](Self::visible_to) once.
    ///
    /// # Errors
    ///
    /// As for [`visible_to`](Self::visible_to).
    pub fn allows(&self, request: &AccessRequest<'_>, row: &(impl Row + ?Sized)) -> Result<bool, Error> {
        Ok(self.visible_to(request)?.allows(row))
    }

    /// Whether the rule can be satisfied with these roles, which may be others than it was built with.
    ///
    /// # Errors
    ///
    /// As for [`with_tenant_field`](Self::with_tenant_field).
    pub fn validate(&self, roles: &RoleModel) -> Result<(), ConfigError> {
        self.0.validate(roles)
    }

    /// Which rows are certainly not for whoever asks.
    fn denied_to(&self, request: &AccessRequest<'_>) -> Result<Condition, Error> {
        self.condition(request, false)
    }

    fn condition(&self, request: &AccessRequest<'_>, wanted: bool) -> Result<Condition, Error> {
        if request.principal().is_anonymous() {
            return Ok(Condition(condition::Node::Never));
        }
        condition::decided(&self.0, request, wanted).map(Condition)
    }
}

/// As it appears in the table of an access map.
impl fmt::Display for RowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowRule({self})")
    }
}

#[cfg(test)]
mod tests;
