//! The catalog service: products, their variants with prices, categories, search.
//!
//! Prices are served to checkout from here only. What can be ordered is told by inventory through events and shown beside
//! each variant; checkout asks inventory itself.

mod consume;
mod domain;
mod grpc;
mod http;
mod store;

use db::Database;
use kit::{BuildError, Platform, PlatformArgs, Service, kafka::OutboxSignal};
use tonic::transport::Channel;
use types::Currency;

/// The service's name.
pub const NAME: &str = "catalog";

/// The schema of the service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Settings of the service.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The service's database.
    #[command(flatten)]
    pub database: db::DatabaseArgs,

    /// What services share.
    #[command(flatten)]
    pub platform: PlatformArgs,

    /// Address of the inventory service, for internal calls
    #[arg(long, env = "INVENTORY_GRPC_URL", default_value = "http://127.0.0.1:9090")]
    pub inventory_grpc_url: String,
}

/// What every part of the service works with.
#[derive(Clone)]
struct App {
    database: Database,
    signal: OutboxSignal,
    inventory: Channel,
    currency: Currency,
}

/// Makes the service.
#[expect(clippy::unused_async, reason = "every service is built the same way, and others wait for things")]
pub async fn build(args: Args, platform: Platform) -> Result<Service, BuildError> {
    let app = App {
        database: Database::connect(&args.database, NAME)?,
        signal: OutboxSignal::default(),
        inventory: kit::grpc::channel(&args.inventory_grpc_url)?,
        currency: args.platform.store_currency,
    };
    let (router, _) = http::router().with_state(app.clone()).split_for_parts();
    let service = Service::new(NAME, kit::http::with_conventions(router, platform.verifier))
        .grpc(grpc::routes(app.clone()))
        .database(&app.database);
    let (relay, stock) = (args.platform.kafka.clone(), args.platform.kafka);
    let (database, signal) = (app.database.clone(), app.signal.clone());
    Ok(service
        .worker("outbox-relay", |stop| kit::kafka::relay(database, relay, signal, stop))
        .worker("inventory-consumer", |stop| kit::kafka::consume(stock, NAME, consume::StockEvents(app), stop)))
}

/// The description of the service's public interface.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::router().split_for_parts().1
}
