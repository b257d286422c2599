//! What every service has in common, so that a service is its domain and nothing else: start-up, configuration, logs,
//! metrics, probes, HTTP conventions, tokens, internal calls, Kafka, drain.
//!
//! A service crate offers `Args` (its part of the command line), `build(args, platform) -> Service` and, where it owns a
//! database, `MIGRATOR`. [`run`] does the rest, the same way for all.

pub mod auth;
pub mod clock;
pub mod grpc;
pub mod http;
pub mod kafka;
mod ops;
mod process;
mod server;
mod service;
pub mod telemetry;

pub use clock::Clock;
pub use process::{BuildError, Lifecycle, Listeners, ProcessArgs, Running, StartError, listen, run};
pub use service::{Check, Platform, PlatformArgs, Service, Worker};
