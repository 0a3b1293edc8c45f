//! When a token is valid.

use std::time::Duration;

use crate::time::Timestamp;
use crate::token::codec::{LEEWAY_SECS, TokenError};

/// The times of a token, in seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) nbf: Option<i64>,
}

impl Times {
    pub(super) fn check(self, now: Timestamp) -> Result<(), TokenError> {
        let latest = now + Duration::from_secs(LEEWAY_SECS);
        let [iat, exp] = [self.iat, self.exp].map(Timestamp::from_secs);
        if exp <= iat {
            return Err(TokenError::Invalid("`exp` is not later than `iat`"));
        }
        if iat > latest {
            return Err(TokenError::Invalid("`iat` lies in the future"));
        }
        if self.nbf.is_some_and(|nbf| Timestamp::from_secs(nbf) > latest) {
            return Err(TokenError::Invalid("`nbf` lies in the future"));
        }
        if exp <= now {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}
