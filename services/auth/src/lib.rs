//! The auth service: accounts, credentials, sessions, roles, and the keys that sign access tokens.

mod admin;
mod domain;
mod hashing;
mod http;
mod keyring;
mod rotate;
mod store;

use std::time::Duration;

use kit::{BuildError, Platform, Service, auth::KeySource, auth::OwnKeys, kafka::OutboxSignal, telemetry::Chain};
use tokio_util::sync::CancellationToken;

pub use admin::{CreateAdminError, create_admin};
pub use rotate::{RotateKeysError, rotate_keys};

use crate::{hashing::PasswordPool, http::Issuer, keyring::KeyRing};

/// The service's name.
pub const NAME: &str = "auth";

/// The migrations of the service's database.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How often keys are read anew, and a new one is made where it is due.
const KEYS_EVERY: Duration = Duration::from_secs(30);

/// Settings of the auth service.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its database.
    #[command(flatten)]
    pub database: db::DatabaseArgs,

    /// What it shares with the other services.
    #[command(flatten)]
    pub platform: kit::PlatformArgs,
}

/// What every handler has.
#[derive(Clone)]
struct App {
    database: db::Database,
    keys: KeyRing,
    passwords: PasswordPool,
    issuer: Issuer,
    signal: OutboxSignal,
}

/// The auth service, ready to be run.
pub async fn build(args: Args, platform: Platform) -> Result<Service, BuildError> {
    let database = db::Database::connect(&args.database, NAME)?;
    let public = OwnKeys::default();
    let keys = KeyRing::new(database.clone(), public.clone());
    if let Err(error) = keys.reload().await {
        // Not ready then, but alive: the database may come later.
        tracing::warn!(error = %Chain(&error), "the signing keys cannot be read yet");
    }
    let verifier = platform.verifier.with_keys(KeySource::own(public));
    let app = App {
        database: database.clone(),
        keys: keys.clone(),
        passwords: PasswordPool::for_this_machine(),
        issuer: Issuer::new(&verifier, platform.clock),
        signal: OutboxSignal::default(),
    };
    let (router, _) = http::router().with_state(app.clone()).split_for_parts();
    let (outbox, kafka, probed) = (database.clone(), args.platform.kafka, keys.clone());
    Ok(Service::new(NAME, kit::http::with_conventions(router, verifier))
        .worker("outbox-relay", move |stop| kit::kafka::relay(outbox, kafka, app.signal, stop))
        .worker("signing-keys", move |stop| reload_keys(keys, stop))
        .worker("forgetting", {
            let database = database.clone();
            move |stop| forget_old(database, stop)
        })
        .check("signing-keys", move || {
            let keys = probed.clone();
            async move { keys.current().await.map(|_| ()).map_err(|error| Chain(&error).to_string()) }
        })
        .database(&database))
}

/// The service's part of the API document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::router().split_for_parts().1
}

async fn reload_keys(keys: KeyRing, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(KEYS_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = keys.reload().await {
            tracing::warn!(error = %Chain(&error), "the signing keys were not read anew");
        }
    }
}

async fn forget_old(database: db::Database, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_mins(5));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = forget_once(&database).await {
            tracing::warn!(error = %Chain(&error), "ended sessions were not forgotten");
        }
    }
}

async fn forget_once(database: &db::Database) -> Result<(), sqlx::Error> {
    let mut conn = database.pool().acquire().await?;
    store::sessions::forget_old(&mut conn).await?;
    store::failures::forget_old(&mut conn).await
}
