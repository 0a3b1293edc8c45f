//! The outer half of the gate: what stands between the socket and the question who is asking.
//!
//! | step | refuses | leaves in the answer |
//! |---|---|---|
//! | context | | `X-Request-Id` |
//! | headers | | the security headers, on refusals and panics too |
//! | firewall | what has no one meaning; rewrites the path to its one form | |
//! | CORS | answers preflights | who may read the answer |
//! | limits | who asks too often: 429 | how much is left |
//! | origin | what another site's page sends: 403 | |
//!
//! All of it is decided in [`Edge::enter`] before the service inside is called, and shows in [`Edge::leave`].

mod builder;
mod future;
mod passage;
mod service;
mod taken;
mod tolls;

use crate::context::Resolver;
use crate::cors::Cors;
use crate::csrf::OriginRule;
use crate::firewall::Firewall;
use crate::headers::SecurityHeaders;
use crate::rate_limit::RateLimit;
use crate::validate::BodyGuard;

pub(super) use builder::EdgeBuilder;
pub(crate) use future::EdgedFuture;
pub(crate) use service::Edged;
use taken::Place;
pub(super) use tolls::Tolls;

/// What the outer half goes by.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    resolver: Resolver,
    headers: Option<SecurityHeaders>,
    firewall: Option<Firewall>,
    cors: Option<Cors>,
    limits: Vec<RateLimit>,
    /// Those that can only be asked where it is known who asks.
    by_principal: Vec<RateLimit>,
    origin: Option<OriginRule>,
    bodies: BodyGuard,
}

impl Edge {
    /// Limits for the inner half to ask; what they say is [noted](Tolls::note).
    pub(super) fn by_principal(&self) -> &[RateLimit] {
        &self.by_principal
    }

    fn limit(&self, place: Place) -> Option<&RateLimit> {
        match place {
            Place::Outer(at) => self.limits.get(at),
            Place::Inner(at) => self.by_principal.get(at),
        }
    }

    /// What bodies may be like.
    pub(crate) fn bodies(&self) -> &BodyGuard {
        &self.bodies
    }
}
