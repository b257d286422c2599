//! Hands in what is the operator's: its part is put right at once, everybody else's part stays.

use std::time::Instant;

use kubekit::{Space, eventually};
use serde_json::{Value, json};

use crate::{
    setup::cluster,
    story::{Story, begin, service},
};

const NAME: &str = "green-catalog";

async fn settled(space: &Space<'_>, with: &Value) -> kubekit::Operator {
    begin(space, &Story { before: vec![service(with)], steps: vec![], end: vec![] }, None).await
}

/// Waits until `field` of the object is `wanted` again and says how long it took.
async fn comes_back(space: &Space<'_>, kind: &str, field: &str, wanted: &Value) {
    let begun = Instant::now();
    eventually(&format!("{field} of {kind} to come back"), || async {
        space.get(kind, NAME).await.is_some_and(|object| object.pointer(field) == Some(wanted))
    })
    .await;
    println!("{kind} {field}: back after {} ms", begun.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_by_hand_is_put_right_and_what_somebody_adds_stays() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let _operator = settled(&space, &json!({"replicas": 2})).await;
    let note = json!({"metadata": {"annotations": {"example.com/note": "kept"}}});
    for kind in ["Deployment", "Service", "ServiceAccount"] {
        space.edit(kind, NAME, &note).await;
    }

    let image = "/spec/template/spec/containers/0/image";
    let patch = json!([{"name": "service", "image": "registry.example/other:9"}]);
    let pod = json!({"spec": {"template": {"spec": {"containers": patch}}}});
    space.edit("Deployment", NAME, &pod).await;
    comes_back(&space, "Deployment", image, &json!("registry.example/shop:1")).await;
    space.edit("Deployment", NAME, &json!({"spec": {"replicas": 7}})).await;
    comes_back(&space, "Deployment", "/spec/replicas", &json!(2)).await;
    space.edit("Deployment", NAME, &json!({"spec": {"paused": true}})).await;
    eventually("the Deployment to go on", || async {
        space.get("Deployment", NAME).await.is_some_and(|deployment| deployment["spec"]["paused"] != true)
    })
    .await;
    space.edit("Service", NAME, &json!({"spec": {"selector": {"greencommerce.dev/service": "nobody"}}})).await;
    comes_back(&space, "Service", "/spec/selector/greencommerce.dev~1service", &json!(NAME)).await;
    space.edit("ServiceAccount", NAME, &json!({"metadata": {"ownerReferences": null}})).await;
    comes_back(&space, "ServiceAccount", "/metadata/ownerReferences/0/name", &json!(NAME)).await;

    space.ready("StoreService", NAME).await;
    for kind in ["Deployment", "Service", "ServiceAccount"] {
        comes_back(&space, kind, "/metadata/annotations/example.com~1note", &json!("kept")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_deletes_is_made_again() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let _operator = settled(&space, &json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}})).await;
    for kind in ["Service", "ServiceAccount", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"] {
        let uid = async || space.get(kind, NAME).await.map(|object| object["metadata"]["uid"].clone());
        let old = uid().await;
        assert!(old.is_some(), "{kind} is there");
        let begun = Instant::now();
        space.delete(kind, NAME).await;
        eventually(&format!("another {kind}"), || async { uid().await.is_some_and(|new| Some(new) != old) }).await;
        println!("{kind}: made again after {} ms", begun.elapsed().as_millis());
    }
    space.ready("StoreService", NAME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_pods_that_an_autoscaler_chose_is_never_touched() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let _operator = settled(&space, &json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 9}})).await;
    // The autoscaler writes this field and no other.
    space.edit("Deployment", NAME, &json!({"spec": {"replicas": 7}})).await;
    space.ready("StoreService", NAME).await;
    let mark = cluster.audit().mark();
    space.edit("Deployment", NAME, &json!({"metadata": {"labels": {"greencommerce.dev/service": "nobody"}}})).await;
    comes_back(&space, "Deployment", "/metadata/labels/greencommerce.dev~1service", &json!(NAME)).await;
    space
        .apply(&service(&json!({
            "image": "registry.example/shop:2", "autoscaling": {"minReplicas": 2, "maxReplicas": 9},
        })))
        .await;
    comes_back(&space, "Deployment", "/spec/template/spec/containers/0/image", &json!("registry.example/shop:2")).await;
    let wrote = || space.writes(mark).iter().filter(|write| write.resource == "deployments").count();
    eventually("two writes of the Deployment", || std::future::ready(wrote() >= 2)).await;
    comes_back(&space, "Deployment", "/spec/replicas", &json!(7)).await;
}
