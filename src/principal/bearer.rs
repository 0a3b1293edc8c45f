//! A principal made in one step.

use std::sync::Arc;

use super::names::{Few, Names};
use super::{Actor, AuthMethod, Epoch, Inner, Principal, PrincipalKind};
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::time::Timestamp;

/// What an access token says of a user.
pub(crate) struct Bearer {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Subject,
    pub(crate) roles: Names,
    pub(crate) scopes: Option<Names>,
    pub(crate) actor: Option<Actor>,
    pub(crate) auth_methods: Few<AuthMethod, 8>,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) family: Option<FamilyId>,
    pub(crate) token: TokenId,
    pub(crate) epoch: Epoch,
    pub(crate) expires_at: Timestamp,
    pub(crate) claims: Arc<str>,
}

impl From<Bearer> for Principal {
    fn from(bearer: Bearer) -> Self {
        Self(Arc::new(Inner {
            kind: PrincipalKind::User,
            tenant: bearer.tenant,
            subject: Some(bearer.subject),
            roles: bearer.roles,
            scopes: bearer.scopes,
            actor: bearer.actor,
            auth_methods: bearer.auth_methods,
            auth_time: bearer.auth_time,
            family: bearer.family,
            token: Some(bearer.token),
            epoch: bearer.epoch,
            expires_at: Some(bearer.expires_at),
            claims: Some(bearer.claims),
        }))
    }
}

#[cfg(test)]
impl Principal {
    /// How many hold this very principal.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// All that can be asked about it.
    pub(crate) fn everything(&self) -> String {
        let scopes = self.scopes().map(Iterator::collect::<Vec<_>>);
        let who = (self, self.kind(), self.is_anonymous(), self.tenant(), self.subject(), self.actor());
        let rights = (self.roles().collect::<Vec<_>>(), scopes);
        let proof = (self.auth_methods(), self.assurance(), self.auth_time(), self.family(), self.token());
        format!("{who:?} {rights:?} {proof:?} {:?}", (self.epoch(), self.expires_at(), self.claims_json()))
    }
}
