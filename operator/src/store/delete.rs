//! The end of a Store: its data stays or goes, as its policy says.

use api::{DeletionPolicy, Store};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::{error::StoreError, names::Names};
use crate::framework::{Context, delete as delete_child, namespace, remove_finalizer};

/// Deletes the claims of the broker and the cache if the policy says so, then lets the Store go. What it owns goes with
/// it; its StoreDatabase has the same policy and honours it itself.
///
/// A claim vanishes once its pod has: Kubernetes protects claims in use.
pub(super) async fn delete(context: &Context, store: &Store) -> Result<(), StoreError> {
    if store.spec.deletion_policy == DeletionPolicy::Delete {
        let names = Names::new(&store.name_any());
        for claim in [names.kafka(), names.cache()] {
            if let Some(claim) = context.cache.get::<PersistentVolumeClaim>(namespace(store), &claim) {
                delete_child(context, &*claim).await?;
            }
        }
    }
    remove_finalizer(context, store).await?;
    Ok(())
}
