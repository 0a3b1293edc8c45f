//! What the layers share on the wire.

mod admission;
mod future;
mod path;
mod refuse;

use admission::AdmissionFuture;
pub(crate) use admission::{Admission, Identity};
#[cfg(feature = "axum")]
pub(crate) use future::Target;
pub(crate) use future::{Decided, ReadyService, response_future};
pub(crate) use path::{matched_route, whole_path};
pub(crate) use refuse::{refuse, refused};
