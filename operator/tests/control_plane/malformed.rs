//! Objects that the operator can do nothing with do not keep it from the others.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kubekit::eventually;
use serde_json::json;

use crate::{
    setup::{self, cluster, program},
    story::named_service,
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

#[tokio::test(flavor = "multi_thread")]
async fn an_object_from_before_a_schema_change_stops_nothing_and_is_taken_up_once_corrected() {
    // One of its own: a definition that changes concerns everybody.
    let start = || &*Box::leak(Box::new(setup::start()));
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
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
