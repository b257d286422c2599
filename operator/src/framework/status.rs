//! Statuses that never lie and are written only when they change.

use std::time::Duration;

use api::{ConditionType, Reason, Status};
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::object::HasStatus,
};
use serde_json::json;

use super::{Cached, Context, ReconcileError, Retry, context::OPERATOR, metrics, names::describe, namespace, objects};

/// Messages are cut at this length; the API allows 32768 bytes.
const LONGEST_MESSAGE: usize = 2000;

/// What a controller found out about one aspect of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) condition: ConditionType,
    pub(crate) holds: bool,
    pub(crate) reason: Reason,
    /// For people: what is the matter, with which child, and what to do.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn yes(condition: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition, holds: true, reason, message: message.into() }
    }

    pub(crate) fn no(condition: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition, holds: false, reason, message: message.into() }
    }

    fn into_condition(self, generation: Option<i64>, now: Timestamp, before: &[Condition]) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let since = before
            .iter()
            .find(|old| old.type_ == self.condition.as_str() && old.status == status)
            .map_or(Time(now), |old| old.last_transition_time.clone());
        Condition {
            type_: self.condition.as_str().to_owned(),
            status: status.to_owned(),
            reason: self.reason.as_str().to_owned(),
            message: self.message.chars().take(LONGEST_MESSAGE).collect(),
            observed_generation: generation,
            last_transition_time: since,
        }
    }
}

/// For how long a status has said that the condition does not hold.
pub(crate) fn unready_for<S: Status>(status: Option<&S>, condition: ConditionType, now: Timestamp) -> Duration {
    let told = status.and_then(|status| status.condition(condition.as_str()));
    let since = told.filter(|told| told.status == "False").map(|told| told.last_transition_time.0);
    since.and_then(|since| now.duration_since(since).try_into().ok()).unwrap_or_default()
}

/// A status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the status of {object}")]
pub(crate) struct StatusError {
    object: String,
    #[source]
    source: Box<kube::Error>,
}

