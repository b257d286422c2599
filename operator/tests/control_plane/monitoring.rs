//! Prometheus is told of a service's pods, in a cluster that knows how that is done.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::DeleteParams};
use kubekit::{Space, eventually};
use serde_json::{Value, json};

use crate::{
    setup::start_with,
    story::{Story, begin, service},
};

const NAME: &str = "green-catalog";
const KIND: &str = "PodMonitor";

async fn interval(space: &Space<'_>) -> Option<Value> {
    space.get(KIND, NAME).await.map(|monitor| monitor["spec"]["podMetricsEndpoints"][0]["interval"].clone())
}

async fn comes_to(space: &Space<'_>, wanted: Option<&str>) {
    eventually(&format!("a PodMonitor with the interval {wanted:?}"), || async {
        interval(space).await == wanted.map(|wanted| json!(wanted))
    })
    .await;
}

/// Waits until the service is ready and says so with, or without, a word about what the cluster does not know.
async fn says(space: &Space<'_>, unknown: bool) {
    eventually(&format!("the service to say that the kind is unknown: {unknown}"), || async {
        let service = space.get("StoreService", NAME).await.unwrap_or_default();
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|held| held["type"] == "Ready" && held["status"] == "True");
        ready.is_some_and(|ready| ready["message"].as_str().unwrap().contains("no PodMonitor is made") == unknown)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_monitor_follows_the_spec_and_waits_for_a_cluster_that_knows_it() {
    let crd: CustomResourceDefinition = serde_yaml::from_str(include_str!("pod_monitors.yaml")).unwrap();
    let known = crd.clone();
    // A control plane of its own: the others know nothing of the kind.
    let cluster = tokio::task::spawn_blocking(|| start_with(vec![known])).await.unwrap();
    let space = cluster.space().await;
    let monitored = |interval: &str| service(&json!({"podMonitor": {"interval": interval}}));
    let _operator = begin(&space, &Story { before: vec![monitored("30s")], steps: vec![], end: vec![] }, None).await;
    comes_to(&space, Some("30s")).await;

    // What somebody changes or deletes comes back,
    space
        .edit(KIND, NAME, &json!({"spec": {"podMetricsEndpoints": [{"port": "ops", "path": "/", "interval": "1h"}]}}))
        .await;
    comes_to(&space, Some("30s")).await;
    space.delete(KIND, NAME).await;
    comes_to(&space, Some("30s")).await;
    // and it follows the spec.
    space.apply(&monitored("1m")).await;
    comes_to(&space, Some("1m")).await;
    space.edit("StoreService", NAME, &json!({"spec": {"podMonitor": null}})).await;
    comes_to(&space, None).await;

    // A cluster that knows the kind no more is no trouble of the service.
    space.apply(&monitored("30s")).await;
    comes_to(&space, Some("30s")).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.admin());
    let name = crd.metadata.name.clone().unwrap();
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    says(&space, true).await;
    eventually("the definition to be gone", || async { definitions.get_opt(&name).await.unwrap().is_none() }).await;
    cluster.install(&[crd]).await;
    comes_to(&space, Some("30s")).await;
    says(&space, false).await;
    tokio::task::spawn_blocking(|| drop(cluster)).await.unwrap();
}
