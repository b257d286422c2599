//! HTTP as all services speak it: problems, JSON bodies, lists, preconditions, idempotency keys, and the layers around
//! every router.

mod etag;
mod idempotency;
mod json;
mod layers;
mod problem;
mod trace;

pub use etag::{ETag, IfMatch};
pub use idempotency::{IdempotencyKey, Idempotent, answer_once};
pub use json::{Json, Path, Query};
pub use layers::{BODY_LIMIT, with_conventions};
pub use problem::{FieldError, Problem};
pub use trace::{RequestId, TraceContext};
