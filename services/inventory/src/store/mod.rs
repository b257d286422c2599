//! All SQL of the service: plain functions on a connection, in the caller's transaction.

pub(crate) mod movements;
pub(crate) mod reservations;
pub(crate) mod stock;
