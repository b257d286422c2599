//! The life of a Store, with the operator killed at every one of its writes. The store is the smallest there is: of its
//! services only the one that cannot be left out runs. Its broker never gets ready, so nobody waits for its topics.

use kubekit::{Crash, Lives, Space, State};
use serde_json::{Value, json};

use crate::{
    crash::{BOTH, Scene, every_crash_of},
    database::administrator,
    servers::{Lent, Servers},
    setup::cluster,
    story::{Ending, Step, Story, begin, last_state},
    there_and_back::{Arrival, Way, every_crash_there_and_back},
};

const UPGRADED: Step = Step::Says("Store", "shop", "Upgraded");
const SERVICE: Step = Step::Ready("StoreService", "shop-auth");

/// Where nothing but writes happens, it makes no difference whether the next one is tried.
const DONE: &[fn(u32) -> Crash] = &[Crash::Unanswered];
/// Here it has spoken with the database server since, and the next write is to tell of that.
const UNDONE: &[fn(u32) -> Crash] = &[Crash::Undone];

#[tokio::test(flavor = "multi_thread")]
async fn upgrading_and_going_back_survive_a_crash_at_every_write_and_run_each_migration_once() {
    let [there, back] = there_and_back("store upgrade", BOTH, |server| {
        let to = |version| Way { change: Step::Apply(store(server, version, &json!({}))), end: vec![UPGRADED] };
        [to("2.0.0"), to("1.0.0")]
    })
    .await;
    for (arrival, version) in [(there, "2.0.0"), (back, "1.0.0")] {
        assert_eq!(running_version(&arrival.state), version);
        let jobs: Vec<Lives> =
            arrival.lives.iter().filter(|(name, _)| name.starts_with("jobs/")).map(|(_, lives)| *lives).collect();
        // The one of the version before goes.
        let (made, gone) = (Lives { created: 1, deleted: 0 }, Lives { created: 0, deleted: 1 });
        assert!(jobs.len() == 2 && jobs.contains(&made) && jobs.contains(&gone), "{jobs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_one_service_counts_as_running_when_it_is_rolled_out_at_whatever_write_the_operator_crashes() {
    let [there, back] = there_and_back("store version of a service", DONE, |server| {
        let to = |with| {
            let own = store(server, "1.0.0", &json!({"services": services(&with)}));
            Way { change: Step::Apply(own), end: vec![UPGRADED] }
        };
        [to(json!({"version": "2.0.0"})), to(json!({}))]
    })
    .await;
    for (arrival, tag) in [(there, ":2.0.0"), (back, ":1.0.0")] {
        let deployment = arrival.state.get("Deployment/shop-auth").unwrap();
        let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
        assert!(image.ends_with(tag), "{image}");
        assert_eq!(running_version(&arrival.state), "1.0.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_start_is_taken_back_at_whatever_write_the_operator_crashes() {
    let [there, back] = there_and_back("store taken back", DONE, |server| {
        let to = |version, end| Way { change: Step::Apply(store(server, version, &json!({}))), end };
        [to("2.0.0-broken", vec![Step::Says("Store", "shop", "Degraded"), SERVICE]), to("1.0.0", vec![UPGRADED])]
    })
    .await;
    assert_eq!([running_version(&there.state), running_version(&back.state)], ["1.0.0", "1.0.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_a_service_of_a_store_survives_a_crash_at_every_write() {
    let [there, back] = there_and_back("store scale", DONE, |server| {
        let to = |with| {
            let scaled = store(server, "1.0.0", &json!({"services": services(&with)}));
            Way { change: Step::Apply(scaled), end: vec![SERVICE] }
        };
        [to(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})), to(json!({"replicas": 1}))]
    })
    .await;
    let pods = |state: &State| state.get("Deployment/shop-auth").unwrap()["spec"]["replicas"].clone();
    assert_eq!([pods(&there.state), pods(&back.state)], [json!(2), json!(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_all_passwords_survives_a_crash_at_every_write_and_the_new_ones_work() {
    let ways = there_and_back("store rotate", UNDONE, |server| {
        let on = |request| {
            let mut rotated = store(server, "1.0.0", &json!({}));
            rotated["metadata"]["annotations"] = json!({"greencommerce.dev/rotate": request});
            let rotating = Step::Says("StoreDatabase", "shop", "Rotating");
            let over = Step::SaysNo("StoreDatabase", "shop", "Rotating");
            Way { change: Step::Apply(rotated), end: vec![rotating, over, SERVICE] }
        };
        [on("one"), on("another")]
    })
    .await;
    for (way, role) in ways.iter().zip(["auth-b", "auth"]) {
        assert!(way.facts.contains(&format!("shop-auth-database: {role} enters auth: true")), "{}", way.facts);
        assert!(!way.facts.contains("false\n"), "{}", way.facts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_a_store_to_sleep_and_waking_it_survive_a_crash_at_every_write() {
    let [there, back] = there_and_back("store suspend", DONE, |server| {
        let to = |suspend, end| Way { change: Step::Apply(store(server, "1.0.0", &json!({"suspend": suspend}))), end };
        let awake = vec![Step::Ready("StoreDatabase", "shop"), Step::Says("Store", "shop", "CacheReady")];
        [to(true, vec![Step::Says("Store", "shop", "Suspended")]), to(false, awake)]
    })
    .await;
    assert_eq!(replicas(&there.state), [0, 0, 0]);
    // The service sleeps until its broker is ready too, which here is never.
    assert_eq!(replicas(&back.state), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_store_that_keeps_its_data_waits_for_no_operator() {
    let space = cluster().await.space().await;
    let server = Servers::running().await.lend("shop", &space).await;
    begin(&space, &deletion(&server, "Retain", vec![]), None).await.kill();
    space.delete("Store", "shop").await;
    keeps_its_data(&last_state(&space).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_store_right_after_its_policy_has_changed_keeps_its_data_at_whatever_write_the_operator_crashes() {
    let ending = every_crash_of_a_store("store delete, retaining", DONE, |server| {
        let retain = Step::Apply(store(server, "1.0.0", &json!({"deletionPolicy": "Retain"})));
        deletion(server, "Delete", vec![retain])
    })
    .await;
    keeps_its_data(&ending.state);
}

fn keeps_its_data(state: &State) {
    let left: Vec<&str> = state.names().collect();
    let kept = |name: &str| left.iter().filter(|held| held.starts_with(name)).count();
    assert_eq!((kept("Secret/"), kept("PersistentVolumeClaim/"), left.len()), (5, 2, 7), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_store_and_deleting_it_with_its_data_survive_a_crash_after_every_write() {
    opens_and_goes("store life, after", DONE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_store_and_deleting_it_with_its_data_survive_a_crash_before_every_write() {
    opens_and_goes("store life, before", UNDONE).await;
}

async fn opens_and_goes(name: &str, kinds: &[fn(u32) -> Crash]) {
    let scene = async |space: &Space<'_>| {
        let server = Servers::running().await.lend("shop", space).await;
        let story = Story { before: vec![administrator()], steps: vec![], end: vec![] };
        Scene { story, server: Some(server), topic: None }
    };
    let [there, back] = every_crash_there_and_back(name, kinds, scene, |scene| {
        let shop = store(scene.server.as_ref().unwrap(), "1.0.0", &json!({"deletionPolicy": "Delete"}));
        let opens = Way { change: Step::Apply(shop), end: vec![UPGRADED, SERVICE] };
        [opens, Way { change: Step::Delete("Store", "shop"), end: vec![] }]
    })
    .await;
    assert_eq!(running_version(&there.state), "1.0.0");
    assert!(there.lives.values().all(|lives| *lives == Lives { created: 1, deleted: 0 }), "{:?}", there.lives);
    assert!(there.state.names().any(|name| name.starts_with("NetworkPolicy/")), "{:?}", there.state);
    assert!(there.facts.contains("shop-auth-database: auth enters auth: true"), "{}", there.facts);
    assert_eq!(back.state.names().collect::<Vec<_>>(), ["Secret/administrator"]);
    assert!(!back.facts.contains("auth"), "{}", back.facts);
}

fn deletion(server: &Lent, policy: &str, change: Vec<Step>) -> Story {
    let before = vec![administrator(), store(server, "1.0.0", &json!({"deletionPolicy": policy}))];
    Story { before, steps: change.into_iter().chain([Step::Delete("Store", "shop")]).collect(), end: vec![] }
}

async fn every_crash_of_a_store(name: &str, kinds: &[fn(u32) -> Crash], story: impl Fn(&Lent) -> Story) -> Ending {
    let servers = Servers::running().await;
    let scene = async |space: &Space<'_>| {
        let server = servers.lend("shop", space).await;
        Scene { story: story(&server), server: Some(server), topic: None }
    };
    every_crash_of(name, kinds, scene).await
}

async fn there_and_back(name: &str, kinds: &[fn(u32) -> Crash], ways: impl Fn(&Lent) -> [Way; 2]) -> [Arrival; 2] {
    let servers = Servers::running().await;
    let scene = async |space: &Space<'_>| {
        let server = servers.lend("shop", space).await;
        let before = vec![administrator(), store(&server, "1.0.0", &json!({}))];
        Scene { story: Story { before, steps: vec![], end: vec![] }, server: Some(server), topic: None }
    };
    every_crash_there_and_back(name, kinds, scene, |scene| ways(scene.server.as_ref().unwrap())).await
}

/// The smallest store there is, on this database server.
pub(crate) fn store(server: &Lent, version: &str, with: &Value) -> Value {
    let external = json!({"host": "127.0.0.1", "port": server.port(), "adminSecretRef": {"name": "administrator"}});
    let mut spec = json!({
        "version": version, "database": {"external": external}, "services": services(&json!({})),
        "kafka": {"managed": {"image": "registry.example/kafka:broken"}},
    });
    spec.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    json!({"apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store", "metadata": {"name": "shop"}, "spec": spec})
}

/// Settings that leave one service, with these.
fn services(with: &Value) -> Value {
    let mut auth = json!({"name": "auth"});
    auth.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let others = ["inventory", "catalog", "cart", "orders", "gateway"];
    others.map(|name| json!({"name": name, "disabled": true})).into_iter().chain([auth]).collect()
}

fn running_version(state: &State) -> &Value {
    &state.get("Store/shop").unwrap()["status"]["version"]
}

/// Of the broker, the cache and the service.
fn replicas(state: &State) -> [i64; 3] {
    ["StatefulSet/shop-kafka", "StatefulSet/shop-cache", "Deployment/shop-auth"]
        .map(|name| state.get(name).unwrap()["spec"]["replicas"].as_i64().unwrap())
}
