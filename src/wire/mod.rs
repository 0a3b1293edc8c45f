//! What the layers share on the wire.

mod admission;
mod future;
mod judge;
mod panic;
mod path;
mod refuse;
mod vary;

use admission::AdmissionFuture;
pub(crate) use admission::{Admission, Identity};
#[cfg(feature = "axum")]
pub(crate) use future::Target;
pub(crate) use future::{Decided, ReadyService, response_future};
pub(crate) use judge::{Asked, Explain, Judge};
pub(crate) use panic::{CatchPanic, catch_panic};
use path::matched_route;
pub(crate) use path::{asked_for, is_routed, whole_path};
use refuse::refused;
pub(crate) use refuse::{Remains, refuse, refuse_with};
pub(crate) use vary::{add_vary, merge_vary};
