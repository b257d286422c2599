//! Holding an object back until its deletion policy has been honoured.

use api::{FINALIZER, Reason};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Context, ReconcileError, Retry, metrics, names::describe, namespace};

/// The finalizers of an object could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot change the finalizers of {object}")]
pub(crate) struct FinalizerError {
    object: String,
    #[source]
    source: Box<kube::Error>,
}

impl ReconcileError for FinalizerError {
    fn reason(&self) -> Reason {
        Reason::ApplyFailed
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Whether the object carries our finalizer.
pub(crate) fn has<K: Resource>(object: &K) -> bool {
    object.finalizers().iter().any(|held| held == FINALIZER)
}

/// Adds our finalizer unless it is there.
pub(crate) async fn add<K>(context: &Context, object: &K) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if has(object) {
        return Ok(());
    }
    let mut wanted = object.finalizers().to_vec();
    wanted.push(FINALIZER.to_owned());
    // Of exactly the version that was seen, so that nobody's finalizer is lost.
    let metadata = json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": wanted});
    patch(context, object, &Patch::Merge(json!({"metadata": metadata}))).await?;
    tracing::info!(why = "its end must not be missed", "added the finalizer");
    Ok(())
}

/// Removes our finalizer if it is there; the API server then completes the deletion.
pub(crate) async fn remove<K>(context: &Context, object: &K) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if !has(object) {
        return Ok(());
    }
    let held = object.finalizers();
    let wanted: Vec<&String> = held.iter().filter(|held| *held != FINALIZER).collect();
    // The list must be the one that was seen. Anything else may have changed: our own last status, for example.
    let operations = serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/uid", "value": object.uid()},
        {"op": "test", "path": "/metadata/finalizers", "value": held},
        {"op": "replace", "path": "/metadata/finalizers", "value": wanted},
    ]))
    .expect("these are operations of a JSON patch (RFC 6902)");
    match patch::<K, ()>(context, object, &Patch::Json(operations)).await {
        // The object is gone: nothing holds it back.
        Err(FinalizerError { source, .. }) if is_not_found(&source) => Ok(()),
        Ok(()) => {
            tracing::info!(why = "its deletion policy has been honoured", "removed the finalizer");
            Ok(())
        }
        result => result,
    }
}

async fn patch<K, P>(context: &Context, object: &K, patch: &Patch<P>) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    P: Serialize + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace(object));
    api.patch_metadata(&object.name_any(), &PatchParams::default(), patch)
        .await
        .map_err(|source| FinalizerError { object: describe(object), source: Box::new(source) })?;
    metrics::wrote(&K::kind(&()), "finalize");
    context.written.note("finalize", &describe(object));
    Ok(())
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use api::StoreTopic;
    use serde_json::Value;

    use super::*;
    use crate::framework::scenario::{Call, Scenario};

    const LINE: &str = "PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders?";

    fn topic(finalizers: &[&str]) -> StoreTopic {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {
                "name": "orders", "namespace": "shop", "uid": "1", "resourceVersion": "5", "finalizers": finalizers,
            },
            "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
        }))
        .unwrap()
    }

    fn metadata() -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "orders"}})
    }

    #[tokio::test]
    async fn it_is_added_beside_those_of_others_and_only_once() {
        let (scenario, context, _) = Scenario::of(vec![Call::ok(LINE, metadata())]);
        add(&context, &topic(&["example.com/other"])).await.unwrap();
        add(&context, &topic(&["example.com/other", FINALIZER])).await.unwrap();
        let patch = &scenario.finish()[0]["metadata"];
        assert_eq!(patch["finalizers"], json!(["example.com/other", FINALIZER]));
        assert_eq!((&patch["uid"], &patch["resourceVersion"]), (&json!("1"), &json!("5")));
    }

    #[tokio::test]
    async fn it_is_removed_and_those_of_others_stay() {
        let (scenario, context, _) = Scenario::of(vec![Call::ok(LINE, metadata())]);
        remove(&context, &topic(&["example.com/other", FINALIZER])).await.unwrap();
        remove(&context, &topic(&["example.com/other"])).await.unwrap();
        let operations = &scenario.finish()[0];
        assert_eq!(operations[1]["value"], json!(["example.com/other", FINALIZER]));
        assert_eq!(operations[2]["value"], json!(["example.com/other"]));
    }

    #[tokio::test]
    async fn an_object_that_is_gone_is_not_held_back() {
        let (scenario, context, _) = Scenario::of(vec![Call::refused(LINE, 404, "not found")]);
        remove(&context, &topic(&[FINALIZER])).await.unwrap();
        scenario.finish();
    }
}
