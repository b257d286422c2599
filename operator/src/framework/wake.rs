//! Which objects to reconcile when something changes.

use std::collections::BTreeSet;

use api::{Store, StoreDatabase, StoreService, StoreTopic, label};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::namespace;

/// An object to reconcile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wake {
    /// Kind of the object, for example `Store`.
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Wake {
    pub(crate) fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self { kind: K::kind(&()).into_owned(), namespace: namespace(object).to_owned(), name: object.name_any() }
    }

    /// The objects that a change of a child concerns: its owners, and those its labels name where it has no owner
    /// of ours (pods are owned by workloads, data by nobody).
    pub(crate) fn owners<K: Resource>(child: &K) -> BTreeSet<Self> {
        let here = namespace(child);
        let wake =
            |kind: &str, name: &str| Self { kind: kind.to_owned(), namespace: here.to_owned(), name: name.to_owned() };
        let owners: BTreeSet<Self> = child
            .owner_references()
            .iter()
            .filter(|owner| owner.api_version.split_once('/').is_some_and(|(group, _)| group == api::GROUP))
            .map(|owner| wake(&owner.kind, &owner.name))
            .collect();
        if !owners.is_empty() {
            return owners;
        }
        [(label::SERVICE, "StoreService"), (label::DATABASE, "StoreDatabase"), (label::STORE, "Store")]
            .into_iter()
            .find_map(|(key, kind)| child.labels().get(key).map(|name| wake(kind, name)))
            .into_iter()
            .collect()
    }
}

/// The way to the controllers: one queue each.
#[derive(Clone)]
pub(crate) struct Queues {
    stores: UnboundedSender<ObjectRef<Store>>,
    services: UnboundedSender<ObjectRef<StoreService>>,
    databases: UnboundedSender<ObjectRef<StoreDatabase>>,
    topics: UnboundedSender<ObjectRef<StoreTopic>>,
}

/// The controllers' ends of the queues.
pub(crate) struct Receivers {
    pub(crate) stores: UnboundedReceiver<ObjectRef<Store>>,
    pub(crate) services: UnboundedReceiver<ObjectRef<StoreService>>,
    pub(crate) databases: UnboundedReceiver<ObjectRef<StoreDatabase>>,
    pub(crate) topics: UnboundedReceiver<ObjectRef<StoreTopic>>,
}

impl Queues {
    pub(crate) fn new() -> (Self, Receivers) {
        let (stores, store_receiver) = unbounded_channel();
        let (services, service_receiver) = unbounded_channel();
        let (databases, database_receiver) = unbounded_channel();
        let (topics, topic_receiver) = unbounded_channel();
        let receivers = Receivers {
            stores: store_receiver,
            services: service_receiver,
            databases: database_receiver,
            topics: topic_receiver,
        };
        (Self { stores, services, databases, topics }, receivers)
    }

    /// Queues objects.
    pub(crate) fn send_all(&self, wakes: &BTreeSet<Wake>) {
        for wake in wakes {
            self.send(wake);
        }
    }

    /// Queues an object. Kinds that no controller handles are ignored, as are wakes after the controllers stopped.
    fn send(&self, wake: &Wake) {
        match wake.kind.as_str() {
            "Store" => send(&self.stores, wake),
            "StoreService" => send(&self.services, wake),
            "StoreDatabase" => send(&self.databases, wake),
            "StoreTopic" => send(&self.topics, wake),
            _ => {}
        }
    }
}

fn send<K: Resource<DynamicType = ()>>(queue: &UnboundedSender<ObjectRef<K>>, wake: &Wake) {
    // The receiver is gone only while the process shuts down.
    let _ = queue.send(ObjectRef::new(&wake.name).within(&wake.namespace));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
    use kube::api::ObjectMeta;

    use super::*;
    use crate::framework::labels;

    fn pod(owners: Vec<OwnerReference>, pairs: [(&str, &str); 2]) -> Pod {
        Pod {
            metadata: ObjectMeta {
                namespace: Some("shop".to_owned()),
                owner_references: Some(owners),
                labels: Some(labels(pairs)),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        }
    }

    fn names(wakes: BTreeSet<Wake>) -> Vec<String> {
        wakes.into_iter().map(|wake| format!("{} {}/{}", wake.kind, wake.namespace, wake.name)).collect()
    }

    #[test]
    fn a_pod_of_a_service_wakes_the_service_and_not_the_store() {
        let pod = pod(vec![], [(label::STORE, "green"), (label::SERVICE, "green-catalog")]);
        assert_eq!(names(Wake::owners(&pod)), ["StoreService shop/green-catalog"]);
    }

    #[test]
    fn an_owner_of_our_group_comes_before_labels_and_foreign_owners_do_not_count() {
        let owner = |group: &str, kind: &str| OwnerReference {
            api_version: format!("{group}/v1alpha1"),
            kind: kind.to_owned(),
            name: "green".to_owned(),
            ..OwnerReference::default()
        };
        let pairs = [(label::STORE, "green"), (label::DATABASE, "green")];
        let of_topic = pod(vec![owner("apps", "StatefulSet"), owner(api::GROUP, "StoreTopic")], pairs);
        assert_eq!(names(Wake::owners(&of_topic)), ["StoreTopic shop/green"]);
        let foreign = pod(vec![owner("apps", "StatefulSet")], pairs);
        assert_eq!(names(Wake::owners(&foreign)), ["StoreDatabase shop/green"]);
    }
}
