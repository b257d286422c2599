//! The inventory service over real PostgreSQL and Kafka, through its real listeners.

mod adjustments;
mod events;
mod reservations;
mod shop;
