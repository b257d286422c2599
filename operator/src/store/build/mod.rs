//! Step 3: the children of a Store. Pure.

mod cache;
mod data;
mod database;
mod kafka;
#[cfg(test)]
mod lengths;
mod migrations;
mod network;
#[cfg(test)]
pub(crate) mod parts;
mod routes;
mod services;

use std::collections::BTreeMap;

use api::{StoreDatabase, StoreService, StoreTopic};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Service},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{plan::Plan, validate::Validated};
use crate::{framework::standard_labels, storage};

/// The children of a Store that should exist now.
#[derive(Clone, Debug)]
pub(super) struct Children {
    pub(super) policies: [NetworkPolicy; 2],
    pub(super) database: StoreDatabase,
    pub(super) kafka: Option<Broker>,
    pub(super) cache: Option<DataServer>,
    pub(super) topics: Vec<StoreTopic>,
    pub(super) migrations: Vec<Job>,
    pub(super) routes: Option<ConfigMap>,
    pub(super) services: Vec<StoreService>,
}

/// A broker and its configuration.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub(super) config: ConfigMap,
    pub(super) server: DataServer,
}

/// A server with a volume.
#[derive(Clone, Debug)]
pub(super) struct DataServer {
    pub(super) volume: PersistentVolumeClaim,
    /// What becomes of the claim that is there.
    pub(super) storage: storage::State,
    /// For clients, and for the pod's own name.
    pub(super) services: [Service; 2],
    pub(super) stateful_set: StatefulSet,
    /// Who may reach the pod, and whom it may reach.
    pub(super) policy: NetworkPolicy,
}

pub(super) fn build(of: &Validated, plan: &Plan) -> Children {
    Children {
        policies: network::policies(of),
        database: database::database(of, plan),
        kafka: kafka::broker(of, plan),
        cache: cache::cache(of, plan),
        topics: kafka::topics(of, plan),
        migrations: migrations::jobs(of, plan),
        routes: routes::config_map(of),
        services: services::services(of, plan),
    }
}

