//! The question a policy answers.

use std::fmt;

use super::permission::{Permission, scope_covers};
use super::{Question, Refused, RoleModel};
use crate::principal::Principal;

/// May this principal do this to that, here and now?
///
/// In the layers the action is the HTTP method and the resource the whole path, with whatever prefix a router took off;
/// code that asks on its own uses its own words.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    principal: &'a Principal,
    model: &'a RoleModel,
    action: &'a str,
    resource: &'a str,
    context: Context<'a>,
}

impl<'a> AccessRequest<'a> {
    /// A question without context.
    #[must_use]
    pub fn new(principal: &'a Principal, model: &'a RoleModel, action: &'a str, resource: &'a str) -> Self {
        Self { principal, model, action, resource, context: Context { extensions: None } }
    }

    /// Adds what is known about the request.
    #[must_use]
    pub fn with_context(mut self, extensions: &'a http::Extensions) -> Self {
        self.context = Context { extensions: Some(extensions) };
        self
    }

    /// Who asks.
    #[must_use]
    pub fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// The roles in force.
    #[cfg(feature = "cedar")]
    pub(super) fn model(&self) -> &'a RoleModel {
        self.model
    }

    /// What they want to do.
    #[must_use]
    pub fn action(&self) -> &'a str {
        self.action
    }

    /// What they want to do it to.
    #[must_use]
    pub fn resource(&self) -> &'a str {
        self.resource
    }

    /// What is known about the request.
    #[must_use]
    pub fn context(&self) -> Context<'a> {
        self.context
    }

    /// Whether a role of the principal is, or inherits from, this one. Always `false` for a token with scopes, unless
    /// one of them is `*:*`: scopes name permissions, so a limited token cannot use what a role gives without naming.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.check_role(role).is_ok()
    }

    /// Whether a role of the principal grants the permission and the scopes of its token cover it.
    #[must_use]
    pub fn may(&self, permission: &Permission) -> bool {
        self.check_permission(permission).is_ok()
    }

    pub(super) fn check_authenticated(&self) -> Result<(), Refused> {
        if self.principal.is_anonymous() { Err(Refused::Unauthenticated) } else { Ok(()) }
    }

    pub(super) fn check_unlimited(&self) -> Result<(), Refused> {
        self.check_authenticated()?;
        self.check_scopes(|scope| scope == "*:*")
    }

    pub(super) fn check_role(&self, role: &str) -> Result<(), Refused> {
        self.check_authenticated()?;
        if !self.model.includes_one_of(self.principal, role) {
            return Err(Refused::Forbidden);
        }
        self.check_unlimited()
    }

    pub(super) fn check_permission(&self, permission: &Permission) -> Result<(), Refused> {
        self.check_authenticated()?;
        if !self.model.grants_one_of(self.principal, permission) {
            return Err(Refused::Forbidden);
        }
        self.check_scopes(|scope| scope_covers(scope, permission))
    }

    /// As [`check_permission`](Self::check_permission), with the permission looked up before.
    pub(super) fn check_question(&self, question: &Question) -> Result<(), Refused> {
        self.check_authenticated()?;
        if !self.model.answers(self.principal, question) {
            return Err(Refused::Forbidden);
        }
        self.check_scopes(|scope| scope_covers(scope, question.permission()))
    }

    fn check_scopes(&self, covers: impl Fn(&str) -> bool) -> Result<(), Refused> {
        let covered = self.principal.scopes().is_none_or(|mut scopes| scopes.any(covers));
        if covered { Ok(()) } else { Err(Refused::InsufficientScope) }
    }
}

impl fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("principal", &self.principal)
            .field("action", &self.action)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// What is known about a request besides who asks for what: the values that outer layers put into its extensions.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    extensions: Option<&'a http::Extensions>,
}

impl<'a> Context<'a> {
    /// A value by its type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions?.get()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
