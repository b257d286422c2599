//! Having refused pods tried again as soon as they may be let in.
//!
//! A workload's controller that is refused its pods tries again after waits that double, up to 17 minutes. A change of the
//! workload makes it try at once, so a note on it says for which occasion that was done last.

use api::Reason;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, DeploymentStatus},
        core::v1::ResourceQuota,
    },
};
use kube::{
    Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::{Value, json};

use super::AGAIN;
use crate::framework::{ApplyError, Context, chain, content_hash, describe, namespace, objects};

/// On a workload whose pods are refused: the occasion on which they were last tried again.
const ANNOTATION_TRIED: &str = "greencommerce.dev/tried";

/// Whether an object that gives this reason may have pods that are refused.
pub(crate) fn may_wait(reason: Reason) -> bool {
    matches!(reason, Reason::PodsRefused | Reason::ProgressDeadlineExceeded)
}

/// In which words the API server refuses a Deployment's pods: a quota, Pod Security, a missing service account.
pub(crate) fn of_deployment(status: &DeploymentStatus) -> Option<&str> {
    let conditions = status.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|found| found.type_.as_deref() == Some("ReplicaFailure") && found.status.as_deref() == Some("True"))?;
    Some(failure.message.as_deref().unwrap_or("no reason is given"))
}

/// The same of a Deployment as a watch saw it.
pub(crate) fn is_refused(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(of_deployment).is_some()
}

/// Has the pods of a workload tried again, unless that was done on the present occasion. A Deployment hands what is noted on
/// it down to its `ReplicaSet`. That is a help and no more: where it fails, the next look does it.
pub(crate) async fn try_again<K>(context: &Context, workload: &K)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if let Err(error) = tried_again(context, workload).await {
        tracing::warn!(workload = describe(workload), error = chain(&error), "cannot have refused pods tried again");
    }
}

async fn tried_again<K>(context: &Context, workload: &K) -> Result<(), ApplyError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (space, name) = (namespace(workload), workload.name_any());
    let occasion = occasion(context, space).await?;
    if workload.annotations().get(ANNOTATION_TRIED) == Some(&occasion) {
        return Ok(());
    }
    let note = json!({"metadata": {"uid": workload.uid(), "annotations": {ANNOTATION_TRIED: occasion}}});
    let api = objects::<K>(&context.client, space);
    match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&note)).await {
        Ok(_) => {
            tracing::info!(workload = describe(workload), why = "its pods were refused", "has its pods tried again");
        }
        // It is gone, or another one has its name.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
        Err(source) => {
            let (verb, object) = ("have the pods tried again of", describe(workload));
            return Err(ApplyError::Write { verb, object, source: Box::new(source) });
        }
    }
    Ok(())
}

/// What the quotas of the namespace leave, and the minute: what else refuses pods, such as a webhook, tells nobody when it
/// no longer does.
async fn occasion(context: &Context, space: &str) -> Result<String, ApplyError> {
    let list = objects::<ResourceQuota>(&context.client, space).list(&ListParams::default()).await;
    let read = |source| ApplyError::Read { object: format!("the quotas of {space}"), source: Box::new(source) };
    let quotas = list.map_err(read)?;
    let room: Vec<String> = quotas.items.iter().map(room).collect();
    let period = context.clock.now().as_second() / i64::try_from(AGAIN.as_secs()).unwrap_or(i64::MAX);
    Ok(format!("{}-{period}", content_hash(room.iter().map(String::as_bytes))))
}

