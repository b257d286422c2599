//! The GreenCommerce operator: reconciles stores, their services, databases and topics.

mod cli;
mod events;
mod framework;
mod guests;
mod leader;
mod manager;
mod monitoring;
mod network;
mod refused;
mod rounds;
mod storage;
mod store;
pub mod store_database;
mod store_service;
pub mod store_topic;
mod workload;

pub use cli::Cli;
pub use framework::{Gate, NotLeading, Unreachable};
