//! The inventory service: how much there is of each variant, and what is held for orders.
//!
//! Nothing is oversold: an order's stock is held in one transaction, all lines or none, under row locks that every
//! transaction takes in the same order; the schema itself refuses to reserve more than there is. A reservation is keyed by
//! its order, ends by the database's clock, and once released stays released.

mod consume;
mod domain;
mod grpc;
mod http;
mod store;
mod sweep;

use db::Database;
use kit::{BuildError, Platform, PlatformArgs, Service, kafka::OutboxSignal};

/// The service's name.
pub const NAME: &str = "inventory";

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
}

/// What every part of the service works with.
#[derive(Clone)]
struct App {
    database: Database,
    signal: OutboxSignal,
}

/// Makes the service.
#[expect(clippy::unused_async, reason = "every service is built the same way, and others wait for things")]
pub async fn build(args: Args, platform: Platform) -> Result<Service, BuildError> {
    let app = App { database: Database::connect(&args.database, NAME)?, signal: OutboxSignal::default() };
    let (router, _) = http::router().with_state(app.clone()).split_for_parts();
    let service = Service::new(NAME, kit::http::with_conventions(router, platform.verifier))
        .grpc(grpc::routes(app.clone()))
        .database(&app.database);
    let kafka = args.platform.kafka;
    let (relay, relayed) = (kafka.clone(), app.clone());
    let (orders, ordered) = (kafka.clone(), app.clone());
    let (products, listed) = (kafka, app.clone());
    Ok(service
        .worker("outbox-relay", |stop| kit::kafka::relay(relayed.database, relay, relayed.signal, stop))
        .worker("order-consumer", |stop| kit::kafka::consume(orders, NAME, consume::OrderEvents(ordered), stop))
        .worker("catalog-consumer", |stop| kit::kafka::consume(products, NAME, consume::ProductEvents(listed), stop))
        .worker("reservation-sweeper", |stop| sweep::sweep(app, stop)))
}

/// The description of the service's public interface.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::router().split_for_parts().1
}
