//! The gate: every layer, in the one right order, decided in one fused service.
//!
//! **The outer half** stands between the socket and the question who is asking:
//!
//! 1. [`context`](crate::context): name, time, client, channel; one clock read for everything further in;
//! 2. [`headers`](crate::headers) are put on every answer, also on refusals and on that to a panic;
//! 3. [`firewall`](crate::firewall): what has no one meaning is 400; the path gets its one form before anything matches;
//! 4. [`cors`](crate::cors) answers preflights and tells pages which answers they may read;
//! 5. [`rate_limit`](crate::rate_limit)s by address: 429;
//! 6. the [origin rule](crate::csrf): what another site's page sends is 403.
//!
//! Headers, firewall and origin rule are there at their strictest unless they are given or taken out by name. CORS and
//! limits are there once they are given: what a service's quotas are, nobody else knows.
//!
//! **The inner half** looks each request up in the [`AccessMap`]; then:
//!
//! 1. no rule: 404. A rule for other methods: 405 with `Allow`;
//! 2. [`Rule::public`]: on to the handler. Credentials are not read and there is no principal;
//! 3. else the schemes say who is asking ([`authn`](crate::authn)); a bad credential is 401;
//! 4. limits by principal, tenant or tier: 429;
//! 5. the rule decides ([`authz`](crate::authz)): 401 for somebody unknown, 403 for somebody known;
//! 6. on to the handler, with the [`Principal`](crate::Principal) in the request's extensions.
//!
//! Nothing of the inner service runs before that stands. For a request that is let in the gate asks no store, takes no
//! lock that requests share and boxes no future, unless a scheme, a policy or a shared limit has to wait.
//!
//! There are two ways to put a gate in front of an application. `gate.router()` (feature `axum`) takes route, handler and
//! rule together. [`Gate::layer`] goes onto any service or router that is already there and looks the rule up in its
//! access map; what it doesn't cover stands on its page.
//!
//! Tests of an application ask as whom they like with [`testing`] (feature `test-util`).
//!
//! Behind axum's own `Router::layer` a router has matched already, so that a path that is not in its canonical form
//! (`/t%61sks`) is refused there instead of rewritten.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Method, Request, Response};
//! use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
//! use portcullis::gate::Gate;
//! # use portcullis::principal::{Principal, Verified};
//! # use portcullis::token::{TokenRefusal, VerifyAccessToken};
//! # use portcullis::{Subject, TenantId};
//! use tower::{Layer, ServiceExt, service_fn};
//! # struct Tokens;
//! # impl VerifyAccessToken for Tokens {
//! #     fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
//! #         let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap());
//! #         if token == "ada" { Ok(Verified::vouch(ada.with_roles(["user"]))) } else { Err(TokenRefusal::Invalid) }
//! #     }
//! # }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let gate = Gate::builder()
//!     .with_access_tokens(Tokens)
//!     .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?)
//!     .with_access_map(
//!         AccessMap::builder()
//!             .add(Method::GET, "/health", Rule::public())
//!             .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read")),
//!     )
//!     .build()
//!     .await?;
//! let service = gate.layer().layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, Infallible>(Response::new(Bytes::from("inside")))
//! }));
//!
//! for (path, token, status) in [
//!     ("/health", None, 200),
//!     ("/tasks/42", None, 401),
//!     ("/tasks/42", Some("Bearer ada"), 200),
//!     ("/tasks/42", Some("Bearer eve"), 401),
//!     ("/forgotten", Some("Bearer ada"), 404),
//! ] {
//!     let mut request = Request::get(path);
//!     if let Some(token) = token {
//!         request = request.header("authorization", token);
//!     }
//!     let response = service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
//!     assert_eq!(response.status(), status, "{path}");
//! }
//! # Ok::<(), portcullis::ConfigError>(()) }).unwrap();
//! ```

mod builder;
mod decide;
mod edge;
mod follow;
mod follow_keys;
mod layer;
mod limits;
#[cfg(feature = "test-util")]
pub mod testing;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::account::Accounts;
use crate::authn::Schemes;
use crate::authz::{AccessMap, AuthorizeLayer, Authorizer, RoleModel, Rule};
use crate::error::ConfigError;
use crate::id::TenantId;
use crate::vault::Vault;
use crate::wire::Judge;

pub use builder::GateBuilder;
use edge::Edge;
#[cfg(feature = "axum")]
pub(crate) use edge::{Edged, EdgedFuture};
pub use layer::{GateLayer, Gated, ResponseFuture};

/// The whole stack, built once. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    schemes: Schemes,
    judge: Judge,
    map: AccessMap,
    accounts: Option<Accounts>,
    vault: Option<Vault>,
    /// Rules of routers and single layers, which carry them on their own.
    routed: Mutex<Vec<Rule>>,
    /// Routes without a rule that were reported, so that each is reported once. Read without a lock: whoever floods such
    /// a route does not make the others wait.
    unmapped: ArcSwap<HashSet<String>>,
    /// Keeps the roles as a file says.
    follower: Mutex<Option<follow::Follower>>,
    /// Keeps the keys as their provider says.
    key_follower: Mutex<Option<follow::Follower>>,
    /// Whether refusals tell the client why.
    explains: bool,
    edge: Arc<Edge>,
}