/// What a quota allows and what of it is used, as far as pods are concerned: a try that fails must not be the occasion of the
/// next, and it leaves an event behind, of which a quota may keep count as well.
fn room(quota: &DynamicObject) -> String {
    let of_pods = |amounts: &Value| -> Vec<String> {
        let amounts = amounts.as_object().into_iter().flatten();
        let relevant = amounts.filter(|(what, _)| !what.starts_with("count/") || *what == "count/pods");
        relevant.map(|(what, amount)| format!("{what}={amount}")).collect()
    };
    let [spec, status] = [&quota.data["spec"], &quota.data["status"]];
    let parts = [&spec["hard"], &status["hard"], &status["used"]].map(of_pods);
    format!("{} {} {parts:?}", quota.name_any(), spec["scopeSelector"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::scenario::{Call, Scenario};

    const QUOTAS: &str = "GET /api/v1/namespaces/shop/resourcequotas?";
    const LINE: &str = "PATCH /apis/apps/v1/namespaces/shop/deployments/green-cart?";

    fn quotas(used: &Value) -> Call {
        let hard = json!({"pods": "1"});
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods", "namespace": "shop"},
            "spec": {"hard": hard}, "status": {"hard": hard, "used": used},
        });
        Call::ok(QUOTAS, json!({"apiVersion": "v1", "kind": "ResourceQuotaList", "metadata": {}, "items": [quota]}))
    }

    fn deployment(tried: Option<&str>) -> Deployment {
        let annotations = tried.map(|occasion| json!({ANNOTATION_TRIED: occasion}));
        serde_json::from_value(json!({
            "metadata": {"name": "green-cart", "namespace": "shop", "uid": "7", "annotations": annotations},
            "spec": {"selector": {}, "template": {}},
        }))
        .unwrap()
    }

    /// The occasion that is noted on a Deployment, if it is another than `tried`.
    async fn noted(tried: Option<&str>, used: &Value, answer: Option<Call>) -> Option<String> {
        let writes = answer.is_some();
        let (scenario, context, _) = Scenario::of([quotas(used)].into_iter().chain(answer).collect());
        try_again(&context, &deployment(tried)).await;
        let bodies = scenario.finish();
        let occasion = || bodies[1]["metadata"]["annotations"][ANNOTATION_TRIED].as_str().unwrap().to_owned();
        writes.then(occasion)
    }

    fn done() -> Call {
        let kind = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"});
        Call::ok(LINE, kind)
    }

    #[tokio::test]
    async fn pods_are_tried_again_once_for_each_state_of_the_quotas() {
        let (full, free) = (json!({"pods": "1"}), json!({"pods": "0"}));
        // Unless a minute ends right here.
        let occasion = noted(None, &full, Some(done())).await.unwrap();
        let (state, _) = occasion.split_once('-').unwrap();
        assert!(noted(Some(&occasion), &free, Some(done())).await.is_some_and(|now| !now.starts_with(state)));
        let of_events = json!({"pods": "1", "count/events": "7"});
        assert!(noted(Some("another"), &of_events, Some(done())).await.is_some_and(|now| now.starts_with(state)));
    }

    #[tokio::test]
    async fn on_the_same_occasion_nothing_is_written() {
        let used = json!({"pods": "1"});
        let mut occasion = noted(None, &used, Some(done())).await.unwrap();
        let (scenario, context, _) = Scenario::of(vec![quotas(&used)]);
        let (state, _) = occasion.split_once('-').unwrap();
        occasion = format!("{state}-{}", context.clock.now().as_second() / 60);
        try_again(&context, &deployment(Some(&occasion))).await;
        scenario.finish();
    }

    #[tokio::test]
    async fn quotas_that_cannot_be_read_keep_nobody_from_going_on() {
        let (scenario, context, _) = Scenario::of(vec![Call::refused(QUOTAS, 403, "forbidden")]);
        try_again(&context, &deployment(None)).await;
        scenario.finish();
    }

    #[tokio::test]
    async fn a_workload_that_is_gone_needs_no_pods() {
        let gone = Some(Call::refused(LINE, 404, "not found"));
        let (scenario, context, _) = Scenario::of([quotas(&json!({}))].into_iter().chain(gone).collect());
        try_again(&context, &deployment(None)).await;
        scenario.finish();
    }
}
