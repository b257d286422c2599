//! A broker that this operator runs: as long as it starts there is no point in asking it.

use api::StoreTopic;
use k8s_openapi::api::apps::v1::StatefulSet;

use crate::framework::{Context, namespace};

/// Whether the topic's broker is one that this operator runs, and none of its pods is ready yet.
pub(super) fn is_starting(context: &Context, topic: &StoreTopic) -> bool {
    let namespace = namespace(topic);
    service(&topic.spec.bootstrap_servers, namespace)
        .and_then(|name| context.cache.get::<StatefulSet>(namespace, name))
        .is_some_and(|broker| !serves(&broker))
}

/// Whether the topic's broker is the one that the operator runs for the store.
pub(super) fn is_of_store(topic: &StoreTopic, store: &str) -> bool {
    service(&topic.spec.bootstrap_servers, namespace(topic)).and_then(|name| name.strip_suffix("-kafka")) == Some(store)
}

fn serves(broker: &StatefulSet) -> bool {
    broker.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) > 0
}

/// The Service in `namespace` that the first of the addresses names, if it does: `name:port`, `name.namespace:port` or
/// `name.namespace.svc…:port`. A broker of ours has the name of its Service.
fn service<'a>(bootstrap: &'a str, namespace: &str) -> Option<&'a str> {
    let host = bootstrap.split([':', ',']).next()?;
    let mut labels = host.split('.');
    let name = labels.next().filter(|name| !name.is_empty())?;
    match (labels.next(), labels.next()) {
        (None, _) => Some(name),
        (Some(space), None | Some("svc")) if space == namespace => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_found_in_every_form_of_its_name() {
        for own in [
            "green-kafka:9092",
            "green-kafka.shop:9092",
            "green-kafka.shop.svc:9092,other:1",
            "green-kafka.shop.svc.cluster.local:9092",
        ] {
            assert_eq!(service(own, "shop"), Some("green-kafka"), "{own}");
        }
        for foreign in ["green-kafka.other.svc:9092", "kafka.example.com:9092", "shop.shop.example:9092", ":9092"] {
            assert_eq!(service(foreign, "shop"), None, "{foreign}");
        }
    }

    #[test]
    fn only_the_broker_of_the_store_goes_with_the_store() {
        let topic = |servers: &str| -> StoreTopic {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic",
                "metadata": {"name": "green-order-events", "namespace": "shop"},
                "spec": {"bootstrapServers": servers, "topicName": "order.events"},
            }))
            .unwrap()
        };
        assert!(is_of_store(&topic("green-kafka.shop.svc:9092"), "green"));
        assert!(!is_of_store(&topic("blue-kafka.shop.svc:9092"), "green"));
        assert!(!is_of_store(&topic("kafka.example:9092"), "green"));
    }

    #[test]
    fn a_broker_without_a_ready_pod_does_not_serve() {
        let broker = |ready: i32| -> StatefulSet {
            let status = serde_json::json!({"replicas": 1, "readyReplicas": ready});
            serde_json::from_value(serde_json::json!({"spec": {"selector": {}, "template": {}}, "status": status}))
                .unwrap()
        };
        assert!(serves(&broker(1)));
        assert!(!serves(&broker(0)));
    }
}
