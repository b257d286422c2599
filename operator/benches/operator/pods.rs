//! Pods, as a cluster with nodes would have them: nothing on a control plane alone makes any, and the operator keeps what it
//! sees of each.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use kubekit::Space;
use serde_json::{Value, json};

/// What the name of a `ReplicaSet` ends in.
const REVISION: &str = "5d9c7b8f6d";

/// Runs the pods of every Deployment of the store.
pub(crate) async fn run(space: &Space<'_>) {
    let (deployments, pods) = (space.api::<Deployment>(), space.api::<Pod>());
    for deployment in deployments.list(&ListParams::default()).await.expect("Deployments are listed") {
        for number in 0..deployment.spec.replicas.unwrap_or(1) {
            let name = format!("{}-{REVISION}-x{number:04}", deployment.name_any());
            let pod = serde_json::from_value(pod(&name, &deployment)).expect("a pod is well formed");
            pods.create(&PostParams::default(), &pod).await.expect("a pod is made");
            let status = Patch::Merge(json!({"status": status(&pod)}));
            pods.patch_status(&name, &PatchParams::default(), &status).await.expect("a pod's status is written");
        }
    }
}

/// How many there are.
pub(crate) async fn count(space: &Space<'_>) -> usize {
    space.api::<Pod>().list(&ListParams::default()).await.expect("pods are listed").items.len()
}

/// What a `ReplicaSet` makes and the scheduler binds.
fn pod(name: &str, deployment: &Deployment) -> Value {
    let template = &deployment.spec.template;
    let mut pod = json!({"metadata": template.metadata, "spec": template.spec});
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["labels"]["pod-template-hash"] = json!(REVISION);
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-{REVISION}", deployment.name_any()),
        "uid": deployment.uid(), "controller": true, "blockOwnerDeletion": true,
    }]);
    pod["spec"]["nodeName"] = json!("worker-1");
    pod
}

/// What a kubelet says of a pod that has run for a while.
fn status(pod: &Pod) -> Value {
    // Any time will do, and this one needs no clock.
    let now = &pod.metadata.creation_timestamp;
    let condition =
        |type_: &str| json!({"type": type_, "status": "True", "lastTransitionTime": now, "observedGeneration": 1});
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let container = |image: &str, name: &str| {
        json!({
            "name": name, "image": image, "imageID": format!("{image}@sha256:{}", "4be1".repeat(16)),
            "containerID": format!("containerd://{}", "9f3c".repeat(16)), "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": now}}, "lastState": {},
        })
    };
    let containers: Vec<Value> =
        containers.map(|of| container(of.image.as_deref().unwrap_or_default(), &of.name)).collect();
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    json!({
        "phase": "Running", "qosClass": "Burstable", "startTime": now, "observedGeneration": 1,
        "hostIP": "10.90.0.2", "hostIPs": [{"ip": "10.90.0.2"}], "podIP": "10.244.1.17", "podIPs": [{"ip": "10.244.1.17"}],
        "conditions": conditions, "containerStatuses": containers,
    })
}
