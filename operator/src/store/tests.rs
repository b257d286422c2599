use api::{DeletionPolicy, FINALIZER};
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::framework::scenario::{Call, Scenario, Writers, made, reported, still, told};

const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green";

fn store() -> Store {
    serde_yaml::from_str(include_str!("build/fixtures/minimal.yaml")).unwrap()
}

async fn reconcile(context: &Context, store: Arc<Store>) {
    Box::pin(StoreReconciler.reconcile(context, store)).await.unwrap();
}

fn metadata() -> serde_json::Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "green"}})
}

/// What a new store consists of before its databases are there, in the order in which it is made.
fn first_children() -> Vec<String> {
    let ours = |kind: &str, name: &str| format!("/apis/greencommerce.dev/v1alpha1/namespaces/shop/{kind}/{name}");
    let core = |kind: &str, name: &str| format!("/api/v1/namespaces/shop/{kind}/{name}");
    let set = |name: &str| format!("/apis/apps/v1/namespaces/shop/statefulsets/{name}");
    let policy = |name: &str| format!("/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/{name}");
    let mut paths = vec![policy("green-default-deny"), policy("green-migrate")];
    paths.extend([ours("storedatabases", "green"), core("configmaps", "green-kafka")]);
    for server in ["green-kafka", "green-cache"] {
        paths.push(policy(server));
        paths.push(core("persistentvolumeclaims", server));
        paths.push(core("services", server));
        paths.push(core("services", &format!("{server}-nodes")));
        paths.push(set(server));
    }
    let topics = ["user-events", "catalog-events", "inventory-events", "order-events", "dead-letters"];
    paths.extend(topics.map(|topic| ours("storetopics", &format!("green-{topic}"))));
    paths.push(core("configmaps", "green-gateway-routes"));
    paths
}

