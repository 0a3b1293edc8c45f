//! The stored form of a user. Kept apart from [`User`] so that the record itself is never serializable.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Subject, TenantId};
use crate::password::PasswordHash;
use crate::principal::Epoch;
use crate::store::user::{FederatedIdentity, LoginName, User, UserStatus};
use crate::time::Timestamp;

/// What nests deeper could be written, but not read back.
const MAX_PROFILE_DEPTH: usize = 100;

pub(super) fn user_to_json(user: &User) -> Result<String> {
    if !user.profile.values().all(|value| nests_at_most(MAX_PROFILE_DEPTH, value)) {
        return Err(Error::new(ErrorKind::Internal, "a profile nests too deep to be stored"));
    }
    let mut bytes = Vec::with_capacity(512);
    UserForm::serialize(user, &mut serde_json::Serializer::new(&mut bytes)).map_err(|source| {
        Error::new(ErrorKind::Internal, "a user cannot be written as json").with_source(source)
    })?;
    String::from_utf8(bytes).map_err(|source| {
        Error::new(ErrorKind::Internal, "a user cannot be written as json").with_source(source)
    })
}

fn nests_at_most(levels: usize, value: &Value) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Array(items) => items.iter().all(|item| nests_at_most(below, item)),
        Value::Object(fields) => fields.values().all(|field| nests_at_most(below, field)),
        _ => true,
    }
}

pub(super) fn user_from_json(json: &str) -> Result<User> {
    let corrupt = |source: serde_json::Error| {
        Error::new(ErrorKind::Corrupt, "a stored user cannot be read").with_source(source)
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let user = UserForm::deserialize(&mut deserializer).map_err(corrupt)?;
    deserializer.end().map_err(corrupt)?;
    Ok(user)
}

/// Mirrors [`User`] field by field; the derive refuses to compile if the two part.
#[derive(Serialize, Deserialize)]
#[serde(remote = "User")]
struct UserForm {
    tenant: TenantId,
    id: Subject,
    revision: u64,
    username: Option<LoginName>,
    email: Option<LoginName>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default, with = "hash")]
    password: Option<PasswordHash>,
    #[serde(default, with = "hashes")]
    password_history: Vec<PasswordHash>,
    #[serde(default)]
    password_changed_at: Option<Timestamp>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    identities: Vec<FederatedIdentity>,
    epoch: Epoch,
    status: UserStatus,
    #[serde(default)]
    profile: Map<String, Value>,
    created_at: Timestamp,
}

mod hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::password::PasswordHash;

    pub(super) fn serialize<S: Serializer>(
        hash: &Option<PasswordHash>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        hash.as_ref().map(PasswordHash::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PasswordHash>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(PasswordHash::from_stored))
    }
}

mod hashes {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::password::PasswordHash;

    pub(super) fn serialize<S: Serializer>(
        hashes: &[PasswordHash],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(PasswordHash::expose))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PasswordHash>, D::Error> {
        Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(PasswordHash::from_stored).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut user = User::new(TenantId::default(), Subject::parse("u1").unwrap(), Timestamp::from_secs(5));
        user.username = Some(LoginName { text: "Ada".into(), canonical: "ada".into() });
        user.password = Some(PasswordHash::from_stored("$argon2id$canary".into()));
        user.password_history = vec![PasswordHash::from_stored("$2b$old".into())];
        user.identities = vec![FederatedIdentity { issuer: "https://id".into(), subject: "1".into() }];
        user.epoch = Epoch { security: 3, grants: 4 };
        user.profile.insert("full_name".into(), "Ada L.".into());
        assert_eq!(User::from_json(&user.to_json().unwrap()).unwrap(), user);
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        for (levels, fine) in [(99, true), (100, false), (120, false)] {
            let nested = (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
            let mut user =
                User::new(TenantId::default(), Subject::parse("u1").unwrap(), Timestamp::from_secs(5));
            user.profile.insert("deep".into(), nested);
            match user.to_json() {
                Ok(json) => assert!(fine && User::from_json(&json).unwrap() == user, "{levels}"),
                Err(error) => assert!(!fine && error.kind() == ErrorKind::Internal, "{levels}"),
            }
        }
    }

    #[test]
    fn anything_else_is_corrupt() {
        for json in ["", "{}", "null", "[]", "{\"tenant\":\"\"}"] {
            assert_eq!(User::from_json(json).unwrap_err().kind(), ErrorKind::Corrupt, "{json}");
        }
    }
}
