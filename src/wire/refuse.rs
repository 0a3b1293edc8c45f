//! From a refusal to a response.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response};

use crate::authz::{Refused, Rule};
use crate::rejection::Rejection;
use crate::render::Render;

/// How long a client should wait for an outage of ours to pass.
const RETRY_OUTAGE: Duration = Duration::from_secs(5);

/// Memory of a request that is refused, for its answer: a client that is turned away should not make us allocate.
/// Nothing of what the request said is left in it.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    headers: HeaderMap,
    extensions: Extensions,
}

impl Remains {
    pub(crate) fn of<B>(request: Request<B>) -> Self {
        let (parts, _) = request.into_parts();
        Self::of_parts(parts)
    }

    pub(crate) fn of_parts(parts: Parts) -> Self {
        let Parts { mut headers, mut extensions, .. } = parts;
        headers.clear();
        extensions.clear();
        Self { headers, extensions }
    }
}

/// Renders a rejection and leaves it in the response's extensions for outer layers.
pub(crate) fn refuse<B>(renderer: &impl Render<B>, rejection: &Rejection) -> Response<B> {
    let mut response = renderer.render(rejection);
    response.extensions_mut().insert(rejection.clone());
    response
}

/// As [`refuse`], out of what the request has left.
pub(crate) fn refuse_with<B>(
    renderer: &impl Render<B>,
    rejection: &Rejection,
    remains: &mut Remains,
) -> Response<B> {
    let Remains { headers, extensions } = std::mem::take(remains);
    let mut response = renderer.render_into(rejection, headers);
    if response.extensions().is_empty() {
        *response.extensions_mut() = extensions;
    }
    response.extensions_mut().insert(rejection.clone());
    response
}

/// The rejection for a refused rule. `challenge` says how one authenticates here, `bearer` whether with bearer tokens
/// and in which realm (RFC 6750 section 3).
pub(super) fn refused(why: Refused, rule: &Rule, challenge: &Arc<str>, bearer: Option<&str>) -> Rejection {
    let rejection = Rejection::new(why.code());
    match why {
        Refused::Unauthenticated => rejection.with_challenge(challenge.clone()),
        Refused::InsufficientScope => match (bearer, rule.needed_scope()) {
            (Some(bearer), Some(scope)) => {
                let error = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
                rejection.with_challenge(with_parameters(bearer, &error))
            }
            _ => rejection,
        },
        // RFC 9470 section 3.
        Refused::Reauthenticate(step_up) => match bearer {
            Some(bearer) => {
                let error = format!("error=\"insufficient_user_authentication\"{}", step_up.parameters());
                rejection.with_challenge(with_parameters(bearer, &error))
            }
            None => rejection.with_challenge(challenge.clone()),
        },
        Refused::Unavailable => rejection.with_retry_after(RETRY_OUTAGE),
        _ => rejection,
    }
}

fn with_parameters(challenge: &str, parameters: &str) -> String {
    let comma = if challenge.contains(' ') { "," } else { "" };
    format!("{challenge}{comma} {parameters}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::authz::StepUp;
    use crate::principal::Assurance;
    use crate::rejection::RejectionCode;
    use crate::render::{GrpcStatus, Problem};

    /// The answer has the memory of the request and nothing of what stood there.
    #[test]
    fn nothing_of_the_request_remains_in_the_refusal() {
        #[derive(Clone, Debug, PartialEq)]
        struct Ours(&'static str);
        let remains = || {
            let mut request = Request::get("/").header("cookie", "canary").header("x-canary", "one");
            let headers = request.headers_mut().unwrap();
            for _ in 0..40 {
                headers.append("x-canary", http::HeaderValue::from_static("more"));
            }
            Remains::of(request.extension(Ours("canary")).extension("canary").body(()).unwrap())
        };
        let closure = |rejection: &Rejection| {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = rejection.status().try_into().unwrap();
            response.extensions_mut().insert(Ours("of the renderer"));
            response
        };
        let rejection = Rejection::new(RejectionCode::RateLimited).with_retry_after(Duration::from_secs(7));
        let check = |name: &str, fresh: Response<Bytes>, reused: Response<Bytes>, ours: Option<Ours>| {
            assert_eq!(fresh.status(), reused.status(), "{name}");
            let lines = |response: &Response<Bytes>| {
                response
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(lines(&fresh), lines(&reused), "{name}");
            assert_eq!(fresh.body(), reused.body(), "{name}");
            let extensions = reused.extensions();
            assert_eq!(extensions.get::<Rejection>(), Some(&rejection), "{name}");
            assert_eq!(extensions.get::<Ours>(), ours.as_ref(), "{name}");
            assert_eq!(extensions.len(), 1 + usize::from(ours.is_some()), "{name}");
        };
        check(
            "problem",
            refuse(&Problem, &rejection),
            refuse_with(&Problem, &rejection, &mut remains()),
            None,
        );
        check(
            "grpc",
            refuse(&GrpcStatus, &rejection),
            refuse_with(&GrpcStatus, &rejection, &mut remains()),
            None,
        );
        let (fresh, reused) =
            (refuse(&closure, &rejection), refuse_with(&closure, &rejection, &mut remains()));
        check("closure", fresh, reused, Some(Ours("of the renderer")));
    }

    #[test]
    fn a_step_up_says_what_is_missing() {
        let (assurance, max_age) = (Some(Assurance::Aal2), Some(Duration::from_secs(300)));
        let error = "error=\"insufficient_user_authentication\"";
        for (step_up, bearer, want) in [
            (
                StepUp { assurance, max_age: None },
                Some("Bearer"),
                format!("Bearer {error}, acr_values=\"aal2\""),
            ),
            (
                StepUp { assurance, max_age },
                Some("Bearer realm=\"api\""),
                format!("Bearer realm=\"api\", {error}, acr_values=\"aal2\", max_age=\"300\""),
            ),
            (StepUp { assurance: None, max_age }, None, "Cookie".to_owned()),
        ] {
            let rejection =
                refused(Refused::Reauthenticate(step_up), &Rule::authenticated(), &"Cookie".into(), bearer);
            assert_eq!((rejection.status(), rejection.challenge()), (401, Some(want.as_str())));
        }
    }
}
