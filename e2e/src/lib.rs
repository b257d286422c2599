//! Black-box tests of a store on a real cluster: the one that `cargo xtask up` makes.
//!
//! The tests know what users know: the public API, `kubectl`, and what `target/cluster/env` says. They find the cluster by
//! that file and never start one themselves.
//!
//! # Side by side, or alone
//!
//! [`Cluster::connect`] takes a shared lock on `target/cluster/e2e.lock`, [`Cluster::alone`] an exclusive one. So tests that
//! only use the store run side by side, and tests that disturb it (rollouts, drains, killed processes) or that measure
//! rest run one after the other, whichever binaries and threads they are in. Plain `cargo test --package e2e` is right.
//!
//! What a test makes has a name of its own ([`unique`]) or lies in a namespace of its own ([`Namespace`]), so that a run
//! leaves nothing that the next one trips over.
//!
//! `tests/zz_down.rs` removes the cluster: it runs only when asked for by name, `cargo test --package e2e --test zz_down`.

mod answer;
mod api;
mod audit;
mod cluster;
mod diagnostics;
mod events;
mod forward;
mod kubectl;
mod load;
mod machine;
mod manifest;
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
pub use diagnostics::is_ready;
pub use events::events_of;
pub use forward::Forward;
pub use kubectl::{Kubectl, Outcome};
pub use load::{Load, Shot};
pub use machine::Machine;
pub use manifest::documents;
pub use report::{Failure, Report};
pub use resource::{
    AUTOSCALERS, BUDGETS, CLAIMS, CLUSTER_ROLES, CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, INGRESSES, JOBS,
    NAMESPACES, NODES, PODS, POLICIES, Resource, SECRETS, SERVICE_ACCOUNTS, SERVICES, STATEFUL_SETS, STORE_DATABASES,
    STORE_SERVICES, STORE_TOPICS, STORES, VOLUMES,
};
pub use settings::Settings;
pub use shop::{Call, Customer, Product, Shop};
pub use space::{Namespace, Space};
pub use store::Store;
pub use wait::{Seen, wait_until};
pub use xtask::xtask;