impl ReconcileError for StatusError {
    fn reason(&self) -> Reason {
        Reason::ApplyFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Gives the object the status `status` with conditions from `findings`, if that differs from what it has, and
/// publishes an event for each headline condition that changed. Conditions without a finding stay as they were.
pub(crate) async fn write_status<K>(
    context: &Context,
    object: &K,
    mut status: K::Status,
    findings: Vec<Finding>,
) -> Result<(), StatusError>
where
    K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus,
    K::Status: Status,
{
    let before = latest(context, object);
    let headlines = headlines(&findings, before.conditions());
    complete(&mut status, findings, object.meta().generation, context.clock.now(), before.conditions());
    if is_the_same(&status, &before) {
        return Ok(());
    }
    let result = patch(context, object, &status).await;
    match result {
        // The object is gone, and with it the need for a status.
        Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(()),
        Err(source) => return Err(StatusError { object: describe(object), source: Box::new(source) }),
        Ok(()) => {
            metrics::wrote(&K::kind(&()), "status");
            tracing::info!(why = why(&before, &status), "wrote the status");
        }
    }
    for (reason, message) in headlines {
        context.events.publish(object, reason, &message).await;
    }
    Ok(())
}

/// The status that an object has by now, as far as it is known. Between the first look at it and the last, a talk with a
/// server may have taken its time, and the status that was written before that may have been on its way.
pub(super) fn latest<K>(context: &Context, object: &K) -> K::Status
where
    K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus,
    K::Status: Status,
{
    let now = context.cache.get::<K>(namespace(object), &object.name_any());
    let same = now.filter(|now| now.uid() == object.uid());
    same.as_deref().unwrap_or(object).status().cloned().unwrap_or_default()
}

/// Whether the API server holds the one when it is given the other: it keeps times to the second.
fn is_the_same<S: Status>(status: &S, before: &S) -> bool {
    status == before || serde_json::to_value(status).ok() == serde_json::to_value(before).ok()
}

/// Puts the conditions and the observed generation into a status.
fn complete<S: Status>(
    status: &mut S,
    findings: Vec<Finding>,
    generation: Option<i64>,
    now: Timestamp,
    before: &[Condition],
) {
    let found: Vec<Condition> =
        findings.into_iter().map(|finding| finding.into_condition(generation, now, before)).collect();
    let kept = before.iter().filter(|old| found.iter().all(|new| new.type_ != old.type_)).cloned();
    let mut conditions: Vec<Condition> = kept.chain(found.iter().cloned()).collect();
    conditions.sort_by(|one, other| (one.type_ != "Ready", &one.type_).cmp(&(other.type_ != "Ready", &other.type_)));
    status.set_conditions(conditions);
    status.set_observed_generation(generation);
}

/// What of a status changed, for the log.
fn why<S: Status>(before: &S, after: &S) -> String {
    let changed = after.conditions().iter().filter(|new| {
        let old = before.condition(&new.type_);
        old.is_none_or(|old| (&old.status, &old.reason) != (&new.status, &new.reason))
    });
    let changed: Vec<String> = changed.map(|new| format!("{}={} ({})", new.type_, new.status, new.reason)).collect();
    if changed.is_empty() { "details changed".to_owned() } else { changed.join(", ") }
}

/// The changes worth an event: of readiness and of the version that runs.
fn headlines(findings: &[Finding], before: &[Condition]) -> Vec<(Reason, String)> {
    findings
        .iter()
        .filter(|finding| matches!(finding.condition, ConditionType::Ready | ConditionType::Upgraded))
        .filter(|finding| {
            let old = before.iter().find(|old| old.type_ == finding.condition.as_str());
            old.is_none_or(|old| old.reason != finding.reason.as_str())
        })
        .map(|finding| (finding.reason, finding.message.clone()))
        .collect()
}

async fn patch<K>(context: &Context, object: &K, status: &K::Status) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus,
    K::Status: Status,
{
    let api = objects::<K>(&context.client, namespace(object));
    let mut metadata = json!({"name": object.name_any(), "uid": object.uid()});
    if K::Status::REMEMBERS {
        metadata["resourceVersion"] = json!(object.resource_version());
    }
    let body = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata, "status": status,
    });
    api.patch_status(&object.name_any(), &PatchParams::apply(OPERATOR).force(), &Patch::Apply(&body)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use api::{DatabaseStatus, Store, StoreDatabaseStatus, StoreStatus, StoreTopic, StoreTopicStatus};

    use kube::runtime::watcher::Event;

    use super::*;
    use crate::framework::{
        error::is_conflict,
        scenario::{Call, Scenario},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ready(reason: Reason) -> Vec<Finding> {
        vec![Finding::no(ConditionType::Ready, reason, "message")]
    }

    #[test]
    fn a_time_that_is_kept_to_the_second_is_no_change() {
        let rotated = |at: &str| StoreDatabaseStatus {
            databases: vec![DatabaseStatus {
                name: "auth".to_owned(),
                ready: true,
                secret_name: "green-auth-database".to_owned(),
                username: None,
                identity: None,
                password_rotated: Some(Time(at.parse().unwrap())),
            }],
            ..StoreDatabaseStatus::default()
        };
        let (fine, kept) = (rotated("2026-01-01T00:00:00.25Z"), rotated("2026-01-01T00:00:00Z"));
        assert!(fine != kept && is_the_same(&fine, &kept));
        assert!(!is_the_same(&fine, &rotated("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn the_transition_time_changes_only_with_the_status() {
        let mut first = StoreTopicStatus::default();
        complete(&mut first, ready(Reason::Reconciling), Some(1), at(10), &[]);
        let mut second = StoreTopicStatus::default();
        complete(&mut second, ready(Reason::BrokerUnreachable), Some(2), at(20), &first.conditions);
        assert_eq!(second.conditions[0].last_transition_time.0, at(10));
        assert_eq!(second.conditions[0].observed_generation, Some(2));
        assert_eq!(second.observed_generation, Some(2));
        let mut third = StoreTopicStatus::default();
        let yes = vec![Finding::yes(ConditionType::Ready, Reason::AllReady, "")];
        complete(&mut third, yes, Some(2), at(30), &second.conditions);
        assert_eq!(third.conditions[0].last_transition_time.0, at(30));
    }

    #[test]
    fn an_unchanged_finding_gives_an_equal_status_and_no_headline() {
        let mut first = StoreTopicStatus::default();
        complete(&mut first, ready(Reason::Reconciling), Some(1), at(10), &[]);
        let mut again = StoreTopicStatus::default();
        complete(&mut again, ready(Reason::Reconciling), Some(1), at(99), &first.conditions);
        assert_eq!(first, again);
        assert!(headlines(&ready(Reason::Reconciling), &first.conditions).is_empty());
        assert_eq!(headlines(&ready(Reason::BrokerUnreachable), &first.conditions).len(), 1);
    }

    const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders";

    fn topic(status: Option<StoreTopicStatus>) -> StoreTopic {
        let mut topic: StoreTopic = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "1", "generation": 3},
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
        }))
        .unwrap();
        topic.status = status;
        topic
    }

    fn answer() -> serde_json::Value {
        serde_json::to_value(topic(None)).unwrap()
    }

    #[tokio::test]
    async fn a_changed_status_is_written_once_and_told_in_an_event() {
        let status = Call::ok(format!("PATCH {PATH}/status?&force=true&fieldManager=greencommerce-operator"), answer());
        let event = json!({"metadata": {"name": "orders.1"}, "eventTime": null});
        let event = Call::ok("POST /apis/events.k8s.io/v1/namespaces/shop/events?", event);
        let (scenario, context, _) = Scenario::of(vec![status, event]);
        let findings = ready(Reason::BrokerUnreachable);
        write_status(&context, &topic(None), StoreTopicStatus::default(), findings).await.unwrap();
        let bodies = scenario.finish();
        assert_eq!(bodies[0]["status"]["observedGeneration"], 3);
        assert_eq!(bodies[0]["status"]["conditions"][0]["reason"], "BrokerUnreachable");
        assert_eq!(
            (bodies[1]["type"].as_str(), bodies[1]["reason"].as_str()),
            (Some("Warning"), Some("BrokerUnreachable"))
        );
    }

    #[tokio::test]
    async fn an_unchanged_status_costs_no_call() {
        let mut held = StoreTopicStatus::default();
        complete(&mut held, ready(Reason::BrokerUnreachable), Some(3), at(10), &[]);
        let (scenario, context, _) = Scenario::of(vec![]);
        let findings = ready(Reason::BrokerUnreachable);
        write_status(&context, &topic(Some(held)), StoreTopicStatus::default(), findings).await.unwrap();
        scenario.finish();
    }

    #[tokio::test]
    async fn what_was_told_since_the_first_look_is_not_told_again() {
        let mut told = StoreTopicStatus::default();
        complete(&mut told, ready(Reason::BrokerUnreachable), Some(3), at(10), &[]);
        let (scenario, context, mut writers) = Scenario::of(vec![]);
        writers.store_topics.apply_watcher_event(&Event::Apply(topic(Some(told))));
        assert_eq!(latest(&context, &topic(None)).conditions.len(), 1);
        let findings = ready(Reason::BrokerUnreachable);
        write_status(&context, &topic(None), StoreTopicStatus::default(), findings).await.unwrap();
        scenario.finish();
        let mut namesake = topic(None);
        namesake.metadata.uid = Some("2".to_owned());
        assert_eq!(latest(&context, &namesake), StoreTopicStatus::default());
    }

    #[tokio::test]
    async fn what_a_store_remembers_is_not_replaced_by_who_has_not_seen_it() {
        let path = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green";
        let store: Store = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
            "metadata": {"name": "green", "namespace": "shop", "uid": "1", "resourceVersion": "5", "generation": 3},
            "spec": {"version": "1.0.0"},
        }))
        .unwrap();
        let line = format!("PATCH {path}/status?&force=true&fieldManager=greencommerce-operator");
        let (scenario, context, _) = Scenario::of(vec![Call::refused(line, 409, "the object has been modified")]);
        let written = write_status(&context, &store, StoreStatus::default(), ready(Reason::Reconciling)).await;
        assert!(is_conflict(&written.unwrap_err()));
        assert_eq!(scenario.finish()[0]["metadata"]["resourceVersion"], "5");
    }

    #[tokio::test]
    async fn an_object_that_is_gone_needs_no_status() {
        let line = format!("PATCH {PATH}/status?&force=true&fieldManager=greencommerce-operator");
        let (scenario, context, _) = Scenario::of(vec![Call::refused(line, 404, "not found")]);
        let findings = ready(Reason::BrokerUnreachable);
        write_status(&context, &topic(None), StoreTopicStatus::default(), findings).await.unwrap();
        scenario.finish();
    }
}
