//! Probes and metrics, on a port of their own that the gateway does not route to.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{Check, Lifecycle};

/// How long a dependency may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Ops {
    metrics: PrometheusHandle,
    checks: Vec<Check>,
    life: Lifecycle,
}

/// `/livez` (the process works), `/startupz` and `/readyz` (it can serve: every hard dependency answers and it is not
/// draining), `/metrics` (Prometheus text format).
pub(crate) fn router(metrics: PrometheusHandle, checks: Vec<Check>, life: Lifecycle) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/startupz", get(ready))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Ops { metrics, checks, life })
}

async fn ready(State(ops): State<Ops>) -> (StatusCode, String) {
    if ops.life.draining().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned());
    }
    for check in &ops.checks {
        let failure = match tokio::time::timeout(PROBE_TIMEOUT, (check.probe)()).await {
            Ok(Ok(())) => continue,
            Ok(Err(failure)) => failure,
            Err(_) => "no answer in 2 s".to_owned(),
        };
        tracing::warn!(dependency = check.name, failure, "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{} does not answer", check.name));
    }
    (StatusCode::OK, "ok".to_owned())
}

async fn render(State(ops): State<Ops>) -> String {
    ops.metrics.run_upkeep();
    ops.metrics.render()
}
