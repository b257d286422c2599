//! Step 5: how far the service is, and what keeps it. Pure.

use api::{ConditionType, Reason, StoreServiceStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    core::v1::{ContainerStatus, Pod},
};

use super::{address, dereference::Seen, guest, validate::Validated};
use crate::{
    framework::{Finding, trouble_of},
    workload::image_tag,
};

/// How long a container may run without being ready before that is called a failing probe.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// The status, and the conditions to put into it. `wrote`: the cache is older than what was just written, so nothing
/// it shows counts as done.
pub(super) fn derive(
    of: &Validated,
    seen: &Seen,
    before: Option<&StoreServiceStatus>,
    wrote: bool,
    now: Timestamp,
) -> (StoreServiceStatus, Vec<Finding>) {
    let deployment = seen.deployment.as_deref();
    let counts = Counts::of(deployment);
    let verdict = verdict(of, seen, counts, wrote, now);
    let all_updated = verdict.is_current() && counts.updated == counts.exist && counts.exist > 0;
    let rolled_out = verdict == Verdict::Ready || all_updated;
    let status = StoreServiceStatus {
        version: match (rolled_out, before) {
            (true, _) => Some(image_tag(&of.image).to_owned()),
            (false, before) => before.and_then(|before| before.version.clone()),
        },
        // A Deployment does not count pods that are ending; whoever waits for the last one does.
        replicas: if counts.desired == 0 { alive(seen) } else { counts.exist },
        ready_replicas: counts.ready,
        desired_replicas: counts.desired,
        pods: Some(format!("{}/{}", counts.ready, counts.desired)),
        selector: Some(selector(of)),
        endpoint: address::endpoint(of, seen),
        ..StoreServiceStatus::default()
    };
    (status, verdict.findings())
}

/// Pods that run something, those that are ending included.
fn alive(seen: &Seen) -> i32 {
    let done = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    i32::try_from(seen.pods.iter().filter(|pod| !done(pod)).count()).unwrap_or(i32::MAX)
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    desired: i32,
    exist: i32,
    updated: i32,
    ready: i32,
    available: i32,
}

impl Counts {
    fn of(deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else { return Self::default() };
        let status = deployment.status.clone().unwrap_or_default();
        Self {
            desired: deployment.spec.replicas.unwrap_or(1),
            exist: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Ready,
    /// What the cache shows is older than the spec.
    Outdated(String),
    /// Time will do.
    Waiting(Reason, String),
    /// Time alone will not.
    Stuck(Reason, String),
}

impl Verdict {
    fn is_current(&self) -> bool {
        !matches!(self, Self::Outdated(_))
    }

    fn message(self) -> String {
        match self {
            Self::Ready => String::new(),
            Self::Outdated(message) | Self::Waiting(_, message) | Self::Stuck(_, message) => message,
        }
    }

    fn findings(self) -> Vec<Finding> {
        let (ready, progressing) = (ConditionType::Ready, ConditionType::Progressing);
        match self {
            Self::Ready => vec![
                Finding::yes(ready, Reason::AllReady, "every pod is ready and runs the image of the spec"),
                Finding::no(progressing, Reason::Settled, "nothing is under way"),
            ],
            Self::Outdated(message) => vec![
                Finding::no(ready, Reason::Reconciling, message.clone()),
                Finding::yes(progressing, Reason::Reconciling, message),
            ],
            Self::Waiting(reason, message) => {
                vec![Finding::no(ready, reason, message.clone()), Finding::yes(progressing, reason, message)]
            }
            Self::Stuck(reason, message) => {
                vec![Finding::no(ready, reason, message.clone()), Finding::no(progressing, reason, message)]
            }
        }
    }
}

fn verdict(of: &Validated, seen: &Seen, counts: Counts, wrote: bool, now: Timestamp) -> Verdict {
    let Some(deployment) = seen.deployment.as_deref().filter(|_| !wrote) else {
        return Verdict::Outdated("the service's objects are being written".to_owned());
    };
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Verdict::Outdated("the Deployment's change has not been taken up yet".to_owned());
    }
    if counts.updated == counts.exist && counts.updated >= of.scaling.least() && counts.available >= of.scaling.least()
    {
        return serving(of, seen);
    }
    if let Some(refused) = refused(&status).filter(|_| !missed_deadline(&status)) {
        return Verdict::Stuck(Reason::PodsRefused, format!("the API server refuses pods: {refused}"));
    }
    let trouble = trouble_of(seen.pods.iter().map(|pod| &**pod));
    if missed_deadline(&status) {
        let cause = trouble.map_or_else(|| waiting(seen, counts, now).message(), |trouble| trouble.message);
        return Verdict::Stuck(Reason::ProgressDeadlineExceeded, format!("the roll makes no progress: {cause}"));
    }
    match trouble {
        Some(trouble) => Verdict::Stuck(trouble.reason, trouble.message),
        None => waiting(seen, counts, now),
    }
}

/// Whether the Deployment's controller has given the roll up (`progressDeadlineSeconds`).
fn missed_deadline(status: &DeploymentStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| {
        condition.type_.as_deref() == Some("Progressing")
            && condition.status.as_deref() == Some("False")
            && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    })
}

