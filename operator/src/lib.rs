//! The GreenCommerce operator: reconciles stores, their services, databases and topics.

pub mod storage;
pub mod store_database;
pub mod store_topic;
