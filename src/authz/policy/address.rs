//! From where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Decision, Policy, PolicyOutcome, SharedPolicy};
use crate::authz::{AccessRequest, RoleModel};
use crate::error::ConfigError;
use crate::network::{InvalidNetwork, Network};
use crate::request_context::RequestContext;

/// Allows requests from these networks: `10.0.0.0/8`, `2001:db8::/32`, or one address, as [`Network::parse`] reads them.
///
/// The address is the one in the [`RequestContext`], which [`ContextLayer`](crate::context::ContextLayer) puts into the
/// request's extensions. Where there is none - code that asks the [`Authorizer`](crate::authz::Authorizer) passes none -
/// the policy abstains, and so does its negation; the log says so once. An address is where a request comes from, not who sends it: require it beside a
/// permission, not instead of one.
///
/// ```
/// use portcullis::authz::policy::{Policy, all_of, from_network, permission};
///
/// let policy = all_of([permission("users:delete"), from_network(["10.0.0.0/8", "2001:db8::/32"])]);
/// assert_eq!(policy.describe(), "all of (permission users:delete, from 10.0.0.0/8, 2001:db8::/32)");
/// ```
#[must_use]
pub fn from_network<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> SharedPolicy {
    let (mut texts, mut parsed) = (Vec::new(), Vec::new());
    for text in networks {
        let text = text.as_ref();
        texts.push(text.to_owned());
        parsed.push(Network::parse(text).map_err(|cause| (text.to_owned(), cause)));
    }
    let what = format!("from {}", if texts.is_empty() { "nowhere".to_owned() } else { texts.join(", ") });
    let networks = parsed.into_iter().collect();
    Arc::new(FromNetwork { what, networks, missed: AtomicBool::new(false) })
}

struct FromNetwork {
    what: String,
    /// Or the first text that is none.
    networks: Result<Vec<Network>, (String, InvalidNetwork)>,
    /// Whether it was said that there is no address.
    missed: AtomicBool,
}

impl FromNetwork {
    fn judge(&self, request: &AccessRequest<'_>) -> Decision {
        if request.principal().is_anonymous() {
            return Decision::Deny;
        }
        let networks = self.networks.as_deref().unwrap_or_default();
        if networks.is_empty() {
            return Decision::Abstain;
        }
        let Some(client) = request.context().get::<RequestContext>().and_then(RequestContext::client) else {
            if !self.missed.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    policy = self.what,
                    "no client address in the request: put a `ContextLayer` outside, and have the server insert a \
                     `network::Connection`, or axum its `ConnectInfo<SocketAddr>`"
                );
            }
            return Decision::Abstain;
        };
        if networks.iter().any(|network| network.contains(client)) { Decision::Allow } else { Decision::Deny }
    }
}

impl Policy for FromNetwork {
    fn decide(&self, request: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready(self.judge(request))
    }

    fn validate(&self, _: &RoleModel) -> Result<(), ConfigError> {
        let cure = "write networks such as `10.0.0.0/8` or `2001:db8::/32`, or addresses";
        match &self.networks {
            Ok(networks) if networks.is_empty() => {
                Err(ConfigError::new("networks", "are none, so nobody comes from there", cure))
            }
            Ok(_) => Ok(()),
            Err((text, cause)) => Err(ConfigError::new(format!("network `{text}`"), cause.to_string(), cure)),
        }
    }

    fn describe(&self) -> String {
        self.what.clone()
    }
}

#[cfg(test)]
mod tests {
    use http::Extensions;

    use super::*;
    use crate::authz::Refused;
    use crate::authz::policy::testing::{ada, nobody, verdict};
    use crate::authz::policy::{all_of, any_of, authenticated, not};
    use crate::id::RequestId;
    use crate::network::ClientAddress;
    use crate::time::Timestamp;

    fn decide(policy: &SharedPolicy, address: Option<&str>) -> Decision {
        let (ada, model, mut extensions) = (ada(), RoleModel::default(), Extensions::new());
        if let Some(address) = address {
            let context = RequestContext::new(RequestId::mint().unwrap(), Timestamp::UNIX_EPOCH);
            extensions.insert(context.with_client(ClientAddress::new(address.parse().unwrap())));
        }
        let request = AccessRequest::new(&ada, &model, "GET", "/").with_context(&extensions);
        match policy.decide(&request) {
            PolicyOutcome::Ready(decision) => decision,
            PolicyOutcome::Pending(_) => panic!("nothing to wait for"),
        }
    }

    #[test]
    fn from_where() {
        use Decision::{Abstain, Allow, Deny};
        let office = from_network(["10.0.0.0/8", "2001:db8::/32"]);
        let anywhere = from_network(["0.0.0.0/0", "::/0"]);
        let elsewhere = not(office.clone());
        let both = all_of([authenticated(), office.clone()]);
        let either = any_of([office.clone(), not(authenticated())]);
        for (name, policy, address, want) in [
            ("inside", &office, Some("10.1.2.3"), Allow),
            ("inside, mapped", &office, Some("::ffff:10.0.0.1"), Allow),
            ("inside, IPv6", &office, Some("2001:db8::1"), Allow),
            ("outside", &office, Some("192.0.2.1"), Deny),
            ("loopback", &office, Some("::1"), Deny),
            ("unknown", &office, None, Abstain),
            ("anywhere", &anywhere, Some("::ffff:192.0.2.1"), Allow),
            ("anywhere, unknown", &anywhere, None, Abstain),
            ("not inside", &elsewhere, Some("192.0.2.1"), Allow),
            ("not outside", &elsewhere, Some("10.1.2.3"), Deny),
            ("not unknown", &elsewhere, None, Abstain),
            ("and", &both, Some("10.1.2.3"), Allow),
            ("and unknown", &both, None, Abstain),
            ("or unknown", &either, None, Abstain),
        ] {
            assert_eq!(decide(policy, address), want, "{name}");
        }
    }

    #[tokio::test]
    async fn who_is_not_known_by_an_address_alone() {
        let office = from_network(["10.0.0.0/8"]);
        for (name, policy, principal, want) in [
            ("no address", &office, ada(), Refused::Forbidden),
            ("nobody", &office, nobody(), Refused::Unauthenticated),
            ("not, nobody", &not(office.clone()), nobody(), Refused::Unauthenticated),
            ("not, no address", &not(office.clone()), ada(), Refused::Forbidden),
        ] {
            assert_eq!(verdict(policy, &principal, "/").await, (Err(want), true), "{name}");
        }
    }

    #[test]
    fn networks_that_are_none() {
        for (networks, want) in [
            (&["10.0.0.0/8", "10.0.0.1/8"][..], "network `10.0.0.1/8`: has address bits beyond its length"),
            (&["10.0.0.0/33"], "network `10.0.0.0/33`: has a length"),
            (&["office"], "network `office`: does not begin with"),
            (&[], "networks: are none"),
        ] {
            let policy = not(from_network(networks));
            let error = policy.validate(&RoleModel::default()).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
            assert_eq!(decide(&policy, Some("192.0.2.1")), Decision::Abstain, "{want}");
        }
    }
}
