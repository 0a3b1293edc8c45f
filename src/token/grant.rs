//! What a sign-in established, kept with its refresh tokens and repeated in every access token that comes of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::principal::{Actor, AuthMethod};
use crate::time::Timestamp;

/// What a sign-in established. Refreshing does not change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// How the user proved who they are.
    pub auth_methods: Vec<AuthMethod>,
    /// When.
    pub auth_time: Timestamp,
    /// What the tokens are limited to; `None` for everything the user may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Who acts on the user's behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
}

impl Grant {
    /// A sign-in by these methods at this time, not limited to scopes.
    #[must_use]
    pub fn new(auth_methods: impl IntoIterator<Item = AuthMethod>, auth_time: Timestamp) -> Self {
        Self { auth_methods: auth_methods.into_iter().collect(), auth_time, scopes: None, actor: None }
    }

    /// Limits the tokens to these scopes.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    pub(crate) fn to_data(&self) -> Result<Map<String, Value>> {
        match serde_json::to_value(self) {
            Ok(Value::Object(data)) => Ok(data),
            Ok(_) => Err(Error::new(ErrorKind::Internal, "a grant is not an object")),
            Err(source) => {
                Err(Error::new(ErrorKind::Internal, "a grant cannot be written").with_source(source))
            }
        }
    }

    pub(crate) fn from_data(data: &Map<String, Value>) -> Result<Self> {
        Self::deserialize(data).map_err(|source| {
            Error::new(ErrorKind::Corrupt, "a stored grant cannot be read").with_source(source)
        })
    }
}
