//! PostgreSQL as every service uses it: the pool, named transactions, the outbox, the inbox and idempotency keys.

pub mod idempotency;
pub mod inbox;
mod migrate;
pub mod outbox;
mod pool;
mod retention;

pub use migrate::{MigrateError, migrate};
pub use pool::{ConnectError, Database, DatabaseArgs, Transaction};
pub use retention::forget_old;

/// Whether the failure is of the moment (no connection, deadlock, server shutting down), so that trying again may help.
#[must_use]
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Class 08 connection, 40 rollback, 53 resources, 57 operator intervention (PostgreSQL, appendix A).
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
