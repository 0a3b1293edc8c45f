//! `Reporting-Endpoints`.

use super::builder::Setting;
use super::csp::is_key;
use crate::error::ConfigError;

const FIELD: &str = "Reporting-Endpoints";

/// `Reporting-Endpoints` (Reporting API): where browsers send reports, by name.
///
/// ```
/// use portcullis::headers::{Csp, ReportingEndpoints, SecurityHeaders};
///
/// SecurityHeaders::html()
///     .with_csp(Csp::html().with_report_to("csp"))
///     .with_reporting_endpoints(ReportingEndpoints::new().add("csp", "/csp-reports"))
///     .build()?;
/// // An endpoint that is not there is an error at start-up.
/// assert!(SecurityHeaders::html().with_csp(Csp::html().with_report_to("csp")).build().is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportingEndpoints {
    endpoints: Vec<(String, String)>,
}

impl ReportingEndpoints {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports to `name` go to a path of this origin, or to an `https://` address.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.endpoints.push((name.into(), address.into()));
        self
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.endpoints.iter().any(|(other, _)| other == name)
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        if self.endpoints.is_empty() {
            return Err(ConfigError::new(FIELD, "has no endpoint", "add one, or leave the header out"));
        }
        let mut entries = Vec::with_capacity(self.endpoints.len());
        for (index, (name, address)) in self.endpoints.iter().enumerate() {
            let flaw = |problem: String, cure: &'static str| Err(ConfigError::new(FIELD, problem, cure));
            if !is_key(name) {
                return flaw(
                    format!("`{}` is no name of an endpoint", name.escape_debug()),
                    "use lower case letters, digits, `_` and `-`",
                );
            }
            if self.endpoints.iter().skip(index + 1).any(|(other, _)| other == name) {
                return flaw(format!("`{name}` stands twice"), "write it once");
            }
            let is_address =
                (address.starts_with('/') && !address.starts_with("//")) || address.starts_with("https://");
            if !is_address || !address.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
                return flaw(
                    format!("`{}` is no address to report to", address.escape_debug()),
                    "use a path or an `https://` address",
                );
            }
            entries.push(format!("{name}=\"{address}\""));
        }
        Ok(entries.join(", "))
    }
}

impl From<ReportingEndpoints> for Setting {
    fn from(endpoints: ReportingEndpoints) -> Self {
        Self::Endpoints(endpoints)
    }
}

/// An origin as it is serialized: scheme, host, a port that is not the scheme's own; nothing else.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (name, address, want) in [
            ("csp", "/reports", Some("csp=\"/reports\"")),
            ("csp-1", "https://reports.example/a?b=c", Some("csp-1=\"https://reports.example/a?b=c\"")),
            ("CSP", "/reports", None),
            ("", "/reports", None),
            ("csp", "//elsewhere.example", None),
            ("csp", "http://reports.example", None),
            ("csp", "/a\"b", None),
            ("csp", "/a\r\nSet-Cookie: a=b", None),
            ("a b", "/reports", None),
        ] {
            let endpoints = ReportingEndpoints::new().add(name, address);
            assert_eq!(endpoints.text().ok().as_deref(), want, "{name} {address}");
        }
        assert!(ReportingEndpoints::new().text().is_err());
        assert!(ReportingEndpoints::new().add("a", "/a").add("a", "/b").text().is_err());
    }
}
