//! The users' half.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Subject, TenantId};
use crate::store::UserStore;
use crate::store::memory::{MemoryStore, lock};
use crate::store::user::{LoginKey, LoginKeyKind, Page, User, UserInsertion, UserReplacement};

#[derive(Default)]
pub(super) struct Users {
    records: BTreeMap<(TenantId, Subject), User>,
    keys: HashMap<(TenantId, LoginKey), Subject>,
}

impl Users {
    /// The kind of the first key of `user` that belongs to somebody else.
    fn taken(&self, user: &User) -> Option<LoginKeyKind> {
        user.login_keys().find_map(|key| {
            let kind = key.kind();
            let owner = self.keys.get(&(user.tenant.clone(), key))?;
            (*owner != user.id).then_some(kind)
        })
    }

    fn put(&mut self, user: User) {
        for key in user.login_keys() {
            self.keys.insert((user.tenant.clone(), key), user.id.clone());
        }
        self.records.insert((user.tenant.clone(), user.id.clone()), user);
    }

    fn remove(&mut self, tenant: &TenantId, id: &Subject) -> bool {
        let Some(user) = self.records.remove(&(tenant.clone(), id.clone())) else { return false };
        for key in user.login_keys() {
            self.keys.remove(&(tenant.clone(), key));
        }
        true
    }
}

#[async_trait]
impl UserStore for MemoryStore {
    async fn insert(&self, user: &User) -> Result<UserInsertion> {
        let mut users = lock(&self.users);
        if users.records.contains_key(&(user.tenant.clone(), user.id.clone())) {
            return Ok(UserInsertion::IdExists);
        }
        if let Some(kind) = users.taken(user) {
            return Ok(UserInsertion::Duplicate(kind));
        }
        users.put(user.clone());
        Ok(UserInsertion::Inserted)
    }

    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>> {
        Ok(lock(&self.users).records.get(&(tenant.clone(), id.clone())).cloned())
    }

    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>> {
        let users = lock(&self.users);
        let Some(id) = users.keys.get(&(tenant.clone(), key.clone())) else { return Ok(None) };
        Ok(users.records.get(&(tenant.clone(), id.clone())).cloned())
    }

    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement> {
        let revision = next_revision(expected_revision)?;
        let mut users = lock(&self.users);
        match users.records.get(&(user.tenant.clone(), user.id.clone())) {
            Some(stored) if stored.revision == expected_revision => {}
            _ => return Ok(UserReplacement::Conflict),
        }
        if let Some(kind) = users.taken(user) {
            return Ok(UserReplacement::Duplicate(kind));
        }
        users.remove(&user.tenant, &user.id);
        users.put(User { revision, ..user.clone() });
        Ok(UserReplacement::Replaced)
    }

    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool> {
        Ok(lock(&self.users).remove(tenant, id))
    }

    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>> {
        let users = lock(&self.users);
        let from = match page.after {
            Some(id) => Bound::Excluded((tenant.clone(), id)),
            None => Bound::Unbounded,
        };
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let of_tenant = users.records.range((from, Bound::Unbounded)).map(|(_, user)| user);
        Ok(of_tenant.filter(|user| user.tenant == *tenant).take(limit).cloned().collect())
    }
}

pub(super) fn next_revision(expected: u64) -> Result<u64> {
    expected.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Internal, "a revision is out of range"))
}
