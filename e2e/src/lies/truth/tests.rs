use serde_json::json;

use super::*;

/// An object that has been looked at, and says `Ready`.
fn ready(name: &str, spec: &Value) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", "generation": 3},
        "spec": spec,
        "status": {"observedGeneration": 3, "conditions": [said("Ready")]},
    })
}

fn said(type_: &str) -> Value {
    json!({"type": type_, "status": "True", "observedGeneration": 3})
}

fn workload(name: &str, image: &str, pods: u64) -> Value {
    json!({
        "metadata": {"name": name, "generation": 5},
        "spec": {"replicas": pods, "template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"observedGeneration": 5, "replicas": pods, "updatedReplicas": pods, "readyReplicas": pods},
    })
}

/// A store with all its parts, of which everything that is said is so.
fn scene() -> Scene {
    let managed = json!({"managed": {}});
    let spec = json!({"version": "1.0.0", "database": managed, "kafka": managed, "cache": managed});
    let mut store = ready("green", &spec);
    for type_ in PARTS.into_iter().chain(["Upgraded"]) {
        store["status"]["conditions"].as_array_mut().unwrap().push(said(type_));
    }
    let mut topic = ready("green-order-events", &json!({"partitions": 3}));
    topic["status"]["partitions"] = json!(3);
    let mut database = ready("green", &managed);
    database["status"]["databases"] = json!([{"name": "auth", "ready": true}]);
    let names = SERVICES.map(|service| format!("green-{service}"));
    let service = |name: &String| ready(name, &json!({"image": "shop:1.0.0", "replicas": 2}));
    Scene {
        store,
        services: names.iter().map(service).collect(),
        databases: vec![database],
        topics: vec![topic],
        deployments: names.iter().map(|name| workload(name, "shop:1.0.0", 2)).collect(),
        servers: ["postgres", "kafka", "cache"].map(|name| workload(&format!("green-{name}"), name, 1)).into(),
    }
}

/// What is doubted of the scene once something of it is otherwise.
fn doubts(change: impl FnOnce(&mut Scene)) -> Vec<String> {
    let mut scene = scene();
    change(&mut scene);
    scene.doubts().into_iter().map(|doubt| doubt.truth).collect()
}

fn begin(doubts: &[String], wanted: &[&str]) -> bool {
    wanted.iter().all(|wanted| doubts.iter().any(|doubt| doubt.starts_with(wanted)))
}

#[test]
fn of_a_store_that_is_well_nothing_is_doubted_and_everything_is_said() {
    assert_eq!(doubts(|_| ()), Vec::<String>::new());
    assert_eq!(scene().said().len(), 9);
    assert_eq!(Scene::default().doubts().len(), 0);
    assert_eq!(Scene::default().said().len(), 0);
}

#[test]
fn a_store_that_is_ready_or_upgraded_runs_the_image_it_asks_for() {
    let told = doubts(|scene| scene.store["spec"]["image"] = json!({"tag": "2"}));
    assert!(
        begin(&told, &["Ready while green-auth has shop:1.0.0", "Upgraded while StoreService green-auth"]),
        "{told:?}"
    );
    let told = doubts(|scene| scene.store["spec"]["image"] = json!({"repository": "mirror/shop"}));
    assert!(begin(&told, &["Ready while green-cart has shop:1.0.0"]), "{told:?}");
    let told = doubts(|scene| scene.store["spec"]["services"] = json!([{"name": "cart", "version": "1.1.0"}]));
    assert!(told.iter().all(|truth| truth.contains("green-cart")) && told.len() == 2, "{told:?}");
    let told = doubts(|scene| scene.deployments[0] = workload("green-gateway", "shop:0.9.0", 2));
    let wanted = ["Ready while green-gateway", "Upgraded while Deployment green-gateway", "StoreService green-gateway"];
    assert!(begin(&told, &wanted), "{told:?}");
}

#[test]
fn as_many_pods_are_ready_as_are_asked_for_and_none_is_of_an_earlier_template() {
    for (field, count) in [("readyReplicas", 1), ("updatedReplicas", 1), ("observedGeneration", 4)] {
        let told = doubts(|scene| scene.deployments[1]["status"][field] = json!(count));
        assert!(begin(&told, &["StoreService green-auth Ready", "ServicesReady while green-auth"]), "{field} {told:?}");
    }
    let told = doubts(|scene| {
        scene.services[1]["spec"] = json!({"image": "shop:1.0.0", "autoscaling": {"minReplicas": 1, "maxReplicas": 3}});
        scene.deployments[1]["status"]["readyReplicas"] = json!(1);
    });
    assert_eq!(told, Vec::<String>::new(), "an autoscaler may want more than the least");
    let told = doubts(|scene| drop(scene.deployments.remove(1)));
    assert!(begin(&told, &["StoreService green-auth Ready", "ServicesReady while"]), "{told:?}");
}

#[test]
fn a_part_that_is_ready_has_its_server_and_says_so_itself() {
    let sayings = [("postgres", "DatabaseReady", "StoreDatabase"), ("kafka", "EventsReady", "StoreTopic")];
    for (number, (server, of_store, of_part)) in sayings.into_iter().enumerate() {
        let told = doubts(|scene| scene.servers[number]["status"]["readyReplicas"] = json!(0));
        assert!(begin(&told, &[of_store, of_part]) && told.len() == 2, "{server} {told:?}");
    }
    let told = doubts(|scene| drop(scene.servers.pop()));
    assert!(begin(&told, &["CacheReady green Ready while green-cache"]) && told.len() == 1, "{told:?}");
    let told = doubts(|scene| scene.servers[0] = workload("green-postgres", "postgres", 0));
    assert!(begin(&told, &["StoreDatabase", "DatabaseReady"]), "a server that sleeps {told:?}");
    let told = doubts(|scene| scene.topics[0]["metadata"]["generation"] = json!(4));
    assert!(begin(&told, &["EventsReady while green-order-events"]) && told.len() == 1, "{told:?}");
    let told = doubts(|scene| scene.topics.clear());
    assert!(begin(&told, &["EventsReady while there is nothing"]), "{told:?}");
    let told = doubts(|scene| scene.topics[0]["status"]["partitions"] = json!(1));
    assert!(begin(&told, &["StoreTopic green-order-events Ready with 1"]) && told.len() == 1, "{told:?}");
    let told = doubts(|scene| scene.databases[0]["status"]["databases"][0]["ready"] = json!(false));
    assert!(begin(&told, &["StoreDatabase green Ready while one says"]) && told.len() == 1, "{told:?}");
}

#[test]
fn what_is_said_of_an_earlier_generation_is_not_said() {
    let told = doubts(|scene| {
        scene.store["metadata"]["generation"] = json!(4);
        scene.deployments.clear();
        scene.servers.clear();
        scene.services.iter_mut().chain(&mut scene.databases).chain(&mut scene.topics).for_each(|part| {
            part["metadata"]["generation"] = json!(4);
        });
    });
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn a_store_is_ready_only_with_all_its_parts() {
    let told = doubts(|scene| scene.store["status"]["conditions"][2]["status"] = json!("False"));
    assert!(begin(&told, &["Ready while EventsReady"]) && told.len() == 1, "{told:?}");
}

#[test]
fn a_doubt_stands_if_the_same_is_said_in_the_same_words_and_is_still_not_so() {
    let without_broker = |change: fn(&mut Scene)| {
        let mut scene = scene();
        scene.servers.remove(1);
        change(&mut scene);
        scene.doubts()
    };
    let first = without_broker(|_| ());
    let standing = |later: &[Doubt]| first.iter().filter(|doubt| doubt.stands(later)).count();
    assert_eq!((first.len(), standing(&first), standing(&[])), (2, 2, 0));
    let later = without_broker(|scene| scene.store["metadata"]["resourceVersion"] = json!("2"));
    assert_eq!(standing(&later), 1, "the store has said something new, and the topic has not");
}

#[test]
fn services_that_are_left_out_are_not_looked_for() {
    let services = json!([{"name": "cart", "disabled": true}, {"name": "auth"}]);
    let names: Vec<&str> = enabled(&json!({"spec": {"services": services}})).collect();
    assert!(!names.contains(&"cart") && names.contains(&"auth") && names.len() == SERVICES.len() - 1);
}
