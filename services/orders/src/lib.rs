//! Orders: checkout, what was ordered, and what became of it.
//!
//! Checkout asks the cart, the catalogue and the stock keeper before it writes (`checkout`); everything it does can be
//! repeated under the same order id. Unpaid orders are cancelled when their time is up (`expiry`).

mod calls;
mod checkout;
pub mod domain;
mod expiry;
mod http;
mod store;

use db::Database;
use kit::{BuildError, Platform, Service, kafka::OutboxSignal};
use rpc::{
    cart::v1::cart_client::CartClient, catalog::v1::catalog_client::CatalogClient,
    inventory::v1::inventory_client::InventoryClient,
};
use tonic::transport::Channel;
use types::Currency;

/// The service's name.
pub const NAME: &str = "orders";

/// The schema of the service's database.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// The longest time in which an order may be paid, in seconds: with its margin, a week of reserved stock.
const LONGEST_PAYMENT_TIMEOUT: i64 = 7 * 24 * 3600 - checkout::RESERVATION_MARGIN as i64;

/// Settings of the service.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The service's database.
    #[command(flatten)]
    pub database: db::DatabaseArgs,

    /// What every service is told.
    #[command(flatten)]
    pub platform: kit::PlatformArgs,

    /// Address of the carts for other services
    #[arg(long, env = "CART_GRPC_URL", default_value = "http://127.0.0.1:9090")]
    pub cart_grpc_url: String,

    /// Address of the catalogue for other services
    #[arg(long, env = "CATALOG_GRPC_URL", default_value = "http://127.0.0.1:9090")]
    pub catalog_grpc_url: String,

    /// Address of the stock keeper for other services
    #[arg(long, env = "INVENTORY_GRPC_URL", default_value = "http://127.0.0.1:9090")]
    pub inventory_grpc_url: String,

    /// Seconds in which an order must be paid; then it is cancelled and its stock let go
    #[arg(long, env = "ORDER_PAYMENT_TIMEOUT_SECONDS", default_value_t = 1800,
          value_parser = clap::value_parser!(u32).range(1..=LONGEST_PAYMENT_TIMEOUT))]
    pub order_payment_timeout_seconds: u32,
}

#[derive(Clone)]
struct App {
    database: Database,
    outbox: OutboxSignal,
    cart: CartClient<Channel>,
    catalog: CatalogClient<Channel>,
    inventory: InventoryClient<Channel>,
    currency: Currency,
    /// Seconds.
    payment_timeout: u32,
}

/// Makes the service.
#[expect(clippy::unused_async, reason = "every service is built by an async function")]
pub async fn build(args: Args, platform: Platform) -> Result<Service, BuildError> {
    let database = Database::connect(&args.database, NAME)?;
    let outbox = OutboxSignal::default();
    let payment_timeout = args.order_payment_timeout_seconds;
    let app = App {
        database: database.clone(),
        outbox: outbox.clone(),
        cart: CartClient::new(kit::grpc::channel(&args.cart_grpc_url)?),
        catalog: CatalogClient::new(kit::grpc::channel(&args.catalog_grpc_url)?),
        inventory: InventoryClient::new(kit::grpc::channel(&args.inventory_grpc_url)?),
        currency: args.platform.store_currency,
        payment_timeout,
    };
    let (router, _) = http::router().with_state(app).split_for_parts();
    let (relayed, signal, kafka) = (database.clone(), outbox.clone(), args.platform.kafka);
    let expired = database.clone();
    Ok(Service::new(NAME, kit::http::with_conventions(router, platform.verifier))
        .worker("outbox-relay", move |stop| kit::kafka::relay(relayed, kafka, signal, stop))
        .worker("order-expiry", move |stop| expiry::run(expired, outbox, payment_timeout, stop))
        .database(&database))
}

/// The documentation of the public interface.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::router().into_openapi()
}
