//! Logins: what becomes of them while pods use them and when they are lost.

use std::sync::Arc;

use api::{StoreDatabase, StoreService};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    core::PartialObjectMeta,
    runtime::{controller::Action, watcher::Event},
};
use serde_json::{Value, json};

use super::{
    super::{
        StoreDatabaseReconciler, apply,
        credential::Credential,
        dereference::dereference,
        rotate,
        sql::{Identifier, Outcome, Seat, Spare},
    },
    EXTERNAL, MANAGED, database, found, password, rotated, running,
};
use crate::framework::{
    Reconciler as _,
    scenario::{Call, Scenario, told},
    secret_hash,
};

#[tokio::test]
async fn no_step_of_a_rotation_is_taken_on_a_secret_that_was_read_before_it_was_written() {
    let secret = |name: &str| {
        let path = format!("GET /api/v1/namespaces/shop/secrets/recycled-goods-{name}-database");
        let newer = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "resourceVersion": "2"}});
        Call::ok(path, newer)
    };
    // One is to be closed, the other is due: both would be wrong if the Secret holds another login by now.
    let (scenario, context, _) = Scenario::of(vec![secret("auth"), secret("order-history")]);
    let mut validated = rotated();
    validated.wish.request = Some("tuesday".to_owned());
    for held in validated.credentials.values_mut() {
        held.version = Some("1".to_owned());
    }
    let names: Vec<Identifier> = validated.logins.iter().map(|login| login.name.clone()).collect();
    let outcome = Outcome::from([
        (names[0].clone(), Ok(found(Spare::Open { sessions: 0 }))),
        (names[1].clone(), Ok(found(Spare::Closed))),
    ]);
    let progress = rotate::advance(&context, &validated, &outcome).await.unwrap();
    assert_eq!(progress.waits.len(), 2, "{progress:?}");
    scenario.finish();
}

fn object<K: serde::de::DeserializeOwned>(name: &str, rest: &Value) -> Event<K> {
    let mut object = rest.clone();
    object["metadata"]["name"] = json!(name);
    object["metadata"]["namespace"] = json!("shop");
    Event::Apply(serde_json::from_value(object).unwrap())
}

/// Of a service that does not fit its schema nobody can tell whether it uses the database.
#[tokio::test]
async fn a_service_that_cannot_be_read_is_not_locked_out() {
    let (_, context, mut writers) = Scenario::of(vec![]);
    let admin = json!({"data": {"username": "ZGJh", "password": "ZGJh"}});
    writers.secrets.apply_watcher_event(&object("postgres-admin", &admin));
    let pod = |service: &str, annotations: &Value| json!({"metadata": {"labels": {"greencommerce.dev/service": service}, "annotations": annotations}});
    let old = json!({"greencommerce.dev/secrets": "old"});
    for (name, pod) in [("one", pod("orders", &old)), ("two", pod("orders", &json!({}))), ("three", pod("other", &old))]
    {
        writers.pods.apply_watcher_event(&object(name, &pod));
    }
    let service = json!({"metadata": {"name": "orders", "namespace": "shop"}});
    let service: PartialObjectMeta<StoreService> = serde_json::from_value(service).unwrap();
    context.cache.malformed.note(&service, "no image");
    writers.secrets.apply_watcher_event(&object("emporium-orders-database", &json!({"data": {"password": "bmV3"}})));
    let reads = dereference(&context, &database(EXTERNAL)).await.unwrap();
    assert_eq!(reads.users, ["orders"]);
    assert!(reads.credentials.values().all(|held| held.pods_behind == 1));
}

/// Pods that keep the login before open, where these pods run.
async fn behind(pods: &[Value]) -> usize {
    let (scenario, context, mut writers) = Scenario::of(vec![]);
    let admin = json!({"data": {"username": "ZGJh", "password": "ZGJh"}});
    writers.secrets.apply_watcher_event(&object("postgres-admin", &admin));
    writers.secrets.apply_watcher_event(&object("emporium-orders-database", &json!({"data": {"password": "bmV3"}})));
    for (name, secret) in [("orders", "emporium-orders-database"), ("loyalty", "another")] {
        let spec = json!({"store": "emporium", "image": "shop:1", "database": {"secretRef": {"name": secret}}});
        let service = json!({"apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService", "spec": spec});
        writers.store_services.apply_watcher_event(&object(name, &service));
    }
    for (index, pod) in pods.iter().enumerate() {
        writers.pods.apply_watcher_event(&object(&format!("pod-{index}"), pod));
    }
    let database = database(EXTERNAL);
    let reads = dereference(&context, &database).await.unwrap();
    scenario.finish();
    assert_eq!(reads.users, ["orders"]);
    reads.credentials.into_values().map(|held| held.pods_behind).sum()
}

