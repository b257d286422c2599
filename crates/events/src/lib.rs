//! Contracts of the events on Kafka.
