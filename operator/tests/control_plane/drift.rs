//! Hands in what is the operator's: its part is put right at once, everybody else's part stays.

use std::time::Instant;

use kubekit::{Space, eventually};
use serde_json::{Value, json};

use crate::{
    database::administrator,
    servers::Servers,
    setup::cluster,
    store::store,
    story::{END, Step, Story, act, begin, rest, service},
};

const NAME: &str = "green-catalog";

async fn settled(space: &Space<'_>, with: &Value) -> kubekit::Operator {
    begin(space, &Story { before: vec![service(with)], steps: vec![], end: vec![] }, None).await
}

/// Waits until `field` of the object is `wanted` again and says how long it took.
async fn comes_back(space: &Space<'_>, kind: &str, name: &str, field: &str, wanted: &Value) {
    let begun = Instant::now();
    eventually(&format!("{field} of {kind} {name} to come back"), || async {
        space.get(kind, name).await.is_some_and(|object| object.pointer(field) == Some(wanted))
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
    comes_back(&space, "Deployment", NAME, image, &json!("registry.example/shop:1")).await;
    space.edit("Deployment", NAME, &json!({"spec": {"replicas": 7}})).await;
    comes_back(&space, "Deployment", NAME, "/spec/replicas", &json!(2)).await;
    space.edit("Deployment", NAME, &json!({"spec": {"paused": true}})).await;
    eventually("the Deployment to go on", || async {
        space.get("Deployment", NAME).await.is_some_and(|deployment| deployment["spec"]["paused"] != true)
    })
    .await;
    space.edit("Service", NAME, &json!({"spec": {"selector": {"greencommerce.dev/service": "nobody"}}})).await;
    comes_back(&space, "Service", NAME, "/spec/selector/greencommerce.dev~1service", &json!(NAME)).await;
    space.edit("ServiceAccount", NAME, &json!({"metadata": {"ownerReferences": null}})).await;
    comes_back(&space, "ServiceAccount", NAME, "/metadata/ownerReferences/0/name", &json!(NAME)).await;

    space.ready("StoreService", NAME).await;
    for kind in ["Deployment", "Service", "ServiceAccount"] {
        comes_back(&space, kind, NAME, "/metadata/annotations/example.com~1note", &json!("kept")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_child_of_a_store_is_put_right() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let server = Servers::running().await.lend("shop", &space).await;
    let with = json!({
        "host": "shop.example.com", "exposure": {"ingress": {"className": "nginx"}}, "services": one_that_is_led_to(),
    });
    let before = vec![administrator(), store(&server, "1.0.0", &with)];
    let _operator = begin(&space, &Story { before, steps: vec![], end: vec![] }, None).await;
    act(&space, &[Step::Ready("StoreService", "shop-gateway")]).await;
    rest(&space, END).await;
    for (kind, name, field, other) in [
        ("StoreService", "shop-auth", "/spec/progressDeadlineSeconds", json!(7)),
        ("StoreDatabase", "shop", "/spec/deletionPolicy", json!("Delete")),
        ("StoreTopic", "shop-user-events", "/spec/partitions", json!(9)),
        ("StoreService", "shop-auth", "/spec/replicas", json!(5)),
        ("StatefulSet", "shop-cache", "/spec/replicas", json!(3)),
        ("StatefulSet", "shop-kafka", "/spec/template/spec/automountServiceAccountToken", json!(true)),
        ("Service", "shop-kafka-nodes", "/spec/publishNotReadyAddresses", json!(false)),
        ("NetworkPolicy", "shop-default-deny", "/spec/policyTypes", json!(["Ingress"])),
        ("NetworkPolicy", "shop-auth", "/spec/ingress", json!([])),
        ("Ingress", "shop-gateway", "/spec/ingressClassName", json!("another")),
        ("HorizontalPodAutoscaler", "shop-gateway", "/spec/maxReplicas", json!(9)),
        ("PodDisruptionBudget", "shop-gateway", "/spec/maxUnavailable", json!(7)),
        ("ConfigMap", "shop-gateway-routes", "/data/routes.yaml", json!("routes: []")),
        ("PersistentVolumeClaim", "shop-cache", "/metadata/labels/greencommerce.dev~1tier", json!("none")),
        ("Secret", "shop-auth-database", "/data/host", json!("ZWxzZXdoZXJl")),
    ] {
        let was = space.get(kind, name).await.and_then(|object| object.pointer(field).cloned());
        let was = was.expect(field);
        assert_ne!(was, other, "{kind} {name}");
        space.edit(kind, name, &at(field, other)).await;
        comes_back(&space, kind, name, field, &was).await;
    }
}

/// The merge patch that changes a field.
fn at(field: &str, value: Value) -> Value {
    field.rsplit('/').filter(|part| !part.is_empty()).fold(value, |inner, part| json!({part.replace("~1", "/"): inner}))
}

/// Settings that leave two services, one of them with everything that can be around one.
fn one_that_is_led_to() -> Value {
    let gone = ["inventory", "catalog", "cart", "orders"].map(|name| json!({"name": name, "disabled": true}));
    let gateway = json!({"name": "gateway", "autoscaling": {"minReplicas": 2, "maxReplicas": 4}});
    gone.into_iter().chain([gateway]).collect()
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
    comes_back(&space, "Deployment", NAME, "/metadata/labels/greencommerce.dev~1service", &json!(NAME)).await;
    space
        .apply(&service(&json!({
            "image": "registry.example/shop:2", "autoscaling": {"minReplicas": 2, "maxReplicas": 9},
        })))
        .await;
    comes_back(&space, "Deployment", NAME, "/spec/template/spec/containers/0/image", &json!("registry.example/shop:2"))
        .await;
    let wrote = || space.writes(mark).iter().filter(|write| write.resource == "deployments").count();
    eventually("two writes of the Deployment", || std::future::ready(wrote() >= 2)).await;
    comes_back(&space, "Deployment", NAME, "/spec/replicas", &json!(7)).await;
}
