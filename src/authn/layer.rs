//! The layer that finds out who is asking.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{AuthScheme, Outcome};
use crate::id::TenantId;
use crate::principal::{Principal, Verified};
use crate::rejection::{Rejection, RejectionCode};
use crate::render::{Problem, Render};
use crate::wire::{Admission, Decided, Identity, response_future};

/// Puts the [`Principal`] of each request into its extensions, or refuses it. See the [module](super).
#[derive(Clone, Debug)]
pub struct AuthenticateLayer<R = Problem> {
    schemes: Schemes,
    renderer: R,
}

impl AuthenticateLayer {
    /// One way in, one tenant.
    pub fn new(scheme: impl AuthScheme) -> Self {
        let schemes = Schemes::new(vec![Arc::new(scheme)], TenantId::default());
        Self { schemes, renderer: Problem }
    }
}

impl<R> AuthenticateLayer<R> {
    /// Adds another way in, asked after those added before.
    #[must_use]
    pub fn add_scheme(mut self, scheme: impl AuthScheme) -> Self {
        let mut list = self.schemes.0.list.clone();
        list.push(Arc::new(scheme));
        self.schemes = Schemes::new(list, self.schemes.0.tenant.clone());
        self
    }

    /// The tenant principals must belong to.
    #[must_use]
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.schemes = Schemes::new(self.schemes.0.list.clone(), tenant);
        self
    }

    /// How refusals look.
    pub fn with_renderer<R2>(self, renderer: R2) -> AuthenticateLayer<R2> {
        AuthenticateLayer { schemes: self.schemes, renderer }
    }
}

impl<S, R: Clone> Layer<S> for AuthenticateLayer<R> {
    type Service = Authenticate<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticate { inner, schemes: self.schemes.clone(), renderer: self.renderer.clone() }
    }
}

/// The service of [`AuthenticateLayer`].
#[derive(Clone, Debug)]
pub struct Authenticate<S, R = Problem> {
    inner: S,
    schemes: Schemes,
    renderer: R,
}

impl<S, B, ResBody, R> Service<Request<B>> for Authenticate<S, R>
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
        let (mut parts, body) = request.into_parts();
        conceal(&mut parts.headers);
        let admission = match self.schemes.authenticate(&parts) {
            Authentication::Ready(result) => Admission::Ready(result.map(Identity::Set)),
            Authentication::Pending(future) => {
                Admission::Pending(Box::pin(async move { future.await.map(Identity::Set) }))
            }
        };
        let request = Request::from_parts(parts, body);
        let inner = Decided::service(admission, request, &mut self.inner, self.renderer.clone());
        ResponseFuture::new(inner)
    }
}

response_future! {
    /// The future of [`Authenticate`].
}

/// Marks `Authorization` as sensitive: hidden from `Debug` and from HTTP/2 compression tables.
pub(crate) fn conceal(headers: &mut HeaderMap) {
    let Some(value) = headers.get_mut(AUTHORIZATION) else { return };
    value.set_sensitive(true);
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        let values = headers.iter_mut().filter(|(name, _)| *name == AUTHORIZATION);
        values.for_each(|(_, value)| value.set_sensitive(true));
    }
}

/// The ways in, in order, for one tenant.
#[derive(Clone)]
pub(crate) struct Schemes(Arc<Inner>);

struct Inner {
    list: Vec<Arc<dyn AuthScheme>>,
    tenant: TenantId,
    anonymous: Principal,
    challenge: Arc<str>,
    bearer: Option<Arc<str>>,
}

/// Who is asking, now or later.
pub(crate) enum Authentication {
    Ready(Result<Principal, Rejection>),
    Pending(Pin<Box<dyn Future<Output = Result<Principal, Rejection>> + Send>>),
}

impl Schemes {
    pub(crate) fn new(list: Vec<Arc<dyn AuthScheme>>, tenant: TenantId) -> Self {
        let challenges: Vec<Arc<str>> = list.iter().map(|scheme| scheme.challenge()).collect();
        let bearer = list.iter().find(|scheme| scheme.is_bearer()).map(|scheme| scheme.challenge());
        let anonymous = Principal::anonymous(tenant.clone());
        Self(Arc::new(Inner { list, tenant, anonymous, challenge: challenges.join(", ").into(), bearer }))
    }

    /// The challenges of all schemes together.
    pub(crate) fn challenge(&self) -> &Arc<str> {
        &self.0.challenge
    }

    /// The challenge of the bearer scheme, if there is one.
    pub(crate) fn bearer(&self) -> Option<&Arc<str>> {
        self.0.bearer.as_ref()
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    pub(crate) fn authenticate(&self, request: &Parts) -> Authentication {
        for scheme in &self.0.list {
            match scheme.authenticate(request) {
                Outcome::Absent => {}
                Outcome::Ready(result) => {
                    return Authentication::Ready(result.and_then(|found| self.check_tenant(found)));
                }
                Outcome::Pending(future) => {
                    let schemes = self.clone();
                    return Authentication::Pending(Box::pin(async move {
                        future.await.and_then(|found| schemes.check_tenant(found))
                    }));
                }
            }
        }
        Authentication::Ready(if request.headers.contains_key(AUTHORIZATION) {
            let rejection = Rejection::new(RejectionCode::SchemeUnsupported);
            Err(rejection.with_challenge(self.0.challenge.clone()))
        } else {
            Ok(self.0.anonymous.clone())
        })
    }

    fn check_tenant(&self, found: Verified<Principal>) -> Result<Principal, Rejection> {
        let principal = found.into_inner();
        if *principal.tenant() == self.0.tenant {
            Ok(principal)
        } else {
            Err(Rejection::new(RejectionCode::NotFound))
        }
    }
}

impl fmt::Debug for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemes").field("challenge", &self.0.challenge).finish_non_exhaustive()
    }
}
