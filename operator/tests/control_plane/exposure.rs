//! How a service is reached, as its spec says it now, and what `kubectl get` tells of everything.

use kubekit::{Space, eventually};
use serde_json::{Value, json};

use crate::{
    setup::{cluster, program},
    story::{END, rest, service},
};

const NAME: &str = "green-catalog";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_reached_as_its_spec_says_last_and_nothing_of_other_ways_is_left() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let internal = json!({"internal": {}});
    is_reached(&space, &internal, "ClusterIP", false).await;
    let inside = reachable(&space).await;
    for (exposure, kind, ingress) in [
        (json!({"ingress": {"className": "nginx"}}), "ClusterIP", true),
        (json!({"nodePort": {"port": 30061}}), "NodePort", false),
        (json!({"loadBalancer": {}}), "LoadBalancer", false),
        (json!({"ingress": {}}), "ClusterIP", true),
        (json!({"nodePort": {"port": 30062}}), "NodePort", false),
        (internal, "ClusterIP", false),
    ] {
        is_reached(&space, &exposure, kind, ingress).await;
        let port = &space.get("Service", NAME).await.unwrap()["spec"]["ports"][0]["nodePort"];
        assert!(exposure["nodePort"].is_null() || *port == exposure["nodePort"]["port"], "{exposure}: {port}");
    }
    space.ready("StoreService", NAME).await;
    rest(&space, END).await;
    assert_eq!(reachable(&space).await, inside, "something of another way is left");
}

async fn is_reached(space: &Space<'_>, exposure: &Value, kind: &str, ingress: bool) {
    space.apply(&service(&json!({"exposure": exposure}))).await;
    eventually(&format!("{exposure}"), || async {
        let made = space.get("Service", NAME).await;
        made.is_some_and(|made| made["spec"]["type"] == kind) && space.get("Ingress", NAME).await.is_some() == ingress
    })
    .await;
}

/// The Service as the API server completes it.
async fn reachable(space: &Space<'_>) -> Value {
    space.state().await.without(&["annotations"]).get(&format!("Service/{NAME}")).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_services_says_what_a_person_asks_for_first() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    space.apply(&service(&json!({"replicas": 2}))).await;
    space.ready("StoreService", NAME).await;

    let path = format!("/apis/greencommerce.dev/v1alpha1/namespaces/{}/storeservices", space.name());
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let request = axum::http::Request::get(path).header("accept", table).body(Vec::new()).unwrap();
    let table: Value = space.cluster().admin().request(request).await.unwrap();
    let of = |column: &str| {
        let columns = table["columnDefinitions"].as_array().unwrap();
        let place = columns.iter().position(|held| held["name"] == column).unwrap_or(columns.len());
        table["rows"][0]["cells"][place].clone()
    };
    let told = ["Name", "Store", "Pods", "Ready", "Reason", "Image"].map(of);
    assert_eq!(told, ["green-catalog", "green", "2/2", "True", "AllReady", "registry.example/shop:1"]);
    assert!(of("Age").is_string(), "{table}");
}
