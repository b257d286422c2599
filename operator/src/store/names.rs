//! Names of a store's objects. They are what users see and what services are configured with. Pure.

use api::ServiceName;

use crate::framework::content_hash;
pub(super) use crate::network::table::has_database;

/// What the name of a Job may have: it becomes a label of its pods.
const LONGEST_LABEL: usize = 63;
/// Digits that stand for the end of a store's name where that is cut off.
const DIGITS: usize = 5;

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

    /// Job that migrates a service's database; `hash` tells one from another. Names that are too long begin with what fits
    /// of the store's; the others stay as they always were, so that no migration runs again.
    pub(super) fn migration(&self, service: ServiceName, hash: &str) -> String {
        let end = format!("-{}-migrate-{}", service.as_str(), &hash[..hash.len().min(10)]);
        if self.store.len() + end.len() <= LONGEST_LABEL {
            return format!("{}{end}", self.store);
        }
        let whole = content_hash([self.store.as_bytes()]);
        let begin = &self.store[..LONGEST_LABEL - end.len() - DIGITS - 1];
        format!("{}-{}{end}", begin.trim_end_matches('-'), &whole[..DIGITS])
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

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef";

    #[test]
    fn a_job_of_a_short_store_keeps_its_name_and_one_of_a_long_store_has_a_name_of_its_own_that_fits() {
        let name = |store: &str, service| Names::new(store).migration(service, HASH);
        assert_eq!(name("green", ServiceName::Inventory), "green-inventory-migrate-0123456789");
        let fits = "a".repeat(34);
        assert_eq!(name(&fits, ServiceName::Inventory), format!("{fits}-inventory-migrate-0123456789"));
        let long = |end: &str| format!("{}{end}", "a".repeat(39));
        let (one, other) = (name(&long("b"), ServiceName::Inventory), name(&long("c"), ServiceName::Inventory));
        assert!(one.len() <= LONGEST_LABEL && one.ends_with("-inventory-migrate-0123456789"), "{one}");
        assert_ne!(one, other);
        let dashes = name(&format!("{}b", "a-".repeat(19)), ServiceName::Inventory);
        assert!(!dashes.contains("--"), "{dashes}");
    }
}
