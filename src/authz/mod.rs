//! Authorization: who may do what, denied unless a rule allows it.
//!
//! | question | type |
//! |---|---|
//! | what can be done | [`Permission`] (`tasks:read`), granted by [`Grant`] (`tasks:*`) |
//! | who holds it | [`Role`]s of the service and of its tenants, closed over inheritance in a [`RoleModel`] |
//! | what a token is limited to | [`Scope`] |
//! | what a route asks for | [`Rule`], in an [`AccessMap`] for a whole service |
//! | anything else | a [`Policy`](policy::Policy) |
//!
//! **Effective rights are the permissions of the roles, cut down to the scopes of the token.** A principal without
//! scopes is not cut down. A role name that the model does not know grants nothing, nor does one that is another tenant's. A question that nothing answers is
//! denied. An outage is an error (503), never an answer.
//!
//! [`authorize`] is the one function that decides; the layers, the gate and code in handlers all call it.
//!
//! | the client | sees |
//! |---|---|
//! | has not proved who it is | 401 `unauthenticated`, with a challenge |
//! | lacks the role or permission | 403 `forbidden` |
//! | has it, but the scopes of its token don't cover it | 403 `insufficient_scope`, with a challenge that names the scope |
//! | may not know whether there is anything ([`hidden`](policy::hidden)) | 404 `not_found` |
//! | signed in too long ago or with too little | 401 `reauthentication_required`, with a challenge that names what is missing |
//! | asks while a policy can't find out | 503 `unavailable` |
//!
//! A rule knows the route, not the row: whether *this* note is *this* user's is for the query that reads it, or for a
//! policy that can find out. [`policy::rows`] makes both of one rule.
//!
//! ```
//! use portcullis::authz::{AccessRequest, Refused, Role, RoleModel, Rule, Verdict, authorize};
//! use portcullis::{Principal, Subject, TenantId};
//!
//! let model = RoleModel::builder()
//!     .add(Role::new("user").grants("tasks:read"))
//!     .add(Role::new("admin").inherits("user").grants("tasks:*"))
//!     .build()?;
//! let ada = Principal::user(TenantId::default(), Subject::parse("ada").unwrap()).with_roles(["user"]);
//!
//! let ask = |rule: Rule| match authorize(&AccessRequest::new(&ada, &model, "GET", "/tasks"), &rule) {
//!     Verdict::Ready(answer) => answer,
//!     Verdict::Pending(_) => unreachable!("only policies of the application wait"),
//! };
//! assert_eq!(ask(Rule::permission("tasks:read")), Ok(()));
//! assert_eq!(ask(Rule::permission("tasks:delete")), Err(Refused::Forbidden));
//! # Ok::<(), portcullis::ConfigError>(())
//! ```

mod access_map;
mod authorizer;
mod bits;
mod decide;
mod dominance;
mod layer;
mod permission;
pub mod policy;
mod request;
mod role;
mod role_file;
mod rule;

pub use access_map::{AccessMap, AccessMapBuilder, Lookup};
pub use authorizer::{Authorizer, Explanation};
pub use decide::{Refused, StepUp, Verdict, VerdictFuture, authorize};
pub use layer::{Authorize, AuthorizeLayer, ResponseFuture};
pub use permission::{Grant, InvalidPermission, Permission, Scope};
pub use request::{AccessRequest, Context};
pub use role::{Question, Rights, Role, RoleModel, RoleModelBuilder};
pub use role_file::RoleFile;
pub use rule::Rule;
