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
    let mut status = json!({"name": "service", "image": "shop:2", "imageID": "", "ready": false, "restartCount": 0});
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

fn told(of: &Validated, seen: &Seen) -> [(bool, Reason, String); 2] {
    let (_, findings) = derive(of, seen, None, false, now());
    [0, 1].map(|index| (findings[index].holds, findings[index].reason, findings[index].message.clone()))
}

#[test]
fn an_autoscaled_service_that_lacks_pods_counts_them_and_says_why() {
    let auto = service(&json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}));
    let mut status = json!({"replicas": 7, "updatedReplicas": 7, "readyReplicas": 3, "availableReplicas": 3});
    let few = "3 of 7 pods are ready; at least 2 are needed";
    let expected = [(true, Reason::AllReady, few.to_owned()), (true, Reason::PodsStarting, few.to_owned())];
    assert_eq!(told(&auto, &seen(7, (3, 3), &status, &[])), expected);
    status["conditions"] = json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]);
    let [ready, progressing] = told(&auto, &seen(7, (3, 3), &status, &[]));
    assert_eq!((ready.0, ready.1), (true, Reason::AllReady));
    assert_eq!((progressing.0, progressing.1), (false, Reason::PodsRefused));
    assert!(progressing.2.contains(few) && progressing.2.contains("exceeded quota"), "{}", progressing.2);
}

#[test]
fn an_autoscaler_that_cannot_measure_the_pods_for_long_is_told_of_and_the_service_stays_ready() {
    let auto = service(&json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}));
    let all = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    let mut seen = seen(1, (3, 3), &all, &[]);
    let mut with = |reason: &str, age: SignedDuration| {
        let autoscaler = json!({
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
            "status": {"desiredReplicas": 1, "conditions": [
                {"type": "AbleToScale", "status": "True"},
                {
                    "type": "ScalingActive", "status": "False", "reason": reason, "message": "no metrics returned",
                    "lastTransitionTime": (now() - age).to_string(),
                },
            ]},
        });
        seen.autoscaler = Some(Arc::new(serde_json::from_value(autoscaler).unwrap()));
        (told(&auto, &seen), told_in(&seen, now()))
    };
    let ([ready, progressing], look) = with("FailedGetResourceMetric", IDLE);
    assert!(ready.0 && !progressing.0 && look.is_none());
    for message in [ready.2, progressing.2] {
        assert!(message.ends_with("the autoscaler does not scale: no metrics returned"), "{message}");
    }
    let (young, look) = with("FailedGetResourceMetric", SignedDuration::from_mins(1));
    assert!(!young[0].2.contains("autoscaler"), "{young:?}");
    assert_eq!(look, Some(Duration::from_mins(4)));
    assert!(!with("ScalingDisabled", IDLE).0[0].2.contains("autoscaler"));
}

#[test]
fn a_service_whose_figures_nobody_can_be_told_of_is_ready_and_says_so() {
    let done = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    let told = |monitoring| {
        let one = Validated { monitoring, ..service(&json!({"replicas": 1})) };
        derive(&one, &seen(1, (1, 1), &done, &[]), None, false, now()).1
    };
    let says_so = |finding: &Finding| finding.message.contains("no PodMonitor is made");
    let unknown = told(Monitoring::Unknown);
    assert!(unknown[0].holds && !unknown[1].holds && unknown.iter().all(says_so));
    assert!(!told(Monitoring::Unwanted).iter().any(says_so));
}

#[test]
fn the_image_that_runs_is_told_with_its_repository() {
    let one = service(&json!({"replicas": 1}));
    let before = StoreServiceStatus { image: Some("old:2".to_owned()), ..StoreServiceStatus::default() };
    let image = |status: &Value| derive(&one, &seen(1, (1, 1), status, &[]), Some(&before), false, now()).0.image;
    let rolling = json!({"replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2});
    assert_eq!(image(&rolling).as_deref(), Some("old:2"));
    let done = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    assert_eq!(image(&done).as_deref(), Some("shop:2"));
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
    let condition = |status: &str, reason: &str| json!([{"type": "Progressing", "status": status, "reason": reason}]);
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
    // As of an image that does not answer its startup probe before it can serve.
    for (runs_since, reason) in
        [("2026-01-01T00:00:00Z", Reason::ProbeFailing), ("2999-01-01T00:00:00Z", Reason::PodsStarting)]
    {
        let begins = pod(&json!({"started": false, "state": {"running": {"startedAt": runs_since}}}));
        let (_, findings) = derive(&one, &seen(1, (1, 1), &starting, &[begins]), None, false, now());
        assert_eq!(findings[0].reason, reason);
        assert_eq!(findings[0].message.contains("startup probe"), reason == Reason::ProbeFailing);
    }
    let refused = json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]});
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
