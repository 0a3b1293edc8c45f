//! The one way a user is changed.

use crate::account::{AccountError, Accounts};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Subject, TenantId};
use crate::principal::Epoch;
use crate::store::{Kinds, User, UserReplacement};

/// How often a change is tried before the answer is 503.
pub(super) const MAX_TRIES: usize = 8;

/// What a change of a user ends.
pub(super) enum Ends {
    /// Nothing: credentials live on.
    Nothing,
    /// Credentials of these kinds, because rights changed.
    Rights(Kinds),
    /// Credentials of these kinds, because something changed that they rest on.
    Security(Kinds),
}

impl Accounts {
    /// Changes a user. `change` sees the user as stored, checks what it was decided on, and says what the change ends;
    /// it is asked again, about the user as it then is, whenever somebody else was faster.
    ///
    /// Revokes first, writes second. Until the write has happened nobody can be issued anything at the new floor
    /// without writing the user, and that makes this write lose and start over with a higher floor.
    pub(super) async fn update(
        &self,
        tenant: &TenantId,
        id: &Subject,
        mut change: impl FnMut(&mut User) -> Result<Ends, AccountError>,
    ) -> Result<User, AccountError> {
        for _ in 0..MAX_TRIES {
            let stored = self.user(tenant, id).await?;
            let mut next = stored.clone();
            let ends = change(&mut next)?;
            if let Some(written) = self.try_write(&stored, next, &ends).await? {
                return Ok(written);
            }
        }
        Err(contended().into())
    }

    /// One try of a change: revokes what it ends, then writes. `None` if somebody else was faster.
    pub(super) async fn try_write(
        &self,
        stored: &User,
        mut next: User,
        ends: &Ends,
    ) -> Result<Option<User>, AccountError> {
        let (tenant, id) = (&stored.tenant, &stored.id);
        match *ends {
            Ends::Nothing => {}
            Ends::Rights(kinds) => {
                next.epoch.grants = raised(stored.epoch.grants)?;
                let below = Epoch { security: 0, grants: next.epoch.grants };
                self.0.tokens.revoke_subject(tenant, id, kinds, below).await?;
            }
            Ends::Security(kinds) => {
                next.epoch.security = raised(stored.epoch.security)?;
                let below = Epoch { security: next.epoch.security, grants: 0 };
                self.0.tokens.revoke_subject(tenant, id, kinds, below).await?;
            }
        }
        match self.0.users.replace(&next, stored.revision).await? {
            UserReplacement::Replaced => {
                next.revision = stored.revision.saturating_add(1);
                Ok(Some(next))
            }
            UserReplacement::Conflict => Ok(None),
            UserReplacement::Duplicate(kind) => Err(AccountError::Taken(kind)),
        }
    }

    /// Lifts a user who was just verified to `floor`, so that tokens can be issued. The write makes any change that
    /// set this floor and has not been written yet start over with a higher one. `None` if the user changed meanwhile.
    pub(super) async fn adopt_floor(&self, user: User, floor: Epoch) -> Result<Option<User>, AccountError> {
        if !user.epoch.is_below(floor) {
            return Ok(Some(user));
        }
        let expected = user.revision;
        let mut next = user;
        next.epoch = next.epoch.max(floor);
        match self.0.users.replace(&next, expected).await? {
            UserReplacement::Replaced => {
                next.revision = expected.saturating_add(1);
                Ok(Some(next))
            }
            UserReplacement::Conflict | UserReplacement::Duplicate(_) => Ok(None),
        }
    }
}

pub(super) fn contended() -> Error {
    Error::new(ErrorKind::Unavailable, "a user is being changed by too many at once")
}

fn raised(counter: u32) -> Result<u32> {
    counter.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Internal, "an epoch counter is exhausted"))
}
