//! Figures for Prometheus.

use std::{collections::BTreeMap, time::Duration};

use api::{ConditionType, Reason};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{Activity, Cache, Cached, exposition::Exposition, packed::Reader};

const RECONCILIATIONS: &str = "greencommerce_operator_reconciliations_total";
const FAILURES: &str = "greencommerce_operator_reconcile_failures_total";
const DURATION: &str = "greencommerce_operator_reconcile_duration_seconds";
const WRITES: &str = "greencommerce_operator_writes_total";
const WATCH_FAILURES: &str = "greencommerce_operator_watch_failures_total";
const LEADER: &str = "greencommerce_operator_leader";
const TRANSITIONS: &str = "greencommerce_operator_lease_transitions";
const QUEUED: &str = "greencommerce_operator_queue_depth";
const RUNNING: &str = "greencommerce_operator_reconciliations_running";
const OLDEST: &str = "greencommerce_operator_oldest_reconciliation_seconds";
const MALFORMED: &str = "greencommerce_operator_malformed_objects";
const OBJECTS: &str = "greencommerce_operator_objects";
const CONDITIONS: &str = "greencommerce_operator_object_conditions";
const STORE_READY: &str = "greencommerce_operator_store_ready";

const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// Makes this process record its figures.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe_counter!(RECONCILIATIONS, "Reconciliations, by controller and result.");
    describe_counter!(FAILURES, "Failed reconciliations, by controller and reason.");
    describe_histogram!(DURATION, "Time a reconciliation took, by controller.");
    describe_counter!(WRITES, "Mutating calls to the API server, by kind and verb.");
    describe_counter!(WATCH_FAILURES, "Watches that broke and were started again, by kind.");
    describe_gauge!(LEADER, "1 in the process that leads, else 0.");
    describe_gauge!(TRANSITIONS, "How often the lease has changed hands, as the lease says.");
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)
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

/// Notes whether this process leads.
pub(crate) fn leading(leads: bool) {
    gauge!(LEADER).set(if leads { 1.0 } else { 0.0 });
}

/// Notes how often the lease has changed hands.
pub(crate) fn transitions(count: Option<i32>) {
    if let Some(count) = count {
        gauge!(TRANSITIONS).set(f64::from(count));
    }
}

/// The figures that are counted when they are asked for.
pub(super) fn snapshot(cache: &Cache, activity: &Activity) -> String {
    let mut text = Exposition::default();
    let loads = activity.loads();
    let mut family = text.family(QUEUED, "Objects that wait for their reconciliation, by controller.");
    for (controller, load) in &loads {
        family.add(&[("controller", controller)], load.waiting);
    }
    let mut family = text.family(RUNNING, "Reconciliations under way, by controller.");
    for (controller, load) in &loads {
        family.add(&[("controller", controller)], load.running);
    }
    let mut family = text.family(OLDEST, "How long the oldest reconciliation has been under way, by controller.");
    for (controller, load) in &loads {
        family.add(&[("controller", controller)], load.oldest.as_secs_f64());
    }
    let mut malformed = cache.malformed.count();
    for kind in KINDS {
        malformed.entry(kind.to_owned()).or_default();
    }
    let mut family = text.family(MALFORMED, "Objects that do not fit their schema, by kind.");
    for (kind, count) in &malformed {
        family.add(&[("kind", kind)], count);
    }
    objects(&mut text, cache);
    text.into_text()
}

const KINDS: [&str; 4] = ["Store", "StoreService", "StoreDatabase", "StoreTopic"];

/// Counts the custom resources by what they say of themselves.
fn objects(text: &mut Exposition, cache: &Cache) {
    let census = [
        Census::of(&cache.stores),
        Census::of(&cache.store_services),
        Census::of(&cache.store_databases),
        Census::of(&cache.store_topics),
    ];
    let mut family = text.family(OBJECTS, "Custom resources, by kind.");
    for (kind, census) in KINDS.iter().zip(&census) {
        family.add(&[("kind", kind)], census.objects);
    }
    let help = "Custom resources, by kind and by type, status and reason of each of their conditions.";
    let mut family = text.family(CONDITIONS, help);
    for (kind, census) in KINDS.iter().zip(&census) {
        for ([condition, status, reason], count) in &census.conditions {
            family.add(&[("kind", kind), ("condition", condition), ("status", status), ("reason", reason)], count);
        }
    }
    let help = "1 for a Store that is ready, 0 for one that should be and is not, with the reason.";
    let mut family = text.family(STORE_READY, help);
    for store in cache.stores.all().iter().filter(|store| !store.is_asleep()) {
        let said = store.said().iter().find(|said| said.condition == ConditionType::Ready);
        let reason = said.map_or("", |said| said.reason.as_str());
        let (namespace, name) = store.names();
        // Prometheus gives every figure the label `namespace`: that of the Pod it comes from.
        let labels = [("store_namespace", namespace), ("store", name), ("reason", reason)];
        family.add(&labels, u8::from(said.is_some_and(|said| said.holds == Some(true))));
    }
}

/// The objects of one kind.
#[derive(Default)]
struct Census {
    objects: usize,
    /// By type, status and reason.
    conditions: BTreeMap<[&'static str; 3], usize>,
}

impl Census {
    fn of<K: Cached>(reader: &Reader<K>) -> Self {
        let mut census = Self::default();
        for object in reader.all() {
            census.objects += 1;
            for said in object.said() {
                let labels = [said.condition.as_str(), said.status(), said.reason.as_str()];
                *census.conditions.entry(labels).or_default() += 1;
            }
        }
        census
    }
}

#[cfg(test)]
mod chart;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
