//! `greencommerce migrate <service>`.

use clap::{Args, ValueEnum};
use kit::telemetry::{self, TelemetryArgs, TelemetryError};
use sqlx::migrate::Migrator;

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Whose database it is
    service: Owner,

    #[command(flatten)]
    database: db::DatabaseArgs,

    #[command(flatten)]
    telemetry: TelemetryArgs,
}

/// The services that have a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Owner {
    Auth,
    Catalog,
    Inventory,
    Orders,
}

/// Why a database is not at the schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    #[error("logs could not be set up")]
    Telemetry(#[from] TelemetryError),
    #[error("the database was not migrated")]
    Migrate(#[from] db::MigrateError),
}

/// The exit code where a later release has left the database in a shape that this one cannot work with. The operator
/// knows it: trying again is no use.
pub(crate) const EXIT_SCHEMA_TOO_NEW: u8 = 3;

impl MigrateError {
    pub(crate) fn is_schema_too_new(&self) -> bool {
        matches!(self, Self::Migrate(db::MigrateError::TooNew(_)))
    }
}

/// Brings the database to the schema of this release. What was applied before is left alone.
pub(crate) async fn run(args: &MigrateArgs) -> Result<(), MigrateError> {
    telemetry::init(&args.telemetry)?;
    db::migrate(&args.database, args.service.migrator()).await?;
    tracing::info!(service = args.service.name(), "the database is at the schema of this release");
    Ok(())
}

impl Owner {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Auth, Self::Catalog, Self::Inventory, Self::Orders];

    /// The service's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auth => auth::NAME,
            Self::Catalog => catalog::NAME,
            Self::Inventory => inventory::NAME,
            Self::Orders => orders::NAME,
        }
    }

    /// The service's migrations.
    pub(crate) fn migrator(self) -> &'static Migrator {
        match self {
            Self::Auth => &auth::MIGRATOR,
            Self::Catalog => &catalog::MIGRATOR,
            Self::Inventory => &inventory::MIGRATOR,
            Self::Orders => &orders::MIGRATOR,
        }
    }
}
