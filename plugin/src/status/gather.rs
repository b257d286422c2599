//! Reads a store and what belongs to it.

use api::{Store, StoreDatabase, StoreService, StoreTopic, label};
use k8s_openapi::api::{apps::v1::StatefulSet, events::v1::Event};
use kube::ResourceExt as _;

use crate::{cluster::Cluster, error::cause};

/// A store, its parts and what happened to them.
pub(crate) struct Gathered {
    pub(crate) store: Store,
    pub(crate) databases: Vec<StoreDatabase>,
    pub(crate) topics: Vec<StoreTopic>,
    pub(crate) services: Vec<StoreService>,
    pub(crate) servers: Vec<StatefulSet>,
    pub(crate) events: Vec<Event>,
    /// What could not be read, and why.
    pub(crate) unreadable: Vec<String>,
}

/// Reads everything at once. What cannot be read is noted.
pub(crate) async fn gather(cluster: &Cluster, store: Store) -> Gathered {
    let name = store.name_any();
    let labels = format!("{}={name}", label::STORE);
    let mut notes: [Vec<String>; 5] = Default::default();
    let [of_databases, of_topics, of_services, of_servers, of_events] = &mut notes;
    let (databases, topics, services, servers, events) = futures::join!(
        cluster.list::<StoreDatabase>(&labels, of_databases),
        cluster.list::<StoreTopic>(&labels, of_topics),
        services(cluster, &name, of_services),
        cluster.list::<StatefulSet>(&labels, of_servers),
        cluster.list::<Event>("", of_events),
    );
    Gathered { databases, topics, services, servers, events, store, unreadable: notes.concat() }
}

async fn services(cluster: &Cluster, store: &str, unreadable: &mut Vec<String>) -> Vec<StoreService> {
    let (found, notes) = match cluster.services_of(store).await {
        Ok(read) => read,
        Err(error) => (Vec::new(), vec![format!("storeservices: {}", cause(&error))]),
    };
    unreadable.extend(notes);
    found
}