/// The pods are ready; whether they can be reached, and have what was asked for them.
fn serving(of: &Validated, seen: &Seen) -> Verdict {
    if of.guest.as_ref().is_some_and(|guest| guest.suspend) {
        return Verdict::Stuck(Reason::Suspended, "the store sleeps, and the service with it".to_owned());
    }
    if address::is_pending(of, seen) {
        let message = format!("the pods are ready; Service {} waits for the address of its load balancer", of.name);
        return Verdict::Waiting(Reason::AddressPending, message);
    }
    match guest::missing(of.guest.as_ref(), &seen.host) {
        None => Verdict::Ready,
        Some((reason, message)) if reason.is_failure() => Verdict::Stuck(reason, message),
        Some((reason, message)) => Verdict::Waiting(reason, message),
    }
}

fn waiting(seen: &Seen, counts: Counts, now: Timestamp) -> Verdict {
    let Counts { desired, exist, updated, ready, .. } = counts;
    if let Some(pod) = seen.pods.iter().find(|pod| fails_its_probe(pod, now)) {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let message =
            format!("pod {name} has started but its readiness probe fails: see its logs for what it waits for");
        return Verdict::Waiting(Reason::ProbeFailing, message);
    }
    if updated < exist {
        let message =
            format!("{updated} of {desired} pods run the image of the spec, {} are being replaced", exist - updated);
        return Verdict::Waiting(Reason::RollingOut, message);
    }
    Verdict::Waiting(Reason::PodsStarting, format!("{ready} of {desired} pods are ready"))
}

/// Why no pod can be created: a quota, Pod Security, a missing service account.
fn refused(status: &DeploymentStatus) -> Option<&str> {
    let conditions = status.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|found| found.type_.as_deref() == Some("ReplicaFailure") && found.status.as_deref() == Some("True"))?;
    Some(failure.message.as_deref().unwrap_or("no reason is given"))
}

/// A container that has started, by its startup probe, and yet is not ready after a while.
fn fails_its_probe(pod: &Pod, now: Timestamp) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && statuses.iter().any(|container| {
            container.started == Some(true) && !container.ready && runs_since(container, now) >= PATIENCE
        })
}

fn runs_since(container: &ContainerStatus, now: Timestamp) -> SignedDuration {
    let running = container.state.as_ref().and_then(|state| state.running.as_ref());
    running
        .and_then(|running| running.started_at.as_ref())
        .map_or(SignedDuration::ZERO, |since| now.duration_since(since.0))
}