/// Name, labels and owner of a child. `part` is the service or server, `component` its role.
fn meta(of: &Validated, name: String, part: &str, component: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(of.namespace.clone()),
        labels: Some(labels_of(of, part, component)),
        owner_references: Some(vec![of.owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn labels_of(of: &Validated, part: &str, component: &str) -> BTreeMap<String, String> {
    standard_labels(of.names.store(), part, component)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::{ServiceName, Store};
    use serde_json::{Value, json};

    use super::{
        super::{dereference::Seen, migration::Migration, plan::plan, upgrade::course, validate::validate},
        *,
    };

    /// The children of a store, before its databases are there, or after its migrations.
    fn children(fixture: &str, migrated: bool) -> Children {
        let store: Store = serde_yaml::from_str(fixture).unwrap();
        let validated = validate(&store, &Seen::default()).unwrap();
        let mut plan = plan(&validated, &Seen::default(), course(&validated, None));
        for migration in plan.migrations.values_mut() {
            *migration = if migrated { Migration::Done } else { Migration::Running(None) };
        }
        if migrated {
            let image = &validated.image.reference;
            plan.images = validated.services.keys().map(|service| (*service, image.clone())).collect();
        }
        build(&validated, &plan)
    }

    const MINIMAL: &str = include_str!("fixtures/minimal.yaml");
    const FULL: &str = include_str!("fixtures/full.yaml");

    fn server(server: &DataServer) -> Value {
        json!([server.volume, server.services, server.stateful_set, server.policy])
    }

    #[test]
    fn data_of_a_minimal_store() {
        let children = children(MINIMAL, false);
        insta::assert_yaml_snapshot!("minimal_database_and_topics", json!([children.database, children.topics]));
        let kafka = children.kafka.unwrap();
        insta::assert_yaml_snapshot!("minimal_kafka", json!([kafka.config, server(&kafka.server)]));
        insta::assert_yaml_snapshot!("minimal_cache", server(&children.cache.unwrap()));
        insta::assert_yaml_snapshot!("minimal_network", children.policies);
    }

    #[test]
    fn migrations_come_before_services() {
        let children = children(MINIMAL, false);
        assert!(children.services.is_empty());
        assert_eq!(children.migrations.len(), 4);
        insta::assert_yaml_snapshot!("minimal_migration", children.migrations[0]);
    }

    #[test]
    fn services_of_a_minimal_store() {
        let children = children(MINIMAL, true);
        assert!(children.migrations.is_empty());
        insta::assert_yaml_snapshot!("minimal_services", json!([children.routes, children.services]));
    }

    #[test]
    fn settings_come_with_the_image_and_the_number_of_pods_at_once() {
        let mut store: Store = serde_yaml::from_str(MINIMAL).unwrap();
        let settings = json!([{"name": "cart", "replicas": 3, "env": [{"name": "X", "value": "y"}]}]);
        store.spec.services = serde_json::from_value(settings).unwrap();
        let live = children(MINIMAL, true).services.into_iter().find(|service| service.spec.args == ["cart"]).unwrap();
        let cart = |image: &str| {
            let mut live = live.clone();
            live.spec.image = format!("greencommerce/services:{image}");
            let seen = Seen { services: [(ServiceName::Cart, Arc::new(live))].into(), ..Seen::default() };
            let validated = validate(&store, &seen).unwrap();
            let children = build(&validated, &plan(&validated, &seen, course(&validated, None)));
            children.services.into_iter().next().unwrap().spec
        };
        let has_it = |spec: &api::StoreServiceSpec| spec.env.iter().any(|variable| variable.name == "X");
        let (waits, runs) = (cart("0.0.1"), cart(&store.spec.version));
        assert!(!has_it(&waits) && waits.image.ends_with(":0.0.1") && waits.replicas == Some(3));
        assert!(has_it(&runs));
    }

    #[test]
    fn a_full_store_passes_its_settings_on() {
        let data = children(FULL, false);
        insta::assert_yaml_snapshot!(
            "full_data",
            json!([
                data.database,
                server(&data.kafka.unwrap().server),
                server(&data.cache.unwrap()),
                data.migrations[0],
            ])
        );
        let services = children(FULL, true);
        insta::assert_yaml_snapshot!("full_services", json!([services.routes, services.services]));
    }

    #[test]
    fn a_store_on_servers_of_others_runs_none_and_tells_its_services_where_they_are() {
        let children = children(include_str!("fixtures/external.yaml"), true);
        assert!(children.kafka.is_none() && children.cache.is_none());
        let cart = children.services.iter().find(|service| service.metadata.name.as_deref() == Some("green-cart"));
        insta::assert_yaml_snapshot!("external_topic_and_cart", json!([children.topics[0], cart]));
    }

    #[test]
    fn a_migration_verifies_the_server_as_the_services_do_and_has_the_job_it_always_had_where_they_do_not() {
        let job = |tls: &str| {
            let prefix = "      databasePrefix: green_\n";
            let fixture = include_str!("fixtures/external.yaml").replace(prefix, &format!("{prefix}{tls}"));
            children(&fixture, false).migrations.remove(0)
        };
        let (plain, verified) = (job(""), job("      tls: {caSecretRef: {name: authorities}}\n"));
        for unverified in ["Prefer", "Require"] {
            assert_eq!(plain, job(&format!("      tls: {{mode: {unverified}}}\n")));
        }
        assert_ne!(plain.metadata.name, verified.metadata.name);
        insta::assert_yaml_snapshot!(verified.spec.unwrap().template.spec.unwrap().containers[0].env);
    }

    #[test]
    fn guests_get_a_database_and_a_route_but_none_of_the_platforms() {
        let guest = |path: &str| -> Arc<StoreService> {
            let guest = json!({
                "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
                "metadata": {"name": "parcels", "namespace": "shop"},
                "spec": {"store": "green", "image": "x:1", "routes": [{"path": path}], "database": {"name": "parcels"}},
            });
            Arc::new(serde_json::from_value(guest).unwrap())
        };
        let children = |guest| {
            let seen = Seen { guests: vec![guest], ..Seen::default() };
            let validated = validate(&serde_yaml::from_str(MINIMAL).unwrap(), &seen).unwrap();
            let plan = plan(&validated, &seen, course(&validated, None));
            build(&validated, &plan)
        };
        let routes = |path: &str| children(guest(path)).routes.unwrap().data.unwrap()["routes.yaml"].clone();
        assert!(routes("/api/parcels").contains("prefix: /api/parcels\n  upstream: http://parcels:8080"));
        assert!(!routes("/api/cart").contains("parcels"));
        let databases = children(guest("/api/parcels")).database.spec.databases;
        let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
        assert_eq!(names, ["auth", "catalog", "inventory", "orders", "parcels"]);
    }

    #[test]
    fn a_database_stays_when_the_guest_that_asked_for_it_goes() {
        let store: Store = serde_yaml::from_str(MINIMAL).unwrap();
        let held: StoreDatabase = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": "green"},
            "spec": {"databases": [{"name": "parcels"}]},
        }))
        .unwrap();
        let seen = Seen { database: Some(Arc::new(held)), ..Seen::default() };
        let validated = validate(&store, &seen).unwrap();
        let databases = build(&validated, &plan(&validated, &seen, course(&validated, None))).database.spec.databases;
        assert!(databases.iter().any(|database| database.name == "parcels"), "{databases:?}");
    }

    #[test]
    fn a_store_of_the_same_name_takes_up_the_brokers_volume_again() {
        let id = |fixture: &str| {
            let children = children(fixture, false);
            let template = children.kafka.unwrap().server.stateful_set.spec.template;
            template.spec.unwrap().containers[0].args.clone().unwrap()
        };
        assert_eq!(id(MINIMAL), id(&MINIMAL.replace("uid: 1", "uid: 9")));
        assert_ne!(id(MINIMAL), id(&MINIMAL.replace("name: green", "name: blue")));
    }

    #[test]
    fn volumes_have_no_owner() {
        let children = children(MINIMAL, false);
        assert_eq!(children.kafka.unwrap().server.volume.metadata.owner_references, None);
        assert_eq!(children.cache.unwrap().volume.metadata.owner_references, None);
    }

    #[test]
    fn every_service_has_a_route_to_it_but_the_gateway() {
        let routes = children(MINIMAL, true).routes.unwrap().data.unwrap()["routes.yaml"].clone();
        for service in ServiceName::ALL.into_iter().filter(|service| *service != ServiceName::Gateway) {
            assert!(routes.contains(&format!("http://green-{}:8080", service.as_str())), "{routes}");
        }
    }
}
