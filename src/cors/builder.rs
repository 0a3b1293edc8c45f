//! What is allowed, and what can't be.

use std::time::Duration;

use http::{HeaderName, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::decide::Cors;
use crate::error::ConfigError;
use crate::origin::{Origin, Origins};

/// Builds [`Cors`]; allows nothing at first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CorsBuilder {
    origins: Vec<String>,
    any_origin: bool,
    credentials: bool,
    insecure: bool,
    methods: Vec<Method>,
    headers: Vec<HeaderName>,
    exposed: Vec<HeaderName>,
    max_age: Option<Duration>,
    private_network: bool,
}

impl CorsBuilder {
    /// Lets pages of this origin read answers: `https://app.example`, with a port where it isn't the scheme's own.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Lets pages of these origins read answers.
    pub fn allow_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins.extend(origins.into_iter().map(Into::into));
        self
    }

    /// Lets any page read answers, for public data only: `Access-Control-Allow-Origin: *`. Browsers then send no
    /// cookies, and a service that trusts the network it stands in is open to every page its users visit.
    pub fn allow_any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Lets the allowed origins send cookies and read what the user may read. They can act as the user.
    pub fn allow_credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Lets origins with `http:` have credentials, `http://localhost:5173` included. Whoever can change what such a
    /// page loads - everybody on the way, or any program on the user's machine - can act as the user: for development.
    pub fn danger_allow_insecure_origins(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Methods beyond `GET`, `HEAD` and `POST`, which need no permission.
    pub fn allow_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.extend(methods);
        self
    }

    /// Request headers beyond the few that need no permission; `Authorization`, and `Content-Type` for JSON.
    pub fn allow_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Response headers the page may read, beyond the few it always may.
    pub fn expose_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed.extend(headers);
        self
    }

    /// How long a browser may remember a preflight, in whole seconds. Browsers have bounds of their own: two hours to a
    /// day, and 5 s without this.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Answers preflights of pages from more public networks (`Access-Control-Allow-Private-Network`), for services on a
    /// private network that allowed origins on the internet may call.
    pub fn allow_private_network(mut self) -> Self {
        self.private_network = true;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], all at once, for
    /// - an origin that is not exactly one: unparsable, with a path, with a wildcard, `null`; or is there twice;
    /// - any origin beside credentials, or beside a list of origins;
    /// - credentials without an origin, or for an `http:` origin;
    /// - `*` as a method or header, and methods in lower case, which browsers don't send.
    pub fn build(self) -> Result<Cors, ConfigError> {
        let mut problems = Vec::new();
        let origins = self.parsed(&mut problems);
        self.check(&origins, &mut problems);
        ConfigError::all(problems)?;
        let origins: Origins = origins.into_iter().collect();
        let allow_origin = if self.any_origin {
            AllowOrigin::any()
        } else {
            let origins = origins.clone();
            AllowOrigin::predicate(move |origin, _| origins.contains(origin.as_bytes()))
        };
        let mut layer = CorsLayer::new()
            .allow_origin(allow_origin)
            .allow_credentials(self.credentials)
            .allow_methods(self.methods)
            .allow_headers(self.headers)
            .expose_headers(self.exposed)
            .allow_private_network(self.private_network);
        if let Some(max_age) = self.max_age {
            layer = layer.max_age(max_age);
        }
        Ok(Cors::new(&layer, origins, self.any_origin, self.credentials))
    }

    fn parsed(&self, problems: &mut Vec<ConfigError>) -> Vec<Origin> {
        let mut origins: Vec<Origin> = Vec::new();
        for text in &self.origins {
            let field = || format!("allowed origin `{text}`");
            match Origin::parse(text) {
                Ok(origin) if origins.contains(&origin) => {
                    problems.push(ConfigError::new(field(), "is there twice", "leave one out"));
                }
                Ok(origin) => origins.push(origin),
                Err(cause) => {
                    let cure = "write scheme, host and, if need be, port: `https://app.example`";
                    problems.push(ConfigError::new(field(), cause.to_string(), cure));
                }
            }
        }
        origins
    }

    fn check(&self, origins: &[Origin], problems: &mut Vec<ConfigError>) {
        let mut refuse = |field: &'static str, problem, cure| {
            problems.push(ConfigError::new(field, problem, cure));
        };
        if self.any_origin && self.credentials {
            let cure = "name the origins, or leave credentials out";
            refuse("allowed origins", "are any, with credentials", cure);
        }
        if self.any_origin && !self.origins.is_empty() {
            refuse("allowed origins", "are any, and a list", "leave one out");
        }
        if self.credentials && self.origins.is_empty() && !self.any_origin {
            refuse("credentials", "are allowed, but no origin is", "name the origins");
        }
        // tower-http panics on a lone `*` beside credentials; without them it would open more than was named.
        if self.headers.iter().chain(&self.exposed).any(|name| name.as_str().contains('*')) {
            refuse("allowed or exposed headers", "hold a wildcard", "name each header");
        }
        let insecure = |origin: &&Origin| self.credentials && !self.insecure && !origin.is_secure();
        problems.extend(origins.iter().filter(insecure).map(|origin| {
            ConfigError::new(
                format!("allowed origin `{origin}`"),
                "may send credentials, but anybody on the way can change its pages",
                "use `https`, or `danger_allow_insecure_origins` in development",
            )
        }));
        problems.extend(self.methods.iter().filter(|method| !is_plain(method)).map(|method| {
            ConfigError::new(
                format!("allowed method `{method}`"),
                "is a wildcard or not in upper case",
                "name each method as clients write it",
            )
        }));
    }
}

fn is_plain(method: &Method) -> bool {
    method.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}
