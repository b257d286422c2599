//! A store that sleeps: first the services end, then their data. Everything is kept. Pure.

use api::{ConditionType, Reason, Status, StoreStatus};
use k8s_openapi::api::apps::v1::StatefulSet;

use super::{
    apply::{Part, Wrote},
    dereference::{Seen, Server},
    plan::{Plan, behind},
    status::names_of,
    upgrade,
    validate::{Cache, Kafka, Validated},
};
use crate::framework::Finding;

/// The conditions of a store that sleeps or is going to.
pub(super) fn findings(
    of: &Validated,
    seen: &Seen,
    plan: &Plan,
    before: Option<&StoreStatus>,
    wrote: &Wrote,
) -> Vec<Finding> {
    let awake = still_awake(of, seen, plan, wrote);
    let asleep = awake.is_empty();
    let (reason, message) = if asleep {
        (Reason::Suspended, "the store sleeps and keeps its data: set spec.suspend to false to wake it".to_owned())
    } else {
        (Reason::Suspending, format!("the store is going to sleep; pods are left of: {}", awake.join(", ")))
    };
    let suspended = if asleep { Finding::yes } else { Finding::no };
    let progressing = if asleep { Finding::no } else { Finding::yes };
    let mut findings = vec![
        suspended(ConditionType::Suspended, reason, message.clone()),
        progressing(ConditionType::Progressing, reason, message.clone()),
        Finding::no(ConditionType::Degraded, reason, "nothing needs a hand"),
        upgraded(of, seen, plan, before, reason),
    ];
    findings.extend(
        [
            ConditionType::Ready,
            ConditionType::DatabaseReady,
            ConditionType::EventsReady,
            ConditionType::CacheReady,
            ConditionType::ServicesReady,
            ConditionType::StorageReady,
        ]
        .map(|condition| Finding::no(condition, reason, message.clone())),
    );
    findings
}

/// What runs when the store wakes.
fn upgraded(of: &Validated, seen: &Seen, plan: &Plan, before: Option<&StoreStatus>, reason: Reason) -> Finding {
    let (condition, version) = (ConditionType::Upgraded, &of.version);
    let history = before.map(|before| before.history.as_slice()).unwrap_or_default();
    if let Some(bad) = &plan.course.taken_back {
        let (bad, good) = names_of(bad, &plan.course.release);
        let message = format!("{bad} was taken back and is not tried again: {good} runs when the store wakes");
        return Finding::no(condition, Reason::UpgradeRolledBack, message);
    }
    if upgrade::has_succeeded(of, history) && behind(of, seen).is_empty() {
        return Finding::yes(condition, Reason::UpToDate, format!("version {version} runs when the store wakes"));
    }
    if let Some(cause) = upgrade::failed(&plan.course, history) {
        return Finding::no(condition, reason, format!("version {version} could not be rolled out before: {cause}"));
    }
    Finding::no(condition, reason, format!("version {version} is rolled out when the store wakes"))
}

/// The parts that still have pods, or of which that is not known.
fn still_awake(of: &Validated, seen: &Seen, plan: &Plan, wrote: &Wrote) -> Vec<&'static str> {
    let services = plan.data_sleeps && !wrote.any_of(Part::Services);
    let database = seen.database.as_ref().is_some_and(|database| {
        let ready = database.status.as_ref().and_then(|status| status.condition(ConditionType::Ready.as_str()));
        ready.is_some_and(|ready| {
            ready.observed_generation == database.metadata.generation && ready.reason == Reason::Suspended.as_str()
        })
    });
    // What somebody else runs has no pods of the store's.
    let sleeps = |server: &Server| server.stateful_set.as_deref().is_some_and(sleeps);
    let broker = matches!(of.kafka, Kafka::External(_)) || sleeps(&seen.kafka);
    let cache = matches!(of.cache, Cache::External(_)) || sleeps(&seen.cache);
    let parts = [
        ("the services", services || of.services.is_empty()),
        ("the databases", database && !wrote.any_of(Part::Database)),
        ("the broker", broker && !wrote.any_of(Part::Kafka)),
        ("the cache", cache && !wrote.any_of(Part::Cache)),
    ];
    parts.into_iter().filter(|(_, sleeps)| !sleeps).map(|(part, _)| part).collect()
}

/// Whether a server has no pod left.
pub(crate) fn sleeps(set: &StatefulSet) -> bool {
    set.spec.replicas == Some(0)
        && set
            .status
            .as_ref()
            .is_some_and(|status| status.observed_generation == set.metadata.generation && status.replicas == 0)
}
