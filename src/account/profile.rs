//! Members of profiles that are kept sealed.

use std::fmt;

use serde_json::{Map, Value};

use super::update::Ends;
use super::{AccountError, Accounts};
use crate::crypto::blind_index::Normalization;
use crate::crypto::sealed::FieldContext;
use crate::error::{ConfigError, Error, ErrorKind};
use crate::id::{Subject, TenantId};
use crate::store::{Page, User};
use crate::vault::{FieldIndex, Progress, RowKey, Vault, VaultError};

/// Users in one batch.
const BATCH: u32 = 100;

/// The table profiles are bound to; the column is `profile` and the member, the row the user's id.
const TABLE: &str = "users";

/// Which members of users' profiles are sealed before they are stored, for
/// [`AccountsBuilder::with_sealed_profile`](super::AccountsBuilder::with_sealed_profile). It holds for users who come
/// after; a member that an earlier one has in clear is refused when the profile is opened, because whoever writes to the
/// database could have put it there. Seal those before.
///
/// A member that is found by its value has a companion in the profile, `<member>_index`, with its blind index: look for
/// [`Accounts::profile_candidates`] there, and open what was found before believing it.
pub struct SealedProfile {
    vault: Vault,
    members: Vec<Member>,
}

struct Member {
    name: String,
    /// The name of the companion, and what computes it.
    index: Option<(String, FieldIndex)>,
}

impl SealedProfile {
    /// Nothing is sealed at first.
    #[must_use]
    pub fn new(vault: Vault) -> Self {
        Self { vault, members: Vec::new() }
    }

    /// Seals this member.
    #[must_use]
    pub fn add_member(mut self, name: impl Into<String>) -> Self {
        self.members.push(Member { name: name.into(), index: None });
        self
    }

    /// Seals this member, and finds users by it if it is a text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the vault's provider has no keys for blind indexes.
    pub fn add_indexed_member(
        mut self,
        name: impl Into<String>,
        normalization: Normalization,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let column = format!("profile/{name}");
        let index =
            self.vault.blind_index(TABLE, &column, |index| index.with_normalization(normalization))?;
        self.members.push(Member { index: Some((format!("{name}_index"), index)), name });
        Ok(self)
    }

    /// What is stored instead of this profile.
    pub(super) fn seal(&self, user: &User) -> Result<Map<String, Value>, AccountError> {
        let mut profile = user.profile.clone();
        for member in &self.members {
            if let Some((companion, index)) = &member.index {
                profile.remove(companion);
                if let Some(text) = profile.get(&member.name).and_then(Value::as_str) {
                    let value = index.value(&user.tenant, text).to_string();
                    profile.insert(companion.clone(), value.into());
                }
            }
        }
        let pointers = self.pointers();
        let pointers: Vec<_> = pointers.iter().map(String::as_str).collect();
        let mut document = Value::Object(profile);
        self.vault.seal_fields(&mut document, &pointers, &context(user))?;
        Ok(into_map(document))
    }

    async fn open(&self, user: &User) -> Result<Map<String, Value>, VaultError> {
        let mut document = Value::Object(user.profile.clone());
        let pointers = self.pointers();
        let pointers: Vec<_> = pointers.iter().map(String::as_str).collect();
        self.vault.open_fields(&mut document, &pointers, &context(user)).await?;
        let mut profile = into_map(document);
        for (companion, _) in self.members.iter().filter_map(|member| member.index.as_ref()) {
            profile.remove(companion);
        }
        Ok(profile)
    }

    /// Whether a member is sealed, or its index made, with an older key, or the index is missing.
    fn is_due(&self, user: &User) -> bool {
        let text = |name: &str| user.profile.get(name).and_then(Value::as_str);
        self.members.iter().any(|member| {
            let Some(sealed) = text(&member.name).and_then(|text| text.parse().ok()) else { return false };
            let indexed = member.index.as_ref().is_some_and(|(companion, index)| {
                let stored = text(companion).and_then(|text| text.parse().ok());
                stored.is_none_or(|stored| index.needs_reindex(&stored))
            });
            self.vault.needs_reseal(&sealed) || indexed
        })
    }

