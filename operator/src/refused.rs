//! Pods that the API server refuses to a workload. Of a Deployment a condition tells it; of a StatefulSet or a Job only its
//! controller knows, and it says so in an event.

mod again;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        batch::v1::Job,
        core::v1::{Event, Pod},
    },
};
use kube::{Resource, ResourceExt, api::ListParams, core::DynamicObject};
use serde_json::Value;

pub(crate) use self::again::{is_refused, may_wait, of_deployment, try_again};
use crate::framework::{Context, chain, namespace, objects};

/// How long a workload may be without its pod before it is asked why.
const PATIENCE: SignedDuration = SignedDuration::from_millis(500);
/// How often it is asked until its controller says something.
const PACE: Duration = Duration::from_millis(500);
/// The same for what has been there for longer than [`FRESH`].
const PACE_LATER: Duration = Duration::from_secs(10);
const FRESH: SignedDuration = SignedDuration::from_mins(1);
/// How often refused pods are tried again, as long as no quota changes.
pub(crate) const AGAIN: Duration = Duration::from_mins(1);

/// A workload that should have a pod and has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Podless {
    /// In which words the API server refuses its pods, if that is why.
    pub(crate) refused: Option<String>,
    /// When to look again.
    pub(crate) look_again: Duration,
}

impl Podless {
    /// Whether its pods are refused, as opposed to late.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What is to be said of it.
    pub(crate) fn message(&self) -> Option<String> {
        self.refused.as_ref().map(|cause| format!("the API server refuses pods: {cause}"))
    }
}

/// What keeps the pod of a StatefulSet from being there; nothing if it is there or should not be.
pub(crate) async fn of_set(context: &Context, set: &StatefulSet, pods: &[Arc<Pod>]) -> Option<Podless> {
    let made = set.status.as_ref().map_or(0, |status| status.replicas);
    let lacks = set.spec.replicas != Some(0) && made == 0 && pods.is_empty();
    if lacks { Some(ask(context, set).await) } else { None }
}

/// What keeps the pod of a Job from being there; nothing if it is there or the Job has ended.
pub(crate) async fn of_job(context: &Context, job: &Job, pods: &[&Pod]) -> Option<Podless> {
    let status = job.status.clone().unwrap_or_default();
    let ended = |type_: &str| matches!(type_, "Complete" | "Failed");
    let has_ended = status.conditions.iter().flatten().any(|held| ended(&held.type_) && held.status == "True");
    let lacks = !has_ended && status.active.unwrap_or(0) == 0 && !pods.iter().any(|pod| lives(pod));
    if lacks { Some(ask(context, job).await) } else { None }
}

fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

async fn ask<K>(context: &Context, owner: &K) -> Podless
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let now = context.clock.now();
    let age = owner.creation_timestamp().map_or(SignedDuration::ZERO, |made| now.duration_since(made.0));
    if age < PATIENCE {
        return Podless { refused: None, look_again: PACE };
    }
    let refused = refusal(context, owner).await;
    let look_again = match refused {
        Some(_) => AGAIN,
        None if age < FRESH => PACE,
        None => PACE_LATER,
    };
    Podless { refused, look_again }
}

/// The refusal that its controller met last, unless it has made a pod since. Events are a help and no more: who cannot read
/// them goes on without.
async fn refusal<K>(context: &Context, owner: &K) -> Option<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let uid = owner.uid()?;
    let of_owner = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    match objects::<Event>(&context.client, namespace(owner)).list(&of_owner).await {
        Ok(events) => newest(&events.items),
        Err(error) => {
            tracing::debug!(owner = owner.name_any(), error = chain(&error), "cannot read the events");
            None
        }
    }
}

fn newest(events: &[DynamicObject]) -> Option<String> {
    let of_pods = events.iter().filter_map(|event| {
        let made = match event.data["reason"].as_str()? {
            "FailedCreate" => false,
            "SuccessfulCreate" => true,
            _ => return None,
        };
        Some((last_seen(event)?, made, event.data["message"].as_str().unwrap_or("no reason is given")))
    });
    // Times are kept to the second: of two in the same the refusal counts, for there is no pod.
    let (_, made, message) = of_pods.max_by_key(|(at, made, _)| (*at, !made))?;
    (!made).then(|| of_any_pod(message))
}

fn last_seen(event: &DynamicObject) -> Option<Timestamp> {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let of_series = time(&event.data["series"]["lastObservedTime"]);
    let told = [of_series, time(&event.data["lastTimestamp"]), time(&event.data["eventTime"])];
    told.into_iter().flatten().max().or_else(|| event.creation_timestamp().map(|made| made.0))
}

