//! The end of a Store: its data stays or goes, as its policy says.

use std::sync::Arc;

use api::{ANNOTATION_STORE_UID, DeletionPolicy, Store, StoreDatabase, StoreTopic, label};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::PersistentVolumeClaim};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    error::StoreError,
    names::{Names, TOPICS},
};
use crate::framework::{
    ApplyError, Context, delete as delete_child, goes_with_its_namespace, has_finalizer, namespace, objects,
    remove_finalizer, with_finalizer,
};

/// Deletes the claims of the broker and the cache if the policy says so, then lets the Store go. What it owns goes with
/// it; its StoreDatabase, and its topics on somebody else's brokers, get the same policy and honour it themselves. A Store
/// without a finalizer is not seen here: its data stays, and its children have been told so.
///
/// A claim vanishes once its pod has: Kubernetes protects claims in use.
pub(super) async fn delete(context: &Context, store: &Store) -> Result<(), StoreError> {
    // One that never got so far has no data, and what bears its name is another's.
    if !has_finalizer(store) {
        return Ok(());
    }
    match remove_data(context, store).await {
        Err(error) if !goes_with_its_namespace(context, store, &error).await => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    remove_finalizer(context, store).await?;
    Ok(())
}

async fn remove_data(context: &Context, store: &Store) -> Result<(), ApplyError> {
    if store.spec.deletion_policy == DeletionPolicy::Delete {
        let names = Names::new(&store.name_any());
        for name in [names.kafka(), names.cache()] {
            if let Some(claim) = claim(context, store, &name).await? {
                delete_child(context, store, &claim).await?;
            }
        }
    }
    let (space, name) = (namespace(store), store.name_any());
    if let Some(database) = context.cache.get::<StoreDatabase>(space, &name) {
        hand_down_policy(context, store, &*database, database.spec.deletion_policy).await?;
    }
    if store.spec.kafka.external.is_some() {
        for topic in TOPICS.iter().filter_map(|topic| context.cache.get(space, &Names::new(&name).topic(topic))) {
            let topic: Arc<StoreTopic> = topic;
            hand_down_policy(context, store, &*topic, topic.spec.deletion_policy).await?;
        }
    }
    Ok(())
}

/// The policy may have been changed a moment before the Store was deleted. A child that is to take its data along must not
/// go before it has been seen to: it may not have held itself back yet.
async fn hand_down_policy<K>(
    context: &Context,
    store: &Store,
    child: &K,
    held: DeletionPolicy,
) -> Result<(), ApplyError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let policy = store.spec.deletion_policy;
    // A finalizer cannot be added to an object that is being deleted.
    let leaves = child.meta().deletion_timestamp.is_some();
    let hold_back = policy == DeletionPolicy::Delete && !has_finalizer(child) && !leaves;
    if held == policy && !hold_back {
        return Ok(());
    }
    let (space, name) = (namespace(store), child.name_any());
    let api = objects::<K>(&context.client, space);
    let metadata = if hold_back { with_finalizer(child) } else { json!({"uid": child.uid()}) };
    let patch = json!({"metadata": metadata, "spec": {"deletionPolicy": policy}});
    match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        Err(source) => Err(ApplyError::Write {
            verb: "hand the deletion policy down to",
            object: format!("{} {space}/{name}", K::kind(&())),
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
    // A claim of that name that is not the store's is nobody's business here. Nor is that of a former store, as long as
    // its data has not been taken up: with that the claim gets the new uid.
    let of_this = |claim: &PersistentVolumeClaim| {
        let (label, uid) = (claim.labels().get(label::STORE), claim.annotations().get(ANNOTATION_STORE_UID));
        label == Some(&store.name_any()) && uid.is_some() && uid == store.metadata.uid.as_ref()
    };
    Ok(found.filter(of_this))
}
