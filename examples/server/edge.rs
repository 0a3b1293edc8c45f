//! What stands in front of the routes: limits by address, proxies, pages of other origins.

use std::time::Duration;

use portcullis::ConfigError;
use portcullis::axum::sign_in_key;
use portcullis::context::TrustedProxies;
use portcullis::cors::Cors;
use portcullis::gate::GateBuilder;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::validate::BodyGuard;

use crate::config::Vars;

/// More requests than anybody sends: for load tests.
const MAX_REQUESTS: u64 = 1_000_000_000;

/// Headers that pages of other origins may send, and methods they may use.
const METHODS: [http::Method; 4] =
    [http::Method::GET, http::Method::POST, http::Method::PUT, http::Method::DELETE];
const HEADERS: [http::HeaderName; 2] = [http::header::AUTHORIZATION, http::header::CONTENT_TYPE];

#[derive(Debug)]
pub struct Edge {
    proxies: TrustedProxies,
    limit: RateLimit,
    /// For the routes of accounts.
    pub sign_in_limit: RateLimit,
    cors: Option<Cors>,
    bodies: BodyGuard,
}

impl Edge {
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        Ok(Self {
            proxies: proxies(vars)?,
            limit: limit(vars)?,
            sign_in_limit: sign_in_limit(vars)?,
            cors: cors(vars)?,
            bodies: bodies(vars)?,
        })
    }

    pub fn before(&self, gate: GateBuilder) -> GateBuilder {
        let gate = gate.with_trusted_proxies(self.proxies.clone()).add_rate_limit(self.limit.clone());
        let gate = gate.with_body_guard(self.bodies.clone());
        match &self.cors {
            Some(cors) => gate.with_cors(cors.clone()),
            None => gate,
        }
    }
}

/// By address, over everything; a refused request counts for neither quota.
fn limit(vars: &Vars) -> Result<RateLimit, ConfigError> {
    let minute = number(vars, "RATE_LIMIT_PER_MINUTE", 60)?;
    let hour = number(vars, "RATE_LIMIT_PER_HOUR", 1000)?;
    RateLimit::builder("address")
        .add_quota(Quota::per_minute(minute))
        .add_quota(Quota::per_hour(hour))
        .build()
}

/// By address and the name that is signed in as.
fn sign_in_limit(vars: &Vars) -> Result<RateLimit, ConfigError> {
    let quota = Quota::per_minute(number(vars, "SIGN_IN_PER_MINUTE", 5)?);
    RateLimit::builder("sign-in").with_key(sign_in_key()).add_quota(quota).build()
}

fn number(vars: &Vars, name: &'static str, default: u64) -> Result<u32, ConfigError> {
    let number = vars.number(name, 1..=MAX_REQUESTS)?.unwrap_or(default);
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn bodies(vars: &Vars) -> Result<BodyGuard, ConfigError> {
    let seconds = vars.number("BODY_TIMEOUT_SECONDS", 1..=3600)?.unwrap_or(30);
    Ok(BodyGuard::new().with_deadline(Duration::from_secs(seconds)))
}

fn proxies(vars: &Vars) -> Result<TrustedProxies, ConfigError> {
    match vars.list("TRUSTED_PROXIES") {
        Some(networks) => {
            TrustedProxies::x_forwarded_for(networks).map_err(|error| error.with_field("TRUSTED_PROXIES"))
        }
        None => Ok(TrustedProxies::none()),
    }
}

fn cors(vars: &Vars) -> Result<Option<Cors>, ConfigError> {
    let credentials = vars.flag("CORS_ALLOW_CREDENTIALS")?.unwrap_or(false);
    let Some(origins) = vars.list("CORS_ORIGINS") else {
        return if credentials {
            let cure = "list the origins in CORS_ORIGINS, or unset it";
            Err(ConfigError::new("CORS_ALLOW_CREDENTIALS", "is set, but no origin is allowed", cure))
        } else {
            Ok(None)
        };
    };
    let mut cors = Cors::builder().allow_methods(METHODS).allow_headers(HEADERS);
    for origin in origins {
        cors = if origin == "*" { cors.allow_any_origin() } else { cors.allow_origin(origin) };
    }
    let cors = if credentials { cors.allow_credentials() } else { cors };
    cors.build().map(Some).map_err(|error| error.with_field("CORS_ORIGINS"))
}
