//! Bringing a database to the schema of this release.

use std::time::Duration;

use sqlx::{Connection, PgConnection, migrate::Migrator, postgres::PgConnectOptions};

use crate::DatabaseArgs;

static PLATFORM: Migrator = sqlx::migrate!();

/// Why a database could not be brought to the schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be reached in a minute.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// A migration failed, and changed nothing.
    #[error("a migration failed")]
    Failed(#[source] sqlx::migrate::MigrateError),
}

/// Applies the migrations that every database has, then those of the service. Runs of several processes at a time wait for
/// one another (advisory lock); what was applied before is left alone.
///
/// Migrations only ever expand what is there, so that the release before this one keeps working on the new schema.
pub async fn migrate(args: &DatabaseArgs, service: &Migrator) -> Result<(), MigrateError> {
    let options: PgConnectOptions = args.database_url.parse().map_err(MigrateError::Unreachable)?;
    let mut connection = connect(&options).await.map_err(MigrateError::Unreachable)?;
    for migrator in [&PLATFORM, service] {
        migrator.run(&mut connection).await.map_err(MigrateError::Failed)?;
    }
    connection.close().await.map_err(MigrateError::Unreachable)
}

/// A migration often starts together with the database it is for: wait a minute for it.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut attempts = 0;
    loop {
        match PgConnection::connect_with(options).await {
            Err(error) if crate::is_transient(&error) && attempts < 60 => {
                attempts += 1;
                tracing::info!(attempts, "waiting for the database");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            result => return result,
        }
    }
}
