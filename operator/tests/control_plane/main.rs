//! The operator, as the process that ships, against a real Kubernetes API server without nodes: what it writes, how
//! often, and that no crash, no fault in between and no hand in its objects changes where it ends.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stdout, reason = "how long it took, for whoever asks with --nocapture")]

mod cache;
#[path = "../common/candidates.rs"]
mod candidates;
mod crash;
mod database;
mod drift;
mod exposure;
mod faults;
mod guest;
mod guide;
mod healing;
mod leader;
mod malformed;
mod managed;
mod manifests;
mod monitoring;
mod outage;
#[path = "../common/own_server.rs"]
mod own_server;
mod prometheus;
mod rest;
mod rotation;
mod rounds;
mod scale;
mod servers;
mod setup;
mod shop;
mod storage;
mod store;
mod story;
mod there_and_back;
mod topic;
mod trouble;
mod untouched;
