//! The catalog service over real PostgreSQL and Kafka, with the real inventory service beside it.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod creation;
#[cfg(test)]
mod events;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod search;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod writes;