#[tokio::test]
async fn of_a_new_store_the_data_is_made_and_no_service() {
    // It is not ready, and the version does not run yet.
    let (scenario, context, _) = Scenario::of(all_calls(vec![], vec![]));
    reconcile(&context, Arc::new(store())).await;
    let bodies = scenario.finish();
    let status = &bodies[bodies.len() - 3]["status"];
    assert_eq!(status["conditions"][0]["status"], "False");
    assert_eq!(status["version"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_store_that_is_to_take_its_data_along_is_held_back_before_there_is_any() {
    let mut store = store();
    store.spec.deletion_policy = DeletionPolicy::Delete;
    let (scenario, context, _) = Scenario::of(all_calls(vec![Call::ok(format!("PATCH {PATH}?"), metadata())], vec![]));
    reconcile(&context, Arc::new(store)).await;
    assert_eq!(scenario.finish()[0]["metadata"]["finalizers"], json!([FINALIZER]));
}

#[tokio::test]
async fn a_store_whose_data_is_to_stay_is_held_back_until_its_database_has_been_told() {
    let mut store = store();
    store.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    let (scenario, context, _) = Scenario::of(all_calls(vec![], vec![Call::ok(format!("PATCH {PATH}?"), metadata())]));
    reconcile(&context, Arc::new(store)).await;
    let bodies = scenario.finish();
    assert_eq!(bodies[bodies.len() - 4][3]["value"], json!([]));
}

#[tokio::test]
async fn a_store_with_a_volume_that_cannot_grow_looks_at_its_class_again() {
    let path = claim_path("green-kafka");
    let mut claim = claim("green-kafka", "green", store().metadata.uid.as_deref().unwrap());
    claim["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("greencommerce");
    claim["spec"] = json!({"storageClassName": "slow", "resources": {"requests": {"storage": "1Gi"}}});
    claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
    let class = json!({"metadata": {"name": "slow"}, "provisioner": "x", "allowVolumeExpansion": false});
    let mut calls = vec![Call::ok("GET /apis/storage.k8s.io/v1/storageclasses/slow", class)];
    for child in first_children() {
        let [asked, written] = made(&child);
        calls.extend((child != path).then_some(asked).into_iter().chain([written]));
    }
    calls.extend([reported(PATH, json!(store())), told("shop"), told("shop")]);
    let (scenario, context, mut writers) = Scenario::of(calls);
    writers.claims.apply_watcher_event(&Event::Apply(serde_json::from_value(claim).unwrap()));
    let action = Box::pin(StoreReconciler.reconcile(&context, Arc::new(store()))).await.unwrap();
    assert_eq!(action, Action::requeue(CLASS_POLL));
    scenario.finish();
}

/// A store on servers of others: of its own it makes only what no server is needed for.
#[tokio::test]
async fn a_store_whose_caches_secret_is_missing_says_so_and_waits_to_be_told() {
    let store: Store = serde_yaml::from_str(include_str!("build/fixtures/external.yaml")).unwrap();
    let missing = Call::refused("GET /api/v1/namespaces/shop/secrets/redis", 404, "not found");
    let mut calls = vec![missing, Call::ok(format!("PATCH {PATH}?"), metadata())];
    let data = [
        "statefulsets",
        "persistentvolumeclaims",
        "/services",
        "configmaps/green-kafka",
        "networkpolicies/green-kafka",
        "networkpolicies/green-cache",
    ];
    let first = first_children();
    let first = first.iter().filter(|path| data.iter().all(|own| !path.contains(own)));
    calls.extend(first.flat_map(|path| made(path)));
    calls.push(reported(PATH, json!(store)));
    calls.extend([told("shop"), told("shop")]);
    let (scenario, context, _) = Scenario::of(calls);
    let action = Box::pin(StoreReconciler.reconcile(&context, Arc::new(store))).await.unwrap();
    assert_eq!(action, Action::await_change());
    let bodies = scenario.finish();
    let conditions = bodies[bodies.len() - 3]["status"]["conditions"].as_array().unwrap().clone();
    let cache = conditions.iter().find(|condition| condition["type"] == "CacheReady").unwrap();
    assert_eq!((cache["status"].as_str(), cache["reason"].as_str()), (Some("False"), Some("SecretMissing")));
}

/// The calls by which a store that has nothing yet is made, and its status told.
fn all_calls(first: Vec<Call>, last: Vec<Call>) -> Vec<Call> {
    let mut calls = first;
    calls.extend(first_children().iter().flat_map(|path| made(path)));
    calls.extend(last);
    calls.push(reported(PATH, json!(store())));
    calls.extend([told("shop"), told("shop")]);
    calls
}

#[tokio::test]
async fn a_broker_whose_pod_is_refused_is_tried_again() {
    // As the operator made it, long ago.
    let (scenario, context, _) = Scenario::of(all_calls(vec![], vec![]));
    reconcile(&context, Arc::new(store())).await;
    let bodies = scenario.finish();
    let is_it = |body: &&serde_json::Value| body["kind"] == "StatefulSet" && body["metadata"]["name"] == "green-kafka";
    let mut set = bodies.iter().find(is_it).unwrap().clone();
    set["metadata"]["uid"] = json!("7");
    set["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    set["status"] = json!({"replicas": 0});

    let refused = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"}, "reason": "FailedCreate",
        "lastTimestamp": "2026-01-01T00:00:01Z", "message": "exceeded quota",
    });
    let events = json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": [refused]});
    let asked = "GET /api/v1/namespaces/shop/events?&fieldSelector=involvedObject.uid%3D7";
    let sets = "/apis/apps/v1/namespaces/shop/statefulsets/green-kafka";
    let mut calls = all_calls(vec![Call::ok(asked, events)], vec![]);
    calls.retain(|call| !call.is_of("statefulsets/green-kafka"));
    let none = json!({"apiVersion": "v1", "kind": "ResourceQuotaList", "metadata": {}, "items": []});
    let again =
        [Call::ok("GET /api/v1/namespaces/shop/resourcequotas?", none), Call::ok(format!("PATCH {sets}?"), metadata())];
    // Before the status and the events.
    calls.splice(calls.len() - 3..calls.len() - 3, again);
    let (scenario, context, mut writers) = Scenario::of(calls);
    writers.stateful_sets.apply_watcher_event(&Event::Apply(serde_json::from_value(set).unwrap()));
    let action = Box::pin(StoreReconciler.reconcile(&context, Arc::new(store()))).await.unwrap();
    assert_eq!(action, Action::requeue(std::time::Duration::from_mins(1)));
    scenario.finish();
}

/// The Job of a migration in the cache, and what it is called.
fn with_job(writers: &mut Writers, status: &serde_json::Value) -> String {
    let of = validate::validate(&store(), &dereference::Seen::default()).unwrap();
    let plan = plan::plan(&of, &dereference::Seen::default(), upgrade::course(&of, None));
    let hashes = &plan.hashes[&api::ServiceName::Orders];
    let name = of.names.migration(api::ServiceName::Orders, &hashes.job);
    let job = json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": "9", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "app.kubernetes.io/name": "orders", "greencommerce.dev/image": hashes.label,
                "greencommerce.dev/store": "green",
            },
        },
        "status": status,
    });
    writers.jobs.apply_watcher_event(&Event::Apply(serde_json::from_value(job).unwrap()));
    name
}

