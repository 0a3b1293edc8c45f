//! One decision for every layer: the rule, the event of a refusal, what the client is told.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use http::Extensions;

use super::{Admission, Identity, matched_route, refused};
use crate::authz::{AccessRequest, Authorizer, Explanation, Refused, Rule, Verdict, authorize};
use crate::principal::Principal;
use crate::rejection::Rejection;

/// Who decides, and how one authenticates there. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    pub(crate) authorizer: Authorizer,
    /// The challenges of all ways in.
    pub(crate) challenge: Arc<str>,
    /// The challenge for bearer tokens, if they are a way in.
    pub(crate) bearer: Option<Arc<str>>,
}

/// In a request's extensions: whoever refuses it may tell why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Explain;

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) action: &'a str,
    pub(crate) path: &'a str,
    pub(crate) extensions: &'a Extensions,
}

impl Judge {
    /// For bearer tokens, with no realm known.
    pub(crate) fn bearer(authorizer: Authorizer) -> Self {
        static BEARER: LazyLock<Arc<str>> = LazyLock::new(|| "Bearer".into());
        Self { authorizer, challenge: BEARER.clone(), bearer: Some(BEARER.clone()) }
    }

    /// Whether the request may go on. A principal that is handed over becomes the request's; one that is lent is there
    /// already. An answer that is there at once is boxed only to be recorded.
    pub(crate) fn judge(&self, who: Cow<'_, Principal>, asked: &Asked<'_>, rule: &Rule) -> Admission {
        let (verdict, explanation) = {
            let roles = self.authorizer.current();
            let request = AccessRequest::new(&who, &roles, asked.action, asked.path);
            let request = request.with_context(asked.extensions);
            let verdict = authorize(&request, rule);
            let is_let_in = matches!(verdict, Verdict::Ready(Ok(())));
            let explains = !is_let_in && asked.extensions.get::<Explain>().is_some();
            (verdict, explains.then(|| Explanation::new(&request, rule, &roles)))
        };
        match verdict {
            Verdict::Ready(Ok(())) => Admission::Ready(Ok(identity(who))),
            // Nothing to record: what is left is rendering.
            Verdict::Ready(Err(why)) if who.is_anonymous() || !self.authorizer.records() => {
                Admission::Ready(Err(self.rejection(why, rule, explanation)))
            }
            Verdict::Ready(Err(why)) => self.late(async move { Err(why) }, who, asked, rule, explanation),
            Verdict::Pending(future) => self.late(future, who, asked, rule, explanation),
        }
    }

    /// A verdict that is waited for, and recorded if it is a refusal.
    fn late(
        &self,
        verdict: impl Future<Output = Result<(), Refused>> + Send + 'static,
        who: Cow<'_, Principal>,
        asked: &Asked<'_>,
        rule: &Rule,
        explanation: Option<Explanation>,
    ) -> Admission {
        let (judge, rule, action) = (self.clone(), rule.clone(), asked.action.to_owned());
        let route = matched_route(asked.extensions).map(str::to_owned);
        let (principal, is_lent) = (who.clone().into_owned(), matches!(who, Cow::Borrowed(_)));
        Admission::Pending(Box::pin(async move {
            match verdict.await {
                Ok(()) if is_lent => Ok(Identity::Keep),
                Ok(()) => Ok(Identity::Set(principal)),
                Err(why) => {
                    judge.authorizer.record(&principal, &rule, why, &action, route.as_deref()).await;
                    Err(judge.rejection(why, &rule, explanation))
                }
            }
        }))
    }

    fn rejection(&self, why: Refused, rule: &Rule, explanation: Option<Explanation>) -> Rejection {
        let rejection = refused(why, rule, &self.challenge, self.bearer.as_deref());
        match explanation {
            Some(known) => {
                let explanation = Explanation { answer: Err(why), ..known };
                rejection.danger_with_explanation(explanation.to_string())
            }
            None => rejection,
        }
    }
}

fn identity(who: Cow<'_, Principal>) -> Identity {
    match who {
        Cow::Borrowed(_) => Identity::Keep,
        Cow::Owned(principal) => Identity::Set(principal),
    }
}
