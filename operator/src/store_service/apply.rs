//! Step 4: writing what differs.

use api::{ANNOTATION_APPLIED, StoreService, StoreTopic};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{build::Children, dereference::Seen};
use crate::framework::{ApplyError, Context, apply as apply_child, delete, namespace, objects};

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
    Ok(wrote)
}

fn same_name(one: &StoreTopic, other: &StoreTopic) -> bool {
    one.metadata.name == other.metadata.name
}

/// When the operator stops owning `replicas`, the API server would set it to its default of one. Another field manager
/// holds the present number until the autoscaler takes it over.
async fn hand_over_replicas(context: &Context, seen: &Seen) -> Result<(), ApplyError> {
    let Some(deployment) = &seen.deployment else { return Ok(()) };
    let replicas = deployment.spec.replicas.unwrap_or(1);
    if replicas <= 1 || !deployment.annotations().contains_key(ANNOTATION_APPLIED) {
        return Ok(());
    }
    let api = objects::<Deployment>(&context.client, namespace(&**deployment));
    let hold = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment.name_any(), "uid": deployment.uid()},
        "spec": {"replicas": replicas},
    });
    api.patch_metadata(&deployment.name_any(), &PatchParams::apply(HANDOVER).force(), &Patch::Apply(&hold))
        .await
        .map_err(|source| ApplyError::Write {
            verb: "hand over the replicas of",
            object: format!("Deployment {}/{}", namespace(&**deployment), deployment.name_any()),
            source: Box::new(source),
        })?;
    Ok(())
}
