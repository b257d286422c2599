//! The operator's own port: health and figures.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use super::{Context, metrics};

/// Between two rounds of sorting what was measured into buckets. Until then every single measurement is kept.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Ops {
    context: Context,
    figures: PrometheusHandle,
}

/// Serves `/healthz` (the process works), `/readyz` (every kind has been listed once, also in a standby) and `/metrics`.
pub(crate) async fn serve(address: SocketAddr, context: Context, figures: PrometheusHandle) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Ops { context, figures: figures.clone() });
    let listener = TcpListener::bind(address).await?;
    tokio::select! {
        served = axum::serve(listener, router) => served,
        never = keep_up(figures) => match never {},
    }
}

/// Measurements take no more room the more there are, also where nobody asks for them.
async fn keep_up(figures: PrometheusHandle) -> std::convert::Infallible {
    let mut rounds = tokio::time::interval(UPKEEP);
    loop {
        rounds.tick().await;
        figures.run_upkeep();
    }
}

async fn readyz(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    if ops.context.cache.is_complete() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still listing objects\n")
    }
}

async fn render(State(ops): State<Ops>) -> String {
    ops.figures.render() + &metrics::snapshot(&ops.context.cache, &ops.context.activity)
}
