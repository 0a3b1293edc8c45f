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

/// What has to be asked again of times that were right once. [`Times::check`] alone makes one.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// `iat` or `nbf`, whichever is later.
    from: i64,
    exp: i64,
}

impl Window {
    pub(super) fn holds(self, now: Timestamp) -> bool {
        let latest = now + Duration::from_secs(LEEWAY_SECS);
        Timestamp::from_secs(self.from) <= latest && Timestamp::from_secs(self.exp) > now
    }
}

impl Times {
    /// Whether the token is valid now, and what is left to ask later.
    pub(super) fn check(self, now: Timestamp) -> Result<Window, TokenError> {
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
        Ok(Window { from: self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat)), exp: self.exp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the times were when they were right, later the window says what they would say.
    #[test]
    fn a_window_is_what_is_left_of_times() {
        const AT: i64 = 1_767_225_600;
        for nbf in [None, Some(AT - 20), Some(AT + 3), Some(AT + 60), Some(AT + 90)] {
            let times = Times { iat: AT, exp: AT + 60, nbf };
            let right = Timestamp::from_secs(nbf.unwrap_or(AT).clamp(AT, AT + 59));
            let Ok(window) = times.check(right) else { continue };
            for secs in -20..100 {
                for micros in [0, 1, 999_999] {
                    let now = Timestamp::from_micros((AT + secs) * 1_000_000 + micros);
                    assert_eq!(window.holds(now), times.check(now).is_ok(), "{nbf:?} {secs} {micros}");
                }
            }
        }
    }
}
