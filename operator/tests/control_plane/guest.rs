//! A guest, which asks its store for a database, a route and a topic, comes and goes with the operator killed before and
//! after every one of its writes.

use std::sync::OnceLock;

use kubekit::{Crash, Space};
use operator::{Gate, store_topic::brokers::Brokers};
use serde_json::{Value, json};

use crate::{
    crash::Scene,
    database::administrator,
    servers::Servers,
    store::store,
    story::{Step, Story},
    there_and_back::{Arrival, Way, every_crash_there_and_back},
    topic::Topic,
};

const GUEST: &str = "parcels";
const READY: Step = Step::Ready("StoreService", GUEST);
const GATEWAY: Step = Step::Ready("StoreService", "shop-gateway");
/// Topics of every store.
const TOPICS: [&str; 5] = ["user.events", "catalog.events", "inventory.events", "order.events", "dead.letters"];

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_comes_and_goes_although_the_operator_crashes_after_any_of_its_writes() {
    comes_and_goes("guest, after", Crash::Unanswered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_comes_and_goes_although_the_operator_crashes_before_any_of_its_writes() {
    comes_and_goes("guest, before", Crash::Undone).await;
}

async fn comes_and_goes(name: &str, kind: fn(u32) -> Crash) {
    let brokers = OnceLock::new();
    let scene = async |space: &Space<'_>| {
        let prefix = format!("{}.", space.identifier());
        let (server, topic) = (Servers::running().await.lend("shop", space).await, Topic::of(&prefix).await);
        let external = json!({"bootstrapServers": topic.bootstrap, "topicPrefix": prefix});
        brokers.get_or_init(|| (topic.bootstrap.clone(), prefix));
        let host = store(&server, "1.0.0", &json!({"services": services(), "kafka": {"external": external}}));
        let story = Story { before: vec![administrator(), host], steps: vec![], end: vec![] };
        Scene { story, server: Some(server), topic: Some(topic) }
    };
    let [there, back] = every_crash_there_and_back(name, &[kind], scene, |_| {
        let comes = Way { change: Step::Apply(guest()), end: vec![READY, GATEWAY] };
        let goes = Way { change: Step::Delete("StoreService", GUEST), end: vec![GATEWAY] };
        [comes, goes]
    })
    .await;
    let (bootstrap, prefix) = brokers.get().unwrap();
    for topic in TOPICS {
        Brokers::new(&Gate::open(), bootstrap).unwrap().delete(&format!("{prefix}{topic}")).await.unwrap();
    }
    assert_eq!([leads_to_it(&there), leads_to_it(&back)], [true, false]);
    assert!(there.facts.contains("shop-parcels-database: parcels enters parcels: true"), "{}", there.facts);
    assert!(there.facts.contains("partitions: 2,") && back.facts.ends_with("None"), "{} {}", there.facts, back.facts);
}

/// Whether the gateway sends anybody to the guest.
fn leads_to_it(arrival: &Arrival) -> bool {
    let routes = &arrival.state.get("ConfigMap/shop-gateway-routes").unwrap()["data"]["routes.yaml"];
    routes.as_str().unwrap().contains("http://parcels:8080")
}

/// Settings that leave two services: the one that every store has, and the one that leads to guests.
fn services() -> Value {
    ["inventory", "catalog", "cart", "orders"].map(|name| json!({"name": name, "disabled": true})).into_iter().collect()
}

fn guest() -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "metadata": {"name": GUEST},
        "spec": {
            "store": "shop", "image": "registry.example/parcels:1", "routes": [{"path": "/api/parcels"}],
            "database": {"name": "parcels"},
            "topics": [{"name": "parcel.events", "partitions": 2, "deletionPolicy": "Delete"}],
        },
    })
}
