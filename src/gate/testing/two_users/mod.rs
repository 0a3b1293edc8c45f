//! What is one user's, asked for by the others.

mod ask;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use self::ask::Asked;
use super::{Cast, misused};
use crate::authz::AccessMap;

/// Asks for what belongs to one user as everybody else, on every route whose pattern has a parameter.
///
/// The routes come from the [`AccessMap`] of the service, so a new one can't be forgotten: **a route that nothing is said
/// about fails, by its name.** For each of them and each of the others, `anonymous` included,
///
/// 1. the owner gets a new resource, from a closure of yours;
/// 2. the other asks for it. Any answer but 401, 403 and 404 is a failure;
/// 3. what the owner sees must be what it was before: at the same path, or where there is no `GET` at the nearest one
///    above it that has, and at what is [watched](Self::watch);
/// 4. where a pattern has more than one parameter, the other asks again, with the values of a resource of its own in all
///    but the last.
///
/// In the end the owner asks, and has to be let in: an answer that everybody gets proves nothing.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use axum::extract::{Path, State};
/// use http::{Method, StatusCode};
/// use portcullis::Principal;
/// use portcullis::authz::Rule;
/// use portcullis::gate::Gate;
/// use portcullis::gate::testing::{Cast, TwoUsers, act_as};
///
/// /// The owner of each note.
/// type Notes = Arc<Mutex<Vec<String>>>;
///
/// async fn note(State(notes): State<Notes>, who: Principal, Path(id): Path<usize>) -> Result<String, StatusCode> {
///     let owner = notes.lock().unwrap().get(id).cloned().ok_or(StatusCode::NOT_FOUND)?;
///     // Without this line the test below fails.
///     if who.subject().is_none_or(|who| who.as_str() != owner) { return Err(StatusCode::NOT_FOUND) }
///     Ok(format!("a note of {owner}"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cast = Cast::new()
///     .add("ada", act_as("default", "ada"))
///     .add("eve", act_as("default", "eve"))
///     .add("outsider", act_as("other", "ada"));
/// let notes = Notes::default();
/// let gate = Gate::builder().with_access_tokens(cast.clone()).build().await?;
/// let router = gate.router().route(Method::GET, "/notes/{id}", note, Rule::authenticated());
/// let service = router.with_state(notes.clone()).finish()?;
///
/// TwoUsers::new("ada", ["eve", "outsider"])
///     .with_resource("/notes/{id}", |who| {
///         let mut notes = notes.lock().unwrap();
///         notes.push(who);
///         let path = format!("/notes/{}", notes.len() - 1);
///         async move { path }
///     })
///     .assert(&service, service.access_map(), &cast)
///     .await;
/// # Ok::<(), portcullis::ConfigError>(()) }).unwrap();
/// ```
#[must_use]
pub struct TwoUsers<'a> {
    owner: String,
    others: Vec<String>,
    resources: Vec<(String, Create<'a>)>,
    bodies: Vec<(Route, String, Bytes)>,
    actors: Vec<(Route, String)>,
    shared: Vec<Route>,
    watched: Vec<String>,
}

type Create<'a> = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = String> + 'a>> + 'a>;
type Route = (Method, String);

