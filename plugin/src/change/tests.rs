//! What each command writes.

use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};

use super::{resume, rollback, rotate, suspend};
use crate::{
    cli::{self, Change, Common, Patience, Rollback},
    fake::{Calls, changing, cluster, list},
    output::{Format, captured},
};

const PATH: &str = "/apis/greencommerce.dev/v1alpha1/namespaces/shop/stores";

fn store(version: &str, suspend: bool) -> Value {
    let record = |to: &str| {
        let image = format!("greencommerce/services:{to}");
        json!({"to": to, "image": image, "attempt": "a", "result": "Succeeded", "started": "2026-01-01T00:00:00Z"})
    };
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "green", "namespace": "shop", "uid": "1", "generation": 2},
        "spec": {"version": version, "suspend": suspend},
        "status": {
            "observedGeneration": 2, "history": [record("1.1.0"), record("1.0.0")],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "AllReady", "message": "", "observedGeneration": 2,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    })
}

fn common(wait: bool) -> Common {
    let patience = Patience { timeout: Duration::from_secs(30), fail_fast: false };
    Common { wait, patience, output: Format::Table }
}

fn change(wait: bool) -> Change {
    Change { store: None, common: common(wait) }
}

fn shop(store: &Value) -> (crate::cluster::Cluster, Calls) {
    cluster(vec![
        ("GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?", list("Store", std::slice::from_ref(store))),
        ("PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green?", store.clone()),
    ])
}

/// The one patch of the store.
fn patched(calls: &Calls) -> Value {
    let mut writes = calls.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    let (line, body) = writes.remove(0);
    assert_eq!(line, format!("PATCH {PATH}/green?&fieldManager=kubectl-greencommerce"));
    body
}

#[tokio::test]
async fn suspending_sets_one_field_and_waking_takes_it_back() {
    let (cluster, calls) = shop(&store("1.1.0", false));
    suspend(&cluster, &change(false)).await.unwrap();
    assert_eq!(patched(&calls), json!({"spec": {"suspend": true}}));
    let (cluster, calls) = shop(&store("1.1.0", true));
    resume(&cluster, &change(false)).await.unwrap();
    assert_eq!(patched(&calls), json!({"spec": {"suspend": false}}));
}

#[tokio::test]
async fn a_store_that_is_as_wanted_is_not_written() {
    let (cluster, calls) = shop(&store("1.1.0", true));
    suspend(&cluster, &change(false)).await.unwrap();
    let (awake, more) = shop(&store("1.1.0", false));
    // It is ready already, so that waiting ends at once.
    resume(&awake, &change(true)).await.unwrap();
    assert!(calls.writes().is_empty() && more.writes().is_empty());
}

#[tokio::test]
async fn rolling_back_without_a_terminal_needs_a_yes() {
    let (cluster, calls) = shop(&store("1.1.0", false));
    let options = |yes| Rollback { store: Some("green".to_owned()), to: None, yes, common: common(false) };
    // Where a terminal is there, nobody can be asked in a test.
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let error = rollback(&cluster, &options(false)).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(calls.writes().is_empty());
    }
    rollback(&cluster, &options(true)).await.unwrap();
    assert_eq!(patched(&calls), json!({"spec": {"version": "1.0.0"}}));
}

#[tokio::test]
async fn rotating_is_a_wish_with_a_time() {
    let (cluster, calls) = shop(&store("1.1.0", false));
    rotate(&cluster, &change(false)).await.unwrap();
    let body = patched(&calls);
    let wish = body["metadata"]["annotations"]["greencommerce.dev/rotate"].as_str().unwrap();
    assert!(wish.parse::<jiff::Timestamp>().is_ok(), "{wish}");
}

