//! The inventory service over real PostgreSQL and Kafka, through its real listeners.

#[cfg(test)]
mod adjustments;
#[cfg(test)]
mod events;
#[cfg(test)]
mod reservations;
#[cfg(test)]
mod shop;
