//! The layer that asks one rule.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Authorizer, Rule};
use crate::error::ConfigError;
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::wire::{Admission, Asked, Decided, Judge, asked_for, response_future};

/// Lets a request through if its [`Principal`] satisfies a [`Rule`].
///
/// It stands inside [`AuthenticateLayer`](crate::authn::AuthenticateLayer) or the gate: without a principal in the
/// request's extensions it answers 500 and logs what is missing.
///
/// ```
/// use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use portcullis::authz::{Authorizer, AuthorizeLayer, Role, RoleModel, Rule};
/// use portcullis::{Principal, Subject, TenantId};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?;
/// let layer = AuthorizeLayer::new(Rule::permission("tasks:read"), &Authorizer::new(roles))?;
/// let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new()))));
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// for (roles, status) in [(vec!["user"], 200), (vec!["guest"], 403)] {
///     let mut request = Request::new(());
///     let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(roles);
///     request.extensions_mut().insert(ada);
///     assert_eq!(service.clone().oneshot(request).await?.status(), status);
/// }
/// # Ok::<(), Infallible>(()) }).unwrap();
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizeLayer<R = Problem> {
    guard: Arc<Guard>,
    renderer: R,
}

#[derive(Debug)]
struct Guard {
    rule: Rule,
    judge: Judge,
    /// Whether it was said that there is no principal.
    missed: AtomicBool,
}

impl AuthorizeLayer {
    /// Asks this rule, with the roles the authorizer has at the time of the request. What it refuses is recorded as
    /// what the authorizer refuses elsewhere.
    ///
    /// Pass [`rule`](Self::rule) to [`Authorizer::replace_roles`], so that other roles have to satisfy it too;
    /// [`Gate::require`](crate::gate::Gate::require) sees to that by itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the rule can never be satisfied with these roles, or is [`Rule::public`], which opens nothing
    /// here.
    pub fn new(rule: Rule, authorizer: &Authorizer) -> Result<Self, ConfigError> {
        Self::with_judge(rule, &Judge::bearer(authorizer.clone()))
    }

    pub(crate) fn with_judge(rule: Rule, judge: &Judge) -> Result<Self, ConfigError> {
        if rule.is_public() {
            return Err(ConfigError::new(
                "rule of a layer",
                "is `public`, but a layer only narrows",
                "leave the layer out, or say what it should ask for",
            ));
        }
        let rule = rule.compiled(&judge.authorizer.current())?;
        Ok(Self {
            guard: Arc::new(Guard { rule, judge: judge.clone(), missed: AtomicBool::new(false) }),
            renderer: Problem,
        })
    }
}

impl<R> AuthorizeLayer<R> {
    /// What it asks for.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.guard.rule
    }

    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> AuthorizeLayer<R2> {
        AuthorizeLayer { guard: self.guard, renderer }
    }
}

impl<S, R: Clone> Layer<S> for AuthorizeLayer<R> {
    type Service = Authorize<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorize { inner, guard: self.guard.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`AuthorizeLayer`].
#[derive(Clone, Debug)]
pub struct Authorize<S, R = Problem> {
    inner: S,
    guard: Arc<Guard>,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for Authorize<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Render<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let admission = admit(&self.guard, &parts);
        let request = Request::from_parts(parts, body);
        let inner = Decided::service(admission, request, &mut self.inner, self.renderer.clone());
        ResponseFuture::new(inner)
    }
}

fn admit(guard: &Guard, parts: &Parts) -> Admission {
    let Guard { rule, judge, missed } = guard;
    let Some(principal) = parts.extensions.get::<Principal>() else {
        if !missed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %rule,
                "no principal in the request: add `AuthenticateLayer` outside `AuthorizeLayer`; or the route is public \
                 in the gate, where no credential is read"
            );
        }
        return Admission::Ready(Err(Rejection::new(RejectionCode::Internal)));
    };
    let asked =
        Asked { action: parts.method.as_str(), path: asked_for(parts, rule), extensions: &parts.extensions };
    judge.judge(Cow::Borrowed(principal), &asked, rule)
}

response_future! {
    /// The future of [`Authorize`].
}
