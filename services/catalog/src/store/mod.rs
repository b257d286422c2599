//! All SQL of the service: plain functions on a connection, in the caller's transaction.

pub(crate) mod availability;
pub(crate) mod categories;
pub(crate) mod products;
pub(crate) mod search;
pub(crate) mod variants;

use std::str::FromStr;

/// A checked value that was stored as text.
fn stored<T: FromStr<Err = types::Invalid>>(text: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|error: types::Invalid| sqlx::Error::Decode(error.into()))
}
