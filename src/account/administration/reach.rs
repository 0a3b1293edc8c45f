//! How far somebody's rights reach.

use super::trail::Attempt;
use crate::account::{AccountError, Accounts, By};
use crate::authz::{AccessRequest, Refused, RoleModel};
use crate::error::Result;
use crate::id::TenantId;
use crate::store::{User, UserStatus};

impl Accounts {
    /// Whether a user may be given these roles who isn't there yet.
    pub(in crate::account) async fn may_give(
        &self,
        by: By<'_>,
        tenant: &TenantId,
        roles: &[String],
    ) -> Result<(), AccountError> {
        let attempt = Attempt { by, tenant, action: "create", target: None, gives: roles };
        let model = self.0.authorizer.roles();
        known(&model, tenant, roles)?;
        if !by.is_of(tenant) {
            return Err(self.refused(&attempt, AccountError::UnknownUser).await);
        }
        let acting = self.acting(by, tenant, None).await?;
        match reaches(&model, by, acting.as_ref(), roles.iter().map(String::as_str)) {
            Ok(()) => Ok(()),
            Err(why) => Err(self.refused(&attempt, AccountError::Refused(why)).await),
        }
    }

    /// Whoever acts, as stored; `target` is what was read already.
    pub(super) async fn acting(
        &self,
        by: By<'_>,
        tenant: &TenantId,
        target: Option<&User>,
    ) -> Result<Option<User>> {
        let Some(subject) = by.subject() else { return Ok(None) };
        match target.filter(|target| target.id == *subject) {
            Some(target) => Ok(Some(target.clone())),
            None => self.0.users.get(tenant, subject).await,
        }
    }
}

/// Whether the model defines all of these roles for the tenant.
pub(super) fn known(model: &RoleModel, tenant: &TenantId, roles: &[String]) -> Result<(), AccountError> {
    match roles.iter().find(|role| !model.contains(tenant, role)) {
        Some(unknown) => Err(AccountError::UnknownRole(unknown.clone())),
        None => Ok(()),
    }
}

/// Whether whoever acts, stored as `acting`, may give, take away, or change somebody who holds the roles `involved`.
///
/// A token with scopes reaches none of them, unless one is `*:*`: scopes name permissions, and what a role opens by its
/// name is more than those ([`AccessRequest::has_role`]).
pub(super) fn reaches<'r>(
    model: &RoleModel,
    by: By<'_>,
    acting: Option<&User>,
    involved: impl IntoIterator<Item = &'r str>,
) -> std::result::Result<(), Refused> {
    let principal = match by {
        By::Application(_) => return Ok(()),
        By::Principal(principal) if principal.is_anonymous() => return Err(Refused::Unauthenticated),
        By::Principal(principal) => principal,
    };
    let acting = acting.filter(|acting| acting.status == UserStatus::Active).ok_or(Refused::Forbidden)?;
    // The rule of the route was decided on what the token says. Its holder may have been demoted since.
    let tenant = principal.tenant();
    if !model.dominates(tenant, names(acting), defined(model, tenant, principal.roles())) {
        return Err(Refused::Forbidden);
    }
    let involved: Vec<&str> = defined(model, tenant, involved).collect();
    if !model.dominates(tenant, principal.roles(), involved.iter().copied()) {
        return Err(Refused::Forbidden);
    }
    let request = AccessRequest::new(principal, model, "administrate", "account");
    if involved.iter().all(|role| request.has_role(role)) { Ok(()) } else { Err(Refused::InsufficientScope) }
}

pub(super) fn names(user: &User) -> impl Iterator<Item = &str> {
    user.roles.iter().map(String::as_str)
}

/// Without roles that were taken out of the model since they were given: those grant nothing.
pub(super) fn defined<'r>(
    model: &RoleModel,
    tenant: &TenantId,
    roles: impl IntoIterator<Item = &'r str>,
) -> impl Iterator<Item = &'r str> {
    roles.into_iter().filter(move |role| model.contains(tenant, role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Role;
    use crate::id::Subject;
    use crate::principal::Principal;
    use crate::time::Timestamp;

    #[test]
    fn how_far_somebody_reaches() {
        let model = RoleModel::builder()
            .add(Role::new("user").grants("tasks:read"))
            .add(Role::new("admin").inherits("user").grants("users:*"))
            .add(Role::new("superadmin").inherits("admin"))
            .build()
            .unwrap();
        let ada = || Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
        let admin = ada().with_roles(["admin"]);
        let stored = |roles: &[&str]| {
            let mut user =
                User::new(TenantId::default(), Subject::parse("ada").unwrap(), Timestamp::UNIX_EPOCH);
            user.roles = roles.iter().map(|role| (*role).to_owned()).collect();
            Some(user)
        };
        let disabled = stored(&["admin"]).map(|user| User { status: UserStatus::Disabled, ..user });
        let faded = ada().with_roles(["admin", "retired"]);
        let limited = |scope: &'static str| admin.clone().with_scopes([scope]);
        let nobody = Principal::anonymous(TenantId::default()).with_roles(["admin"]);
        let (forbidden, scope) = (Err(Refused::Forbidden), Err(Refused::InsufficientScope));
        type Row<'a> = (&'a str, &'a Principal, Option<User>, &'a [&'a str], Result<(), Refused>);
        let rows: [Row<'_>; 20] = [
            ("below", &admin, stored(&["admin"]), &["user"], Ok(())),
            ("equal", &admin, stored(&["admin"]), &["admin", "user"], Ok(())),
            ("above", &admin, stored(&["admin"]), &["user", "superadmin"], forbidden),
            ("who holds nothing", &admin, stored(&["admin"]), &[], Ok(())),
            ("a role that is gone", &admin, stored(&["admin"]), &["retired"], Ok(())),
            ("one that is gone, in the token", &faded, stored(&["admin"]), &["user"], Ok(())),
            ("no roles", &ada(), stored(&["admin"]), &["user"], forbidden),
            ("more stored than in the token", &admin, stored(&["superadmin"]), &["superadmin"], forbidden),
            ("promoted, and asks as before", &admin, stored(&["superadmin"]), &["admin"], Ok(())),
            ("demoted", &admin, stored(&["user"]), &["admin"], forbidden),
            ("demoted, what is left would do", &admin, stored(&["user"]), &["user"], forbidden),
            ("demoted, nothing involved", &admin, stored(&["user"]), &[], forbidden),
            ("disabled", &admin, disabled, &["user"], forbidden),
            ("no account", &admin, None, &["user"], forbidden),
            ("anonymous", &nobody, None, &[], Err(Refused::Unauthenticated)),
            ("a limited token", &limited("users:*"), stored(&["admin"]), &["user"], scope),
            ("one that covers the role", &limited("tasks:read"), stored(&["admin"]), &["user"], scope),
            ("one for everything", &limited("*:*"), stored(&["admin"]), &["user"], Ok(())),
            ("limited, nothing involved", &limited("users:*"), stored(&["admin"]), &[], Ok(())),
            ("limited, above", &limited("*:*"), stored(&["admin"]), &["superadmin"], forbidden),
        ];
        for (name, principal, acting, involved, want) in rows {
            let by = By::Principal(principal);
            let got = reaches(&model, by, acting.as_ref(), involved.iter().copied());
            assert_eq!(got, want, "{name}");
        }
        let application = By::Application("test");
        assert_eq!(reaches(&model, application, None, ["superadmin"]), Ok(()));
    }
}
