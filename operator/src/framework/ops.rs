//! The operator's own port: health and figures.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Cache, metrics};

#[derive(Clone)]
struct Ops {
    cache: Arc<Cache>,
    figures: PrometheusHandle,
}

/// Serves `/healthz` (the process works), `/readyz` (every kind has been listed once) and `/metrics` until `stop`.
pub(crate) async fn serve(
    address: SocketAddr,
    cache: Arc<Cache>,
    figures: PrometheusHandle,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Ops { cache, figures });
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    if ops.cache.is_complete() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still listing objects\n")
    }
}

async fn render(State(ops): State<Ops>) -> String {
    metrics::count_objects(&ops.cache);
    ops.figures.run_upkeep();
    ops.figures.render()
}
