//! Routes, handlers and rules together.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::Request;
use ::axum::handler::Handler;
use ::axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use super::GateService;
use super::guarded::{Guard, Guarded, Renderer};
use crate::authz::{AccessMap, Lookup, RoleModel, Rule};
use crate::error::ConfigError;
use crate::gate::Gate;
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::wire::{Remains, refuse_with};

/// Routes with their handlers and rules, not yet behind a gate: a group to be added to a [`GateRouter`].
///
/// ```
/// use http::Method;
/// use portcullis::authz::Rule;
/// use portcullis::axum::Routes;
///
/// let probes: Routes = Routes::new()
///     .route(Method::GET, "/live", async || "ok", Rule::public())
///     .route(Method::GET, "/ready", async || "ok", Rule::authenticated());
/// let all: Routes = Routes::new().add_routes_at("/health", probes);
/// ```
#[must_use]
pub struct Routes<S = ()> {
    list: Vec<Route<S>>,
}

struct Route<S> {
    method: Method,
    path: String,
    /// `None` if the access map of the gate has it.
    rule: Option<Rule>,
    attach: Attach<S>,
}

/// Puts the handler, whose type is forgotten here, behind its guard.
type Attach<S> = Box<dyn FnOnce(MethodFilter, Arc<Guard>) -> MethodRouter<S> + Send>;

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Adds a route. `GET` serves `HEAD` too, under the same rule, unless `HEAD` has a route of its own.
    pub fn route<H, T>(self, method: Method, path: impl Into<String>, handler: H, rule: Rule) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.push(method, path.into(), handler, Some(rule))
    }

    /// Adds a route that takes its rule from the access map of the gate
    /// ([`with_access_map`](crate::gate::GateBuilder::with_access_map)), for services whose rules stand in one table.
    /// [`GateRouter::finish`] fails if it has no entry.
    pub fn mapped<H, T>(self, method: Method, path: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.push(method, path.into(), handler, None)
    }

    fn push<H, T>(mut self, method: Method, path: String, handler: H, rule: Option<Rule>) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let attach: Attach<S> = Box::new(move |filter, guard| on(filter, Guarded { handler, guard }));
        self.list.push(Route { method, path, rule, attach });
        self
    }

    /// Adds all routes of another group.
    pub fn add_routes(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self
    }

    /// Adds all routes of another group below a prefix such as `/api/auth`. Handlers see the whole path.
    pub fn add_routes_at(mut self, prefix: &str, other: Self) -> Self {
        self.list.extend(
            other.list.into_iter().map(|route| Route { path: format!("{prefix}{}", route.path), ..route }),
        );
        self
    }

    /// The table of these routes and rules, without anything that serving them takes: for printing and for tests.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for whatever [`AccessMapBuilder::build`](crate::authz::AccessMapBuilder::build) refuses, and for
    /// routes that take their rule from a gate: its [`access_map`](Gate::access_map) is the table then.
    ///
    /// ```
    /// use http::Method;
    /// use portcullis::authz::{RoleModel, Rule};
    /// use portcullis::axum::Routes;
    ///
    /// let routes: Routes = Routes::new().route(Method::GET, "/live", async || "ok", Rule::public());
    /// assert_eq!(routes.access_map(&RoleModel::default())?.to_string(), "GET  /live  public\n");
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn access_map(&self, roles: &RoleModel) -> Result<AccessMap, ConfigError> {
        self.build(&AccessMap::default(), roles)
    }

    /// The table of these routes, with the rules of `table` for those that have none.
    fn build(&self, table: &AccessMap, roles: &RoleModel) -> Result<AccessMap, ConfigError> {
        let mut map = AccessMap::builder();
        for (route, rule) in self.list.iter().zip(self.rules(table)?) {
            map = map.add(route.method.clone(), route.path.clone(), rule.clone());
        }
        map.build(roles)
    }

    /// The rule of each route. Two places for a rule would be one too many, and none is too few.
    fn rules<'a>(&'a self, table: &'a AccessMap) -> Result<Vec<&'a Rule>, ConfigError> {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for Route { method, path, rule, .. } in &self.list {
            match (rule, table.entry(method, path)) {
                (Some(rule), None) => rules.push(rule),
                (Some(_), Some(_)) => {
                    problems.push(format!("`{method} {path}` has a rule of its own and an entry"))
                }
                (None, _) => match table.lookup_pattern(method, path) {
                    Lookup::Rule(rule) => rules.push(rule),
                    _ => problems.push(format!("`{method} {path}` has no entry")),
                },
            }
        }
        if self.list.iter().any(|route| route.rule.is_none()) {
            let routed: HashSet<_> =
                self.list.iter().map(|route| (&route.method, route.path.as_str())).collect();
            let forgotten =
                table.iter().filter(|(method, pattern, _)| !routed.contains(&(*method, *pattern)));
            problems
                .extend(forgotten.map(|(method, pattern, _)| format!("`{method} {pattern}` has no route")));
        }
        if problems.is_empty() {
            return Ok(rules);
        }
        problems.sort_unstable();
        Err(ConfigError::new(
            "access map",
            format!("does not fit the routes: {}", problems.join(", ")),
            "give each route one rule: an entry in the map, or one of its own",
        ))
    }

    /// Gives the handlers their state.
    pub fn with_state<S2: Clone + Send + Sync + 'static>(self, state: S) -> Routes<S2> {
        let give = |route: Route<S>| {
            let (state, attach) = (state.clone(), route.attach);
            Route {
                method: route.method,
                path: route.path,
                rule: route.rule,
                attach: Box::new(move |filter, guard| attach(filter, guard).with_state(state)) as Attach<S2>,
            }
        };
        Routes { list: self.list.into_iter().map(give).collect() }
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for Route { method, path, rule, .. } in &self.list {
            let rule = rule.as_ref().map_or("mapped".to_owned(), ToString::to_string);
            map.entry(&format!("{method} {path}"), &rule);
        }
        map.finish()
    }
}

