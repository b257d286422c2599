//! What a development machine needs to run the shop for real: Debian packages, the Apache Kafka distribution, and
//! PostgreSQL, Kafka and Redis as plain processes that every test process and `cargo xtask dev` share.
//!
//! Nothing here is used in production.

mod authority;
pub mod backing;
pub mod debian;
mod hash;
pub mod kafka;
pub mod paths;
mod process;
pub mod wait;

pub use authority::{Authority, Certified};
pub use backing::{Backing, BackingError, Part};
