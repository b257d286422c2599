//! Holding an object back until its data is gone, where its deletion policy asks for that. Nothing else is held back: an
//! object whose data stays goes at once, also with its namespace, and also when no operator runs any more.

use api::{DeletionPolicy, FINALIZER, Reason};
use jiff::SignedDuration;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Namespace};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, ReconcileError, Retry, chain, error::is_forbidden, metrics, names::describe, namespace, objects};

/// So long an object asks for the end of its data before its namespace goes without.
const LONGEST_FAREWELL: SignedDuration = SignedDuration::from_secs(30);

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

/// Adds our finalizer where the policy is to delete the data, and removes it where the data stays anyway.
pub(crate) async fn hold<K>(context: &Context, object: &K, policy: DeletionPolicy) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match policy {
        DeletionPolicy::Delete => add(context, object).await,
        DeletionPolicy::Retain => remove(context, object).await,
    }
}

/// Adds our finalizer unless it is there.
pub(crate) async fn add<K>(context: &Context, object: &K) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if has(object) {
        return Ok(());
    }
    patch(context, object, &Patch::Merge(json!({"metadata": with_ours(object)}))).await?;
    tracing::info!(why = "its end must not be missed", "added the finalizer");
    Ok(())
}

/// The metadata of a merge patch that adds our finalizer: to exactly the version that was seen, so that nobody's is lost.
pub(crate) fn with_ours<K: Resource>(object: &K) -> Value {
    let mut wanted = object.finalizers().to_vec();
    wanted.push(FINALIZER.to_owned());
    json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": wanted})
}

/// Removes our finalizer if it is there; the API server then completes a deletion that has begun.
pub(crate) async fn remove<K>(context: &Context, object: &K) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if !has(object) {
        return Ok(());
    }
    let held = object.finalizers();
    let wanted: Vec<&String> = held.iter().filter(|held| *held != FINALIZER).collect();
    // The list must be the one that was seen, and the object described as it was: its policy decided what became of its
    // data. Anything else may have changed: our own last status, for example.
    let operations = serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/uid", "value": object.uid()},
        {"op": "test", "path": "/metadata/generation", "value": object.meta().generation},
        {"op": "test", "path": "/metadata/finalizers", "value": held},
        {"op": "replace", "path": "/metadata/finalizers", "value": wanted},
    ]))
    .expect("these are operations of a JSON patch (RFC 6902)");
    match patch::<K, ()>(context, object, &Patch::Json(operations)).await {
        // The object is gone: nothing holds it back.
        Err(FinalizerError { source, .. }) if is_not_found(&source) => Ok(()),
        Ok(()) => {
            tracing::info!(why = "nothing is left to be done at its end", "removed the finalizer");
            Ok(())
        }
        result => result,
    }
}

/// Whether an object whose data could not be removed, for this reason, is let go all the same: its namespace is deleted,
/// and with it what the removal may need, such as a login. Nothing may hold that up for ever. An operator of that namespace
/// alone loses its own rights with it, and does not wait until others do, too.
pub(crate) async fn goes_with_its_namespace<K: Resource<DynamicType = ()>>(
    context: &Context,
    object: &K,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> bool {
    let deleted = object.meta().deletion_timestamp.as_ref().map(|time| time.0);
    let patient = deleted.is_none_or(|deleted| context.clock.now().duration_since(deleted) < LONGEST_FAREWELL);
    if (patient && !is_forbidden(error)) || !is_being_deleted(context, namespace(object)).await {
        return false;
    }
    tracing::warn!(object = describe(object), error = chain(error), "its namespace goes, and its data stays behind");
    true
}

/// Whether a namespace is; one that is not known to be, because the API server does not say, is not.
async fn is_being_deleted(context: &Context, name: &str) -> bool {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let found = namespaces.get_metadata_opt(name).await;
    found.is_ok_and(|found| found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()))
}

