//! The layer that asks one rule.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{AccessRequest, RoleModel, Rule, Verdict, authorize};
use crate::error::ConfigError;
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::wire::{Admission, Decided, Identity, refused, response_future, whole_path};

/// Lets a request through if its [`Principal`] satisfies a [`Rule`].
///
/// It stands inside [`AuthenticateLayer`](crate::authn::AuthenticateLayer) or the gate: without a principal in the
/// request's extensions it answers 500 and logs what is missing.
///
/// ```
/// use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use portcullis::authz::{AuthorizeLayer, Role, RoleModel, Rule};
/// use portcullis::{Principal, Subject, TenantId};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let roles = RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?;
/// let layer = AuthorizeLayer::new(Rule::permission("tasks:read"), &roles)?;
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
    roles: RoleModel,
    challenge: Arc<str>,
    bearer: Option<Arc<str>>,
}

impl AuthorizeLayer {
    /// Asks this rule, with these roles.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the rule can never be satisfied with these roles, or is [`Rule::public`], which opens nothing
    /// here.
    pub fn new(rule: Rule, roles: &RoleModel) -> Result<Self, ConfigError> {
        Self::challenging(rule, roles, "Bearer".into(), Some("Bearer".into()))
    }

    pub(crate) fn challenging(
        rule: Rule,
        roles: &RoleModel,
        challenge: Arc<str>,
        bearer: Option<Arc<str>>,
    ) -> Result<Self, ConfigError> {
        if rule.is_public() {
            return Err(ConfigError::new(
                "rule of a layer",
                "is `public`, but a layer only narrows",
                "leave the layer out, or say what it should ask for",
            ));
        }
        let guard = Guard { rule: rule.compiled(roles)?, roles: roles.clone(), challenge, bearer };
        Ok(Self { guard: Arc::new(guard), renderer: Problem })
    }
}

impl<R> AuthorizeLayer<R> {
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

fn admit(guard: &Arc<Guard>, parts: &Parts) -> Admission {
    let Some(principal) = parts.extensions.get::<Principal>() else {
        tracing::error!(
            rule = %guard.rule,
            "no principal in the request: add `AuthenticateLayer` outside `AuthorizeLayer`; or the route is public in \
             the gate, where no credential is read"
        );
        return Admission::Ready(Err(Rejection::new(RejectionCode::Internal)));
    };
    let path = whole_path(parts).unwrap_or(parts.uri.path());
    let request = AccessRequest::new(principal, &guard.roles, parts.method.as_str(), path);
    let explain = |guard: &Guard, why| refused(why, &guard.rule, &guard.challenge, guard.bearer.as_deref());
    match authorize(&request.with_context(&parts.extensions), &guard.rule) {
        Verdict::Ready(answer) => {
            Admission::Ready(answer.map(|()| Identity::Keep).map_err(|why| explain(guard, why)))
        }
        Verdict::Pending(future) => {
            let guard = guard.clone();
            Admission::Pending(Box::pin(async move {
                future.await.map(|()| Identity::Keep).map_err(|why| explain(&guard, why))
            }))
        }
    }
}

response_future! {
    /// The future of [`Authorize`].
}