#[tokio::test]
async fn a_refusal_says_what_was_refused() {
    let (cluster, _) = cluster(vec![(
        "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?",
        list("Store", &[store("1.1.0", false)]),
    )]);
    let error = suspend(&cluster, &change(false)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot change Store shop/green: you may not (no): ask for a role with that right");
}

fn asked(line: &str) -> cli::Command {
    let words = ["kubectl-greencommerce"].into_iter().chain(line.split_whitespace());
    cli::Cli::try_parse_from(words).unwrap().command
}

/// Does what a command line says that begins with `suspend`, `resume` or `rotate`.
async fn call(cluster: &crate::cluster::Cluster, line: &str) -> Result<(), crate::error::Error> {
    match asked(line) {
        cli::Command::Suspend(options) => suspend(cluster, &options).await,
        cli::Command::Resume(options) => resume(cluster, &options).await,
        cli::Command::Rotate(options) => rotate(cluster, &options).await,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_document_is_printed_once_and_after_the_wait() {
    let asleep = {
        let mut store = store("1.1.0", true);
        store["status"]["conditions"][0]["type"] = json!("Suspended");
        store["metadata"]["resourceVersion"] = json!("9");
        store
    };
    let path = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";
    let (cluster, _) = changing(
        vec![
            (path, list("Store", &[store("1.1.0", false)])),
            ("PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green?", store("1.1.0", true)),
        ],
        vec![(path, list("Store", std::slice::from_ref(&asleep)))],
    );
    call(&cluster, "suspend --wait -o json").await.unwrap();
    let printed: Value = serde_json::from_str(&captured::printed()).unwrap();
    assert_eq!(printed["metadata"]["resourceVersion"], "9");
    assert!(captured::complained().contains("AllReady"));
}

#[tokio::test]
async fn a_sentence_is_told_before_the_wait_and_progress_is_no_output() {
    let (cluster, _) = shop(&store("1.1.0", true));
    let store = store("1.1.0", false);
    let (awake, _) = shop(&store);
    call(&cluster, "suspend").await.unwrap();
    assert_eq!(captured::printed(), "Store shop/green sleeps already, or is about to\n");
    call(&awake, "resume --wait").await.unwrap();
    assert_eq!(captured::printed(), "Store shop/green is not suspended\n");
}

const DATABASE: &str = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/storedatabases/green";
const SERVICES: &str = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/storeservices?";
const DEPLOYMENTS: &str = "GET /apis/apps/v1/namespaces/shop/deployments?";

/// The store's StoreDatabase, whose only password was replaced at a second, and what its condition `Rotating` says.
fn database(rotated: Option<u8>, reason: &str, message: &str) -> Value {
    let mut orders = json!({"name": "orders", "ready": true, "secretName": "green-orders-database"});
    if let Some(second) = rotated {
        orders["passwordRotated"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
    }
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "namespace": "shop", "generation": 1},
        "spec": {"databases": [{"name": "orders"}], "external": {"host": "x", "adminSecretRef": {"name": "admin"}}},
        "status": {
            "observedGeneration": 1, "databases": [orders],
            "conditions": [{
                "type": "Rotating", "status": "False", "reason": reason, "message": message, "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    })
}

/// `green-orders` with a database of the store, and `landing-page` with one of its own.
fn services() -> Value {
    let service = |name: &str, secret: &str| {
        json!({
            "metadata": {"name": name, "generation": 1},
            "spec": {"store": "green", "image": "x:1", "database": {"secretRef": {"name": secret}}},
        })
    };
    let (own, foreign) =
        (service("green-orders", "green-orders-database"), service("landing-page", "landing-page-database"));
    list("StoreService", &[own, foreign])
}

/// Their Deployments: `green-orders` with the hash of a login, and as many pods of it as are `updated`, of two.
fn deployments(hash: &str, updated: i32) -> Value {
    let deployment = |name: &str, hash: &str, updated: i32| {
        json!({
            "metadata": {"name": name, "generation": 1, "labels": {"greencommerce.dev/store": "green"}},
            "spec": {
                "replicas": 2, "selector": {},
                "template": {"metadata": {"annotations": {"greencommerce.dev/secrets": hash}}},
            },
            "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": updated, "availableReplicas": 2},
        })
    };
    list("Deployment", &[deployment("green-orders", hash, updated), deployment("landing-page", "foreign", 2)])
}

/// A store before and after a rotation was asked for.
fn rotating(before: [Value; 3], after: [Value; 3]) -> crate::cluster::Cluster {
    rotating_in(&store("1.1.0", false), before, after)
}

fn rotating_in(store: &Value, before: [Value; 3], after: [Value; 3]) -> crate::cluster::Cluster {
    let answers = |[database, services, deployments]: [Value; 3]| {
        vec![(DATABASE, database), (SERVICES, services), (DEPLOYMENTS, deployments)]
    };
    let mut first = answers(before);
    first.extend([
        ("GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?", list("Store", std::slice::from_ref(store))),
        ("GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green", store.clone()),
        ("PATCH /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores/green?", store.clone()),
    ]);
    changing(first, answers(after)).0
}

fn settled(rotated: Option<u8>) -> Value {
    database(rotated, "Settled", "no password is being replaced")
}

#[tokio::test]
async fn a_rotation_does_not_wait_for_a_service_with_a_database_of_its_own() {
    let before = [settled(None), services(), deployments("old", 2)];
    let cluster = rotating(before, [settled(Some(1)), services(), deployments("new", 2)]);
    call(&cluster, "rotate --wait --timeout 3s -o json").await.unwrap();
    let printed: Value = serde_json::from_str(&captured::printed()).unwrap();
    assert_eq!(printed["metadata"]["name"], "green");
}

#[tokio::test]
async fn a_rotation_is_over_when_its_pods_are_and_not_when_the_store_still_says_ready() {
    let before = [settled(Some(1)), services(), deployments("old", 2)];
    let cluster = rotating(before, [settled(Some(2)), services(), deployments("new", 1)]);
    let error = call(&cluster, "rotate --wait --timeout 2s").await.unwrap_err().to_string();
    assert!(error.contains("green-orders") && !error.contains("landing-page"), "{error}");
}

#[tokio::test]
async fn a_rotation_of_a_database_that_no_service_uses_is_waited_for_too() {
    let nobody = || [list("StoreService", &[]), list("Deployment", &[])];
    let [services, deployments] = nobody();
    let cluster = rotating([settled(Some(1)), services, deployments], {
        let [services, deployments] = nobody();
        [settled(Some(1)), services, deployments]
    });
    let error = call(&cluster, "rotate --wait --timeout 2s").await.unwrap_err().to_string();
    assert!(error.contains("green-orders-database"), "{error}");
}

#[tokio::test]
async fn a_rotation_that_is_blocked_fails_at_once_and_says_why() {
    let before = [settled(None), services(), deployments("old", 2)];
    let blocked = database(None, "NameTaken", "the server already has a role orders-b");
    let cluster = rotating(before, [blocked, services(), deployments("old", 2)]);
    let begun = std::time::Instant::now();
    let error = call(&cluster, "rotate --wait --timeout 20s").await.unwrap_err().to_string();
    assert!(error.contains("the server already has a role orders-b"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn nobody_waits_for_new_passwords_of_a_store_that_sleeps_if_failing_fast() {
    let now = || [settled(None), services(), deployments("old", 2)];
    let cluster = rotating_in(&store("1.1.0", true), now(), now());
    let error = call(&cluster, "rotate --wait --fail-fast --timeout 20s").await.unwrap_err().to_string();
    assert_eq!(error, "Store shop/green will not be ready: it sleeps on request: use `kubectl greencommerce resume`");
    let error = call(&cluster, "rotate --wait --timeout 1s").await.unwrap_err().to_string();
    assert!(error.starts_with("waited 1s in vain for new passwords: ") && error.contains("resume"), "{error}");
}
