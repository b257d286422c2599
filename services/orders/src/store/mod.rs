//! All SQL of the service.

pub(crate) mod checkouts;
pub(crate) mod orders;

/// A stored text that does not read as what it was written from.
fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
