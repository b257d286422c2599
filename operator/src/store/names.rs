//! Names of a store's objects. They are what users see and what services are configured with. Pure.

use api::ServiceName;

pub(super) use crate::network::table::has_database;

/// The topics of a store.
pub(super) const TOPICS: [&str; 5] =
    ["user.events", "catalog.events", "inventory.events", "order.events", "dead.letters"];

/// Names of the objects of one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    store: String,
}

impl Names {
    pub(super) fn new(store: &str) -> Self {
        Self { store: store.to_owned() }
    }

    /// The store, and its StoreDatabase.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// StoreService, and with it Deployment, Service and what else a service has.
    pub(super) fn service(&self, service: ServiceName) -> String {
        format!("{}-{}", self.store, service.as_str())
    }

    /// The policy that closes every pod.
    pub(super) fn closed(&self) -> String {
        format!("{}-default-deny", self.store)
    }

    /// The policy of migrations.
    pub(super) fn migrations(&self) -> String {
        format!("{}-migrate", self.store)
    }

    /// Secret with the address of a service's database.
    pub(super) fn database_secret(&self, service: ServiceName) -> String {
        format!("{}-{}-database", self.store, service.as_str())
    }

    /// Job that migrates a service's database; `hash` tells one from another.
    pub(super) fn migration(&self, service: ServiceName, hash: &str) -> String {
        format!("{}-{}-migrate-{}", self.store, service.as_str(), &hash[..hash.len().min(10)])
    }

    pub(super) fn kafka(&self) -> String {
        format!("{}-kafka", self.store)
    }

    /// The Service that gives the broker's pod a name of its own.
    pub(super) fn kafka_nodes(&self) -> String {
        format!("{}-kafka-nodes", self.store)
    }

    pub(super) fn cache(&self) -> String {
        format!("{}-cache", self.store)
    }

    /// The Service that gives the cache's pod a name of its own.
    pub(super) fn cache_nodes(&self) -> String {
        format!("{}-cache-nodes", self.store)
    }

    /// ConfigMap with the gateway's routes.
    pub(super) fn routes(&self) -> String {
        format!("{}-gateway-routes", self.store)
    }

    /// StoreTopic of a Kafka topic, whose dots no object name of ours may have.
    pub(super) fn topic(&self, topic: &str) -> String {
        format!("{}-{}", self.store, topic.replace('.', "-"))
    }
}
