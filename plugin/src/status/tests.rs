//! Whole stores, from what the API server would say of them.

use api::StoreService;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Gathered, events::Belongs, render, view, view::View};
use crate::{
    fake::{cluster, list},
    output::captured,
};

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// The objects of a file, one YAML document each.
fn gathered(fixture: &str) -> Gathered {
    let documents: Vec<Value> = fixture.split("\n---\n").map(|part| serde_yaml::from_str(part).unwrap()).collect();
    Gathered {
        store: of_kind(&documents, "Store").remove(0),
        databases: of_kind(&documents, "StoreDatabase"),
        topics: of_kind(&documents, "StoreTopic"),
        services: of_kind(&documents, "StoreService"),
        servers: of_kind(&documents, "StatefulSet"),
        events: of_kind(&documents, "Event"),
        unreadable: Vec::new(),
    }
}

fn of_kind<K: DeserializeOwned>(documents: &[Value], kind: &str) -> Vec<K> {
    let found = documents.iter().filter(|document| document["kind"] == kind);
    found.map(|document| serde_json::from_value(document.clone()).unwrap()).collect()
}

fn shown(fixture: &str) -> (View, String) {
    let view = view(&gathered(fixture), now());
    let text = render(&view, now());
    (view, text)
}

macro_rules! state {
    ($test:ident, $name:literal) => {
        #[test]
        fn $test() {
            let (_, text) = shown(include_str!(concat!("fixtures/", $name, ".yaml")));
            insta::assert_snapshot!($name, text);
        }
    };
}

state!(a_healthy_store_shows_what_it_consists_of, "healthy");
state!(a_store_being_upgraded_shows_both_versions, "upgrading");
state!(an_upgrade_taken_back_says_why, "rolled_back");
state!(a_sleeping_store_says_how_to_wake_it, "suspended");
state!(a_broken_store_says_what_is_the_matter, "broken");

#[test]
fn the_document_has_what_the_tables_have() {
    let (view, _) = shown(include_str!("fixtures/broken.yaml"));
    insta::assert_json_snapshot!("broken_document", view);
}

#[test]
fn a_status_of_an_older_generation_is_not_believed() {
    let mut gathered = gathered(include_str!("fixtures/healthy.yaml"));
    gathered.store.metadata.generation = Some(4);
    let view = view(&gathered, now());
    assert_eq!((view.ready.as_str(), view.reason.as_str()), ("Unknown", "Reconciling"));
    assert_eq!(view.message, "the operator has not taken up generation 4 of the spec yet");
    assert!(render(&view, now()).contains("(of an older generation)"));
}

#[test]
fn a_store_that_nobody_has_looked_at_asks_for_the_operator() {
    let mut gathered = gathered(include_str!("fixtures/healthy.yaml"));
    gathered.store.status = None;
    let view = view(&gathered, now());
    assert_eq!(view.message, "the operator has not reported yet: is it running?");
    assert!(render(&view, now()).contains("none yet (1.0.0 is asked for)"));
}

#[test]
fn what_could_not_be_read_is_named() {
    let mut gathered = gathered(include_str!("fixtures/healthy.yaml"));
    gathered.unreadable.push("statefulsets: you may not".to_owned());
    let text = render(&view(&gathered, now()), now());
    assert!(text.ends_with("Not shown, because it could not be read\n  statefulsets: you may not\n"), "{text}");
}

/// The healthy store with what its StoreDatabase says of passwords.
fn rotating(status: &str, reason: &str, generation: i64) -> String {
    let mut gathered = gathered(include_str!("fixtures/healthy.yaml"));
    let condition = json!({
        "type": "Rotating", "status": status, "reason": reason, "message": "so it is", "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T11:30:00Z",
    });
    let status = gathered.databases[0].status.as_mut().unwrap();
    status.conditions.push(serde_json::from_value(condition).unwrap());
    render(&view(&gathered, now()), now())
}

#[test]
fn a_rotation_that_is_under_way_or_blocked_is_told() {
    let told = rotating("False", "NameTaken", 1);
    assert!(told.contains("  Passwords cannot be replaced (NameTaken): so it is\n"), "{told}");
    let told = rotating("True", "RotatingPasswords", 1);
    assert!(told.contains("  Passwords are being replaced: so it is\n"), "{told}");
    for quiet in [rotating("False", "Settled", 1), rotating("False", "NameTaken", 0)] {
        assert!(!quiet.contains("Passwords"), "{quiet}");
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_told_once() {
    let store = json!({"metadata": {"name": "green"}, "spec": {"version": "1.0.0"}});
    let path = "GET /apis/greencommerce.dev/v1alpha1/namespaces/shop/stores?";
    let (cluster, _) = cluster(vec![(path, list("Store", &[store]))]);
    let mut changes = std::pin::pin!(super::changes(&cluster, "green"));
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), async { while changes.next().await.is_some() {} })
        .await;
    let told = captured::complained();
    for kind in ["storedatabases", "storeservices", "storetopics"] {
        let line = format!("cannot watch the {kind}: you may not (no): ask for a role with that right");
        assert_eq!(told.matches(&line).count(), 1, "{told}");
    }
}

#[test]
fn warnings_are_of_this_store_recent_and_told_once() {
    let mut gathered = gathered(include_str!("fixtures/broken.yaml"));
    let event = |name: &str, type_: &str, time: &str| -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "eventTime": format!("2026-01-01T{time}.000000Z"), "type": type_, "reason": "Odd", "note": "odd",
            "regarding": {"kind": "Pod", "name": name},
        }))
        .unwrap()
    };
    gathered.events = vec![
        event("green-auth-1", "Warning", "11:59:00"),
        event("green-auth-1", "Warning", "11:58:00"),
        event("green-cart-1", "Warning", "10:59:00"),
        event("green-cart-1", "Normal", "11:59:00"),
        event("green-two-auth-1", "Warning", "11:59:00"),
    ];
    let warnings = view(&gathered, now()).warnings;
    let found: Vec<(&str, String)> =
        warnings.iter().map(|warning| (warning.object.as_str(), warning.last.to_string())).collect();
    assert_eq!(found, [("Pod green-auth-1", "2026-01-01T11:59:00Z".to_owned())]);
}

#[test]
fn names_tell_what_belongs_to_a_store() {
    let belongs = Belongs::to("green", &["loyalty".to_owned()]);
    for name in ["green", "green-auth-7f9c-x", "data-green-kafka-0", "loyalty-7f9c-x", "green-user-events"] {
        assert!(belongs.owns(name), "{name}");
    }
    for name in ["green-two", "green-two-auth-7f9c-x", "greens", "loyalty2", "green-authority"] {
        assert!(!belongs.owns(name), "{name}");
    }
}

#[test]
fn a_service_that_a_user_added_is_a_part() {
    let mut gathered = gathered(include_str!("fixtures/healthy.yaml"));
    let service: StoreService = serde_json::from_value(json!({
        "metadata": {"name": "loyalty", "generation": 1}, "spec": {"store": "green", "image": "registry.example/loyalty:3"},
    }))
    .unwrap();
    gathered.services.push(service);
    let view = view(&gathered, now());
    let part = view.parts.last().unwrap();
    assert_eq!((part.name.as_str(), part.ready.as_str(), part.pods), ("loyalty", "Unknown", None));
}
