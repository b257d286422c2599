//! All SQL of the service.

pub(crate) mod accounts;
pub(crate) mod failures;
pub(crate) mod keys;
pub(crate) mod sessions;
