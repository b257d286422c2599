//! Step 4: writing what differs.

use api::{ANNOTATION_APPLIED, StoreService, StoreTopic};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{build::Children, dereference::Seen};
use crate::{
    framework::{ApplyError, Context, apply as apply_child, delete, namespace, objects},
    refused,
};

/// Field manager under which the number of pods is kept while it passes from the operator to the autoscaler.
const HANDOVER: &str = "greencommerce-operator-handover";

/// Makes the cluster hold the children. Returns whether anything was written: what the cache shows is then out of date.
pub(super) async fn apply(
    context: &Context,
    owner: &StoreService,
    seen: &Seen,
    children: Children,
) -> Result<bool, ApplyError> {
    let mut wrote = apply_child(context, children.service_account).await?;
    if let Some(policy) = children.policy {
        apply_child(context, policy).await?;
    }
    match (&children.autoscaler, &seen.autoscaler) {
        (Some(_), None) => hand_over_replicas(context, seen).await?,
        // Before the number of pods is the operator's again: two would contend for it.
        (None, Some(left)) => wrote |= delete(context, owner, &**left).await?,
        (Some(_), Some(_)) | (None, None) => {}
    }
    wrote |= go_on(context, seen).await?;
    wrote |= apply_child(context, children.deployment).await?;
    wrote |= match (children.service, &seen.service) {
        (Some(desired), _) => apply_child(context, desired).await?,
        (None, Some(left)) => delete(context, owner, &**left).await?,
        (None, None) => false,
    };
    for left in seen.host.topics.iter().filter(|topic| children.topics.iter().all(|kept| !same_name(kept, topic))) {
        wrote |= delete(context, owner, &**left).await?;
    }
    for topic in children.topics {
        wrote |= apply_child(context, topic).await?;
    }
    wrote |= match (children.ingress, &seen.ingress) {
        (Some(desired), _) => apply_child(context, desired).await?,
        (None, Some(left)) => delete(context, owner, &**left).await?,
        (None, None) => false,
    };
    if let Some(desired) = children.autoscaler {
        wrote |= apply_child(context, desired).await?;
    }
    wrote |= match (children.disruption_budget, &seen.disruption_budget) {
        (Some(desired), _) => apply_child(context, desired).await?,
        (None, Some(left)) => delete(context, owner, &**left).await?,
        (None, None) => false,
    };
    wrote |= match (children.pod_monitor, &seen.pod_monitor) {
        (Some(desired), _) => apply_child(context, desired).await?,
        (None, Some(left)) => delete(context, owner, &**left).await?,
        (None, None) => false,
    };
    if let Some(refused) = seen.deployment.as_deref().filter(|deployment| refused::is_refused(deployment)) {
        refused::try_again(context, refused).await;
    }
    Ok(wrote)
}

fn same_name(one: &StoreTopic, other: &StoreTopic) -> bool {
    one.metadata.name == other.metadata.name
}

/// A Deployment that somebody paused rolls nothing out and misses no deadline, so that no upgrade would ever end: it goes on.
/// An apply leaves alone what it does not name. Returns whether it was paused.
async fn go_on(context: &Context, seen: &Seen) -> Result<bool, ApplyError> {
    let paused = seen.deployment.as_deref().filter(|deployment| deployment.spec.paused == Some(true));
    let Some(deployment) = paused else { return Ok(false) };
    let (space, name) = (namespace(deployment), deployment.name_any());
    let api = objects::<Deployment>(&context.client, space);
    let change = json!({"metadata": {"uid": deployment.uid()}, "spec": {"paused": false}});
    let written = api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&change)).await;
    let object = format!("Deployment {space}/{name}");
    written.map_err(|source| ApplyError::Write { verb: "resume", object, source: Box::new(source) })?;
    Ok(true)
}

/// When the operator stops owning `replicas`, the API server would set it to its default of one. Another field manager
/// holds the present number until the autoscaler takes it over. The autoscaler may be at work before the cache shows what it
/// did: then the version is another one, this is refused, and tried again.
async fn hand_over_replicas(context: &Context, seen: &Seen) -> Result<(), ApplyError> {
    let Some(deployment) = &seen.deployment else { return Ok(()) };
    let replicas = deployment.spec.replicas.unwrap_or(1);
    if replicas <= 1 || !deployment.annotations().contains_key(ANNOTATION_APPLIED) {
        return Ok(());
    }
    let (space, name) = (namespace(&**deployment), deployment.name_any());
    let api = objects::<Deployment>(&context.client, space);
    let hold = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "uid": deployment.uid(), "resourceVersion": deployment.resource_version()},
        "spec": {"replicas": replicas},
    });
    let object = format!("Deployment {space}/{name}");
    api.patch_metadata(&name, &PatchParams::apply(HANDOVER).force(), &Patch::Apply(&hold))
        .await
        .map_err(|source| ApplyError::Write { verb: "hand over the replicas of", object, source: Box::new(source) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::framework::{
        ReconcileError as _, Retry,
        scenario::{Call, Scenario},
    };

    const PATH: &str = "/apis/apps/v1/namespaces/shop/deployments/gateway";

    fn deployment(replicas: i32, version: &str) -> serde_json::Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "gateway", "namespace": "shop", "uid": "1", "resourceVersion": version,
                "annotations": {ANNOTATION_APPLIED: "hash"},
            },
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
        })
    }

    #[tokio::test]
    async fn a_deployment_that_somebody_paused_goes_on() {
        let (scenario, context, _) = Scenario::of(vec![Call::ok(format!("PATCH {PATH}?"), deployment(1, "6"))]);
        let mut paused = deployment(1, "5");
        let seen = |deployment: &serde_json::Value| Seen {
            deployment: Some(Arc::new(serde_json::from_value(deployment.clone()).unwrap())),
            ..Seen::default()
        };
        assert!(!go_on(&context, &seen(&paused)).await.unwrap());
        paused["spec"]["paused"] = json!(true);
        assert!(go_on(&context, &seen(&paused)).await.unwrap());
        let body = &scenario.finish()[0];
        assert_eq!((&body["spec"], &body["metadata"]["uid"]), (&json!({"paused": false}), &json!("1")));
    }

    #[tokio::test]
    async fn the_autoscaler_is_handed_the_number_of_pods_unless_it_has_changed_it_meanwhile() {
        let hold = format!("PATCH {PATH}?&force=true&fieldManager={HANDOVER}");
        let (scenario, context, _) =
            Scenario::of(vec![Call::ok(&hold, deployment(7, "10")), Call::refused(&hold, 409, "changed")]);
        let cached = serde_json::from_value(deployment(7, "9")).unwrap();
        let seen = Seen { deployment: Some(Arc::new(cached)), ..Seen::default() };
        hand_over_replicas(&context, &seen).await.unwrap();
        assert_eq!(hand_over_replicas(&context, &seen).await.unwrap_err().retry(), Retry::Backoff);
        let body = &scenario.finish()[0];
        assert_eq!((&body["spec"]["replicas"], &body["metadata"]["resourceVersion"]), (&json!(7), &json!("9")));
    }
}
