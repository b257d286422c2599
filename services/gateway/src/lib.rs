//! The gateway: the one door of a shop. It finds the service of a request, refuses what no service should see, and hides
//! the moments in which a service is replaced.

mod docs;
mod forward;
mod headers;
mod limits;
mod linger;
mod reload;
mod replay;
mod routes;
mod security;
mod tunnel;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{any, get},
};
use kit::{BuildError, Platform, Service};

pub use routes::{Route, RoutesError};

use crate::{forward::Forwarder, reload::RouteBook, tunnel::Tunnels};

/// The service's name.
pub const NAME: &str = "gateway";

/// How long a gateway that ends still answers on idle connections. Its clients are strangers, who keep them for minutes; each
/// that comes back meanwhile is sent to another gateway without a failed request.
const STRANGERS: Duration = Duration::from_secs(10);

/// Settings of the gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The route table: a YAML file, read anew when it changes
    #[arg(long, env = "ROUTES_FILE")]
    pub routes_file: Option<PathBuf>,

    /// A route, as `PREFIX=URL`, where there is no file
    #[arg(long = "route", value_name = "PREFIX=URL", conflicts_with = "routes_file")]
    pub routes: Vec<Route>,

    /// Origins whose pages may call the shop from a browser, comma-separated; `*` for all
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub cors_origins: Vec<security::Origin>,

    /// Proxies in front of the gateway whose X-Forwarded-* headers are believed
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = 0)]
    pub trusted_proxies: usize,
}

/// The gateway, ready to be run. `openapi` makes the document of all services.
pub async fn build(
    args: Args,
    platform: Platform,
    openapi: fn() -> utoipa::openapi::OpenApi,
) -> Result<Service, BuildError> {
    let book = RouteBook::open(args.routes_file, args.routes).await?;
    let tunnels = Tunnels::default();
    let forwarder = Forwarder::new(book.clone(), tunnels.clone(), args.trusted_proxies);
    let router = Router::new()
        .route("/", any(forward::forward))
        .route("/{*path}", any(forward::forward))
        .with_state(Arc::new(forwarder))
        .route("/healthz", get(async || axum::Json(serde_json::json!({ "status": "ok" }))))
        .merge(docs::routes(openapi));
    let router = kit::http::with_conventions(router, platform.verifier);
    let router = security::around(linger::around(limits::around(router)), &args.cors_origins, args.trusted_proxies);
    Ok(Service::new(NAME, router)
        .linger(STRANGERS)
        .worker("routes", move |stop| reload::keep_up(book, stop))
        .worker("tunnels", move |stop| tunnels.until(stop)))
}

/// The gateway's own part of the API document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    utoipa::openapi::OpenApi::new(
        utoipa::openapi::Info::new("GreenCommerce", env!("CARGO_PKG_VERSION")),
        utoipa::openapi::Paths::new(),
    )
}
