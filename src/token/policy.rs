//! How long tokens live, and how many are remembered.

use std::time::Duration;

use crate::error::ConfigError;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long tokens live, and how many verified ones are remembered. The default follows RFC 9700 and ASVS 10.4.8.
///
/// | setting | default | allowed |
/// |---|---|---|
/// | access token | 10 min | 1 s to 60 min |
/// | refresh token, idle | 7 d | up to the absolute lifetime |
/// | refresh token, absolute | 30 d | up to 90 d |
/// | grace for a repeated refresh | 10 s | 0 to 60 s |
/// | verified access tokens remembered | 16 384 | 0 to 1 048 576 |
#[derive(Clone, Copy, Debug)]
pub struct TokenPolicy {
    access: Duration,
    refresh_idle: Duration,
    refresh_absolute: Duration,
    grace: Duration,
    cached: usize,
}

impl Default for TokenPolicy {
    fn default() -> Self {
        Self {
            access: 10 * MINUTE,
            refresh_idle: 7 * DAY,
            refresh_absolute: 30 * DAY,
            grace: Duration::from_secs(10),
            cached: 16_384,
        }
    }
}

impl TokenPolicy {
    /// How long an access token is accepted. Revocation here does not wait for it; a service that verifies tokens by the
    /// public keys alone does.
    #[must_use]
    pub fn with_access_lifetime(self, access: Duration) -> Self {
        Self { access, ..self }
    }

    /// How long a refresh token is accepted if it is not used, and how long its family lives at the most.
    #[must_use]
    pub fn with_refresh_lifetime(self, idle: Duration, absolute: Duration) -> Self {
        Self { refresh_idle: idle, refresh_absolute: absolute, ..self }
    }

    /// How long after its exchange a refresh token may be presented again, by a client that lost the answer.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Remembers about this many access tokens that were verified, so that a token that comes again costs no signature.
    /// What binds a token binds it on every request: revocation is asked for, `exp` compared, and other keys or another
    /// tenant begin anew. A token takes about a kilobyte, up to the size of its own claims above that; 80 to 160 bytes for
    /// each are taken from the start.
    #[must_use]
    pub fn with_token_cache(self, tokens: usize) -> Self {
        Self { cached: tokens, ..self }
    }

    /// Verifies the signature of every access token on every request.
    #[must_use]
    pub fn without_token_cache(self) -> Self {
        self.with_token_cache(0)
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the lifetime that is out of range.
    pub fn check(self) -> Result<Self, ConfigError> {
        let range = |field: &'static str, fine: bool, cure: &'static str| {
            if fine { Ok(()) } else { Err(ConfigError::new(field, "is out of range", cure)) }
        };
        let second = Duration::from_secs(1);
        range(
            "access lifetime",
            (second..=60 * MINUTE).contains(&self.access),
            "use 1 second to 60 minutes",
        )?;
        range("refresh lifetime, absolute", self.refresh_absolute <= 90 * DAY, "use at most 90 days")?;
        range(
            "refresh lifetime, idle",
            (second..=self.refresh_absolute).contains(&self.refresh_idle),
            "use at least 1 second and at most the absolute lifetime",
        )?;
        range("refresh grace", self.grace <= MINUTE, "use at most 60 seconds")?;
        range("token cache", self.cached <= 1 << 20, "use at most 1048576 tokens")?;
        Ok(self)
    }

    /// How long an access token is accepted.
    #[must_use]
    pub fn access_lifetime(&self) -> Duration {
        self.access
    }

    /// How long an unused refresh token is accepted.
    #[must_use]
    pub fn refresh_idle(&self) -> Duration {
        self.refresh_idle
    }

    /// How long a refresh family lives at the most.
    #[must_use]
    pub fn refresh_absolute(&self) -> Duration {
        self.refresh_absolute
    }

    /// How many verified access tokens are remembered; none if 0.
    #[must_use]
    pub fn token_cache(&self) -> usize {
        self.cached
    }

    /// How long a repeated refresh gets the same answer.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_out_of_range_are_refused() {
        let default = TokenPolicy::default();
        assert!(default.check().is_ok());
        for (policy, field) in [
            (default.with_access_lifetime(Duration::ZERO), "access lifetime"),
            (default.with_access_lifetime(61 * MINUTE), "access lifetime"),
            (default.with_refresh_lifetime(31 * DAY, 30 * DAY), "refresh lifetime, idle"),
            (default.with_refresh_lifetime(DAY, 91 * DAY), "refresh lifetime, absolute"),
            (default.with_refresh_lifetime(Duration::ZERO, DAY), "refresh lifetime, idle"),
            (default.with_grace(2 * MINUTE), "refresh grace"),
            (default.with_token_cache((1 << 20) + 1), "token cache"),
        ] {
            assert_eq!(policy.check().unwrap_err().field(), field);
        }
    }
}