#[tokio::test]
async fn pods_made_with_another_content_of_the_secret_keep_the_login_before_open() {
    let now: Secret = serde_json::from_value(json!({"data": {"password": "bmV3"}})).unwrap();
    let pod = |service: &str, secrets: &str, phase: &str| {
        json!({
            "metadata": {
                "labels": {"greencommerce.dev/service": service, "greencommerce.dev/store": "emporium"},
                "annotations": {"greencommerce.dev/secrets": secrets},
            },
            "status": {"phase": phase},
        })
    };
    assert_eq!(behind(&[]).await, 0);
    assert_eq!(behind(&[pod("orders", &secret_hash(&now), "Running")]).await, 0);
    assert_eq!(behind(&[pod("orders", "old", "Running"), pod("orders", "old", "Pending")]).await, 2);
    assert_eq!(behind(&[pod("orders", "old", "Succeeded"), pod("loyalty", "old", "Running")]).await, 0);
}

#[tokio::test]
async fn a_migration_that_runs_keeps_the_login_before_open() {
    let migration = |name: &str, phase: &str| {
        let labels = json!({
            "greencommerce.dev/store": "emporium", "app.kubernetes.io/component": "migration",
            "app.kubernetes.io/name": name,
        });
        json!({"metadata": {"labels": labels}, "status": {"phase": phase}})
    };
    assert_eq!(behind(&[migration("orders", "Running")]).await, 1);
    assert_eq!(behind(&[migration("orders", "Failed"), migration("catalog", "Running")]).await, 0);
}

/// The login that a database gets whose Secret is gone, while this role was the one in use.
async fn login_after(role: Option<&str>) -> Credential {
    let missing = Call::refused("GET /api/v1/namespaces/shop/secrets/emporium-orders-database", 404, "not found");
    let (scenario, context, mut writers) = Scenario::of(vec![missing]);
    let admin = json!({"data": {"username": "ZGJh", "password": "ZGJh"}});
    writers.secrets.apply_watcher_event(&object("postgres-admin", &admin));
    let known = json!({"databases": [{"name": "orders", "ready": true, "secretName": "", "username": role}]});
    let database = StoreDatabase { status: Some(serde_json::from_value(known).unwrap()), ..database(EXTERNAL) };
    let reads = dereference(&context, &database).await.unwrap();
    scenario.finish();
    reads.credentials.into_values().next().unwrap()
}

/// Every other call would fail, such as one that makes a Secret.
#[tokio::test]
async fn no_login_is_made_for_a_resource_that_has_gone_meanwhile() {
    let gone = |path: &str| Call::refused(format!("GET {path}"), 404, "not found");
    let (scenario, context, mut writers) = Scenario::of(vec![
        gone("/api/v1/namespaces/shop/secrets/emporium-orders-database"),
        gone("/apis/greencommerce.dev/v1alpha1/namespaces/shop/storedatabases/emporium"),
    ]);
    let admin = json!({"data": {"username": "ZGJh", "password": "ZGJh"}});
    writers.secrets.apply_watcher_event(&object("postgres-admin", &admin));
    let seen = Arc::new(database(EXTERNAL));
    assert_eq!(StoreDatabaseReconciler.reconcile(&context, seen).await.unwrap(), Action::await_change());
    scenario.finish();
}

#[tokio::test]
async fn a_login_whose_secret_is_lost_stays_open_beside_the_one_that_takes_its_place() {
    for (lost, next) in [("eco_orders", Seat::Second), ("eco_orders-b", Seat::First)] {
        let held = login_after(Some(lost)).await;
        assert_eq!((held.seat, held.replaces_a_lost_one()), (next, true), "{lost}");
    }
    let first = login_after(None).await;
    assert_eq!((first.seat, first.replaces_a_lost_one()), (Seat::First, false));
}

#[tokio::test]
async fn it_is_told_that_a_login_takes_the_place_of_a_lost_one() {
    let (scenario, context, _) = Scenario::of(vec![told("shop")]);
    let mut validated = running();
    apply::tell_of_lost_logins(&context, &database(MANAGED), &validated).await;
    let held = validated.credentials.values_mut().next().unwrap();
    *held = Credential::instead_of(Seat::First, password("new"), None, Timestamp::UNIX_EPOCH);
    apply::tell_of_lost_logins(&context, &database(MANAGED), &validated).await;
    let note = scenario.finish()[0]["note"].as_str().unwrap().to_owned();
    assert!(note.starts_with("Secret recycled-goods-auth-database is gone"), "{note}");
}
