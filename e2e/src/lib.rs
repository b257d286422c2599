//! Black-box tests of a store on a real cluster: the one that `cargo xtask up` makes.
//!
//! The tests know what users know: the public API, `kubectl`, and what `target/cluster/env` says. They find the cluster by
//! that file and never start one themselves.
//!
//! # Side by side, or alone
//!
//! Tests that only use the shared store run side by side ([`Cluster::connect`]), and beside tests that bring up stores of
//! their own ([`Cluster::elsewhere`]) and one that changes the shared store ([`Cluster::changing_the_store`]). Tests that
//! disturb everything (rollouts, drains, killed processes) or that measure rest run one after the other
//! ([`Cluster::alone`]). Two files in `target/cluster` are locked for that, so it holds whichever binaries and threads the
//! tests are in. Plain `cargo test --package e2e` is right; more threads make it faster, as most of each test is waiting.
//!
//! What a test makes has a name of its own ([`unique`]) or lies in a namespace of its own ([`Namespace`]), so that a run
//! leaves nothing that the next one trips over.
//!
//! `tests/zz_down.rs` removes the cluster: it runs only when asked for by name, `cargo test --package e2e --test zz_down`.

mod answer;
mod api;
mod audit;
mod buyers;
mod cluster;
mod crowd;
mod diagnostics;
mod events;
mod forward;
mod helm;
mod kubectl;
mod lies;
mod load;
mod machine;
mod manifest;
mod member;
mod report;
mod resource;
mod settings;
mod shop;
mod space;
mod store;
mod wait;
mod xtask;

pub use answer::Answer;
pub use api::{Api, Refused};
pub use audit::{AuditLog, Mark, Request};
pub use cluster::{Cluster, unique, workspace};
pub use crowd::Crowd;
pub use diagnostics::is_ready;
pub use events::events_of;
pub use forward::Forward;
pub use helm::Release;
pub use kubectl::{Kubectl, Outcome};
pub use lies::{Lies, Looked};
pub use load::{Load, Shot, Turn};
pub use machine::Machine;
pub use manifest::documents;
pub use report::{Failure, Report};
pub use resource::{
    AUTOSCALERS, BUDGETS, CLAIMS, CLUSTER_ROLES, CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, INGRESSES, JOBS,
    LEASES, NAMESPACES, NODES, POD_MONITORS, PODS, POLICIES, Resource, SECRETS, SERVICE_ACCOUNTS, SERVICES,
    STATEFUL_SETS, STORE_DATABASES, STORE_SERVICES, STORE_TOPICS, STORES, VOLUMES,
};
pub use settings::Settings;
pub use shop::{Call, Customer, Product, Shop};
pub use space::{Namespace, Space};
pub use store::Store;
pub use wait::{Seen, wait_until};
pub use xtask::xtask;
