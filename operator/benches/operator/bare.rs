//! A client that makes the operator's writes and does nothing else: it knows beforehand what to write.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::apps::v1::Deployment, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use kubekit::{Cluster, Space};
use serde_json::{Value, json};

use crate::{
    changes::{DEPLOYMENT, marked},
    shops::NAME,
    watch::{Deployments, MARK, Telling},
};

/// A group of resources that no operator looks after.
const GROUP: &str = "bare.example";
const MANAGER: &str = "bare";

/// Copies of a Store, of one of its services and of its Deployment.
pub(crate) struct Bare<'a> {
    space: Space<'a>,
    store: Api<DynamicObject>,
    service: Copied,
    deployment: Copied,
}

/// An object as it is written, and where.
struct Copied {
    api: Api<DynamicObject>,
    object: Value,
}

impl<'a> Bare<'a> {
    /// Copies what is of the store in `shop`.
    pub(crate) async fn copy(cluster: &'a Cluster, shop: &Space<'_>) -> Self {
        let kinds = [copied_kind("Store"), copied_kind("StoreService")];
        cluster.install(&kinds).await;
        let space = cluster.space().await;
        let [stores, services] = kinds.map(|kind| ours(cluster, &space, &kind));
        let deployments = Api::namespaced_with(cluster.admin(), space.name(), &ApiResource::erase::<Deployment>(&()));
        let store = copy(shop, "Store", NAME).await;
        let write = PatchParams::apply(MANAGER).force();
        stores.patch(NAME, &write, &Patch::Apply(&store)).await.expect("a Store can be copied");
        let service = Copied { api: services, object: copy(shop, "StoreService", DEPLOYMENT).await };
        service.write(&service.object).await;
        // A write of an object costs the more the more it says.
        for (api, name, kind) in [(&stores, NAME, "Store"), (&service.api, DEPLOYMENT, "StoreService")] {
            let status = status(shop, kind, name).await;
            api.patch_status(name, &write, &Patch::Apply(&status)).await.expect("a status can be copied");
        }
        let deployment = Copied { api: deployments, object: copy(shop, "Deployment", DEPLOYMENT).await };
        Self { space, store: stores, service, deployment }
    }

    /// Changes the Store, then the service, then the Deployment, each once the one before is written.
    pub(crate) async fn change(&self, seen: &Deployments, mark: &str) -> Duration {
        let (service, deployment) = (self.service.with(&["spec"], mark), self.deployment.with(POD, mark));
        let begun = Instant::now();
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let change = Patch::Merge(marked(mark));
        self.store.patch(NAME, &params, &change).await.expect("a Store is written");
        self.service.write(&service).await;
        self.deployment.write(&deployment).await;
        let is_marked = |it: &Telling| it.mark.as_deref() == Some(mark);
        let told = seen.first(self.space.name(), DEPLOYMENT, begun, is_marked).await;
        // What follows from this change is not to burden the next.
        seen.first(self.space.name(), DEPLOYMENT, told, |it| is_marked(it) && it.settled).await;
        told - begun
    }
}

/// Where the pods of a Deployment have their variables.
const POD: &[&str] = &["spec", "template", "spec", "containers"];

impl Copied {
    /// The object with the mark among its variables.
    fn with(&self, place: &[&str], mark: &str) -> Value {
        let mut object = self.object.clone();
        let mut holder = place.iter().fold(&mut object, |part, key| &mut part[*key]);
        if let Value::Array(containers) = holder {
            holder = &mut containers[0];
        }
        let variables = holder["env"].as_array_mut().expect("a service has variables");
        variables.retain(|variable| variable["name"] != MARK);
        variables.push(json!({"name": MARK, "value": mark}));
        object
    }

    async fn write(&self, object: &Value) {
        let params = PatchParams::apply(MANAGER).force();
        self.api.patch_metadata(DEPLOYMENT, &params, &Patch::Apply(object)).await.expect("a copy is written");
    }
}

/// The operator's own definition under the other group.
fn copied_kind(kind: &str) -> CustomResourceDefinition {
    let mut crd = api::crds().into_iter().find(|crd| crd.spec.names.kind == kind).expect("a kind of the operator's");
    crd.metadata.name = Some(format!("{}.{GROUP}", crd.spec.names.plural));
    GROUP.clone_into(&mut crd.spec.group);
    (crd.spec.names.short_names, crd.spec.names.categories) = (None, None);
    crd
}

fn ours(cluster: &Cluster, space: &Space<'_>, crd: &CustomResourceDefinition) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(GROUP, &crd.spec.versions[0].name, &crd.spec.names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &crd.spec.names.plural);
    Api::namespaced_with(cluster.admin(), space.name(), &resource)
}

/// What somebody would write of an object. Without labels, so that the operator does not see the Deployment.
async fn copy(shop: &Space<'_>, kind: &str, name: &str) -> Value {
    let mut object = shop.get(kind, name).await.expect("the operator made it");
    object["metadata"] = json!({"name": name});
    object.as_object_mut().expect("an object").remove("status");
    elsewhere(object)
}

/// The status of an object, as it is written.
async fn status(shop: &Space<'_>, kind: &str, name: &str) -> Value {
    let mut object = shop.get(kind, name).await.expect("the operator made it");
    object["metadata"] = json!({"name": name});
    object.as_object_mut().expect("an object").remove("spec");
    elsewhere(object)
}

/// The object in the group that no operator looks after, if it is of ours.
fn elsewhere(mut object: Value) -> Value {
    if let Some((group, version)) = object["apiVersion"].as_str().and_then(|version| version.split_once('/'))
        && group == api::GROUP
    {
        object["apiVersion"] = json!(format!("{GROUP}/{version}"));
    }
    object
}
