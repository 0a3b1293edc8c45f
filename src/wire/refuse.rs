//! From a refusal to a response.

use std::sync::Arc;
use std::time::Duration;

use http::Response;

use crate::authz::{Refused, Rule};
use crate::rejection::Rejection;
use crate::render::Render;

/// How long a client should wait for an outage of ours to pass.
const RETRY_OUTAGE: Duration = Duration::from_secs(5);

/// Renders a rejection and leaves it in the response's extensions for outer layers.
pub(crate) fn refuse<B>(renderer: &impl Render<B>, rejection: &Rejection) -> Response<B> {
    let mut response = renderer.render(rejection);
    response.extensions_mut().insert(rejection.clone());
    response
}

/// The rejection for a refused rule. `challenge` says how one authenticates here, `bearer` whether with bearer tokens
/// and in which realm (RFC 6750 section 3).
pub(crate) fn refused(why: Refused, rule: &Rule, challenge: &Arc<str>, bearer: Option<&str>) -> Rejection {
    let rejection = Rejection::new(why.code());
    match why {
        Refused::Unauthenticated => rejection.with_challenge(challenge.clone()),
        Refused::InsufficientScope => match (bearer, rule.needed_scope()) {
            (Some(bearer), Some(scope)) => {
                let comma = if bearer.contains(' ') { "," } else { "" };
                rejection.with_challenge(format!(
                    "{bearer}{comma} error=\"insufficient_scope\", scope=\"{scope}\""
                ))
            }
            _ => rejection,
        },
        Refused::Unavailable => rejection.with_retry_after(RETRY_OUTAGE),
        _ => rejection,
    }
}
