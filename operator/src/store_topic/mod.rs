//! StoreTopic: one Kafka topic, kept as described.

pub mod brokers;
pub mod plan;
