//! Whom the rule trusts.

use http::HeaderName;

use super::OriginRule;
use crate::error::ConfigError;
use crate::origin::Origin;

/// Builds an [`OriginRule`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OriginRuleBuilder {
    own: Vec<String>,
    allowed: Vec<String>,
    checked: Vec<Origin>,
    credential_headers: Vec<HeaderName>,
    insecure: bool,
}

impl OriginRuleBuilder {
    /// What browsers call this service: `https://api.example`. More than one if it has more than one name.
    pub fn with_public_origin(mut self, origin: impl Into<String>) -> Self {
        self.own.push(origin.into());
        self
    }

    /// Lets pages of this origin act as the user, as pages of our own do.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push(origin.into());
        self
    }

    /// Lets pages of these origins act as the user: for
    /// [`Cors::credentialed_origins`](crate::cors::Cors::credentialed_origins), which were checked there.
    pub fn allow_origins(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.checked.extend(origins);
        self
    }

    /// A header that carries a credential and that no browser sends by itself, such as `X-API-Key`.
    pub fn add_credential_header(mut self, name: HeaderName) -> Self {
        self.credential_headers.push(name);
        self
    }

    /// Takes `http:` origins in [`allow_origin`](Self::allow_origin). Anybody on the way to such a page can act as the
    /// user: for development.
    pub fn danger_allow_insecure_origins(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an origin that is not exactly one, is there twice, or is allowed without `https`; and for a
    /// credential header that browsers send by themselves or let any page set.
    pub fn build(self) -> Result<OriginRule, ConfigError> {
        let mut own = Vec::new();
        for text in &self.own {
            add(&mut own, text, "public origin")?;
        }
        let mut allowed = Vec::new();
        for text in &self.allowed {
            add(&mut allowed, text, "allowed origin")?;
        }
        if let Some(origin) = allowed.iter().find(|origin| !origin.is_secure() && !self.insecure) {
            return Err(ConfigError::new(
                format!("allowed origin `{origin}`"),
                "may act as the user, but anybody on the way can change its pages",
                "use `https`, or `danger_allow_insecure_origins` in development",
            ));
        }
        allowed.extend(self.checked);
        if let Some(name) = self.credential_headers.iter().find(|name| !is_explicit(name)) {
            return Err(ConfigError::new(
                format!("credential header `{name}`"),
                "comes with requests of other sites' pages without their asking",
                "use a header of your own, such as `X-API-Key`",
            ));
        }
        Ok(OriginRule::new(own, allowed, self.credential_headers))
    }
}

fn add(list: &mut Vec<Origin>, text: &str, role: &str) -> Result<(), ConfigError> {
    let field = || format!("{role} `{text}`");
    let origin = Origin::parse(text).map_err(|cause| {
        let cure = "write scheme, host and, if need be, port: `https://app.example`";
        ConfigError::new(field(), cause.to_string(), cure)
    })?;
    if list.contains(&origin) {
        return Err(ConfigError::new(field(), "is there twice", "leave one out"));
    }
    list.push(origin);
    Ok(())
}

/// What any page may set without a preflight (CORS-safelisted), or browsers add themselves.
const AMBIENT: &[&str] = &[
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "host",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "save-data",
    "te",
    "transfer-encoding",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
];

fn is_explicit(name: &HeaderName) -> bool {
    let name = name.as_str();
    // `Authorization` counts already, and not for every scheme.
    let ambient = AMBIENT.contains(&name);
    let prefixes = ["accept", "access-control-", "if-", "proxy-", "sec-", "x-forwarded-"];
    !ambient && !prefixes.iter().any(|prefix| name.starts_with(prefix))
}
