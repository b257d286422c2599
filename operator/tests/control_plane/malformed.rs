//! Objects that the operator can do nothing with do not keep it from the others.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kubekit::{Cluster, Operator, Space, eventually};
use serde_json::{Value, json};

use crate::{
    database::administrator,
    servers::Servers,
    setup::{self, cluster, program},
    store::store,
    story::{END, named_service, rest},
};

/// The definition as an older release may have had it: anything goes.
fn loose(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let anything = JSONSchemaProps {
        type_: Some("object".to_owned()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            *schema = anything.clone();
        }
        if let Some(subresources) = &mut version.subresources {
            subresources.scale = None;
        }
    }
    crd
}

/// One of the test's own: a definition that changes concerns everybody.
async fn own_cluster() -> &'static Cluster {
    let start = || &*Box::leak(Box::new(setup::start()));
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Lets anything be stored as this kind, and stores this change of an object.
async fn deform(space: &Space<'_>, operator: &Operator, kind: &str, object: &Value) {
    let definitions = api::crds().into_iter().filter(|crd| crd.spec.names.kind == kind);
    space.cluster().install(&definitions.map(loose).collect::<Vec<_>>()).await;
    // The new schema takes a moment to be in force.
    eventually("the malformed object to be stored", || async { space.try_apply(object).await.is_ok() }).await;
    eventually("the malformed object to be seen", || async {
        operator.figure("greencommerce_operator_malformed_objects", kind).await >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_becomes_malformed_can_be_deleted() {
    let space = own_cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    let mut topic = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "own"},
        "spec": {"bootstrapServers": "127.0.0.1:9", "topicName": "own", "deletionPolicy": "Delete"},
    });
    space.apply(&topic).await;
    eventually("the topic to be held back", || async {
        let topic = space.get("StoreTopic", "own").await.unwrap();
        topic["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty())
    })
    .await;
    topic["spec"]["partitions"] = json!("three");
    deform(&space, &operator, "StoreTopic", &topic).await;
    space.delete("StoreTopic", "own").await;
    eventually("the topic to be gone", || async { space.get("StoreTopic", "own").await.is_none() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_becomes_malformed_keeps_everything_it_has() {
    let space = own_cluster().await.space().await;
    let server = Servers::running().await.lend("shop", &space).await;
    let operator = space.operator(program(), None).await;
    space.apply(&administrator()).await;
    let mut store = store(&server, "1.0.0", &json!({}));
    space.apply(&store).await;
    space.until_it_says("Store", "shop", "Upgraded", true).await;
    rest(&space, END).await;
    let before = space.state().await;
    store["spec"]["suspend"] = json!("yes");
    deform(&space, &operator, "Store", &store).await;
    // Its services are looked at as ever.
    space
        .edit("StoreService", "shop-auth", &json!({"metadata": {"annotations": {"example.com/touched": "yes"}}}))
        .await;
    rest(&space, END).await;
    let after = space.state().await;
    let changed: Vec<&str> = before.names().filter(|name| before.get(name) != after.get(name)).collect();
    assert_eq!(changed, ["Store/shop", "StoreService/shop-auth"]);
    assert!(after.names().eq(before.names()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_from_before_a_schema_change_stops_nothing_and_is_taken_up_once_corrected() {
    let cluster = own_cluster().await;
    let space = cluster.space().await;
    let services = || api::crds().into_iter().filter(|crd| crd.spec.names.kind == "StoreService");
    cluster.install(&services().map(loose).collect::<Vec<_>>()).await;
    let old = named_service("green-old", &json!({"replicas": "three"}));
    // The new schema takes a moment to be in force.
    eventually("the old object to be stored", || async { space.try_apply(&old).await.is_ok() }).await;
    cluster.install(&services().collect::<Vec<_>>()).await;
    let refused = named_service("green-refused", &json!({"replicas": "three"}));
    eventually("the new schema to be in force", || async { space.try_apply(&refused).await.is_err() }).await;

    let operator = space.operator(program(), None).await;
    space.apply(&named_service("green-new", &json!({}))).await;
    space.ready("StoreService", "green-new").await;
    assert!(space.get("Deployment", "green-old").await.is_none());
    assert!(operator.figure("greencommerce_operator_malformed_objects", "StoreService").await >= 1.0);

    space.edit("StoreService", "green-old", &json!({"spec": {"replicas": 3}})).await;
    space.ready("StoreService", "green-old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_of_fifty_that_always_fails_does_not_stop_the_others() {
    let cluster = cluster().await;
    let space = cluster.space().await;
    let _operator = space.operator(program(), None).await;
    let broken = named_service("green-broken", &json!({"database": {"secretRef": {"name": "nowhere"}}}));
    space.apply(&broken).await;
    for number in 1..50 {
        space.apply(&named_service(&format!("green-{number}"), &json!({}))).await;
    }
    for number in 1..50 {
        space.ready("StoreService", &format!("green-{number}")).await;
    }
    let broken = space.get("StoreService", "green-broken").await.unwrap();
    assert_eq!(broken["status"]["conditions"][0]["reason"], "SecretMissing");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nowhere"}, "stringData": {"uri": "postgres://x"},
    });
    space.apply(&secret).await;
    space.ready("StoreService", "green-broken").await;
}