async fn patch<K, P>(context: &Context, object: &K, patch: &Patch<P>) -> Result<(), FinalizerError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    P: Serialize + std::fmt::Debug,
{
    let api = objects::<K>(&context.client, namespace(object));
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

    use super::*;
    use crate::framework::{
        Clock,
        scenario::{Call, Scenario},
    };

    const LINE: &str = "PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/storetopics/orders?";

    fn topic(finalizers: &[&str]) -> StoreTopic {
        serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
            "metadata": {
                "name": "orders", "namespace": "shop", "uid": "1", "resourceVersion": "5", "generation": 3,
                "finalizers": finalizers,
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
        assert_eq!((&operations[1]["path"], &operations[1]["value"]), (&json!("/metadata/generation"), &json!(3)));
        assert_eq!(operations[2]["value"], json!(["example.com/other", FINALIZER]));
        assert_eq!(operations[3]["value"], json!(["example.com/other"]));
    }

    #[tokio::test]
    async fn only_what_is_to_take_its_data_along_is_held_back() {
        let (scenario, context, _) = Scenario::of(vec![Call::ok(LINE, metadata()), Call::ok(LINE, metadata())]);
        hold(&context, &topic(&[]), DeletionPolicy::Retain).await.unwrap();
        hold(&context, &topic(&[FINALIZER]), DeletionPolicy::Delete).await.unwrap();
        hold(&context, &topic(&[]), DeletionPolicy::Delete).await.unwrap();
        hold(&context, &topic(&[FINALIZER]), DeletionPolicy::Retain).await.unwrap();
        let patches = scenario.finish();
        assert_eq!(patches[0]["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(patches[1][3]["value"], json!([]));
    }

    fn leaving(since: &str) -> StoreTopic {
        let mut topic = topic(&[FINALIZER]);
        topic.metadata.deletion_timestamp = Some(serde_json::from_value(json!(since)).unwrap());
        topic
    }

    /// Whether a topic whose brokers are silent since its deletion is let go, where its namespace has this metadata.
    async fn is_let_go(topic: &StoreTopic, answer: Option<Call>) -> bool {
        is_let_go_after(&std::io::Error::other("the brokers are silent"), topic, answer).await
    }

    async fn is_let_go_after(
        error: &(dyn std::error::Error + Send + Sync + 'static),
        topic: &StoreTopic,
        answer: Option<Call>,
    ) -> bool {
        let (scenario, context, _) = Scenario::of(answer.into_iter().collect());
        let goes = goes_with_its_namespace(&context, topic, error).await;
        scenario.finish();
        goes
    }

    fn space(metadata: &Value) -> Call {
        let kind = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
        Call::ok("GET /api/v1/namespaces/shop", kind)
    }

    #[tokio::test]
    async fn only_a_namespace_that_is_deleted_lets_an_object_go_whose_data_cannot_be_removed() {
        let long_ago = leaving("2026-01-01T00:00:00Z");
        let going = json!({"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(is_let_go(&long_ago, Some(space(&going))).await);
        assert!(is_let_go(&long_ago, Some(Call::refused("GET /api/v1/namespaces/shop", 404, "gone"))).await);
        assert!(!is_let_go(&long_ago, Some(space(&json!({"name": "shop"})))).await);
        assert!(!is_let_go(&long_ago, Some(Call::refused("GET /api/v1/namespaces/shop", 500, "not now"))).await);
    }

    #[tokio::test]
    async fn the_removal_of_data_is_tried_for_a_while_before_the_namespace_is_asked_for() {
        let just_now = Clock::system().now().to_string();
        assert!(!is_let_go(&leaving(&just_now), None).await);
    }

    #[tokio::test]
    async fn an_operator_whose_rights_went_with_the_namespace_waits_for_nothing() {
        let mut status = kube::core::Status::failure("the role is gone", "Forbidden");
        status.code = 403;
        let refused = kube::Error::Api(status.boxed());
        let just_now = leaving(&Clock::system().now().to_string());
        let going = json!({"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(is_let_go_after(&refused, &just_now, Some(space(&going))).await);
        assert!(!is_let_go_after(&refused, &just_now, Some(space(&json!({"name": "shop"})))).await);
    }

    #[tokio::test]
    async fn an_object_that_is_gone_is_not_held_back() {
        let (scenario, context, _) = Scenario::of(vec![Call::refused(LINE, 404, "not found")]);
        remove(&context, &topic(&[FINALIZER])).await.unwrap();
        scenario.finish();
    }
}