/// A router in which every route has a rule. See the [module](super).
#[must_use]
pub struct GateRouter<S = ()> {
    gate: Gate,
    renderer: Renderer,
    routes: Routes<S>,
}

impl Gate {
    /// A router behind this gate, without routes yet.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> GateRouter<S> {
        GateRouter { gate: self.clone(), renderer: Renderer(Arc::new(Problem)), routes: Routes::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> GateRouter<S> {
    /// Adds a route. See [`Routes::route`].
    pub fn route<H, T>(mut self, method: Method, path: impl Into<String>, handler: H, rule: Rule) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.routes = self.routes.route(method, path, handler, rule);
        self
    }

    /// Adds a route that takes its rule from the access map of the gate. See [`Routes::mapped`].
    ///
    /// ```
    /// use http::Method;
    /// use portcullis::authz::{AccessMap, Rule};
    /// use portcullis::gate::Gate;
    /// # use portcullis::gate::testing::Cast;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let cast = Cast::new();
    /// let rules = AccessMap::builder()
    ///     .add(Method::GET, "/health", Rule::public())
    ///     .add(Method::GET, "/tasks", Rule::authenticated());
    /// let gate = Gate::builder().with_access_tokens(cast).with_access_map(rules).build().await?;
    ///
    /// let router = || gate.router().mapped(Method::GET, "/health", async || "ok");
    /// assert!(router().mapped(Method::GET, "/tasks", async || "all").finish().is_ok());
    ///
    /// let error = router().mapped(Method::GET, "/users", async || "all").finish().unwrap_err();
    /// assert!(error.to_string().contains("`GET /tasks` has no route, `GET /users` has no entry"));
    /// # Ok::<(), portcullis::ConfigError>(()) }).unwrap();
    /// ```
    pub fn mapped<H, T>(mut self, method: Method, path: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.routes = self.routes.mapped(method, path, handler);
        self
    }

    /// Adds a group of routes.
    pub fn add_routes(mut self, routes: Routes<S>) -> Self {
        self.routes = self.routes.add_routes(routes);
        self
    }

    /// Adds a group of routes below a prefix. See [`Routes::add_routes_at`].
    pub fn add_routes_at(mut self, prefix: &str, routes: Routes<S>) -> Self {
        self.routes = self.routes.add_routes_at(prefix, routes);
        self
    }

    /// Gives the handlers added so far their state.
    pub fn with_state<S2: Clone + Send + Sync + 'static>(self, state: S) -> GateRouter<S2> {
        GateRouter { gate: self.gate, renderer: self.renderer, routes: self.routes.with_state(state) }
    }

    /// How refusals look.
    pub fn with_renderer(mut self, renderer: impl Render<Body> + Send + Sync + 'static) -> Self {
        self.renderer = Renderer(Arc::new(renderer));
        self
    }
}

impl GateRouter {
    /// Checks all routes and rules and closes the router.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the route for whatever [`AccessMapBuilder::build`](crate::authz::AccessMapBuilder::build)
    /// refuses, and for a method that axum does not route. One [`ConfigError`] naming all of them for
    ///
    /// - [mapped](Self::mapped) routes without an entry in the gate's access map;
    /// - entries without a route, as soon as one route is mapped;
    /// - routes with a rule of their own and an entry.
    pub fn finish(self) -> Result<GateService, ConfigError> {
        let Self { gate, renderer, routes } = self;
        // INVARIANT: axum panics on what it cannot route, so nothing reaches it that the map did not accept.
        let map = Arc::new(gate.remember(|roles| routes.build(gate.access_map(), roles))?);
        let mut router = Router::new();
        for route in routes.list {
            let filter = MethodFilter::try_from(route.method.clone()).map_err(|_| {
                ConfigError::new(
                    format!("{} {}", route.method, route.path),
                    "has a method that is not routed",
                    "use one of the methods of RFC 9110, or PATCH",
                )
            })?;
            // What the table printed is what is asked.
            let Some(rule) = map.entry(&route.method, &route.path).cloned() else { continue };
            let guard = Guard { gate: gate.clone(), rule, renderer: renderer.clone() };
            router = router.route(&route.path, (route.attach)(filter, Arc::new(guard)));
        }
        let (not_found, not_allowed, known) = (renderer.clone(), renderer.clone(), map.clone());
        let router = router
            .fallback(async move |request: Request| {
                let rejection = Rejection::new(RejectionCode::NotFound);
                refuse_with(&not_found, &rejection, &mut Remains::of(request))
            })
            .method_not_allowed_fallback(async move |request: Request| {
                let rejection = method_not_allowed(&known, &request);
                refuse_with(&not_allowed, &rejection, &mut Remains::of(request))
            });
        Ok(GateService::new(router, map, &gate, &renderer))
    }
}

fn method_not_allowed(map: &AccessMap, request: &Request) -> Rejection {
    let matched = request.extensions().get::<::axum::extract::MatchedPath>();
    match matched.map(|matched| map.lookup_pattern(request.method(), matched.as_str())) {
        Some(Lookup::MethodNotAllowed { allow }) => {
            Rejection::new(RejectionCode::MethodNotAllowed).with_allow(allow.clone())
        }
        _ => Rejection::new(RejectionCode::NotFound),
    }
}

impl<S> fmt::Debug for GateRouter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateRouter").field("routes", &self.routes).finish_non_exhaustive()
    }
}
