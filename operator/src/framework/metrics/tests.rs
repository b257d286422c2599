//! What the figures say.

use api::{Store, StoreTopic};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::framework::scenario::Scenario;

const PREFIX: &str = "greencommerce_operator_";

pub(super) fn store(name: &str, suspend: bool, ready: Option<(&str, &str)>) -> Store {
    let conditions: Vec<Value> = ready
        .into_iter()
        .map(|(status, reason)| {
            json!({
                "type": "Ready", "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"version": "0.1.0", "suspend": suspend},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn figures(cache: &Cache, activity: &Activity) -> Vec<String> {
    let text = snapshot(cache, activity);
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.replacen(PREFIX, "", 1)).collect()
}

#[tokio::test]
async fn objects_are_counted_by_what_they_say_of_themselves() {
    let (_, context, mut writers) = Scenario::of(vec![]);
    for store in [
        store("green", false, Some(("True", "AllReady"))),
        store("blue", false, Some(("False", "ImagePullFailed"))),
        store("new", false, None),
        store("asleep", true, Some(("False", "ImagePullFailed"))),
    ] {
        writers.stores.apply_watcher_event(&Event::Apply(store));
    }
    let figures = figures(&context.cache, &context.activity);
    for line in [
        r#"objects{kind="Store"} 4"#,
        r#"objects{kind="StoreTopic"} 0"#,
        r#"object_conditions{kind="Store",condition="Ready",status="True",reason="AllReady"} 1"#,
        r#"object_conditions{kind="Store",condition="Ready",status="False",reason="ImagePullFailed"} 2"#,
        r#"store_ready{store_namespace="shop",store="green",reason="AllReady"} 1"#,
        r#"store_ready{store_namespace="shop",store="blue",reason="ImagePullFailed"} 0"#,
        r#"store_ready{store_namespace="shop",store="new",reason=""} 0"#,
    ] {
        assert!(figures.iter().any(|figure| figure == line), "{line} is not in {figures:#?}");
    }
    assert!(!figures.iter().any(|figure| figure.contains("asleep")), "who sleeps need not be ready");
}

#[tokio::test]
async fn what_an_object_said_goes_with_it() {
    let (_, context, mut writers) = Scenario::of(vec![]);
    let store = store("green", false, Some(("False", "ImagePullFailed")));
    writers.stores.apply_watcher_event(&Event::Apply(store.clone()));
    writers.stores.apply_watcher_event(&Event::Delete(store));
    let figures = figures(&context.cache, &context.activity);
    assert!(
        !figures.iter().any(|figure| figure.contains("green") || figure.contains("ImagePullFailed")),
        "{figures:#?}"
    );
}

#[tokio::test]
async fn the_controllers_work_and_malformed_objects_show() {
    let (_, context, _) = Scenario::of(vec![]);
    context.activity.waits("store", "shop/green".to_owned());
    let _running = context.activity.starts("store_topic", "shop/orders");
    let topic: StoreTopic = serde_json::from_value(json!({
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"bootstrapServers": "kafka:9092", "topicName": "orders"},
    }))
    .unwrap();
    context.cache.malformed.note(&topic, "no name");
    context.cache.malformed.note(&Pod { metadata: topic.metadata.clone(), ..Pod::default() }, "no containers");
    let figures = figures(&context.cache, &context.activity);
    for line in [
        r#"queue_depth{controller="store"} 1"#,
        r#"reconciliations_running{controller="store"} 0"#,
        r#"reconciliations_running{controller="store_topic"} 1"#,
        r#"oldest_reconciliation_seconds{controller="store"} 0"#,
        r#"malformed_objects{kind="StoreTopic"} 1"#,
        r#"malformed_objects{kind="Store"} 0"#,
        r#"malformed_objects{kind="Pod"} 1"#,
    ] {
        assert!(figures.iter().any(|figure| figure == line), "{line} is not in {figures:#?}");
    }
}
