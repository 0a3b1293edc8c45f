//! A requirement as an argument of a handler.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use ::axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::extract::known;
use crate::authz::{Authorizer, Rule};
use crate::principal::Principal;
use crate::rejection::{Rejection, RejectionCode};
use crate::wire::{Admission, Asked, Judge, asked_for};

/// Names a rule by a type, for [`Authorized`].
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::axum::Requirement` for `{Self}` and return its rule"
)]
pub trait Requirement: Send + Sync + 'static {
    /// What is required.
    fn rule() -> Rule;
}

/// Proof that the requirement holds, and who it holds for: a handler with this argument cannot be reached without it.
///
/// It narrows what the route asks for and never opens it. The decision is the gate's own: same function, same audit
/// event, same answers. The [`Authorizer`] comes out of the router's state, usually `gate.authorizer().clone()`.
///
/// ```
/// use axum::extract::FromRef;
/// use portcullis::authz::{Authorizer, Rule};
/// use portcullis::axum::{Authorized, Requirement};
///
/// struct DeleteTasks;
///
/// impl Requirement for DeleteTasks {
///     fn rule() -> Rule {
///         Rule::permission("tasks:delete")
///     }
/// }
///
/// #[derive(Clone)]
/// struct App {
///     authorizer: Authorizer,
/// }
///
/// impl FromRef<App> for Authorizer {
///     fn from_ref(app: &App) -> Self {
///         app.authorizer.clone()
///     }
/// }
///
/// async fn delete(who: Authorized<DeleteTasks>) -> String {
///     format!("deleted by {:?}", who.principal().subject())
/// }
/// # let _: axum::Router<App> = axum::Router::new().route("/tasks/{id}", axum::routing::delete(delete));
/// ```
pub struct Authorized<R> {
    principal: Principal,
    requirement: PhantomData<fn() -> R>,
}

impl<R> Authorized<R> {
    /// Who it holds for.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl<R> fmt::Debug for Authorized<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorized").field(&self.principal).finish()
    }
}

impl<S: Send + Sync, R: Requirement> FromRequestParts<S> for Authorized<R>
where
    Authorizer: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let principal = known(parts)?.ok_or(Rejection::new(RejectionCode::Unauthenticated))?;
        let (judge, rule) = (Judge::bearer(Authorizer::from_ref(state)), R::rule());
        let (action, path) = (parts.method.as_str(), asked_for(parts, &rule));
        let asked = Asked { action, path, extensions: &parts.extensions };
        match judge.judge(Cow::Borrowed(&principal), &asked, &rule) {
            Admission::Ready(answer) => answer?,
            Admission::Pending(answer) => answer.await?,
        };
        Ok(Self { principal, requirement: PhantomData })
    }
}