impl Gate {
    /// Collects what the gate is made of.
    #[must_use]
    pub fn builder() -> GateBuilder {
        GateBuilder::default()
    }

    /// The gate as one tower layer, for a service or router that is already there.
    ///
    /// **On axum it covers what was added before it.** A route, a nested or merged router, a service or a fallback that is
    /// added to that router afterwards is outside, as with any of axum's layers, and the gate never hears of it. So call
    /// `.layer(gate.layer())` last, or take `gate.router()` (feature `axum`), which has no outside. axum lists the routes
    /// of a router to nobody, so this can't be checked here; a handler outside that takes a
    /// [`Principal`](crate::Principal) answers 500, as there is none.
    ///
    /// The rule is looked up by the pattern that axum's router matched, with all prefixes of nested routers; a route
    /// without a rule is denied, and reported in the log once, when it is first asked for. Where there is no pattern - a
    /// service without a router, the layer around a finished one, below `nest_service` and `fallback_service` - it is
    /// looked up by the whole path, with the same engine. In these cases list every route of the service, because two
    /// patterns can match one path.
    #[must_use]
    pub fn layer(&self) -> GateLayer {
        GateLayer::new(self.clone())
    }

    /// A layer for one route behind the gate that narrows further and never opens. It decides as the gate does: by the
    /// same roles, also after [`replace_roles`](Self::replace_roles), with the same audit event for a refusal.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the rule can never be satisfied with the gate's roles, or is [`Rule::public`].
    pub fn require(&self, rule: Rule) -> Result<AuthorizeLayer, ConfigError> {
        let mut routed = self.0.routed.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = AuthorizeLayer::with_judge(rule, &self.0.judge)?;
        routed.push(layer.rule().clone());
        Ok(layer)
    }

    /// What stands in front of the question who is asking.
    pub(crate) fn edge(&self) -> &Arc<Edge> {
        &self.0.edge
    }

    /// The table of rules that [`layer`](Self::layer) goes by.
    #[must_use]
    pub fn access_map(&self) -> &AccessMap {
        &self.0.map
    }

    /// The roles in force.
    #[must_use]
    pub fn roles(&self) -> Arc<RoleModel> {
        self.0.judge.authorizer.roles()
    }

    /// Puts other roles in force in one step, for requests that come after; roles in tokens are names, so nobody has to
    /// sign in again. They bind wherever this gate decides: in its layers and routers, in layers made by
    /// [`require`](Self::require), and in its [`authorizer`](Self::authorizer).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming a rule of this gate that the new roles could never satisfy, or a role its accounts are
    /// configured with that they lack; the old ones stay in force.
    pub fn replace_roles(&self, roles: RoleModel) -> Result<(), ConfigError> {
        let routed = self.0.routed.lock().unwrap_or_else(PoisonError::into_inner);
        let mapped = self.0.map.iter().map(|(_, _, rule)| rule);
        self.0.judge.authorizer.replace_roles(roles, mapped.chain(routed.iter()))
    }

    /// Builds the map of a router and remembers its rules, which [`replace_roles`](Self::replace_roles) has to respect.
    #[cfg(feature = "axum")]
    pub(crate) fn remember(
        &self,
        build: impl FnOnce(&RoleModel) -> Result<AccessMap, ConfigError>,
    ) -> Result<AccessMap, ConfigError> {
        // Held meanwhile, so that the roles it is built for are not replaced by some that don't fit it.
        let mut routed = self.0.routed.lock().unwrap_or_else(PoisonError::into_inner);
        let map = build(&self.roles())?;
        routed.extend(map.iter().map(|(_, _, rule)| rule.clone()));
        Ok(map)
    }

    /// Decides for code behind the gate as the gate decides in front of it.
    #[must_use]
    pub fn authorizer(&self) -> &Authorizer {
        &self.0.judge.authorizer
    }

    /// The accounts whose tokens it accepts, if it was built with some.
    #[must_use]
    pub fn accounts(&self) -> Option<&Accounts> {
        self.0.accounts.as_ref()
    }

    /// The vault for fields at rest, if it was built with one.
    #[must_use]
    pub fn vault(&self) -> Option<&Vault> {
        self.0.vault.as_ref()
    }

    /// Ends what runs in the background and waits for its end. Access tokens are refused with 503 soon after.
    pub async fn shutdown(&self) {
        self.unfollow_roles().await;
        self.unfollow_keys().await;
        if let Some(accounts) = &self.0.accounts {
            accounts.tokens().revocations().shutdown().await;
        }
    }

    /// The tenant principals must belong to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.0.schemes.tenant()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("schemes", &self.0.schemes)
            .field("authorizer", self.authorizer())
            .field("map", &self.0.map)
            .finish_non_exhaustive()
    }
}
