//! Whom a change concerns beside its owner. Looks into the cache, and nowhere else.

use std::{collections::BTreeSet, sync::Arc};

use api::{ConditionType, Reason, Store, StoreDatabase, StoreService, StoreTopic, label};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};

use super::{
    Cache, Cached, Wake,
    digest::{Mark, Said},
    namespace,
    packed::Packed,
};
use crate::{guests::of_store, refused::may_wait};

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

/// Whoever names this Secret: services for a variable, databases for their administrator and the authorities
/// that they trust, stores for their cache.
pub(super) fn readers<K: Resource>(cache: &Cache, secret: &K) -> BTreeSet<Wake> {
    let (space, name) = (namespace(secret), secret.name_any());
    let services = found(cache.marked::<StoreService>(space, Mark::Secret, &name));
    let databases = found(cache.marked::<StoreDatabase>(space, Mark::Secret, &name));
    let stores = found(cache.marked::<Store>(space, Mark::Secret, &name));
    services.chain(databases).chain(stores).collect()
}

/// What may be the cause where the pods of a service fail: the database and the topics of its store, or the store's cache.
/// Servers elsewhere tell nobody what became of what they hold, and are looked at seldom.
pub(super) fn suspects(cache: &Cache, service: &StoreService) -> BTreeSet<Wake> {
    let conditions = service.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let fails =
        |reason: &str| [Reason::ProbeFailing, Reason::CrashLooping].iter().any(|known| known.as_str() == reason);
    if !conditions.iter().any(|held| held.type_ == ConditionType::Ready.as_str() && fails(&held.reason)) {
        return BTreeSet::new();
    }
    let (space, store) = (namespace(service), &service.spec.store);
    let databases = found(cache.labelled::<StoreDatabase>(space, label::STORE, store));
    let topics = found(cache.labelled::<StoreTopic>(space, label::STORE, store));
    databases.chain(topics).chain(found(cache.get::<Store>(space, store).into_iter().collect())).collect()
}

/// Whoever has pods in a namespace that are refused.
pub(super) fn with_refused_pods(cache: &Cache, space: &str) -> BTreeSet<Wake> {
    let Cache { stores, store_services, store_databases, .. } = cache;
    let waits = |said: &Said| may_wait(said.reason);
    let kinds = [
        names(&stores.saying(space, waits)),
        names(&store_services.saying(space, waits)),
        names(&store_databases.saying(space, waits)),
    ];
    kinds.into_iter().flatten().collect()
}

/// Every object of our own kinds.
pub(super) fn everything(cache: &Cache) -> BTreeSet<Wake> {
    let Cache { stores, store_services, store_databases, store_topics, .. } = cache;
    let kinds =
        [names(&stores.all()), names(&store_services.all()), names(&store_databases.all()), names(&store_topics.all())];
    kinds.into_iter().flatten().collect()
}

fn names<K: Cached>(objects: &[Arc<Packed<K>>]) -> Vec<Wake> {
    let wake = |(namespace, name): (&str, &str)| Wake {
        kind: K::kind(&()).into_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    objects.iter().map(|packed| wake(packed.names())).collect()
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

    /// A service that is not ready for this reason.
    fn saying(name: &str, space: &str, reason: &str) -> StoreService {
        let mut service = service(name, &json!({"store": "green", "image": "x:1"}));
        service.metadata.namespace = Some(space.to_owned());
        let condition = json!({
            "type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        service.status = Some(serde_json::from_value(json!({"conditions": [condition]})).unwrap());
        service
    }

    #[test]
    fn a_service_whose_pods_fail_wakes_its_store_with_its_database_and_topics() {
        let (cache, mut writers) = Cache::new();
        for store in ["green", "blue"] {
            let metadata = json!({"name": store, "namespace": "shop", "labels": {"greencommerce.dev/store": store}});
            let of = |kind: &str, spec: Value| json!({"apiVersion": "greencommerce.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
            let database = of("StoreDatabase", json!({"managed": {}, "databases": []}));
            let topic = of("StoreTopic", json!({"bootstrapServers": "kafka:9092", "topicName": "orders"}));
            writers.store_databases.apply_watcher_event(&Event::Apply(serde_json::from_value(database).unwrap()));
            writers.store_topics.apply_watcher_event(&Event::Apply(serde_json::from_value(topic).unwrap()));
            let store = of("Store", json!({"version": "1.0.0"}));
            writers.stores.apply_watcher_event(&Event::Apply(serde_json::from_value(store).unwrap()));
        }
        let woken = |reason: &str| named(suspects(&cache, &saying("green-cart", "shop", reason)));
        for reason in ["ProbeFailing", "CrashLooping"] {
            assert_eq!(woken(reason), ["Store green", "StoreDatabase green", "StoreTopic green"]);
        }
        assert!(woken("PodsStarting").is_empty());
    }

    #[test]
    fn a_quota_wakes_those_of_its_namespace_whose_pods_are_refused() {
        let (cache, mut writers) = Cache::new();
        for service in [
            saying("refused", "shop", "PodsRefused"),
            saying("late", "shop", "ProgressDeadlineExceeded"),
            saying("starting", "shop", "PodsStarting"),
            saying("refused", "elsewhere", "PodsRefused"),
        ] {
            writers.store_services.apply_watcher_event(&Event::Apply(service));
        }
        assert_eq!(named(with_refused_pods(&cache, "shop")), ["StoreService late", "StoreService refused"]);
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
        let tls = json!({"caSecretRef": {"name": "authorities"}});
        let database = json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": metadata,
            "spec": {"databases": [], "external": {"host": "db", "adminSecretRef": {"name": "login"}, "tls": tls}},
        });
        writers.stores.apply_watcher_event(&Event::Apply(serde_json::from_value(store).unwrap()));
        writers.store_databases.apply_watcher_event(&Event::Apply(serde_json::from_value(database).unwrap()));
        for of_database in ["login", "authorities"] {
            assert_eq!(named(readers(&cache, &secret(of_database))), ["StoreDatabase green"]);
        }
        assert_eq!(named(readers(&cache, &secret("redis"))), ["Store green"]);
        assert!(readers(&cache, &secret("other")).is_empty());
    }
}
