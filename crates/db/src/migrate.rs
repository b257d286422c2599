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
    /// A later release has taken something away that this one needs, and nothing was changed.
    #[error(
        "a later release has left the database in a shape that this one cannot work with: it applied {}",
        .0.join(", ")
    )]
    TooNew(Vec<String>),
}

/// The word that the name of a migration begins with, after its number, if it takes away what the release before it
/// needs: `0007_contract_drop_the_old_column.sql`. All other migrations only add.
const CONTRACT: &str = "contract";

/// The migrations of one owner, and the table in which those that were applied are noted.
struct Owned<'a> {
    migrator: &'a Migrator,
    applied: &'static str,
}

/// Applies the migrations that every database has, then those of the service. Runs of several processes at a time wait for
/// one another (advisory lock); what was applied before is left alone.
///
/// Migrations only ever expand what is there, so that the release before this one keeps working on the new schema, and
/// this release on that of a later one: what a later one has applied is left as it is. A release that takes something away
/// says so in the name of its migration, and an earlier one then refuses the database ([`MigrateError::TooNew`]).
pub async fn migrate(args: &DatabaseArgs, service: &Migrator) -> Result<(), MigrateError> {
    let options = args.options().map_err(MigrateError::Unreachable)?;
    let mut connection = connect(&options).await.map_err(MigrateError::Unreachable)?;
    let platform = Owned {
        migrator: &PLATFORM,
        applied: "SELECT version, description FROM platform._sqlx_migrations ORDER BY version",
    };
    let service =
        Owned { migrator: service, applied: "SELECT version, description FROM _sqlx_migrations ORDER BY version" };
    for owned in [platform, service] {
        apply(&mut connection, &owned).await?;
    }
    connection.close().await.map_err(MigrateError::Unreachable)
}

async fn apply(connection: &mut PgConnection, owned: &Owned<'_>) -> Result<(), MigrateError> {
    match owned.migrator.run(&mut *connection).await {
        Err(sqlx::migrate::MigrateError::VersionMissing(version)) => {
            let applied: Vec<(i64, String)> =
                sqlx::query_as(owned.applied).fetch_all(&mut *connection).await.map_err(MigrateError::Unreachable)?;
            let contracts = unknown_contracts(owned.migrator, &applied);
            if !contracts.is_empty() {
                return Err(MigrateError::TooNew(contracts));
            }
            tracing::info!(version, "a later release has added to the database: it is left as it is");
            tolerant(owned.migrator).run(&mut *connection).await.map_err(MigrateError::Failed)
        }
        result => result.map_err(MigrateError::Failed),
    }
}

/// What was applied that this release does not know and that took something away.
fn unknown_contracts(migrator: &Migrator, applied: &[(i64, String)]) -> Vec<String> {
    applied
        .iter()
        .filter(|(version, name)| !migrator.version_exists(*version) && name.starts_with(CONTRACT))
        .map(|(version, name)| format!("{version:04} {name}"))
        .collect()
}

/// The same migrations, for a database to which others have been applied as well.
fn tolerant(migrator: &Migrator) -> Migrator {
    Migrator {
        migrations: migrator.migrations.clone(),
        ignore_missing: true,
        locking: migrator.locking,
        no_tx: migrator.no_tx,
        table_name: migrator.table_name.clone(),
        create_schemas: migrator.create_schemas.clone(),
    }
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