    /// RFC 6901: `~` and `/` are escaped in the names of members.
    fn pointers(&self) -> Vec<String> {
        let pointer = |member: &Member| format!("/{}", member.name.replace('~', "~0").replace('/', "~1"));
        self.members.iter().map(pointer).collect()
    }
}

impl Accounts {
    /// A user's profile in clear: what is kept [sealed](super::AccountsBuilder::with_sealed_profile) is opened.
    ///
    /// # Errors
    ///
    /// [`AccountError::Failed`] if a member doesn't open, which is in the audit trail, or the vault fails.
    pub async fn profile(&self, user: &User) -> Result<Map<String, Value>, AccountError> {
        match &self.0.profile {
            Some(sealed) => Ok(sealed.open(user).await?),
            None => Ok(user.profile.clone()),
        }
    }

    /// Moves what is kept [sealed](super::AccountsBuilder::with_sealed_profile) of the profiles of one tenant to the newest
    /// keys, indexes included: the next batch of users, as [`Reseal::step`](crate::vault::Reseal::step) does for a column. It
    /// may be killed at any time, and goes on from where `progress` was kept, or from the start. Nobody is signed out.
    ///
    /// # Errors
    ///
    /// Whatever the store or the vault fails with; the same call goes on from there.
    pub async fn reseal_profiles(
        &self,
        tenant: &TenantId,
        progress: &mut Progress,
    ) -> Result<(), AccountError> {
        let Some(sealed) = &self.0.profile else {
            progress.ended = true;
            return Ok(());
        };
        progress.towards(sealed.vault.newest());
        let after = progress.after.as_ref().map(|row| Subject::parse(&row.id));
        let after = after.transpose().map_err(|source| {
            Error::new(ErrorKind::Corrupt, "the progress names no user").with_source(source)
        })?;
        let users = self.users(tenant, Page { after, limit: BATCH }).await?;
        progress.ended = users.is_empty();
        for user in users {
            if sealed.is_due(&user) {
                match sealed.open(&user).await {
                    Ok(profile) => {
                        let mut next = User { profile, ..user.clone() };
                        next.profile = sealed.seal(&next)?;
                        match self.try_write(&user, next, &Ends::Nothing).await? {
                            Some(_) => progress.resealed += 1,
                            None => progress.raced += 1,
                        }
                    }
                    Err(VaultError::DoesNotOpen(_)) => progress.refused += 1,
                    Err(VaultError::Failed(error)) => return Err(error.into()),
                }
            }
            progress.seen += 1;
            progress.after = Some(RowKey { tenant: tenant.clone(), id: user.id.to_string() });
        }
        Ok(())
    }

    /// What the companion `<member>_index` of a profile holds if the member has this value: one text for each key that is
    /// in use, as long as keys rotate. Nothing for a member that has no index. Found users may have another value, if
    /// rarely; open their profile to see.
    #[must_use]
    pub fn profile_candidates(&self, tenant: &TenantId, member: &str, value: &str) -> Vec<String> {
        let members = self.0.profile.iter().flat_map(|sealed| &sealed.members);
        let index = members.filter(|known| known.name == member).find_map(|known| known.index.as_ref());
        let values = index.map(|(_, index)| index.candidates(tenant, value)).unwrap_or_default();
        values.iter().map(ToString::to_string).collect()
    }
}

fn context(user: &User) -> FieldContext<'_> {
    FieldContext::new(&user.tenant, TABLE, "profile", user.id.as_str())
}

fn into_map(document: Value) -> Map<String, Value> {
    match document {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl fmt::Debug for SealedProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| &member.name)).finish()
    }
}
