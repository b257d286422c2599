//! Carts of customers who are logged in: what they want to buy, kept in Redis. A cart knows no prices and no names; the
//! catalogue is asked for them whenever the cart is shown, so a cart is never out of date.

mod calls;
mod consume;
mod domain;
mod grpc;
mod http;
mod store;

use kit::{BuildError, Platform, Service};
use rpc::catalog::v1::catalog_client::CatalogClient;
use tonic::transport::Channel;
use types::Currency;

use self::store::Carts;

/// The service's name.
pub const NAME: &str = "cart";

/// Settings of the service.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What every service is told.
    #[command(flatten)]
    pub platform: kit::PlatformArgs,

    /// Address of the Redis server that keeps the carts: `redis://user:password@host:port/number`
    #[arg(long, env = "REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    pub redis_url: String,

    /// Address of the catalogue for other services
    #[arg(long, env = "CATALOG_GRPC_URL", default_value = "http://127.0.0.1:9090")]
    pub catalog_grpc_url: String,
}

#[derive(Clone)]
struct App {
    carts: Carts,
    catalog: CatalogClient<Channel>,
    currency: Currency,
}

/// Makes the service.
#[expect(clippy::unused_async, reason = "every service is built by an async function")]
pub async fn build(args: Args, platform: Platform) -> Result<Service, BuildError> {
    let carts = Carts::connect(&args.redis_url)?;
    let app = App {
        carts: carts.clone(),
        catalog: CatalogClient::new(kit::grpc::channel(&args.catalog_grpc_url)?),
        currency: args.platform.store_currency,
    };
    let (router, _) = http::router().with_state(app).split_for_parts();
    let ordered = consume::OrderedLines { carts: carts.clone() };
    let (probed, kafka) = (carts.clone(), args.platform.kafka);
    Ok(Service::new(NAME, kit::http::with_conventions(router, platform.verifier))
        .grpc(grpc::routes(carts))
        .worker("order-consumer", move |stop| kit::kafka::consume(kafka, NAME, ordered, stop))
        .check("redis", move || {
            let carts = probed.clone();
            async move { carts.ping().await.map_err(|error| error.to_string()) }
        }))
}

/// The documentation of the public interface.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::router().into_openapi()
}