/// What a store with such a Job, and such a pod of it, is done for beside what every new one is.
async fn done_for_job(
    status: &serde_json::Value,
    pod: Option<serde_json::Value>,
    expected: impl Fn(&str) -> Vec<Call>,
) -> Vec<serde_json::Value> {
    let (_, _, mut other) = Scenario::of(vec![]);
    let name = with_job(&mut other, status);
    let (scenario, context, mut writers) = Scenario::of(all_calls(vec![], expected(&name)));
    with_job(&mut writers, status);
    if let Some(mut pod) = pod {
        pod["metadata"] = json!({"name": "p", "namespace": "shop", "labels": {
            "greencommerce.dev/store": "green", "app.kubernetes.io/component": "migration",
            "batch.kubernetes.io/job-name": name,
        }});
        writers.pods.apply_watcher_event(&Event::Apply(serde_json::from_value(pod).unwrap()));
    }
    reconcile(&context, Arc::new(store())).await;
    scenario.finish()
}

#[tokio::test]
async fn a_job_that_never_ran_is_deleted_for_another_and_no_other_job_of_that_name() {
    let late = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]});
    let bodies = done_for_job(&late, None, |name| {
        let path = format!("/apis/batch/v1/namespaces/shop/jobs/{name}");
        let gone = json!({"kind": "Status", "status": "Success"});
        vec![still(PATH, &store()), Call::ok(format!("DELETE {path}?"), gone)]
    })
    .await;
    assert_eq!(bodies[bodies.len() - 4]["preconditions"]["uid"], "9");
}

#[tokio::test]
async fn since_when_a_migration_runs_is_noted_on_its_job() {
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:10Z"}});
    let container = json!({
        "name": "migrate", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": running,
    });
    let pod = json!({"status": {"phase": "Running", "containerStatuses": [container]}});
    let bodies = done_for_job(&json!({"active": 1}), Some(pod), |name| {
        vec![Call::ok(format!("PATCH /apis/batch/v1/namespaces/shop/jobs/{name}?"), metadata())]
    })
    .await;
    let noted = json!({"uid": "9", "annotations": {"greencommerce.dev/started": "2026-01-01T00:00:10Z"}});
    assert_eq!(bodies[bodies.len() - 4]["metadata"], noted);
}

fn leaving(policy: DeletionPolicy) -> Arc<Store> {
    let mut store = store();
    store.spec.deletion_policy = policy;
    store.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    store.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    Arc::new(store)
}

#[tokio::test]
async fn a_store_that_retains_its_data_is_let_go_at_once() {
    let (scenario, context, _) = Scenario::of(vec![Call::ok(format!("PATCH {PATH}?"), metadata())]);
    reconcile(&context, leaving(DeletionPolicy::Retain)).await;
    assert_eq!(scenario.finish()[0][3]["value"], json!([]));
}

fn claim(name: &str, store: &str, uid: &str) -> serde_json::Value {
    let labels = json!({"greencommerce.dev/store": store});
    let metadata = json!({
        "name": name, "namespace": "shop", "uid": "9", "labels": labels,
        "annotations": {"greencommerce.dev/store-uid": uid},
    });
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata})
}

