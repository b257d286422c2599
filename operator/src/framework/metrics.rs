//! Figures for Prometheus.

use std::time::Duration;

use api::{Reason, Status};
use kube::{Resource, core::object::HasStatus, runtime::reflector};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::Cache;

const RECONCILIATIONS: &str = "greencommerce_operator_reconciliations_total";
const FAILURES: &str = "greencommerce_operator_reconcile_failures_total";
const DURATION: &str = "greencommerce_operator_reconcile_duration_seconds";
const WRITES: &str = "greencommerce_operator_writes_total";
const WATCH_FAILURES: &str = "greencommerce_operator_watch_failures_total";
const MALFORMED: &str = "greencommerce_operator_malformed_objects_total";
const OBJECTS: &str = "greencommerce_operator_objects";

const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// Makes this process record its figures.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)?
        .install_recorder()?;
    describe_counter!(RECONCILIATIONS, "Reconciliations, by controller and result.");
    describe_counter!(FAILURES, "Failed reconciliations, by controller and reason.");
    describe_histogram!(DURATION, "Time a reconciliation took, by controller.");
    describe_counter!(WRITES, "Mutating calls to the API server, by kind and verb.");
    describe_counter!(WATCH_FAILURES, "Watches that broke and were started again, by kind.");
    describe_counter!(MALFORMED, "Objects seen that do not fit their schema, by kind.");
    describe_gauge!(OBJECTS, "Custom resources, by kind and status of their Ready condition.");
    Ok(handle)
}

/// Notes a reconciliation.
pub(super) fn reconciled(controller: &'static str, took: Duration, failure: Option<Reason>) {
    let result = if failure.is_some() { "failure" } else { "success" };
    counter!(RECONCILIATIONS, "controller" => controller, "result" => result).increment(1);
    histogram!(DURATION, "controller" => controller).record(took.as_secs_f64());
    if let Some(reason) = failure {
        counter!(FAILURES, "controller" => controller, "reason" => reason.as_str()).increment(1);
    }
}

/// Notes a mutating call.
pub(super) fn wrote(kind: &str, verb: &'static str) {
    counter!(WRITES, "kind" => kind.to_owned(), "verb" => verb).increment(1);
}

/// Notes that a watch broke.
pub(super) fn watch_failed(kind: &str) {
    counter!(WATCH_FAILURES, "kind" => kind.to_owned()).increment(1);
}

/// Notes an object that does not fit its schema.
pub(super) fn malformed(kind: &str) {
    counter!(MALFORMED, "kind" => kind.to_owned()).increment(1);
}

/// Counts the custom resources by readiness; called when the figures are asked for.
pub(super) fn count_objects(cache: &Cache) {
    count(&cache.stores);
    count(&cache.store_services);
    count(&cache.store_databases);
    count(&cache.store_topics);
}

fn count<K>(reader: &reflector::Store<K>)
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Status> + Clone,
{
    let objects = reader.state();
    for ready in ["True", "False", "Unknown"] {
        let number = objects.iter().filter(|object| readiness(object.status()) == ready).count();
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        gauge!(OBJECTS, "kind" => K::kind(&()).into_owned(), "ready" => ready).set(f64::from(number));
    }
}

fn readiness<S: Status>(status: Option<&S>) -> &str {
    status.and_then(|status| status.condition("Ready")).map_or("Unknown", |ready| ready.status.as_str())
}
