//! The names and labels of a store with the longest name that the schema allows: what is made of it must fit as well.

use api::{Store, StoreDatabase};
use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job};
use serde_json::{Value, json};

use super::{
    super::{dereference::Seen, migration::Migration, plan::plan, upgrade::course, validate::validate},
    Children, build, parts,
};

/// What a label's value may have, and the name of a Service, and that of a Job, which becomes a label.
const LABEL: usize = 63;
/// What the name of a StatefulSet may have: with a dash and ten digits it becomes a label.
const STATEFUL_SET: usize = 52;

/// Every option by which something else is made, each at its longest.
const OPTIONS: [&str; 3] = [
    include_str!("fixtures/full.yaml"),
    include_str!("fixtures/external.yaml"),
    "{apiVersion: greencommerce.dev/v1alpha1, kind: Store, metadata: {name: green, namespace: shop, uid: '1'}, \
      spec: {version: 1.2.3, host: shop.example, exposure: {ingress: {tls: {secretName: shop}}}, \
      services: [{name: inventory, version: 1.2.4, autoscaling: {maxReplicas: 3}}]}}",
];

fn longest(manifest: &str) -> Store {
    let mut store: Store = serde_yaml::from_str(manifest).unwrap();
    store.metadata.name = Some("a".repeat(40));
    store
}

/// Everything at once, which in truth comes one after the other.
fn children(store: &Store) -> Children {
    let validated = validate(store, &Seen::default()).unwrap();
    let mut plan = plan(&validated, &Seen::default(), course(&validated, None));
    plan.migrations.values_mut().for_each(|migration| *migration = Migration::Running(None));
    plan.images = validated.services.keys().map(|service| (*service, validated.image_of(*service))).collect();
    build(&validated, &plan)
}

/// The values of all labels and selectors of an object, those of its pods included.
fn labels(object: &Value, found: &mut Vec<String>) {
    match object {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            if matches!(key.as_str(), "labels" | "matchLabels" | "selector") {
                let values = value.as_object().into_iter().flat_map(|map| map.values());
                found.extend(values.filter_map(Value::as_str).map(str::to_owned));
            }
            labels(value, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| labels(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn too_long<'a>(texts: impl IntoIterator<Item = &'a String>, most: usize) -> Vec<&'a String> {
    texts.into_iter().filter(|text| text.len() > most).collect()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn whatever_a_store_with_the_longest_name_is_made_of_has_a_name_and_labels_that_fit() {
    for manifest in OPTIONS {
        let store = longest(manifest);
        let Children { policies, database, kafka, cache, topics, migrations, routes, services } = children(&store);
        let mut sets: Vec<StatefulSet> = Vec::new();
        let mut objects = vec![json!(database), json!(routes)];
        for server in kafka.iter().map(|kafka| &kafka.server).chain(&cache) {
            sets.push(server.stateful_set.clone());
            objects.extend(server.services.iter().map(|service| json!(service)));
            objects.extend([json!(server.volume), json!(server.policy), json!(server.stateful_set)]);
        }
        objects.extend(kafka.iter().map(|kafka| json!(kafka.config)));
        objects.extend(policies.iter().map(|policy| json!(policy)));
        objects.extend(topics.iter().map(|topic| json!(topic)));
        objects.extend(migrations.iter().map(|job| json!(job)));
        objects.extend(services.iter().map(|service| json!(service)));
        objects.retain(|object| !object.is_null());

        let names: Vec<String> = objects.iter().map(name).collect();
        assert_eq!(too_long(&names, LABEL), Vec::<&String>::new());
        let of_sets: Vec<String> = sets.iter().map(|set| name(&json!(set))).collect();
        assert_eq!(too_long(&of_sets, STATEFUL_SET), Vec::<&String>::new());
        let mut all = Vec::new();
        for object in &objects {
            labels(object, &mut all);
        }
        for service in &services {
            let (name, labels, _) = crate::store_service::network_of(service, &store);
            all.extend(labels.into_values().chain([name]));
        }
        assert_eq!(too_long(&all, LABEL), Vec::<&String>::new());
        let different: std::collections::BTreeSet<String> = migrations.iter().filter_map(job_name).collect();
        assert_eq!(different.len(), migrations.len());
    }
}

#[test]
fn the_database_of_a_store_with_the_longest_name_fits_as_well() {
    let database: StoreDatabase = parts::network_of(&json!(longest(OPTIONS[2])).to_string()).database;
    let (_, labels, policy) = crate::store_database::network_of(&database, "user").unwrap();
    assert!(policy.metadata.name.unwrap().len() <= STATEFUL_SET);
    assert_eq!(too_long(labels.values(), LABEL), Vec::<&String>::new());
}

fn job_name(job: &Job) -> Option<String> {
    job.metadata.name.clone()
}
