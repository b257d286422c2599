//! Volumes that grow where their storage class can, and say so where it cannot; classes that come later, and what opens the
//! data in a volume.

use std::time::Instant;

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::PersistentVolumeClaim,
    storage::v1::StorageClass,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kubekit::{Lives, Space, eventually};
use serde_json::{Value, json};

use crate::{
    healing::{SOON, says},
    setup::{cluster, program},
    story::{END, rest},
};

const CLAIM: &str = "data-green-postgres-0";
const SUPERUSER: &str = "green-postgres-superuser";
/// On claims that have a volume, where others get none.
const PROVISIONED: &str = "example.com/provisioned";

/// A storage class of a test's own. It goes with the control plane.
struct Class {
    api: Api<StorageClass>,
    name: String,
}

impl Class {
    async fn new(space: &Space<'_>, grows: bool) -> Self {
        let class = Self::missing(space);
        class.create(grows).await;
        class
    }

    fn missing(space: &Space<'_>) -> Self {
        Self { api: Api::all(space.cluster().admin()), name: format!("{}-disks", space.name()) }
    }

    async fn create(&self, grows: bool) {
        let class = json!({
            "metadata": {"name": self.name}, "provisioner": "example.com/disks", "allowVolumeExpansion": grows,
        });
        self.api.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_does_not_exist_is_told_and_seen_within_seconds_of_being_made() {
    let space = cluster().await.space().await;
    keep_volumes_back(&space).await;
    let class = Class::missing(&space);
    let _operator = space.operator(program(), None).await;

    space.apply(&class.database("1Gi")).await;

    until_storage_is(&space, "False", "StorageClassMissing").await;
    rest(&space, END).await;
    let claim = space.get("PersistentVolumeClaim", CLAIM).await.unwrap();
    let (made, mark) = (Instant::now(), space.cluster().audit().mark());
    class.create(false).await;
    until_storage_is(&space, "False", "VolumePending").await;
    assert!(made.elapsed() < SOON, "it took {:?}", made.elapsed());

    space.edit("PersistentVolumeClaim", CLAIM, &json!({"metadata": {"labels": {PROVISIONED: "yes"}}})).await;
    until_storage_is(&space, "True", "AllReady").await;
    let bound = space.get("PersistentVolumeClaim", CLAIM).await.unwrap();
    assert_eq!((&bound["metadata"]["uid"], &bound["spec"]), (&claim["metadata"]["uid"], &claim["spec"]));
    assert!(space.lives(mark).is_empty(), "something was made anew: {:?}", space.lives(mark));
}

/// From now on no claim of the namespace gets a volume, unless it says that it has one.
async fn keep_volumes_back(space: &Space<'_>) {
    let (admin, params, name) = (space.cluster().admin(), PostParams::default(), format!("{}-volumes", space.name()));
    let bound = format!("has(object.metadata.labels) && '{PROVISIONED}' in object.metadata.labels");
    let policy = json!({
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name()}},
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
                    "resources": ["persistentvolumeclaims/status"],
                }],
            },
            "validations": [{"expression": bound}],
        },
    });
    let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(admin.clone());
    policies.create(&params, &serde_json::from_value(policy).unwrap()).await.unwrap();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(admin);
    bindings.create(&params, &serde_json::from_value(binding).unwrap()).await.unwrap();

    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "probe"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    space.apply(&claim).await;
    eventually("claims to get no volume", || async {
        let change = Patch::Merge(json!({"status": {"accessModes": ["ReadOnlyMany"]}}));
        let claims = space.api::<PersistentVolumeClaim>();
        claims.patch_status("probe", &PatchParams { dry_run: true, ..PatchParams::default() }, &change).await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_whose_secret_is_gone_is_told_and_is_not_made_anew_over_data() {
    let space = cluster().await.space().await;
    let class = Class::new(&space, true).await;
    let _operator = settled(&space, &class, "1Gi").await;
    rest(&space, END).await;
    let secret = space.get("Secret", SUPERUSER).await.unwrap();
    let mark = space.cluster().audit().mark();

    space.delete("Secret", SUPERUSER).await;

    says(&space, "StoreDatabase", "green", "CredentialsLost").await;
    // It is looked at again, and more than once.
    tokio::time::sleep(SOON).await;
    says(&space, "StoreDatabase", "green", "CredentialsLost").await;
    assert_eq!(space.get("Secret", SUPERUSER).await, None);

    let kept = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SUPERUSER}, "data": secret["data"],
    });
    let back = Instant::now();
    space.apply(&kept).await;
    eventually("the superuser to be known again", || async {
        let object = space.get("StoreDatabase", "green").await.unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap();
        conditions.iter().all(|condition| condition["reason"] != "CredentialsLost")
    })
    .await;
    assert!(back.elapsed() < SOON, "it took {:?}", back.elapsed());
    assert_eq!(space.get("Secret", SUPERUSER).await.unwrap()["data"], secret["data"]);
    assert!(space.lives(mark).is_empty(), "something was made anew: {:?}", space.lives(mark));
}
