//! Probes and metrics, on a port of their own that the gateway does not route to.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{Check, Lifecycle};

/// How long a dependency may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Between two rounds of [`keep_up`].
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Ops {
    metrics: PrometheusHandle,
    checks: Vec<Check>,
    life: Lifecycle,
}

/// `/livez` and `/startupz` (the process works: nobody is to end it because of a dependency), `/readyz` (it can serve: every
/// hard dependency answers and it is not draining), `/metrics` (Prometheus text format).
pub(crate) fn router(metrics: PrometheusHandle, checks: Vec<Check>, life: Lifecycle) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/startupz", get(|| async { "ok" }))
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
    ops.metrics.render()
}

/// Sorts what was measured into buckets, again and again. Until then every single measurement is kept, so that a process whose
/// figures nobody asks for would grow with every request.
pub(crate) async fn keep_up(metrics: PrometheusHandle, every: Duration) {
    let mut rounds = tokio::time::interval(every);
    loop {
        rounds.tick().await;
        metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{body::Body, http::Request};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::task::JoinSet;
    use tower::Service as _;

    use super::*;

    /// Mebibytes that this process holds in memory.
    fn resident() -> usize {
        let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
        sizes.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096 / (1024 * 1024)
    }

    #[tokio::test]
    async fn measurements_that_nobody_asks_for_take_no_room() {
        let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap().build_recorder();
        let mut rounds = JoinSet::new();
        rounds.spawn(keep_up(recorder.handle(), Duration::from_millis(1)));
        let latency = metrics::with_local_recorder(&recorder, || metrics::histogram!("latency"));
        let before = resident();
        for _ in 0..30 {
            (0..100_000).for_each(|_| latency.record(0.5));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(resident() < before + 20, "{before} MiB before, {} MiB after", resident());
        assert!(recorder.handle().render().contains("latency_count 3000000"));
    }

    #[tokio::test]
    async fn a_process_without_its_database_has_started_and_lives_and_is_not_ready() {
        let away = Check { name: "database", probe: Arc::new(|| Box::pin(async { Err("no route".to_owned()) })) };
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let mut router = router(metrics, vec![away], Lifecycle::new());
        for (path, status) in [("/livez", 200), ("/startupz", 200), ("/readyz", 503)] {
            let answer = router.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
    }
}
