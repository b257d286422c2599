//! Volumes that grow where their storage class can, and say so where it cannot.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kubekit::{Lives, Space, eventually};
use serde_json::{Value, json};

use crate::setup::{cluster, program};

const CLAIM: &str = "data-green-postgres-0";

/// A storage class of a test's own. It goes with the control plane.
struct Class {
    api: Api<StorageClass>,
    name: String,
}

impl Class {
    async fn new(space: &Space<'_>, grows: bool) -> Self {
        let api: Api<StorageClass> = Api::all(space.cluster().admin());
        let name = format!("{}-disks", space.name());
        let class = json!({
            "metadata": {"name": name}, "provisioner": "example.com/disks", "allowVolumeExpansion": grows,
        });
        api.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
        Self { api, name }
    }

    async fn can_grow(&self) {
        let grows = Patch::Merge(json!({"allowVolumeExpansion": true}));
        self.api.patch(&self.name, &PatchParams::default(), &grows).await.unwrap();
    }

    fn database(&self, size: &str) -> Value {
        let storage = json!({"size": size, "className": self.name});
        json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
            // There is no server behind the name that pods would have: one that never starts is not asked for anything.
            "spec": {"managed": {"storage": storage, "image": "registry.example/postgres:broken"}},
        })
    }
}

/// A server of this size, whose volume is bound.
async fn settled(space: &Space<'_>, class: &Class, size: &str) -> kubekit::Operator {
    let operator = space.operator(program(), None).await;
    space.apply(&class.database(size)).await;
    until_storage_is(space, "True", "AllReady").await;
    operator
}

async fn until_storage_is(space: &Space<'_>, status: &str, reason: &str) {
    eventually(&format!("StorageReady to be {status} for {reason}"), || async {
        let object = space.get("StoreDatabase", "green").await.unwrap_or_default();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| {
            condition["type"] == "StorageReady"
                && condition["status"] == status
                && condition["reason"] == reason
                && condition["observedGeneration"] == object["metadata"]["generation"]
        })
    })
    .await;
}

async fn size(space: &Space<'_>) -> Value {
    space.get("PersistentVolumeClaim", CLAIM).await.unwrap_or_default()["spec"]["resources"]["requests"]["storage"]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_grows_with_its_spec_and_nothing_that_holds_data_is_made_anew() {
    let space = cluster().await.space().await;
    let class = Class::new(&space, true).await;
    let _operator = settled(&space, &class, "1Gi").await;
    let uid = async |kind, name| space.get(kind, name).await.unwrap()["metadata"]["uid"].clone();
    let before = [uid("PersistentVolumeClaim", CLAIM).await, uid("StatefulSet", "green-postgres").await];
    let mark = space.cluster().audit().mark();

    space.apply(&class.database("3Gi")).await;

    eventually("the claim to ask for more", || async { size(&space).await == json!("3Gi") }).await;
    until_storage_is(&space, "True", "AllReady").await;
    assert_eq!([uid("PersistentVolumeClaim", CLAIM).await, uid("StatefulSet", "green-postgres").await], before);
    assert!(space.lives(mark).values().all(|lives| *lives == Lives { created: 0, deleted: 0 }));

    // Sizes only grow: what cannot be is told, and nothing changes.
    space.apply(&class.database("2Gi")).await;
    until_storage_is(&space, "False", "SpecInvalid").await;
    assert_eq!(size(&space).await, json!("3Gi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_whose_class_cannot_grow_is_told_and_grows_once_it_can() {
    let space = cluster().await.space().await;
    let class = Class::new(&space, false).await;
    let _operator = settled(&space, &class, "1Gi").await;

    space.apply(&class.database("3Gi")).await;

    until_storage_is(&space, "False", "VolumeExpansionUnsupported").await;
    assert_eq!(size(&space).await, json!("1Gi"));
    class.can_grow().await;
    until_storage_is(&space, "True", "AllReady").await;
    assert_eq!(size(&space).await, json!("3Gi"));
}