/// The message without the name of the pod, which is another one at every try.
fn of_any_pod(message: &str) -> String {
    let after_name = message.split_once("pods \"").and_then(|(_, rest)| rest.split_once('"'));
    after_name.map_or_else(|| message.to_owned(), |(_, cause)| format!("its pod{cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::framework::scenario::{Call, Scenario};

    const EVENTS: &str = "GET /api/v1/namespaces/shop/events?&fieldSelector=involvedObject.uid%3D7";
    const QUOTA: &str = "create Pod green-kafka-0 in StatefulSet green-kafka failed error: pods \"green-kafka-0\" is \
                         forbidden: exceeded quota: no-pods";

    fn event(reason: &str, at: &str, message: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": at, "namespace": "shop"},
            "reason": reason, "lastTimestamp": at, "message": message,
        })
    }

    fn list(events: &[Value]) -> Value {
        json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": events})
    }

    fn set(created: Timestamp, replicas: i32, made: i32) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": {"name": "green-kafka", "namespace": "shop", "uid": "7", "creationTimestamp": created.to_string()},
            "spec": {"replicas": replicas, "selector": {}, "template": {}}, "status": {"replicas": made},
        }))
        .unwrap()
    }

    async fn seen(answer: Call) -> Option<Podless> {
        let (scenario, context, _) = Scenario::of(vec![answer]);
        let podless = of_set(&context, &set(Timestamp::UNIX_EPOCH, 1, 0), &[]).await;
        scenario.finish();
        podless
    }

    #[tokio::test]
    async fn a_set_whose_pod_is_refused_is_told_in_the_words_of_the_api_server() {
        let events = [
            event("FailedCreate", "2026-01-01T00:00:09Z", QUOTA),
            event("FailedCreate", "2026-01-01T00:00:05Z", "an older cause"),
            event("SuccessfulCreate", "2026-01-01T00:00:07Z", "created"),
        ];
        let podless = seen(Call::ok(EVENTS, list(&events))).await.unwrap();
        assert_eq!(
            podless.message().unwrap(),
            "the API server refuses pods: its pod is forbidden: exceeded quota: no-pods"
        );
        assert_eq!(podless.look_again, AGAIN);
    }

    #[tokio::test]
    async fn a_pod_that_was_let_in_since_is_no_longer_refused_and_nobody_stops_for_events_that_cannot_be_read() {
        let events = [
            event("FailedCreate", "2026-01-01T00:00:05Z", QUOTA),
            event("SuccessfulCreate", "2026-01-01T00:00:07Z", "created"),
        ];
        let let_in = seen(Call::ok(EVENTS, list(&events))).await.unwrap();
        assert_eq!(let_in, Podless { refused: None, look_again: PACE_LATER });
        assert_eq!(seen(Call::refused(EVENTS, 403, "forbidden")).await.unwrap().refused, None);
    }

    #[tokio::test]
    async fn nobody_is_asked_before_a_pod_can_be_there_nor_when_none_is_missing() {
        let (scenario, context, _) = Scenario::of(vec![]);
        let young = of_set(&context, &set(context.clock.now(), 1, 0), &[]).await;
        assert_eq!(young, Some(Podless { refused: None, look_again: PACE }));
        assert_eq!(of_set(&context, &set(Timestamp::UNIX_EPOCH, 0, 0), &[]).await, None);
        assert_eq!(of_set(&context, &set(Timestamp::UNIX_EPOCH, 1, 1), &[]).await, None);
        scenario.finish();
    }

    #[tokio::test]
    async fn a_job_that_has_ended_or_has_a_pod_is_not_asked_about() {
        let job = |status: Value| -> Job {
            let metadata = json!({"name": "m", "namespace": "shop", "uid": "7"});
            serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
        };
        let (scenario, context, _) = Scenario::of(vec![]);
        let failed = job(json!({"conditions": [{"type": "Failed", "status": "True"}]}));
        assert_eq!(of_job(&context, &failed, &[]).await, None);
        assert_eq!(of_job(&context, &job(json!({"active": 1})), &[]).await, None);
        let pod = |phase: &str| -> Pod { serde_json::from_value(json!({"status": {"phase": phase}})).unwrap() };
        assert_eq!(of_job(&context, &job(json!({})), &[&pod("Running")]).await, None);
        // It has failed once, and the next one is not there yet.
        assert!(of_job(&context, &job(json!({})), &[&pod("Failed")]).await.is_some());
        scenario.finish();
    }

    #[test]
    fn a_refusal_reads_the_same_at_every_try() {
        let told = |pod: &str| of_any_pod(&format!("Error creating: pods \"m-{pod}\" is forbidden: exceeded quota: q"));
        assert_eq!(told("x1"), told("y2"));
        assert_eq!(of_any_pod("Error creating: denied by a webhook"), "Error creating: denied by a webhook");
    }
}
