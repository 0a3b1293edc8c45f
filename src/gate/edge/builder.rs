//! What the outer half is made of.

use std::collections::HashSet;
use std::sync::Arc;

use super::Edge;
use crate::context::{Resolver, TrustedProxies, X_REQUEST_ID};
use crate::cors::Cors;
use crate::csrf::OriginRule;
use crate::error::ConfigError;
use crate::firewall::Firewall;
use crate::gate::GateBuilder;
use crate::headers::SecurityHeaders;
use crate::rate_limit::{RATE_LIMIT_FIELDS, RateLimit};
use crate::time::Clock;
use crate::validate::BodyGuard;

/// Collects what an [`Edge`] is made of. What is left out is the strict default.
#[derive(Debug, Default)]
pub(in crate::gate) struct EdgeBuilder {
    proxies: TrustedProxies,
    tls: bool,
    clock: Option<Arc<dyn Clock>>,
    headers: Choice<SecurityHeaders>,
    firewall: Choice<Firewall>,
    cors: Option<Cors>,
    limits: Vec<RateLimit>,
    origin: Choice<OriginRule>,
    bodies: BodyGuard,
}

/// A part that is there unless it is taken out by name.
#[derive(Debug, Default)]
enum Choice<T> {
    #[default]
    Default,
    Own(T),
    Without,
}

impl<T> Choice<T> {
    fn or(self, default: impl FnOnce() -> Result<T, ConfigError>) -> Result<Option<T>, ConfigError> {
        match self {
            Self::Default => default().map(Some),
            Self::Own(own) => Ok(Some(own)),
            Self::Without => Ok(None),
        }
    }
}

impl EdgeBuilder {
    /// Checks the parts against each other and puts them together. `clock` is that of the accounts.
    ///
    /// # Errors
    ///
    /// Everything that contradicts something else, at once.
    pub(in crate::gate) fn build(self, clock: Option<Arc<dyn Clock>>) -> Result<Edge, ConfigError> {
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for limit in &self.limits {
            let field = || format!("rate limit `{}`", limit.name());
            if !names.insert(limit.name()) {
                problems.push(ConfigError::new(
                    field(),
                    "is there twice",
                    "give each limit a name of its own",
                ));
            }
        }
        if let (Some(cors), Choice::Own(origin)) = (&self.cors, &self.origin) {
            for trusted in cors.credentialed_origins().filter(|trusted| !origin.allows(trusted)) {
                problems.push(ConfigError::new(
                    "origin rule",
                    format!("refuses what CORS lets `{trusted}` send with credentials"),
                    "give the rule `cors.credentialed_origins()`, or leave the rule out for the default",
                ));
            }
        }
        ConfigError::all(problems)?;
        let mut resolver = Resolver::new().with_trusted_proxies(self.proxies).with_tls(self.tls);
        if let Some(clock) = self.clock.or(clock) {
            resolver = resolver.with_clock(clock);
        }
        let trusted: Vec<_> = self.cors.iter().flat_map(Cors::credentialed_origins).cloned().collect();
        let limits = if self.limits.is_empty() { &[][..] } else { &RATE_LIMIT_FIELDS };
        let cors = self.cors.iter().flat_map(Cors::names);
        let expected: Vec<_> = cors.chain([X_REQUEST_ID]).chain(limits.iter().cloned()).collect();
        let headers = self.headers.or(|| SecurityHeaders::api().build())?;
        let (by_principal, limits) = self.limits.into_iter().partition(RateLimit::needs_principal);
        Ok(Edge {
            resolver,
            headers: headers.map(|headers| headers.expecting(expected)),
            firewall: self.firewall.or(|| Ok(Firewall::new()))?,
            origin: self.origin.or(|| OriginRule::builder().allow_origins(trusted).build())?,
            cors: self.cors,
            limits,
            by_principal,
            bodies: self.bodies,
        })
    }
}

impl GateBuilder {
    /// Proxies whose word on where a request came from counts. None by default: the client is who is on the other end of
    /// the connection.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.edge.proxies = proxies;
        self
    }

    /// Whether every connection to this service is TLS, so that the server need not say so for each. See
    /// [`Resolver::with_tls`].
    #[must_use]
    pub fn with_tls(mut self, tls: bool) -> Self {
        self.edge.tls = tls;
        self
    }

    /// The clock that is read once for each request; by default that of the accounts, or the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.edge.clock = Some(clock);
        self
    }

    /// The headers of every answer; [`SecurityHeaders::api`] by default.
    #[must_use]
    pub fn with_headers(mut self, headers: SecurityHeaders) -> Self {
        self.edge.headers = Choice::Own(headers);
        self
    }

    /// Leaves security headers to somebody in front of this service.
    #[must_use]
    pub fn danger_without_headers(mut self) -> Self {
        self.edge.headers = Choice::Without;
        self
    }

    /// What is no well-formed request; [`Firewall::new`] by default.
    #[must_use]
    pub fn with_firewall(mut self, firewall: Firewall) -> Self {
        self.edge.firewall = Choice::Own(firewall);
        self
    }

    /// Lets every spelling of a path and every header through to the router.
    #[must_use]
    pub fn danger_without_firewall(mut self) -> Self {
        self.edge.firewall = Choice::Without;
        self
    }

    /// What pages of other origins may do. Nothing by default: no answer says anything about CORS.
    #[must_use]
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.edge.cors = Some(cors);
        self
    }

    /// Limits requests, each limit in the order it is added: by address, header or all together before anybody asks who
    /// sends them; by principal, tenant, API key or tier once that is known, and before the rule decides. On public
    /// routes nobody is known, so only the former count there. A limit for some routes only is a
    /// [`RateLimitLayer`](crate::rate_limit::RateLimitLayer) on them.
    #[must_use]
    pub fn add_rate_limit(mut self, limit: RateLimit) -> Self {
        self.edge.limits.push(limit);
        self
    }

    /// Which requests of other sites' pages may change something. By default those of this service itself, by the name it
    /// is addressed with, and of the origins that CORS lets send credentials.
    #[must_use]
    pub fn with_origin_rule(mut self, rule: OriginRule) -> Self {
        self.edge.origin = Choice::Own(rule);
        self
    }

    /// Lets pages of other sites send what they like. Only for services that know no cookie and never will.
    #[must_use]
    pub fn danger_without_origin_rule(mut self) -> Self {
        self.edge.origin = Choice::Without;
        self
    }

    /// How large and how slow bodies may be behind `gate.router()`; [`BodyGuard::new`] by default. [`Gate::layer`] leaves
    /// the type of bodies alone and looks only at the length they declare: put a
    /// [`BodyGuardLayer`](crate::validate::BodyGuardLayer) inside it.
    ///
    /// [`Gate::layer`]: crate::gate::Gate::layer
    #[must_use]
    pub fn with_body_guard(mut self, bodies: BodyGuard) -> Self {
        self.edge.bodies = bodies;
        self
    }
}
