//! `greencommerce all`: the whole shop in one process, for development. Each service is what it is in production, behind
//! listeners of its own on loopback; they meet over HTTP, gRPC, Kafka and PostgreSQL as they do there.

mod databases;
mod settings;
mod topics;

use std::{net::SocketAddr, time::Duration};

use kit::{
    BuildError, Clock, Lifecycle, Listeners, Platform, ProcessArgs, Running, Service, StartError,
    auth::{Verifier, VerifierArgs},
    kafka::KafkaArgs,
    telemetry,
};
use types::Currency;

use self::settings::Settings;
use crate::{migrate::Owner, openapi};

/// What the services of the shop share.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8080").help("Address of the gateway")),
    mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9100")),
    mut_arg("grpc_addr", |arg| arg.hide(true)),
)]
pub(crate) struct AllArgs {
    #[command(flatten)]
    process: ProcessArgs,

    /// The PostgreSQL server, without the name of a database: `postgres://user:password@host:port`. Each service gets a
    /// database of its own on it, which is made and migrated at the start
    #[arg(long, env = "POSTGRES_URL", hide_env_values = true)]
    postgres_url: String,

    /// What the names of the databases begin with; the service's name follows
    #[arg(long, env = "DATABASE_PREFIX", default_value = "greencommerce_", value_parser = databases::prefix)]
    database_prefix: String,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// The Redis server that keeps the carts
    #[arg(long, env = "REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    redis_url: String,

    /// Currency of every price, by its ISO 4217 code
    #[arg(long, env = "STORE_CURRENCY", default_value = "NGN")]
    store_currency: Currency,

    /// Seconds in which an order must be paid
    #[arg(long, env = "ORDER_PAYMENT_TIMEOUT_SECONDS", default_value_t = 1800)]
    order_payment_timeout_seconds: u32,

    /// Origins whose pages may call the shop from a browser, comma-separated; `*` for all
    #[arg(long, env = "CORS_ORIGINS")]
    cors_origins: Option<String>,
}

/// Listeners of every service, taken before any is built, because each is told where the others are.
struct Doors {
    auth: Listeners,
    catalog: Listeners,
    inventory: Listeners,
    cart: Listeners,
    orders: Listeners,
}

/// Runs the shop until the process is asked to end.
pub(crate) async fn run(args: AllArgs) -> Result<(), BuildError> {
    let metrics = telemetry::init(&args.process.telemetry).map_err(StartError::Telemetry)?;
    for owner in Owner::ALL {
        databases::prepare(&args.postgres_url, &args.database_prefix, owner).await?;
    }
    topics::prepare(&args.kafka).await?;
    let gateway = Listeners { http: kit::listen(args.process.http_addr).await?, grpc: loopback().await? };
    let ops = kit::listen(args.process.ops_addr).await?;
    let doors = Doors::open().await?;
    let services = build(&args, &doors).await?;
    let checks = services.iter().flat_map(|service| service.checks().to_vec()).collect();
    let Doors { auth, catalog, inventory, cart, orders } = doors;
    let listeners = [auth, catalog, inventory, cart, orders, gateway];
    let mut running = Running::new(Lifecycle::new());
    running.observe(ops, metrics, checks);
    for (service, listeners) in services.into_iter().zip(listeners) {
        running.serve(service, listeners);
    }
    tracing::info!(address = %args.process.http_addr, "the shop is open");
    Ok(running.until_asked_to_end(&args.process).await?)
}

/// The services, in the order of their listeners, the gateway last.
async fn build(args: &AllArgs, doors: &Doors) -> Result<[Service; 6], BuildError> {
    let auth_url = format!("http://{}", doors.auth.http.local_addr()?);
    let platform = platform(&auth_url)?;
    let common = Settings::new()
        .with("kafka-bootstrap-servers", &args.kafka.kafka_bootstrap_servers)
        .with("kafka-prefix", &args.kafka.kafka_prefix)
        .with("store-currency", args.store_currency);
    let database = |owner: Owner| {
        let url = databases::url(&args.postgres_url, &databases::name(&args.database_prefix, owner));
        common.clone().with("database-url", url)
    };
    let grpc = |listeners: &Listeners| listeners.grpc.local_addr().map(|address| format!("http://{address}"));
    let (catalog_url, inventory_url, cart_url) = (grpc(&doors.catalog)?, grpc(&doors.inventory)?, grpc(&doors.cart)?);
    let auth = database(Owner::Auth).parse()?;
    let catalog = database(Owner::Catalog).with("inventory-grpc-url", &inventory_url).parse()?;
    let inventory = database(Owner::Inventory).parse()?;
    let cart = common.clone().with("redis-url", &args.redis_url).with("catalog-grpc-url", &catalog_url).parse()?;
    let orders = database(Owner::Orders)
        .with("cart-grpc-url", &cart_url)
        .with("catalog-grpc-url", &catalog_url)
        .with("inventory-grpc-url", &inventory_url)
        .with("order-payment-timeout-seconds", args.order_payment_timeout_seconds)
        .parse()?;
    let gateway = routes(args, doors)?.parse()?;
    Ok([
        auth::build(auth, platform.clone()).await?,
        catalog::build(catalog, platform.clone()).await?,
        inventory::build(inventory, platform.clone()).await?,
        cart::build(cart, platform.clone()).await?,
        orders::build(orders, platform.clone()).await?,
        // Nobody takes over here: who waits for the end waits for no idle browser.
        gateway::build(gateway, platform, openapi::merged).await?.linger(Duration::ZERO),
    ])
}

/// The gateway's settings: which paths are whose.
fn routes(args: &AllArgs, doors: &Doors) -> Result<Settings, BuildError> {
    let prefixes = [
        (&doors.auth, &["/api/auth", "/auth", "/.well-known"][..]),
        (&doors.catalog, &["/api/products", "/api/categories", "/api/search"]),
        (&doors.inventory, &["/api/inventory"]),
        (&doors.cart, &["/api/cart"]),
        (&doors.orders, &["/api/orders"]),
    ];
    let mut settings = Settings::new();
    for (listeners, prefixes) in prefixes {
        let address = listeners.http.local_addr()?;
        for prefix in prefixes {
            settings = settings.with("route", format!("{prefix}=http://{address}"));
        }
    }
    Ok(match &args.cors_origins {
        Some(origins) => settings.with("cors-origins", origins),
        None => settings,
    })
}

fn platform(auth_url: &str) -> Result<Platform, BuildError> {
    let verifier = VerifierArgs {
        auth_http_url: auth_url.to_owned(),
        jwt_issuer: "greencommerce".to_owned(),
        jwt_audience: "greencommerce".to_owned(),
    };
    Ok(Platform { clock: Clock::system(), verifier: Verifier::from_args(&verifier)? })
}

async fn loopback() -> Result<tokio::net::TcpListener, StartError> {
    kit::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

impl Doors {
    async fn open() -> Result<Self, StartError> {
        Ok(Self {
            auth: Self::pair().await?,
            catalog: Self::pair().await?,
            inventory: Self::pair().await?,
            cart: Self::pair().await?,
            orders: Self::pair().await?,
        })
    }

    async fn pair() -> Result<Listeners, StartError> {
        Ok(Listeners { http: loopback().await?, grpc: loopback().await? })
    }
}
