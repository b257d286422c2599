//! Whom a change concerns beside its owner. Looks into the cache, and nowhere else.

use std::{collections::BTreeSet, sync::Arc};

use api::{Store, StoreDatabase, StoreService};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};

use super::{Cache, Cached, Wake, digest::Mark, namespace, packed::Reader};
use crate::guests::of_store;

/// A store and its guests.
pub(super) fn household(cache: &Cache, space: &str, store: &str) -> BTreeSet<Wake> {
    let host = Wake { kind: Store::kind(&()).into_owned(), namespace: space.to_owned(), name: store.to_owned() };
    let guests = of_store(cache, space, store);
    guests.iter().map(|guest| Wake::of(&**guest)).chain([host]).collect()
}

/// The services that mount this file.
pub(super) fn mounting(cache: &Cache, file: &ConfigMap) -> BTreeSet<Wake> {
    found(cache.marked::<StoreService>(namespace(file), Mark::File, &file.name_any())).collect()
}

fn found<K: Cached>(objects: Vec<Arc<K>>) -> impl Iterator<Item = Wake> {
    objects.into_iter().map(|object| Wake::of(&*object))
}

/// Whoever names this Secret: services for a variable, databases for their administrator, stores for their cache.
pub(super) fn readers<K: Resource>(cache: &Cache, secret: &K) -> BTreeSet<Wake> {
    let (space, name) = (namespace(secret), secret.name_any());
    let services = found(cache.marked::<StoreService>(space, Mark::Secret, &name));
    let databases = found(cache.marked::<StoreDatabase>(space, Mark::Secret, &name));
    let stores = found(cache.marked::<Store>(space, Mark::Secret, &name));
    services.chain(databases).chain(stores).collect()
}

/// Every object of our own kinds.
pub(super) fn everything(cache: &Cache) -> BTreeSet<Wake> {
    let Cache { stores, store_services, store_databases, store_topics, .. } = cache;
    [names(stores), names(store_services), names(store_databases), names(store_topics)].into_iter().flatten().collect()
}

fn names<K: Cached>(reader: &Reader<K>) -> Vec<Wake> {
    let wake = |(namespace, name): (&str, &str)| Wake {
        kind: K::kind(&()).into_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    reader.all().iter().map(|packed| wake(packed.names())).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, spec: &Value) -> StoreService {
        let service = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
        });
        serde_json::from_value(service).unwrap()
    }

    fn secret(name: &str) -> Secret {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop"}})).unwrap()
    }

    fn named(wakes: BTreeSet<Wake>) -> Vec<String> {
        wakes.into_iter().map(|wake| format!("{} {}", wake.kind, wake.name)).collect()
    }

    #[test]
    fn a_store_and_its_guests_are_woken_together() {
        let (cache, mut writers) = Cache::new();
        let guest =
            service("parcels", &json!({"store": "green", "image": "x:1", "routes": [{"path": "/api/parcels"}]}));
        let stranger = service("alone", &json!({"store": "green", "image": "x:1"}));
        for service in [guest, stranger] {
            writers.store_services.apply_watcher_event(&Event::Apply(service));
        }
        assert_eq!(named(household(&cache, "shop", "green")), ["Store green", "StoreService parcels"]);
        assert_eq!(household(&cache, "elsewhere", "green").len(), 1);
    }

    #[test]
    fn a_file_wakes_every_service_that_mounts_it() {
        let (cache, mut writers) = Cache::new();
        let mounts = json!([{"name": "rules", "mountPath": "/etc/rules"}]);
        let reader = service("reader", &json!({"store": "green", "image": "x:1", "configMaps": mounts}));
        for service in [reader, service("other", &json!({"store": "green", "image": "x:1"}))] {
            writers.store_services.apply_watcher_event(&Event::Apply(service));
        }
        let metadata = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}});
        let file = |name: &str| serde_json::from_value::<ConfigMap>(metadata(name)).unwrap();
        assert_eq!(named(mounting(&cache, &file("rules"))), ["StoreService reader"]);
        assert!(mounting(&cache, &file("others")).is_empty());
    }

    #[test]
    fn a_secret_wakes_every_service_that_reads_any_of_it() {
        let (cache, mut writers) = Cache::new();
        let variable = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "carrier", "key": "token"}}});
        let spec = json!({"store": "green", "image": "x:1", "env": [variable], "database": {"name": "parcels_eu"}});
        let mut elsewhere = service("parcels", &spec);
        elsewhere.metadata.namespace = Some("elsewhere".to_owned());
        for service in [service("parcels", &spec), elsewhere] {
            writers.store_services.apply_watcher_event(&Event::Apply(service));
        }
        assert_eq!(named(readers(&cache, &secret("carrier"))), ["StoreService parcels"]);
        assert_eq!(named(readers(&cache, &secret("green-parcels-eu-database"))), ["StoreService parcels"]);
        assert!(readers(&cache, &secret("green-parcels-database")).is_empty());
    }

    #[test]
    fn a_secret_wakes_the_database_and_the_store_that_name_it() {
        let (cache, mut writers) = Cache::new();
        let metadata = json!({"name": "green", "namespace": "shop"});
        let store = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": metadata,
            "spec": {"version": "1.0.0", "cache": {"external": {"urlSecretRef": {"name": "redis"}}}},
        });
        let database = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": metadata,
            "spec": {"databases": [], "external": {"host": "db", "adminSecretRef": {"name": "login"}}},
        });
        writers.stores.apply_watcher_event(&Event::Apply(serde_json::from_value(store).unwrap()));
        writers.store_databases.apply_watcher_event(&Event::Apply(serde_json::from_value(database).unwrap()));
        assert_eq!(named(readers(&cache, &secret("login"))), ["StoreDatabase green"]);
        assert_eq!(named(readers(&cache, &secret("redis"))), ["Store green"]);
        assert!(readers(&cache, &secret("other")).is_empty());
    }
}
