//! The end of a Store: its data stays or goes, as its policy says.

use api::{DeletionPolicy, Store, StoreDatabase};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{error::StoreError, names::Names};
use crate::framework::{ApplyError, Context, delete as delete_child, namespace, remove_finalizer};

/// Deletes the claims of the broker and the cache if the policy says so, then lets the Store go. What it owns goes with
/// it; its StoreDatabase gets the same policy and honours it itself.
///
/// A claim vanishes once its pod has: Kubernetes protects claims in use.
pub(super) async fn delete(context: &Context, store: &Store) -> Result<(), StoreError> {
    if store.spec.deletion_policy == DeletionPolicy::Delete {
        let names = Names::new(&store.name_any());
        for name in [names.kafka(), names.cache()] {
            if let Some(claim) = claim(context, store, &name).await? {
                delete_child(context, &claim).await?;
            }
        }
    }
    hand_down_policy(context, store).await?;
    remove_finalizer(context, store).await?;
    Ok(())
}

/// The policy may have been changed a moment before the Store was deleted.
async fn hand_down_policy(context: &Context, store: &Store) -> Result<(), ApplyError> {
    let (space, name) = (namespace(store), store.name_any());
    let Some(database) = context.cache.get::<StoreDatabase>(space, &name) else { return Ok(()) };
    if database.spec.deletion_policy == store.spec.deletion_policy {
        return Ok(());
    }
    let api: Api<StoreDatabase> = Api::namespaced(context.client.clone(), space);
    let patch = json!({"metadata": {"uid": database.uid()}, "spec": {"deletionPolicy": store.spec.deletion_policy}});
    match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        Err(source) => Err(ApplyError::Write {
            verb: "hand the deletion policy down to",
            object: format!("StoreDatabase {space}/{name}"),
            source: Box::new(source),
        }),
    }
}

/// Asks the API server: a claim that was made a moment ago may not be in the cache yet, and would be left for ever.
async fn claim(context: &Context, store: &Store, name: &str) -> Result<Option<PersistentVolumeClaim>, ApplyError> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), namespace(store));
    let found = api.get_opt(name).await.map_err(|source| ApplyError::Read {
        object: format!("PersistentVolumeClaim {}/{name}", namespace(store)),
        source: Box::new(source),
    })?;
    // A claim of that name that is not the store's is nobody's business here.
    Ok(found.filter(|claim| claim.labels().get(api::label::STORE) == Some(&store.name_any())))
}
