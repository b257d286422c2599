//! What every controller shares: the cache, comparing and writing, statuses, finalizers, back-off, the run loop.
//!
//! A controller implements [`Reconciler`]; [`run()`] keeps it going. Reads come from the [`Cache`], which the API
//! server's watches keep current, so a reconciliation that finds everything in place makes no call at all.

mod activity;
mod apply;
mod backoff;
mod cache;
mod clock;
mod concern;
mod context;
mod converse;
mod deadline;
mod delete;
mod difference;
mod digest;
mod error;
mod events;
mod exposition;
mod finalizer;
mod gate;
mod hash;
#[cfg(test)]
mod logged;
mod malformed;
mod metrics;
mod names;
mod ops;
mod others;
mod packed;
mod pods;
mod presence;
mod reach;
mod recall;
mod rewatch;
mod run;
#[cfg(test)]
pub(crate) mod scenario;
mod schema;
mod shelf;
mod slot;
mod status;
mod telemetry;
mod untyped;
pub(crate) mod uptime;
mod vigil;
mod wake;
mod watch;
mod written;

pub(crate) use activity::Activity;
pub(crate) use apply::{ApplyError, apply, owner_reference};
pub(crate) use backoff::steady_pace;
pub(crate) use cache::{Cache, Cached};
pub(crate) use clock::Clock;
pub(crate) use context::Context;
pub(crate) use converse::converse;
pub(crate) use deadline::Deadline;
pub(crate) use delete::{delete, delete_as_seen, is_as_described};
pub(crate) use digest::Mark;
#[cfg(test)]
pub(crate) use error::is_conflict;
pub(crate) use error::{ReconcileError, Retry, chain};
pub(crate) use finalizer::{
    FinalizerError, add as add_finalizer, goes_with_its_namespace, has as has_finalizer, hold as hold_back,
    remove as remove_finalizer, with_ours as with_finalizer,
};
pub use gate::{Gate, NotLeading};
pub(crate) use hash::{config_hash, content_bytes, content_hash, secret_hash};
pub(crate) use malformed::attend_to_malformed;
pub(crate) use metrics::{install as install_metrics, leading as show_leading, transitions as show_transitions};
pub(crate) use names::{describe, host_in, labels, namespace, standard_labels};
pub(crate) use ops::serve as serve_ops;
pub(crate) use pods::{PodTrouble, trouble_of};
pub use reach::Unreachable;
pub(crate) use reach::{Refused, patience, reach};
pub(crate) use run::{Phases, Reconciler, run};
pub(crate) use status::{Finding, StatusError, unready_for, write_status};
pub(crate) use telemetry::{Endpoint, LogFormat, Telemetry, TraceWrites, followed, of_brokers, of_cache, of_server};
pub(crate) use untyped::objects;
pub(crate) use uptime::Uptime;
pub(crate) use vigil::keep as keep_vigil;
pub(crate) use wake::{Queues, Receivers, Wake};
