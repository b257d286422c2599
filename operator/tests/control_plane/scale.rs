//! The `scale` subresource, by which `kubectl scale` and autoscalers of others know a service.

use api::StoreService;
use kube::api::{Patch, PatchParams};
use kubekit::eventually;
use serde_json::json;

use crate::{
    setup::{cluster, program},
    story::service,
};

const NAME: &str = "green-catalog";

#[tokio::test(flavor = "multi_thread")]
async fn who_scales_a_service_scales_its_deployment_and_reads_back_how_many_run() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&service(&json!({"replicas": 1}))).await;
    space.ready("StoreService", NAME).await;
    let services = space.api::<StoreService>();

    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    services.patch_scale(NAME, &PatchParams::default(), &three).await.unwrap();

    eventually("three pods to be counted", || async {
        let scale = services.get_scale(NAME).await.unwrap();
        scale.status.is_some_and(|status| status.replicas == 3)
    })
    .await;
    assert_eq!(space.get("Deployment", NAME).await.unwrap()["spec"]["replicas"], 3);
    // An autoscaler finds the pods by it.
    let selector = services.get_scale(NAME).await.unwrap().status.and_then(|status| status.selector);
    assert!(selector.is_some_and(|selector| selector.contains(NAME)));
}
