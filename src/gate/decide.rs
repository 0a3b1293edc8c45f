//! What the gate decides, without carrying it out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::ready;

use http::request::Parts;

use super::Gate;
use crate::authn::{Authentication, conceal};
use crate::authz::{Lookup, Rule};
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};
use crate::wire::{Admission, Asked, Explain, Identity, asked_for, whole_path};

/// How many routes without a rule are reported, should somebody make up patterns.
const MAX_REPORTED: usize = 10_000;

impl Gate {
    /// The rule for a request, from the access map.
    pub(super) fn rule_for(&self, parts: &Parts) -> Result<&Rule, Rejection> {
        let route = Route::of(parts);
        let found = match route {
            Route::Matched(pattern) => self.0.map.lookup_pattern(&parts.method, pattern),
            Route::Path(path) => self.0.map.lookup_path(&parts.method, path),
            Route::Unclear => Lookup::Unmapped,
        };
        match found {
            Lookup::Rule(rule) => Ok(rule),
            Lookup::MethodNotAllowed { allow } => {
                Err(Rejection::new(RejectionCode::MethodNotAllowed).with_allow(allow.clone()))
            }
            Lookup::Unmapped => {
                if let Route::Matched(pattern) = route {
                    self.report_unmapped(pattern);
                }
                let rejection = Rejection::new(RejectionCode::NotFound);
                Err(if self.0.explains {
                    rejection.danger_with_explanation("refused: there is no rule for this in the access map")
                } else {
                    rejection
                })
            }
        }
    }

    /// Makes a request ready to be decided about.
    pub(crate) fn prepare(&self, parts: &mut Parts) {
        conceal(&mut parts.headers);
        if self.0.explains {
            parts.extensions.insert(Explain);
        }
    }

    /// Whether a request may pass under this rule, and as whom.
    pub(crate) fn admit(&self, parts: &Parts, rule: &Rule) -> Admission {
        if rule.is_public() {
            return Admission::Ready(Ok(Identity::Clear));
        }
        match self.0.schemes.authenticate(parts) {
            Authentication::Ready(Err(rejection)) => Admission::Ready(Err(rejection)),
            Authentication::Ready(Ok(principal)) if self.limits_may_wait() => {
                self.later(ready(Ok(principal)), parts, rule)
            }
            Authentication::Ready(Ok(principal)) => match self.limited(parts, &principal) {
                Ok(()) => {
                    let (action, path) = (parts.method.as_str(), asked_for(parts, rule));
                    let asked = Asked { action, path, extensions: &parts.extensions };
                    self.0.judge.judge(Cow::Owned(principal), &asked, rule)
                }
                Err(rejection) => Admission::Ready(Err(rejection)),
            },
            Authentication::Pending(future) => self.later(future, parts, rule),
        }
    }

    /// The same, once it is known who asks.
    fn later(
        &self,
        who: impl Future<Output = Result<Principal, Rejection>> + Send + 'static,
        parts: &Parts,
        rule: &Rule,
    ) -> Admission {
        // Nothing of a request can be borrowed while waiting.
        let (gate, rule, parts) = (self.clone(), rule.clone(), parts.clone());
        Admission::Pending(Box::pin(async move {
            let principal = who.await?;
            gate.limited_late(&parts, &principal).await?;
            let (action, path) = (parts.method.as_str(), asked_for(&parts, &rule));
            let asked = Asked { action, path, extensions: &parts.extensions };
            match gate.0.judge.judge(Cow::Owned(principal), &asked, &rule) {
                Admission::Ready(answer) => answer,
                Admission::Pending(future) => future.await,
            }
        }))
    }

    /// A pattern comes from the router, not from the client, so there are as many as routes.
    fn report_unmapped(&self, pattern: &str) {
        let reported = self.0.unmapped.load();
        if reported.contains(pattern) || reported.len() >= MAX_REPORTED {
            return;
        }
        let before = self.0.unmapped.rcu(|reported| {
            let mut reported = HashSet::clone(reported);
            reported.insert(pattern.to_owned());
            reported
        });
        // Of those who find it missing at the same time, one puts it in.
        if !before.contains(pattern) {
            tracing::warn!(route = pattern, "a route has no rule and is denied: add it to the access map");
        }
    }
}

/// By what a rule is looked up.
#[derive(Clone, Copy)]
enum Route<'a> {
    /// A router matched this pattern.
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only axum tells what it matched"))]
    Matched(&'a str),
    /// No router said anything.
    Path(&'a str),
    /// The path was rewritten on the way here.
    Unclear,
}

impl<'a> Route<'a> {
    fn of(parts: &'a Parts) -> Self {
        #[cfg(feature = "axum")]
        if let Some(matched) = parts.extensions.get::<::axum::extract::MatchedPath>() {
            return Self::Matched(matched.as_str());
        }
        whole_path(parts).map_or(Self::Unclear, Self::Path)
    }
}