impl<'a> TwoUsers<'a> {
    /// The owner and the others, by their names in the [`Cast`]. One of the others has to be of the owner's tenant and one
    /// of another, or asking panics.
    pub fn new<O: Into<String>>(owner: impl Into<String>, others: impl IntoIterator<Item = O>) -> Self {
        Self {
            owner: owner.into(),
            others: others.into_iter().map(Into::into).collect(),
            resources: Vec::new(),
            bodies: Vec::new(),
            actors: Vec::new(),
            shared: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// How a new resource for the routes of a pattern comes into being: given the name of one of the cast whose it is to
    /// be, makes it and returns its path. All methods of the pattern are asked; `GET`, `DELETE` and what else takes no
    /// body need no more than this.
    pub fn with_resource<F>(mut self, pattern: &str, create: impl Fn(String) -> F + 'a) -> Self
    where
        F: Future<Output = String> + 'a,
    {
        self.resources.retain(|(known, _)| known != pattern);
        self.resources.push((pattern.to_owned(), Box::new(move |who| Box::pin(create(who)))));
        self
    }

    /// The body for a route, such that the owner's request with it succeeds.
    pub fn with_json(self, method: Method, pattern: &str, body: &serde_json::Value) -> Self {
        self.with_body(method, pattern, "application/json", body.to_string())
    }

    /// As [`with_json`](Self::with_json), of another type.
    pub fn with_body(
        mut self,
        method: Method,
        pattern: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        let route = (method, pattern.to_owned());
        self.bodies.retain(|(known, ..)| *known != route);
        self.bodies.push((route, content_type.to_owned(), body.into()));
        self
    }

    /// Not the owner is let in on this route but this one, an administrator say: the owner is among the others then.
    pub fn with_actor(mut self, method: Method, pattern: &str, name: impl Into<String>) -> Self {
        let route = (method, pattern.to_owned());
        self.actors.retain(|(known, _)| *known != route);
        self.actors.push((route, name.into()));
        self
    }

    /// What is there belongs to nobody: this route is not asked.
    pub fn shared(mut self, method: Method, pattern: &str) -> Self {
        self.shared.push((method, pattern.to_owned()));
        self
    }

    /// What the owner sees at this path must not be changed by anybody either: a list, say.
    pub fn watch(mut self, path: &str) -> Self {
        self.watched.push(path.to_owned());
        self
    }

    /// Asks, and panics with all failures if there are any.
    ///
    /// # Panics
    ///
    /// If one of the others gets further than they should, a route has nothing said about it, or the test itself is wrong.
    pub async fn assert<S, B, R>(&self, service: &S, map: &AccessMap, cast: &Cast)
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: fmt::Debug,
        B: From<Bytes>,
        R: Body,
    {
        let failures = self.failures(service, map, cast).await;
        if !failures.is_empty() {
            misused(&format!("{} failures:\n{}", failures.len(), failures.join("\n")));
        }
    }

    /// Asks, and tells what is wrong, a line for each.
    ///
    /// # Panics
    ///
    /// If somebody is not in the cast, or the others are too few.
    pub async fn failures<S, B, R>(&self, service: &S, map: &AccessMap, cast: &Cast) -> Vec<String>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: fmt::Debug,
        B: From<Bytes>,
        R: Body,
    {
        self.check_cast(cast);
        let mut failures = self.unknown(map);
        for (method, pattern, _) in map.iter().filter(|(_, pattern, _)| pattern.contains('{')) {
            let route = (method.clone(), pattern.to_owned());
            if self.shared.contains(&route) {
                continue;
            }
            let asked = Asked { all: self, service, map, cast, route: &route };
            match self.resources.iter().find(|(known, _)| known == pattern) {
                Some((_, create)) => asked.by_everybody(create).await,
                None => Err("takes an id, but there is nothing to ask for: say `with_resource`, or that it is `shared`".into()),
            }
            .unwrap_or_else(|why| failures.push(format!("{method} {pattern}: {why}")));
        }
        failures
    }

    fn check_cast(&self, cast: &Cast) {
        let tenant = |name: &String| match cast.find(name) {
            Some(principal) => principal.tenant().clone(),
            None => misused(&format!("nobody in the cast is called `{name}`")),
        };
        let home = tenant(&self.owner);
        self.actors.iter().for_each(|(_, name)| drop(tenant(name)));
        let (near, far): (Vec<_>, Vec<_>) =
            self.others.iter().map(tenant).partition(|tenant| *tenant == home);
        if near.is_empty() || far.is_empty() {
            misused("the others need somebody of the owner's tenant and somebody of another");
        }
    }

    /// What is said about routes that are not there.
    fn unknown(&self, map: &AccessMap) -> Vec<String> {
        let bodies = self.bodies.iter().map(|(route, ..)| route);
        let named = bodies.chain(self.actors.iter().map(|(route, _)| route)).chain(&self.shared);
        let known =
            |method: &Method, pattern: &str| map.iter().any(|row| (row.0, row.1) == (method, pattern));
        let routes = named
            .filter(|(method, pattern)| !known(method, pattern))
            .map(|(method, pattern)| format!("{method} {pattern}: there is no such route"));
        let patterns = self
            .resources
            .iter()
            .filter(|(pattern, _)| !map.iter().any(|row| row.1 == pattern))
            .map(|(pattern, _)| format!("{pattern}: there is no such route"));
        routes.chain(patterns).collect()
    }

    /// Who is let in on this route.
    fn actor(&self, method: &Method, pattern: &str) -> &str {
        let named = self.actors.iter().find(|(route, _)| (&route.0, route.1.as_str()) == (method, pattern));
        named.map_or(&self.owner, |(_, name)| name)
    }
}

impl fmt::Debug for TwoUsers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.resources.iter().map(|(pattern, _)| pattern).collect();
        f.debug_struct("TwoUsers")
            .field("owner", &self.owner)
            .field("others", &self.others)
            .field("resources", &patterns)
            .finish_non_exhaustive()
    }
}