fn claim_path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/persistentvolumeclaims/{name}")
}

#[tokio::test]
async fn a_store_that_deletes_its_data_takes_its_own_claims_with_it_and_no_others() {
    let store = leaving(DeletionPolicy::Delete);
    let uid = store.metadata.uid.clone().unwrap();
    for foreign in [claim("green-cache", "somebody-elses", &uid), claim("green-cache", "green", "a former store's")] {
        let (kafka, cache) = (claim_path("green-kafka"), claim_path("green-cache"));
        let (scenario, context, _) = Scenario::of(vec![
            Call::ok(format!("GET {kafka}"), claim("green-kafka", "green", &uid)),
            still(PATH, &*store),
            Call::ok(format!("DELETE {kafka}?"), claim("green-kafka", "green", &uid)),
            Call::ok(format!("GET {cache}"), foreign),
            Call::ok(format!("PATCH {PATH}?"), metadata()),
        ]);
        reconcile(&context, store.clone()).await;
        scenario.finish();
    }
}

/// A database of the store in the cache, with this policy and these finalizers.
fn with_database(writers: &mut Writers, policy: DeletionPolicy, finalizers: &[&str]) {
    let database = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {
            "name": "green", "namespace": "shop", "uid": "5", "resourceVersion": "8", "finalizers": finalizers,
        },
        "spec": {"managed": {}, "databases": [], "deletionPolicy": policy},
    });
    writers.store_databases.apply_watcher_event(&Event::Apply(serde_json::from_value(database).unwrap()));
}

#[tokio::test]
async fn a_store_hands_its_policy_down_before_it_goes_and_holds_back_a_database_that_has_to_do_something() {
    let database = "PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/storedatabases/green?";
    let none = |name: &str| Call::refused(format!("GET {}", claim_path(name)), 404, "not found");
    for (held, finalizers, expected) in [
        (DeletionPolicy::Delete, vec![FINALIZER], None),
        (DeletionPolicy::Delete, vec!["example.com/other"], Some(json!(["example.com/other", FINALIZER]))),
        (DeletionPolicy::Retain, vec![], Some(json!([FINALIZER]))),
    ] {
        let mut calls = vec![none("green-kafka"), none("green-cache")];
        calls.extend(expected.is_some().then(|| Call::ok(database, metadata())));
        calls.push(Call::ok(format!("PATCH {PATH}?"), metadata()));
        let (scenario, context, mut writers) = Scenario::of(calls);
        with_database(&mut writers, held, &finalizers);
        reconcile(&context, leaving(DeletionPolicy::Delete)).await;
        let bodies = scenario.finish();
        if let Some(expected) = expected {
            assert_eq!(bodies[2]["metadata"]["finalizers"], expected);
            assert_eq!(
                (&bodies[2]["metadata"]["resourceVersion"], &bodies[2]["spec"]),
                (&json!("8"), &json!({"deletionPolicy": "Delete"}))
            );
        }
    }
}

#[tokio::test]
async fn a_store_of_a_namespace_that_goes_with_the_rights_over_it_is_let_go() {
    let claim = format!("GET {}", claim_path("green-kafka"));
    let going = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"},
    });
    let (scenario, context, _) = Scenario::of(vec![
        Call::refused(claim, 403, "the role is gone"),
        Call::ok("GET /api/v1/namespaces/shop", going),
        Call::ok(format!("PATCH {PATH}?"), metadata()),
    ]);
    reconcile(&context, leaving(DeletionPolicy::Delete)).await;
    let bodies = scenario.finish();
    assert_eq!(bodies[2][3]["value"], json!([]));
}

#[tokio::test]
async fn a_store_that_was_never_begun_touches_nothing_when_it_goes() {
    let mut store = Arc::unwrap_or_clone(leaving(DeletionPolicy::Delete));
    store.metadata.finalizers = Some(vec!["example.com/other".to_owned()]);
    let (scenario, context, _) = Scenario::of(vec![]);
    reconcile(&context, Arc::new(store)).await;
    scenario.finish();
}
