//! Acting as somebody, for an application's own tests (feature `test-util`).
//!
//! [`act_as`] gives a principal in one line. A [`Cast`] names a few of them and stands where the tokens are verified, so
//! that a test asks the application's own service as one of them without accounts, keys or tokens. A [`Matrix`] shows
//! what each of them may do with each route of an [`AccessMap`](crate::authz::AccessMap), as a table for a file that a
//! reviewer reads. [`TwoUsers`] asks for what is one user's as everybody else, on every route that takes an id.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Method, Request, Response};
//! use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
//! use portcullis::gate::Gate;
//! use portcullis::gate::testing::{Cast, Matrix, act_as};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let cast = Cast::new()
//!     .add("user", act_as("default", "ada").with_roles(["user"]))
//!     .add("reader", act_as("default", "ada").with_roles(["user"]).with_scopes(["tasks:read"]))
//!     .add("outsider", act_as("other", "eve").with_roles(["user"]));
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let gate = Gate::builder()
//!     .with_access_tokens(cast.clone())
//!     .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:*")).build()?)
//!     .with_access_map(
//!         AccessMap::builder()
//!             .add(Method::GET, "/health", Rule::public())
//!             .add(Method::GET, "/tasks", Rule::permission("tasks:read"))
//!             .add(Method::POST, "/tasks", Rule::permission("tasks:write")),
//!     )
//!     .build()
//!     .await?;
//!
//! // One request, as one of them.
//! let service = gate.layer().layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new()))));
//! let request = cast.ask_as("reader", Request::post("/tasks").body(())?);
//! assert_eq!(service.oneshot(request).await?.status(), 403);
//!
//! // Everybody on every route; in a test of yours the table comes from a file by `include_str!`.
//! let matrix = Matrix::of(&gate, gate.access_map(), &cast).await;
//! assert!(matrix.allows("user", &Method::POST, "/tasks"));
//! assert_eq!(
//!     matrix,
//!     "
//!                  anonymous  user  reader  outsider
//!     GET   /health  in         in    in      in
//!     GET   /tasks   401        in    in      404
//!     POST  /tasks   401        in    403     404
//!     "
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod matrix;
mod two_users;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};

use crate::id::{Subject, TenantId};
use crate::principal::{Principal, Verified};
use crate::token::{TokenRefusal, VerifyAccessToken};

pub use matrix::{Answer, Matrix};
pub use two_users::TwoUsers;

/// The name that stands for somebody without a credential.
const ANONYMOUS: &str = "anonymous";

/// A user of this tenant, without roles and with a credential that nothing limits. Roles, scopes and factors are set as
/// on any [`Principal`].
///
/// # Panics
///
/// If one of the two is not an id.
///
/// ```
/// use portcullis::gate::testing::act_as;
/// use portcullis::principal::AuthMethod;
///
/// let ada = act_as("default", "ada").with_roles(["editor"]).with_auth_methods([AuthMethod::Password, AuthMethod::Otp]);
/// assert!(ada.has_role("editor"));
/// ```
#[must_use]
#[track_caller]
pub fn act_as(tenant: &str, subject: &str) -> Principal {
    match (TenantId::parse(tenant), Subject::parse(subject)) {
        (Ok(tenant), Ok(subject)) => Principal::user(tenant, subject),
        (Err(error), _) => misused(&format!("`{tenant}` is not a tenant: {error}")),
        (_, Err(error)) => misused(&format!("`{subject}` is not a subject: {error}")),
    }
}

/// Principals by name. The name of each is its access token, so whoever accepts this in production lets everybody in:
/// it belongs into tests.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    parts: Vec<(Arc<str>, Principal)>,
}

impl Cast {
    /// Nobody but `anonymous`, who is always there and presents no credential.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a principal.
    ///
    /// # Panics
    ///
    /// If the name is taken, or has other characters than ASCII letters, digits, `-`, `.` and `_`, or the principal is
    /// anonymous.
    #[must_use]
    #[track_caller]
    pub fn add(mut self, name: &str, principal: Principal) -> Self {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            misused(&format!("`{name}` is not made of letters, digits, `-`, `.` and `_`"));
        }
        if name == ANONYMOUS || self.find(name).is_some() {
            misused(&format!("`{name}` is in the cast already"));
        }
        if principal.is_anonymous() {
            misused(&format!("`{name}` is nobody; `{ANONYMOUS}` is there without being added"));
        }
        self.parts.push((name.into(), principal));
        self
    }

    /// The request, made by this one: with its credential, or for `anonymous` without any.
    ///
    /// # Panics
    ///
    /// If nobody has that name.
    #[track_caller]
    pub fn ask_as<B>(&self, name: &str, mut request: Request<B>) -> Request<B> {
        request.headers_mut().remove(AUTHORIZATION);
        if name != ANONYMOUS {
            match HeaderValue::try_from(format!("Bearer {name}")) {
                Ok(value) if self.find(name).is_some() => request.headers_mut().insert(AUTHORIZATION, value),
                _ => misused(&format!("nobody in the cast is called `{name}`")),
            };
        }
        request
    }

    fn find(&self, name: &str) -> Option<&Principal> {
        self.parts.iter().find_map(|(known, principal)| (**known == *name).then_some(principal))
    }
}

impl VerifyAccessToken for Cast {
    fn verify(&self, token: &str) -> Result<Verified<Principal>, TokenRefusal> {
        self.find(token).cloned().map(Verified::vouch).ok_or(TokenRefusal::Invalid)
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a test that is wrong fails where it is wrong")]
fn misused(what: &str) -> ! {
    panic!("{what}")
}

#[cfg(test)]
mod tests;
