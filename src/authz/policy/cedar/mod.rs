//! Policies as text, in the [Cedar] language (feature `cedar`).
//!
//! [`CedarPolicies`] reads policies and a schema, validates one against the other, and answers as a
//! [`Policy`] that stands in rules and combinations like any other.
//!
//! ```
//! use portcullis::authz::Rule;
//! use portcullis::authz::policy::cedar::{CedarPolicies, Resource};
//! use portcullis::authz::policy::hidden;
//! use portcullis::time::SystemClock;
//! use portcullis::{Subject, TenantId};
//!
//! let schema = "
//!     entity Role;
//!     entity User in [Role] { assurance: Long };
//!     entity Note { owner: User };
//!     action read appliesTo { principal: User, resource: Note };";
//! let policies = r#"
//!     @id("owners-read") permit (principal, action, resource) when { resource.owner == principal };
//!     @id("one-factor") forbid (principal in Role::"admin", action, resource) when { principal.assurance < 2 };"#;
//! let cedar = CedarPolicies::from_text(policies, schema, SystemClock::new())?;
//!
//! let id = |path: &str| path.rsplit_once('/')?.1.parse::<u64>().ok();
//! let note = cedar.question("read").with_resource("Note", move |request| id(request.resource()), async |_: TenantId, _| {
//!     Ok(Some(Resource::new().with("owner", Subject::parse("ada").unwrap())))
//! });
//! let rule = Rule::policy(hidden(note.policy()));
//! assert_eq!(rule.to_string(), "cedar read of Note, else not found");
//! # Ok::<(), portcullis::ConfigError>(())
//! ```
//!
//! # What policies are told
//!
//! Declare of this what your policies use, under these names and types. What is declared and not listed here is refused
//! when a rule is built; types of entities stand in the namespace of the action.
//!
//! | Cedar | is |
//! |---|---|
//! | `principal` | `User::"<tenant>/<subject>"`; a `/` in the name of a tenant is written `%2F` |
//! | `principal in Role::"admin"` | a role of the principal is `admin` or inherits from it, after the [`RoleModel`]; two tenants may have roles of one name |
//! | `principal.tenant`, `.subject`: `String` | where, who |
//! | `principal.kind: String` | `user`, `api_key` or `service` |
//! | `principal.assurance: Long` | 1, 2 or 3; 0 if it is not known |
//! | `principal.auth_time?: datetime` | when they proved who they are |
//! | `principal.scopes?: Set<String>` | what the token is limited to; absent if it is not |
//! | `principal.actor?: String` | the subject who acts on their behalf |
//! | `action` | what [`question`](CedarPolicies::question) names |
//! | `resource` | what [`with_resource`](CedarQuestion::with_resource) loads: `<type>::"<tenant>/<id>"`; without it `Route::"<path>"`, which has no attributes |
//! | `context.method`, `.path`: `String` | action and resource of the [`AccessRequest`] |
//! | `context.now: datetime` | the time by the clock that was given |
//! | `context.…` | what [`with_context`](CedarQuestion::with_context) adds |
//!
//! A path is told as it was sent, percent signs and all. A route that matches more than one path may decode it to what a
//! policy calls otherwise, so permit what is meant rather than forbid what is not, or load the resource by its id.
//!
//! # What is decided
//!
//! | policies | answer |
//! |---|---|
//! | a `permit` applies and no `forbid` | [`Allow`](Decision::Allow) |
//! | a `forbid` applies | [`Deny`](Decision::Deny) |
//! | none applies | [`Abstain`](Decision::Abstain), which is refused in the end |
//! | one cannot be evaluated, or something does not fit the schema | an outage, 503 |
//!
//! Cedar itself leaves out a policy that fails, so that a `forbid` over a sum that overflows would forbid nothing; here
//! it lets nobody in. An anonymous principal is denied before Cedar is asked. A token with scopes gets no answer unless
//! one of them is `*:*` or covers the permission given by [`with_permission`](CedarQuestion::with_permission).
//!
//! A decision costs some tens of microseconds, and more with more policies: no lock and no I/O but the loader's.
//!
//! # What is refused when it is read
//!
//! Whatever [strict validation] finds; policies that can never apply; attributes of entities that are neither who asks
//! nor what is asked for, because those are not loaded; templates; policies that permit nothing. A reload that is
//! refused, or that could not answer a question in use, leaves the old policies in force. Every decision sees one set of
//! policies with its schema.
//!
//! [Cedar]: https://docs.cedarpolicy.com
//! [strict validation]: https://docs.cedarpolicy.com/policies/validation.html

mod load;
mod mapping;
mod question;
mod schema;
mod value;

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::{Decision, Policy, PolicyExplanation, PolicyOutcome, SharedPolicy};
#[cfg(doc)]
use crate::authz::AccessRequest;
use crate::authz::RoleModel;
use crate::error::ConfigError;
use crate::time::{Clock, Timestamp};

