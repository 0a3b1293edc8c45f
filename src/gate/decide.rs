//! What the gate decides, without carrying it out.

use http::Extensions;
use http::request::Parts;

use super::Gate;
use crate::authn::Authentication;
use crate::authz::{AccessRequest, Lookup, Refused, Rule, Verdict, authorize};
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};
use crate::wire::{Admission, Identity, matched_route, refused, whole_path};

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
                Err(Rejection::new(RejectionCode::NotFound))
            }
        }
    }

    /// Whether a request may pass under this rule, and as whom.
    pub(crate) fn admit(&self, parts: &Parts, rule: &Rule) -> Admission {
        if rule.is_public() {
            return Admission::Ready(Ok(Identity::Clear));
        }
        match self.0.schemes.authenticate(parts) {
            Authentication::Ready(Err(rejection)) => Admission::Ready(Err(rejection)),
            Authentication::Ready(Ok(principal)) => {
                self.judge(principal, parts.method.as_str(), asked_for(parts, rule), &parts.extensions, rule)
            }
            Authentication::Pending(future) => {
                // Nothing of a request can be borrowed while waiting.
                let (gate, rule) = (self.clone(), rule.clone());
                let (method, path) = (parts.method.clone(), asked_for(parts, &rule).to_owned());
                let extensions = if rule.is_policy() { parts.extensions.clone() } else { Extensions::new() };
                Admission::Pending(Box::pin(async move {
                    let principal = future.await?;
                    match gate.judge(principal, method.as_str(), &path, &extensions, &rule) {
                        Admission::Ready(answer) => answer,
                        Admission::Pending(future) => future.await,
                    }
                }))
            }
        }
    }

    fn judge(
        &self,
        principal: Principal,
        action: &str,
        resource: &str,
        extensions: &Extensions,
        rule: &Rule,
    ) -> Admission {
        let roles = self.authorizer().current();
        let request = AccessRequest::new(&principal, &roles, action, resource).with_context(extensions);
        match authorize(&request, rule) {
            Verdict::Ready(Ok(())) => Admission::Ready(Ok(Identity::Set(principal))),
            // Nothing to record: what is left is rendering.
            Verdict::Ready(Err(why)) if principal.is_anonymous() || !self.authorizer().records() => {
                Admission::Ready(Err(self.refusal(why, rule)))
            }
            Verdict::Ready(Err(why)) => {
                self.late(async move { Err(why) }, principal, action, extensions, rule)
            }
            Verdict::Pending(future) => self.late(future, principal, action, extensions, rule),
        }
    }

    /// A verdict that is waited for, and recorded if it is a refusal.
    fn late(
        &self,
        verdict: impl Future<Output = Result<(), Refused>> + Send + 'static,
        principal: Principal,
        action: &str,
        extensions: &Extensions,
        rule: &Rule,
    ) -> Admission {
        let (gate, rule) = (self.clone(), rule.clone());
        let (action, route) = (action.to_owned(), matched_route(extensions).map(str::to_owned));
        Admission::Pending(Box::pin(async move {
            match verdict.await {
                Ok(()) => Ok(Identity::Set(principal)),
                Err(why) => {
                    gate.authorizer().record(&principal, &rule, why, &action, route.as_deref()).await;
                    Err(gate.refusal(why, &rule))
                }
            }
        }))
    }

    fn refusal(&self, why: Refused, rule: &Rule) -> Rejection {
        refused(why, rule, self.0.schemes.challenge(), self.0.schemes.bearer())
    }

    /// A pattern comes from the router, not from the client, so the set is bounded by the number of routes.
    fn report_unmapped(&self, pattern: &str) {
        let first = match self.0.unmapped.lock() {
            Ok(mut reported) => !reported.contains(pattern) && reported.insert(pattern.to_owned()),
            Err(_) => false,
        };
        if first {
            tracing::warn!(route = pattern, "a route has no rule and is denied: add it to the access map");
        }
    }
}

/// The path as a policy sees it; nothing else reads it.
fn asked_for<'a>(parts: &'a Parts, rule: &Rule) -> &'a str {
    let path = if rule.is_policy() { whole_path(parts) } else { None };
    path.unwrap_or(parts.uri.path())
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
