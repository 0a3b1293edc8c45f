//! The last holder of the guarded role, on compare-and-swap alone.
//!
//! Who takes the role from a user `t` (1) reads `t`, (2) finds another active holder `w`, the witness, (3) writes `w` back
//! as it was read, (4) writes `t`. If (3) or (4) meets another revision, all of it is done again.
//!
//! Why somebody is always left: suppose after (4) nobody is. Then `w`, a holder at (3), was taken the role between (3) and
//! (4), by somebody who read `w` after (3), because (3) changed its revision, and wrote back a witness of their own after
//! that. That witness is not `t`, or (4) had failed; and nobody is left, so it lost the role before (4) too, to somebody
//! who wrote back yet another witness still later, and so on. Between (3) and (4) there is no room for that without end.
//!
//! The same keeps apart two who change each other, whatever their roles: who acts on an equal is written back as well, so
//! that of the two changes one is decided on what the other wrote.

use super::reach::{defined, names};
use crate::account::{AccountError, Accounts};
use crate::authz::RoleModel;
use crate::error::Result;
use crate::id::{Subject, TenantId};
use crate::store::{Page, User, UserReplacement, UserStatus};

/// How many users are looked at with one call.
const PAGE: u32 = 100;

impl Accounts {
    /// Writes back those on whom it rests that `before` may become `after`: the witness, and whoever acts on an equal.
    /// Returns `false` if one of them changed meanwhile.
    pub(super) async fn held_in_place(
        &self,
        model: &RoleModel,
        acting: Option<User>,
        before: &User,
        after: &User,
    ) -> Result<bool, AccountError> {
        let acting = acting.filter(|acting| acting.id != before.id);
        let mut in_place = Vec::with_capacity(2);
        if let Some(role) = self.0.guarded_role.as_deref().filter(|role| loses(model, role, before, after)) {
            let witness = match acting.as_ref().filter(|acting| holds(model, role, acting)) {
                Some(acting) => Some(acting.clone()),
                None => self.another_holder(model, role, &before.tenant, &before.id).await?,
            };
            in_place.push(witness.ok_or_else(|| AccountError::LastHolder(role.to_owned()))?);
        }
        let tenant = &before.tenant;
        let equal = acting
            .filter(|acting| model.dominates(tenant, names(before), defined(model, tenant, names(acting))));
        if let Some(acting) = equal.filter(|acting| in_place.iter().all(|witness| witness.id != acting.id)) {
            in_place.push(acting);
        }
        for user in &in_place {
            if self.0.users.replace(user, user.revision).await? != UserReplacement::Replaced {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn another_holder(
        &self,
        model: &RoleModel,
        role: &str,
        tenant: &TenantId,
        than: &Subject,
    ) -> Result<Option<User>> {
        let mut after = None;
        loop {
            let users = self.0.users.list(tenant, Page { after, limit: PAGE }).await?;
            let Some(last) = users.last() else { return Ok(None) };
            after = Some(last.id.clone());
            if let Some(found) = users.into_iter().find(|user| user.id != *than && holds(model, role, user)) {
                return Ok(Some(found));
            }
        }
    }
}

/// Whether a user may sign in and has the role, by itself or by inheritance.
fn holds(model: &RoleModel, role: &str, user: &User) -> bool {
    user.status == UserStatus::Active && names(user).any(|held| model.includes(&user.tenant, held, role))
}

fn loses(model: &RoleModel, role: &str, before: &User, after: &User) -> bool {
    holds(model, role, before) && !holds(model, role, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Role;
    use crate::time::Timestamp;

    #[test]
    fn what_takes_the_guarded_role_away() {
        let model = RoleModel::builder()
            .add(Role::new("user"))
            .add(Role::new("admin").inherits("user"))
            .add(Role::new("superadmin").inherits("admin"))
            .build()
            .unwrap();
        let user = |(roles, status): (&[&str], UserStatus)| {
            let id = Subject::parse("ada").unwrap();
            let mut user = User::new(TenantId::default(), id, Timestamp::UNIX_EPOCH);
            user.roles = roles.iter().map(|role| (*role).to_owned()).collect();
            user.status = status;
            user
        };
        use UserStatus::{Active, Deleted, Disabled};
        type State = (&'static [&'static str], UserStatus);
        let rows: [(&str, State, State, bool); 10] = [
            ("demoted", (&["admin"], Active), (&["user"], Active), true),
            ("stripped", (&["admin", "user"], Active), (&[], Active), true),
            ("disabled", (&["admin"], Active), (&["admin"], Disabled), true),
            ("deleted", (&["superadmin"], Active), (&["superadmin"], Deleted), true),
            ("a higher one demoted", (&["superadmin"], Active), (&["user"], Active), true),
            ("a higher one becomes one", (&["superadmin"], Active), (&["admin"], Active), false),
            ("promoted", (&["admin"], Active), (&["superadmin"], Active), false),
            ("never was one", (&["user"], Active), (&["user"], Deleted), false),
            ("was not active", (&["admin"], Disabled), (&["user"], Disabled), false),
            ("another role", (&["admin", "user"], Active), (&["admin"], Active), false),
        ];
        for (name, before, after, want) in rows {
            assert_eq!(loses(&model, "admin", &user(before), &user(after)), want, "{name}");
        }
    }
}
