//! Deleting children: only what was seen, and only as long as it is still unwanted.

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Preconditions, PropagationPolicy},
};

use super::{ApplyError, Context, metrics, names::describe, namespace, untyped::objects};

/// Deletes a child that `owner` no longer wants. Returns whether it did.
///
/// The object that was seen is deleted and no other: that a newer one has its name is a conflict. And each watch is late in
/// its own way, so the child may be of today while the owner is of yesterday: the API server is asked whether the owner is
/// still described as it was when this was decided. If it is not, its own watch will tell.
pub(crate) async fn delete<O, K>(context: &Context, owner: &O, seen: &K) -> Result<bool, ApplyError>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    delete_where(context, owner, seen, Preconditions { uid: seen.uid(), resource_version: None }).await
}

/// The same for a child whose state decided it: it is deleted only if nothing has become of it since it was seen.
pub(crate) async fn delete_as_seen<O, K>(context: &Context, owner: &O, seen: &K) -> Result<bool, ApplyError>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let exactly = Preconditions { uid: seen.uid(), resource_version: seen.resource_version() };
    delete_where(context, owner, seen, exactly).await
}

async fn delete_where<O, K>(
    context: &Context,
    owner: &O,
    seen: &K,
    preconditions: Preconditions,
) -> Result<bool, ApplyError>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if seen.meta().deletion_timestamp.is_some() || !is_as_described(context, owner).await? {
        return Ok(false);
    }
    let object = describe(seen);
    let api = objects::<K>(&context.client, namespace(seen));
    let params = DeleteParams {
        preconditions: Some(preconditions),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api.delete(&seen.name_any(), &params).await {
        Ok(_) => {
            metrics::wrote(&K::kind(&()), "delete");
            context.written.note("delete", &object);
            tracing::info!(child = object, why = "it is no longer wanted", "deleted");
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(source) => Err(ApplyError::Write { verb: "delete", object, source: Box::new(source) }),
    }
}

/// Whether the API server holds the same object, at the same generation. What cannot be undone is asked for right before.
pub(crate) async fn is_as_described<O>(context: &Context, owner: &O) -> Result<bool, ApplyError>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api = objects::<O>(&context.client, namespace(owner));
    let read = |source| ApplyError::Read { object: describe(owner), source: Box::new(source) };
    let live = api.get_metadata_opt(&owner.name_any()).await.map_err(read)?;
    let known = owner.meta();
    Ok(live.is_some_and(|live| live.metadata.uid == known.uid && live.metadata.generation == known.generation))
}

#[cfg(test)]
mod tests {
    use api::{Reason, StoreService};
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::framework::{
        ReconcileError as _,
        error::is_conflict,
        scenario::{Call, Scenario, still},
    };

    const PATH: &str = "/api/v1/namespaces/shop/configmaps/routes";
    const OWNER: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/storeservices/gateway";

    fn owner(uid: &str, generation: i64) -> StoreService {
        let metadata = json!({"name": "gateway", "namespace": "shop", "uid": uid, "generation": generation});
        let spec = json!({"store": "green", "image": "x:1"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn gone() -> Value {
        json!({"apiVersion": "v1", "kind": "Status", "status": "Success"})
    }

    async fn delete_with(calls: Vec<Call>) -> (Result<bool, ApplyError>, Vec<Value>) {
        let (scenario, context, _) = Scenario::of(calls);
        let seen = json!({"metadata": {"name": "routes", "namespace": "shop", "uid": "7"}});
        let seen: ConfigMap = serde_json::from_value(seen).unwrap();
        let result = delete(&context, &owner("1", 3), &seen).await;
        (result, scenario.finish())
    }

    #[tokio::test]
    async fn only_the_object_that_was_seen_is_deleted() {
        let (deleted, bodies) =
            delete_with(vec![still(OWNER, &owner("1", 3)), Call::ok(format!("DELETE {PATH}?"), gone())]).await;
        assert!(deleted.unwrap());
        assert_eq!(bodies[1]["preconditions"]["uid"], "7");
        let replaced = Call::refused(format!("DELETE {PATH}?"), 409, "the UID in the precondition differs");
        let (deleted, _) = delete_with(vec![still(OWNER, &owner("1", 3)), replaced]).await;
        assert!(is_conflict(&deleted.unwrap_err()));
    }

    #[tokio::test]
    async fn nothing_is_deleted_for_an_owner_that_is_described_anew() {
        for today in [owner("1", 4), owner("2", 3)] {
            let (deleted, _) = delete_with(vec![still(OWNER, &today)]).await;
            assert!(!deleted.unwrap());
        }
        let (deleted, _) = delete_with(vec![Call::refused(format!("GET {OWNER}"), 404, "not found")]).await;
        assert!(!deleted.unwrap());
        let (deleted, _) = delete_with(vec![Call::refused(format!("GET {OWNER}"), 500, "not now")]).await;
        assert_eq!(deleted.unwrap_err().reason(), Reason::ReadFailed);
    }
}
