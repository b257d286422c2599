//! StoreDatabase: a PostgreSQL server, or a place on one, with a database and a login role per service.

pub mod build;
pub mod dereference;
pub mod error;
pub mod names;
pub mod sql;
pub mod validate;
