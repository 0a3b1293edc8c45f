//! `Strict-Transport-Security`.

use std::time::Duration;

use super::builder::Setting;
use crate::error::ConfigError;

pub(super) const TWO_YEARS: &str = "max-age=63072000; includeSubDomains";
const FIELD: &str = "Strict-Transport-Security";
const YEAR: u64 = 31_536_000;

/// `Strict-Transport-Security` (RFC 6797, ASVS 3.4.1): two years and all subdomains. It is sent over secure channels only, as
/// section 7.2 demands.
///
/// ```
/// use portcullis::headers::{Hsts, SecurityHeaders};
///
/// let headers = SecurityHeaders::api().with_hsts(Hsts::new().with_preload()).build()?;
/// // A year is the least: whoever visits less often is not protected.
/// let month = std::time::Duration::from_secs(30 * 24 * 3600);
/// assert!(SecurityHeaders::api().with_hsts(Hsts::new().with_max_age(month)).build().is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    max_age: u64,
    subdomains: bool,
    preload: bool,
    short: bool,
}

impl Hsts {
    /// Two years, with all subdomains.
    #[must_use]
    pub fn new() -> Self {
        Self { max_age: 2 * YEAR, subdomains: true, preload: false, short: false }
    }

    /// How long a browser remembers: a year or more, in whole seconds.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age: max_age.as_secs(), short: false, ..self }
    }

    /// This host only. Cookies for the whole domain can then be set by a subdomain that is read over plain HTTP.
    #[must_use]
    pub fn without_subdomains(self) -> Self {
        Self { subdomains: false, ..self }
    }

    /// Agrees to be built into browsers. Submitting the domain is up to you, and it is not undone in a hurry.
    #[must_use]
    pub fn with_preload(self) -> Self {
        Self { preload: true, ..self }
    }

    /// Any time, for trying it out; zero makes browsers forget (RFC 6797 section 6.1.1).
    #[must_use]
    pub fn danger_short(self, max_age: Duration) -> Self {
        Self { max_age: max_age.as_secs(), short: true, ..self }
    }

    pub(super) fn text(self) -> Result<String, ConfigError> {
        if self.max_age < YEAR && !self.short {
            return Err(ConfigError::new(
                FIELD,
                format!("`max-age` is {} seconds, less than a year", self.max_age),
                "use a year or more, or `danger_short`",
            ));
        }
        if self.preload && (self.max_age < YEAR || !self.subdomains) {
            return Err(ConfigError::new(
                FIELD,
                "asks to be preloaded without what that needs",
                "keep the subdomains and a year or more, or leave `preload` out",
            ));
        }
        let subdomains = if self.subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        Ok(format!("max-age={}{subdomains}{preload}", self.max_age))
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Hsts> for Setting {
    fn from(hsts: Hsts) -> Self {
        Self::Hsts(hsts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // ASVS 3.4.1
    #[test]
    fn a_year_and_subdomains_or_by_name() {
        let (month, year) = (Duration::from_secs(2_592_000), Duration::from_secs(YEAR));
        for (name, hsts, want) in [
            ("default", Hsts::new(), Some(TWO_YEARS)),
            ("a year", Hsts::new().with_max_age(year), Some("max-age=31536000; includeSubDomains")),
            ("less", Hsts::new().with_max_age(year - Duration::from_secs(1)), None),
            ("a month by name", Hsts::new().danger_short(month), Some("max-age=2592000; includeSubDomains")),
            ("forget", Hsts::new().danger_short(Duration::ZERO).without_subdomains(), Some("max-age=0")),
            ("preload", Hsts::new().with_preload(), Some("max-age=63072000; includeSubDomains; preload")),
            ("preload without subdomains", Hsts::new().with_preload().without_subdomains(), None),
            ("preload for a month", Hsts::new().danger_short(month).with_preload(), None),
            ("a year after a month", Hsts::new().danger_short(month).with_max_age(month), None),
        ] {
            assert_eq!(hsts.text().ok().as_deref(), want, "{name}");
        }
    }
}
