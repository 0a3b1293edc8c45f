//! A request on its way in, and its answer on its way out.

use std::future::Future;
use std::pin::Pin;

use http::header::HeaderValue;
use http::request::Parts;
use http::{Response, StatusCode};

use super::taken::{Asked, Place, Taken};
use super::{Edge, Tolls};
use crate::context::{X_REQUEST_ID, response_value};
use crate::cors::{CorsDecision, CorsHeaders};
use crate::firewall::FirewallRule;
use crate::headers::{Lines, Prepared};
use crate::rate_limit::{RateDecision, RateRequest, RateVerdict};
use crate::rejection::{Rejection, RejectionCode};
use crate::wire::is_routed;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What an answer needs to know of its request.
#[derive(Debug, Default)]
pub(super) struct Passage {
    prepared: Prepared,
    id: Option<HeaderValue>,
    cors: CorsHeaders,
    /// What the firewall refused, for whoever stands outside.
    broken: Option<FirewallRule>,
    taken: Taken,
    /// What those of the inner half say.
    tolls: Option<Tolls>,
}

/// How it goes on.
pub(super) enum Entry {
    /// To the service inside.
    Go,
    /// Not at all.
    Refused(Rejection),
    /// A preflight, answered here.
    Preflight,
    /// When the limit at this place of the outer half has said what it thinks.
    Limited(usize, Boxed<RateDecision>),
}

impl Edge {
    /// Everything in front of the rule, in the one right order. Nothing of the service inside has run.
    pub(super) fn enter(&self, parts: &mut Parts) -> (Passage, Entry) {
        let context = self.resolver.resolve(parts);
        let mut passage = Passage { id: response_value(&context), ..Passage::default() };
        let secure = context.is_secure();
        parts.extensions.insert(context);
        if !self.by_principal.is_empty() {
            let tolls = passage.tolls.insert(Tolls::default());
            parts.extensions.insert(tolls.clone());
        }
        if let Some(headers) = &self.headers {
            passage.prepared = headers.prepare(parts, secure);
        }
        if let Err((rule, rejection)) = self.wall(parts) {
            passage.broken = rule;
            return (passage, Entry::Refused(rejection));
        }
        if let Some(cors) = &self.cors {
            let decision = cors.decide(parts);
            let preflight = matches!(decision, CorsDecision::Preflight(_));
            passage.cors = decision.into_headers();
            if preflight {
                return (passage, Entry::Preflight);
            }
        }
        let entry = self.toll(&mut passage, parts);
        (passage, entry)
    }

    /// The limits that were not asked yet, and what comes after them.
    pub(super) fn toll(&self, passage: &mut Passage, parts: &Parts) -> Entry {
        for (at, limit) in self.limits.iter().enumerate().skip(passage.taken.len()) {
            // The context is there, so no clock is read.
            match limit.decide(&RateRequest::of_parts(parts, || crate::time::Timestamp::UNIX_EPOCH)) {
                RateVerdict::Ready(decision) => {
                    if let Some(rejection) = passage.take(at, decision) {
                        return Entry::Refused(rejection);
                    }
                }
                RateVerdict::Pending(decision) => return Entry::Limited(at, decision),
            }
        }
        match self.origin.as_ref().map(|origin| origin.decide(parts)) {
            Some(Err(reason)) => {
                tracing::debug!(%reason, "refused a request of another site");
                Entry::Refused(reason.into())
            }
            _ => Entry::Go,
        }
    }

    fn wall(&self, parts: &mut Parts) -> Result<(), (Option<FirewallRule>, Rejection)> {
        let Some(firewall) = &self.firewall else { return Ok(()) };
        // Where a router has matched already, another spelling comes too late: it read this one.
        let before = is_routed(parts).then(|| parts.uri.clone());
        firewall.check(parts).map_err(|rule| {
            tracing::info!(rule = rule.as_str(), "the firewall refused a request");
            (Some(rule), firewall.rejection(rule))
        })?;
        match before {
            Some(before) if before != parts.uri => {
                tracing::info!(
                    "refused a path that is not in its canonical form, behind a router that has matched it"
                );
                Err((None, Rejection::new(RejectionCode::Malformed)))
            }
            _ => Ok(()),
        }
    }

    /// Gives back what only other answers cost, where that can be done at once; the rest is to be waited for, and then
    /// [noted](Passage::settled).
    pub(super) fn settle(&self, passage: &mut Passage, status: StatusCode) -> Option<Boxed<Taken>> {
        if let Some(tolls) = &passage.tolls {
            passage.taken.extend(tolls.take());
        }
        let mut late = Vec::new();
        for (at, Asked { place, decision }) in passage.taken.iter_mut().enumerate() {
            if let Some(settled) = self.limit(*place).and_then(|limit| limit.settle(decision, status)) {
                late.push((at, settled));
            }
        }
        if late.is_empty() {
            return None;
        }
        let mut taken = std::mem::take(&mut passage.taken);
        Some(Box::pin(async move {
            for (at, verdict) in late {
                let settled = verdict.await;
                if let Some(asked) = taken.iter_mut().nth(at) {
                    asked.decision = settled;
                }
            }
            taken
        }))
    }

    /// What the answer says besides itself. The gate alone says the id and, to a page of another origin, CORS; it adds to
    /// what the handler said of limits and of what the answer depends on.
    pub(super) fn leave<B>(&self, passage: &mut Passage, response: &mut Response<B>) {
        if let Some(rule) = passage.broken {
            response.extensions_mut().insert(rule);
        }
        let Passage { prepared, id, cors, taken, .. } = passage;
        let id = id.take();
        let theirs = response.headers_mut();
        cors.clear(theirs);
        theirs.remove(X_REQUEST_ID);
        let say = |lines: &mut Lines<'_>| {
            for Asked { place, decision } in taken.iter() {
                let fields = self.limit(*place).map(|limit| limit.fields(decision));
                fields.into_iter().flatten().for_each(|(name, value)| lines.add(name, value));
            }
            cors.vary().iter().for_each(|name| lines.vary(name));
            cors.lines().for_each(|(name, value)| lines.add(name.clone(), value.clone()));
            if let Some(id) = id {
                lines.add(X_REQUEST_ID, id);
            }
        };
        match &self.headers {
            Some(headers) => headers.apply_with(prepared, response, say),
            None => say(&mut Lines::of(response.headers_mut())),
        }
    }
}

impl Passage {
    /// The answer to a preflight.
    pub(super) fn preflight<B: Default>(&mut self) -> Response<B> {
        std::mem::take(&mut self.cors).preflight()
    }

    /// Notes what the limits say now that the answer is known.
    pub(super) fn settled(&mut self, decisions: Taken) {
        self.taken = decisions;
    }

    /// Notes what the limit at this place of the outer half said, and whether that is a refusal.
    pub(super) fn take(&mut self, at: usize, decision: RateDecision) -> Option<Rejection> {
        let rejection = decision.rejection();
        self.taken.push(Asked { place: Place::Outer(at), decision });
        rejection
    }
}