use load::Loaded;
pub use question::CedarQuestion;
pub use value::{Record, Resource, Value};

/// Policies and their schema, validated. Cheap to clone; clones share what is in force.
#[derive(Clone)]
pub struct CedarPolicies(Arc<Inner>);

struct Inner {
    loaded: ArcSwap<Loaded>,
    /// Every question that a policy asks. Held while something is replaced, never for a request.
    asking: Mutex<Vec<Weak<Asking>>>,
    files: Option<(PathBuf, PathBuf)>,
    clock: Box<dyn Clock>,
}

impl CedarPolicies {
    /// Reads policies, and their schema in Cedar's language or in its JSON form. A policy is named by its annotation
    /// `@id`; without one it is `policy0`, `policy1`, ...
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong, by line and policy: see the page of the module.
    pub fn from_text(policies: &str, schema: &str, clock: impl Clock) -> Result<Self, ConfigError> {
        Self::new(Loaded::read(policies, schema)?, None, clock)
    }

    /// As [`from_text`](Self::from_text), from two files. Reads them at once, so call it before there is traffic.
    ///
    /// # Errors
    ///
    /// Also if a file cannot be read.
    pub fn from_files(
        policies: impl Into<PathBuf>,
        schema: impl Into<PathBuf>,
        clock: impl Clock,
    ) -> Result<Self, ConfigError> {
        let files = (policies.into(), schema.into());
        Self::new(Loaded::read(&text_of(&files.0)?, &text_of(&files.1)?)?, Some(files), clock)
    }

    fn new(
        loaded: Loaded,
        files: Option<(PathBuf, PathBuf)>,
        clock: impl Clock,
    ) -> Result<Self, ConfigError> {
        let (loaded, asking) = (ArcSwap::from_pointee(loaded), Mutex::default());
        Ok(Self(Arc::new(Inner { loaded, asking, files, clock: Box::new(clock) })))
    }

    /// Puts other policies and another schema in force, in one step: no decision sees half of them.
    ///
    /// # Errors
    ///
    /// As for [`from_text`](Self::from_text), and if a question that a policy asks could not be answered any more; what
    /// is in force stays.
    pub fn replace_text(&self, policies: &str, schema: &str) -> Result<(), ConfigError> {
        let new = Loaded::read(policies, schema)?;
        let mut asking = self.asking();
        asking.retain(|question| question.strong_count() > 0);
        for question in asking.iter().filter_map(Weak::upgrade) {
            new.check(&question.shape, question.roles().as_ref())?;
        }
        self.0.loaded.store(Arc::new(new));
        Ok(())
    }

    /// Reads the files again. It waits for the disk: call it where that does no harm, as in
    /// `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// As for [`replace_text`](Self::replace_text), if a file cannot be read, or if there are none because the policies
    /// came as text.
    pub fn reload(&self) -> Result<(), ConfigError> {
        let Some((policies, schema)) = &self.0.files else {
            let cure = "use `from_files`, or `replace_text`";
            return Err(ConfigError::new("cedar policies", "did not come from files", cure));
        };
        self.replace_text(&text_of(policies)?, &text_of(schema)?)
    }

    /// A policy that asks whether `Action::"<action>"` may be done to `Route::"<path>"`, for tokens that no scope limits.
    ///
    /// Building a rule with it fails if the schema does not declare the action for `User` and `Route`.
    #[must_use]
    pub fn policy(&self, action: &str) -> SharedPolicy {
        self.question(action).policy()
    }

    /// The same as a question that can be made more precise. An action in a namespace may be named in full:
    /// `Notes::Action::"read"`.
    pub fn question(&self, action: &str) -> CedarQuestion {
        CedarQuestion::new(self.clone(), action)
    }

    fn current(&self) -> impl Deref<Target = Arc<Loaded>> {
        self.0.loaded.load()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn asking(&self) -> MutexGuard<'_, Vec<Weak<Asking>>> {
        self.0.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, shape: Shape) -> Arc<Asking> {
        let asking = Arc::new(Asking { shape, roles: Mutex::new(None) });
        self.asking().push(Arc::downgrade(&asking));
        asking
    }
}

impl fmt::Debug for CedarPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CedarPolicies").field("files", &self.0.files).finish_non_exhaustive()
    }
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| {
        let what = format!("cannot be read: {cause}");
        ConfigError::new(path.display().to_string(), what, "correct the path or its permissions")
    })
}

/// What a question looks like to a schema.
struct Shape {
    action: String,
    resource: Option<String>,
    /// The application adds to the context, so what that holds shows only when it is asked.
    own_context: bool,
}

/// A question in use, and the roles it was last checked against.
struct Asking {
    shape: Shape,
    roles: Mutex<Option<RoleModel>>,
}

impl Asking {
    fn remember(&self, roles: &RoleModel) {
        *self.roles.lock().unwrap_or_else(PoisonError::into_inner) = Some(roles.clone());
    }

    fn roles(&self) -> Option<RoleModel> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
