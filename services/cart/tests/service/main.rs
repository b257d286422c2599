//! The cart service with the real catalogue and stock keeper, over real Redis, Kafka and PostgreSQL.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod events;
#[cfg(test)]
mod items;
#[cfg(test)]
mod shop;
