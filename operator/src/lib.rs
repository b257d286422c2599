//! The GreenCommerce operator: reconciles stores, their services, databases and topics.

mod cli;
mod framework;
mod manager;
pub mod storage;
pub mod store_database;
pub mod store_topic;

pub use cli::Cli;
