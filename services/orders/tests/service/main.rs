//! The orders service with the real cart, catalogue and stock keeper, over real PostgreSQL, Kafka and Redis.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod broken_off;
#[cfg(test)]
mod cancelling;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod placing;
#[cfg(test)]
mod races;
#[cfg(test)]
mod shop;