fn selector(of: &Validated) -> String {
    let pairs: Vec<String> = of.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::StoreService;
    use serde_json::{Value, json};

    use super::*;
    use crate::store_service::validate::validate;

    fn service(spec: &Value) -> Validated {
        let service: StoreService = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "green-catalog", "namespace": "shop"},
            "spec": {"store": "green", "image": "shop:2", "replicas": spec.get("replicas"), "autoscaling": spec.get("autoscaling")},
        }))
        .unwrap();
        validate(&service, &Seen::default()).unwrap()
    }

    fn seen(replicas: i32, generation: (i64, i64), status: &Value, pods: &[Value]) -> Seen {
        let mut deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "green-catalog", "generation": generation.0},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
            "status": status,
        }))
        .unwrap();
        deployment.status.as_mut().unwrap().observed_generation = Some(generation.1);
        let pods = pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect();
        Seen { deployment: Some(Arc::new(deployment)), pods, ..Seen::default() }
    }

    fn ready(of: &Validated, seen: &Seen, wrote: bool) -> (bool, Reason) {
        let (_, findings) = derive(of, seen, None, wrote, now());
        (findings[0].holds, findings[0].reason)
    }

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().unwrap()
    }

    fn pod(container: &Value) -> Value {
        let mut status =
            json!({"name": "service", "image": "shop:2", "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        json!({"metadata": {"name": "green-catalog-1"}, "status": {"containerStatuses": [status]}})
    }

    #[test]
    fn ready_means_every_pod_of_this_generation_is_available() {
        let two = service(&json!({"replicas": 2}));
        let all = json!({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2});
        assert_eq!(ready(&two, &seen(2, (3, 3), &all, &[]), false), (true, Reason::AllReady));
        assert_eq!(ready(&two, &seen(2, (4, 3), &all, &[]), false), (false, Reason::Reconciling));
        assert_eq!(ready(&two, &seen(2, (3, 3), &all, &[]), true), (false, Reason::Reconciling));
        assert_eq!(ready(&two, &Seen::default(), false), (false, Reason::Reconciling));
    }

    #[test]
    fn old_pods_that_still_serve_do_not_make_a_rollout_ready() {
        let two = service(&json!({"replicas": 2}));
        let rolling = json!({"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2});
        assert_eq!(ready(&two, &seen(2, (3, 3), &rolling, &[]), false), (false, Reason::RollingOut));
        let broken = pod(&json!({"state": {"waiting": {"reason": "ImagePullBackOff"}}}));
        assert_eq!(ready(&two, &seen(2, (3, 3), &rolling, &[broken]), false), (false, Reason::ImagePullFailed));
    }

    #[test]
    fn an_autoscaled_service_is_ready_with_its_least_number_of_pods() {
        let auto = service(&json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}));
        let growing = json!({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1});
        assert_eq!(ready(&auto, &seen(3, (3, 3), &growing, &[]), false), (true, Reason::AllReady));
        let none = json!({"replicas": 1, "updatedReplicas": 1});
        assert_eq!(ready(&auto, &seen(1, (3, 3), &none, &[]), false), (false, Reason::PodsStarting));
    }

    #[test]
    fn a_service_that_nobody_can_reach_yet_is_not_ready_and_will_be() {
        let mut one = service(&json!({"replicas": 1}));
        one.exposure = serde_json::from_value(json!({"loadBalancer": {}})).unwrap();
        let up = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
        let mut seen = seen(1, (1, 1), &up, &[]);
        assert_eq!(ready(&one, &seen, false), (false, Reason::AddressPending));
        let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}});
        seen.service = Some(Arc::new(serde_json::from_value(address).unwrap()));
        assert_eq!(ready(&one, &seen, false), (true, Reason::AllReady));
    }

    #[test]
    fn a_service_without_pods_on_purpose_is_ready() {
        let none = service(&json!({"replicas": 0}));
        assert_eq!(ready(&none, &seen(0, (1, 1), &json!({}), &[]), false), (true, Reason::AllReady));
    }

    #[test]
    fn a_guest_whose_store_sleeps_says_so() {
        let mut guest = service(&json!({"replicas": 0}));
        guest.guest = Some(guest::tests::asleep());
        assert_eq!(ready(&guest, &seen(0, (1, 1), &json!({}), &[]), false), (false, Reason::Suspended));
    }

    #[test]
    fn pods_that_are_ending_count_until_the_last_has_gone() {
        let none = service(&json!({"replicas": 0}));
        let replicas = |pods: &[Value]| {
            let (status, _) = derive(&none, &seen(0, (1, 1), &json!({}), pods), None, false, now());
            status.replicas
        };
        let mut ending = pod(&json!({"state": {}}));
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!((replicas(&[ending]), replicas(&[])), (1, 0));
    }

    #[test]
    fn a_roll_without_progress_is_told_with_what_keeps_it() {
        let one = service(&json!({"replicas": 1}));
        let mut status = json!({"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
        let condition =
            |status: &str, reason: &str| json!([{"type": "Progressing", "status": status, "reason": reason}]);
        status["conditions"] = condition("True", "ReplicaSetUpdated");
        assert_eq!(ready(&one, &seen(1, (3, 3), &status, &[]), false), (false, Reason::RollingOut));
        status["conditions"] = condition("False", "ProgressDeadlineExceeded");
        let broken = pod(&json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}));
        let (_, findings) = derive(&one, &seen(1, (3, 3), &status, &[broken]), None, false, now());
        assert_eq!(findings[0].reason, Reason::ProgressDeadlineExceeded);
        assert!(findings[0].message.contains("not found"), "{}", findings[0].message);
        // What was written since is not what the Deployment speaks of.
        assert_eq!(ready(&one, &seen(1, (4, 3), &status, &[]), false), (false, Reason::Reconciling));
    }

    #[test]
    fn without_pods_the_version_is_the_one_that_would_run() {
        let none = service(&json!({"replicas": 0}));
        let (status, _) = derive(&none, &seen(0, (1, 1), &json!({}), &[]), None, false, now());
        assert_eq!(status.version.as_deref(), Some("2"));
    }

    #[test]
    fn what_keeps_a_service_is_told() {
        let one = service(&json!({"replicas": 1}));
        let starting = json!({"replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1});
        let probe = pod(&json!({"started": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}));
        assert_eq!(ready(&one, &seen(1, (1, 1), &starting, &[probe]), false), (false, Reason::ProbeFailing));
        let refused =
            json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]});
        let (_, findings) = derive(&one, &seen(1, (1, 1), &refused, &[]), None, false, now());
        assert_eq!(findings[0].reason, Reason::PodsRefused);
        assert!(findings[0].message.contains("exceeded quota"));
    }

    #[test]
    fn the_version_changes_when_the_last_old_pod_is_gone() {
        let one = service(&json!({"replicas": 1}));
        let before = StoreServiceStatus { version: Some("1".to_owned()), ..StoreServiceStatus::default() };
        let rolling = json!({"replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2});
        let (status, _) = derive(&one, &seen(1, (1, 1), &rolling, &[]), Some(&before), false, now());
        assert_eq!(status.version.as_deref(), Some("1"));
        let done = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
        let (status, _) = derive(&one, &seen(1, (1, 1), &done, &[]), Some(&before), false, now());
        assert_eq!(status.version.as_deref(), Some("2"));
    }
}
